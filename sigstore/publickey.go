package sigstore

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // SHA-384 and SHA-512
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	// maxKeyBytes bounds a PEM file. A key of 4096 bits has less than 1 KiB.
	maxKeyBytes = 64 << 10
	// minRSABits and maxRSABits are the sizes that are neither weak nor made to
	// keep a verifier busy (NIST SP 800-131A; sigstore's own roots stay within).
	minRSABits, maxRSABits = 2048, 4096
	// minRSAExponent is the smallest that NIST SP 800-56B admits. With an
	// exponent of 1 everything verifies.
	minRSAExponent = 65537
	// maxSignature bounds a signature: RSA with 4096 bits has 512 bytes.
	maxSignature = 1024
)

// publicKey is a key of a kind that is accepted, with the hashes that it signs
// with.
type publicKey struct {
	key    crypto.PublicKey
	spki   []byte // canonical DER of the SubjectPublicKeyInfo
	hashes []crypto.Hash
}

// parsePublicKey reads exactly one PEM block with a public key. Two blocks, or
// text around them, might be two keys to two readers.
func parsePublicKey(text []byte, hash crypto.Hash) (publicKey, error) {
	if len(text) > maxKeyBytes {
		return publicKey{}, fmt.Errorf("public key: expected at most %d bytes, got %d", maxKeyBytes, len(text))
	}
	text = bytes.TrimSpace(text)
	if !bytes.HasPrefix(text, []byte("-----BEGIN ")) {
		return publicKey{}, errors.New("public key: expected PEM that begins with \"-----BEGIN PUBLIC KEY-----\"")
	}
	if n := bytes.Count(text, []byte("-----BEGIN ")); n != 1 {
		return publicKey{}, fmt.Errorf("public key: expected one PEM block, got %d", n)
	}
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return publicKey{}, errors.New("public key: expected a PEM block, got one that does not parse")
	case len(bytes.TrimSpace(rest)) > 0:
		return publicKey{}, errors.New("public key: expected nothing after the PEM block")
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return publicKey{}, errors.New("public key: expected a public key, got a private key: replace it, and use its public half here")
	case strings.HasSuffix(block.Type, "CERTIFICATE"):
		return publicKey{}, errors.New("public key: expected a public key, got a certificate: extract its public key, or name the identity that it certifies")
	case len(block.Headers) > 0:
		return publicKey{}, errors.New("public key: expected a PEM block without headers")
	}
	key, err := parseBlock(block)
	if err != nil {
		return publicKey{}, fmt.Errorf("public key: %w", err)
	}
	return newPublicKey(key, hash)
}

func parseBlock(block *pem.Block) (crypto.PublicKey, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	}
	return nil, fmt.Errorf("expected a PEM block of type \"PUBLIC KEY\" or \"RSA PUBLIC KEY\", got %q", block.Type)
}

func newPublicKey(key crypto.PublicKey, hash crypto.Hash) (publicKey, error) {
	switch hash {
	case 0, crypto.SHA224, crypto.SHA256, crypto.SHA384, crypto.SHA512:
	default:
		return publicKey{}, fmt.Errorf("public key: expected hash sha224, sha256, sha384 or sha512, got %s", hash)
	}
	hashes, err := hashesOf(key)
	if err != nil {
		return publicKey{}, fmt.Errorf("public key: %w", err)
	}
	if hash != 0 {
		if _, is := key.(ed25519.PublicKey); is {
			return publicKey{}, fmt.Errorf("public key: expected no hash with an Ed25519 key, which brings its own, got %s", hash)
		}
		hashes = []crypto.Hash{hash}
	}
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return publicKey{}, fmt.Errorf("public key: %w", err)
	}
	return publicKey{key: key, spki: spki, hashes: hashes}, nil
}

// hashesOf returns the hashes that signatures of a key are accepted with by
// default, and refuses kinds and sizes of keys. cosign signs with SHA-256
// except on the larger curves, where it once did too and now uses the curve's
// own.
func hashesOf(key crypto.PublicKey) ([]crypto.Hash, error) {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return []crypto.Hash{crypto.SHA256}, nil
		case elliptic.P384():
			return []crypto.Hash{crypto.SHA256, crypto.SHA384}, nil
		case elliptic.P521():
			return []crypto.Hash{crypto.SHA256, crypto.SHA512}, nil
		}
		return nil, fmt.Errorf("expected curve P-256, P-384 or P-521, got %s", k.Curve.Params().Name)
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < minRSABits || n > maxRSABits {
			return nil, fmt.Errorf("expected an RSA key of %d to %d bits, got %d", minRSABits, maxRSABits, n)
		}
		if k.E < minRSAExponent || k.E%2 == 0 {
			return nil, fmt.Errorf("expected an odd RSA exponent of at least %d, got %d", minRSAExponent, k.E)
		}
		return []crypto.Hash{crypto.SHA256}, nil
	case ed25519.PublicKey:
		return nil, nil
	}
	return nil, fmt.Errorf("expected an ECDSA, RSA or Ed25519 key, got %T", key)
}

// verifies reports whether signature is one of message by the key: ECDSA in
// ASN.1, RSA by PKCS #1 v1.5, or Ed25519 either pure or, as cosign signs,
// pre-hashed (RFC 8032 §5.1: the two cannot be taken for each other).
func (p publicKey) verifies(message, signature []byte) bool {
	return p.whichVerifies(message, [][]byte{signature}) == 0
}

// whichVerifies returns the index of the first signature that verifies, or -1.
// It hashes the message once for all.
func (p publicKey) whichVerifies(content []byte, signatures [][]byte) int {
	return p.whichVerifiesOf(message{content: content}, signatures)
}

// verifiesOf is verifies for a message of which maybe only hashes are known.
func (p publicKey) verifiesOf(m message, signature []byte) bool {
	return p.whichVerifiesOf(m, [][]byte{signature}) == 0
}

func (p publicKey) whichVerifiesOf(m message, signatures [][]byte) int {
	hashes := p.hashes
	if _, is := p.key.(ed25519.PublicKey); is {
		hashes = []crypto.Hash{crypto.SHA512}
	}
	sums := make([][]byte, len(hashes))
	for i, h := range hashes {
		sums[i] = m.sum(h)
	}
	return slices.IndexFunc(signatures, func(signature []byte) bool {
		if len(signature) == 0 || len(signature) > maxSignature {
			return false
		}
		if k, is := p.key.(ed25519.PublicKey); is {
			return m.content != nil && ed25519.Verify(k, m.content, signature) || len(sums[0]) == crypto.SHA512.Size() &&
				ed25519.VerifyWithOptions(k, sums[0], signature, &ed25519.Options{Hash: crypto.SHA512}) == nil
		}
		for i, h := range hashes {
			if p.verifiesSum(h, sums[i], signature) {
				return true
			}
		}
		return false
	})
}

// verifiesSum is verifies for a message of which the hash is known. Ed25519 is
// not among its keys.
func (p publicKey) verifiesSum(h crypto.Hash, digest, signature []byte) bool {
	if !slices.Contains(p.hashes, h) || len(digest) != h.Size() {
		return false
	}
	switch k := p.key.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, digest, signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, h, digest, signature) == nil
	}
	return false
}

// equal reports whether the other key is this one.
func (p publicKey) equal(other crypto.PublicKey) bool {
	k, comparing := p.key.(interface{ Equal(crypto.PublicKey) bool })
	return comparing && k.Equal(other)
}

// fingerprint is the SHA-256 of the key's SubjectPublicKeyInfo in hexadecimal.
func (p publicKey) fingerprint() string {
	s := sha256.Sum256(p.spki)
	return hex.EncodeToString(s[:])
}

func sum(h crypto.Hash, message []byte) []byte {
	w := h.New()
	w.Write(message)
	return w.Sum(nil)
}
