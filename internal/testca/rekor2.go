package testca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

const (
	log2Host     = "log2026-1.rekor.test"
	kindVersion2 = "0.0.2"
	// maxIndex keeps the tree of an entry small: its leaves are all hashed.
	maxIndex = 1 << 10
)

func edwards(key fixture.Key) bool {
	_, is := key.Signer.Public().(ed25519.PublicKey)
	return is
}

// noteKeyID returns the ID of a key that signs checkpoints, of which a
// signature line shows the first four bytes (C2SP signed-note, "Signatures";
// for ECDSA the hash of the key alone).
func noteKeyID(name string, key fixture.Key) []byte {
	public, is := key.Signer.Public().(ed25519.PublicKey)
	if !is {
		return sum(publicDER(key))
	}
	const algorithm = 1
	return sum(append([]byte(name+"\n"), append([]byte{algorithm}, public...)...))
}

// entry2 returns the entry of a signature in the log of Rekor v2.
func (s *Sigstore) entry2(signed fixture.Signed, o EntryOptions) (*protorekor.TransparencyLogEntry, error) {
	if o.Kind == "" {
		o.Kind = kindHashedRekord
	}
	if o.Version == "" {
		o.Version = kindVersion2
	}
	if o.Index == 0 {
		o.Index = treeSize - 1
	}
	if o.Index < 0 || o.Index > maxIndex {
		return nil, fmt.Errorf("expected an index up to %d, got %d", maxIndex, o.Index)
	}
	body, err := o.body2(signed)
	if err != nil {
		return nil, err
	}
	entry := &protorekor.TransparencyLogEntry{
		LogIndex: o.Index, LogId: &protocommon.LogId{KeyId: s.log2ID},
		KindVersion: &protorekor.KindVersion{Kind: o.Kind, Version: o.Version}, CanonicalizedBody: body,
	}
	if !o.Time.IsZero() {
		entry.IntegratedTime = o.Time.Unix()
	}
	if !o.NoProof {
		entry.InclusionProof, err = s.proof2(body, o)
	}
	return entry, err
}

// body2 returns the entry's canonical JSON (rekor-tiles api/proto, Entry).
func (o EntryOptions) body2(signed fixture.Signed) ([]byte, error) {
	signed, verifierPEM := o.apply(signed)
	verifier, err := verifier2(verifierPEM)
	if err != nil {
		return nil, err
	}
	signature := map[string]any{"content": signed.Signature, "verifier": verifier}
	var kind string
	var spec map[string]any
	switch o.Kind {
	case kindHashedRekord:
		kind, spec = "hashedRekordV002", map[string]any{"data": digested(signed.Hash, signed.Message), "signature": signature}
	case kindDSSE:
		kind, spec = "dsseV002", map[string]any{"payloadHash": digested(crypto.SHA256, signed.Payload), "signatures": []any{signature}}
	default:
		return nil, fmt.Errorf("expected a known kind of entry, got %q", o.Kind)
	}
	if o.Edit != nil {
		o.Edit(spec)
	}
	body, err := json.Marshal(map[string]any{"apiVersion": o.Version, "kind": o.Kind, "spec": map[string]any{kind: spec}})
	if err != nil {
		return nil, fmt.Errorf("write an entry's body: %w", err)
	}
	return body, nil
}

func verifier2(raw []byte) (map[string]any, error) {
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("expected a key or certificate in PEM, got %q", raw)
	}
	member := "publicKey"
	var public any
	var err error
	if block.Type == "CERTIFICATE" {
		var c *x509.Certificate
		if c, err = x509.ParseCertificate(block.Bytes); err == nil {
			member, public = "x509Certificate", c.PublicKey
		}
	} else {
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("read an entry's verifier: %w", err)
	}
	return map[string]any{member: map[string]any{"rawBytes": block.Bytes}, "keyDetails": keyDetails(public).String()}, nil
}

// keyDetails names the algorithm that the kind of key signs with by default.
func keyDetails(public any) protocommon.PublicKeyDetails {
	switch key := public.(type) {
	case ed25519.PublicKey:
		return protocommon.PublicKeyDetails_PKIX_ED25519_PH
	case *rsa.PublicKey:
		if key.N.BitLen() > 3072 {
			return protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_4096_SHA256
		}
		return protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_2048_SHA256
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P384():
			return protocommon.PublicKeyDetails_PKIX_ECDSA_P384_SHA_384
		case elliptic.P521():
			return protocommon.PublicKeyDetails_PKIX_ECDSA_P521_SHA_512
		}
	}
	return protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
}

func digested(hash crypto.Hash, content []byte) map[string]any {
	h := hash.New()
	h.Write(content)
	name := map[crypto.Hash]string{crypto.SHA256: "SHA2_256", crypto.SHA384: "SHA2_384", crypto.SHA512: "SHA2_512"}[hash]
	return map[string]any{"algorithm": name, "digest": h.Sum(nil)}
}

// proof2 returns the proof that the entry is its tree's last leaf.
func (s *Sigstore) proof2(body []byte, o EntryOptions) (*protorekor.InclusionProof, error) {
	leaf := leafHash(body)
	if o.BreakProof {
		leaf = leafHash([]byte("another entry"))
	}
	leaves := make([][]byte, 0, o.Index+1)
	for i := range o.Index {
		leaves = append(leaves, leafHash(fmt.Appendf(nil, "entry %d", i)))
	}
	rootHash, path := lastPath(append(leaves, leaf))
	origin := log2Host
	if o.Origin != "" {
		origin = o.Origin
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", origin, o.Index+1, base64.StdEncoding.EncodeToString(rootHash))
	message := text
	if o.BreakCheckpoint {
		message = "another\n" + text
	}
	signer := s.log2
	if o.Log != nil {
		signer = o.Log.log2
	}
	signature, err := signer.Sign([]byte(message), crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign a checkpoint: %w", err)
	}
	note := append(binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(s.log2ID)), signature...)
	return &protorekor.InclusionProof{
		LogIndex: o.Index, TreeSize: o.Index + 1, RootHash: rootHash, Hashes: path,
		Checkpoint: &protorekor.Checkpoint{Envelope: text + "\n— " + origin + " " + base64.StdEncoding.EncodeToString(note) + "\n"},
	}, nil
}

// lastPath returns a tree's root and the hashes that lead from its last leaf
// to it (RFC 6962 §2.1.1).
func lastPath(leaves [][]byte) (rootHash []byte, path [][]byte) {
	if len(leaves) == 1 {
		return leaves[0], nil
	}
	half := 1
	for half*2 < len(leaves) {
		half *= 2
	}
	left, _ := lastPath(leaves[:half])
	right, path := lastPath(leaves[half:])
	return sum(append(append([]byte{1}, left...), right...)), append(path, left)
}
