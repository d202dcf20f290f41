package sigstore

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	prototrust "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/bonafide-dev/bonafide/imageref"
)

// maxRootParts bounds each list of parts. Sigstore's public instance has two of
// the longest.
const maxRootParts = 32

// RootParts are the parts of a trusted root, each in PEM: what a private instance
// of Sigstore hands out where it has no trusted_root.json. They have no periods,
// so the certificates' own decide and keys count at any time. A log of Rekor's
// version 2 is known by its name too and needs a trusted_root.json.
type RootParts struct {
	// Fulcio are the chains of certificate authorities, the root last.
	Fulcio [][]byte
	// Rekor and CTLogs are the public keys of transparency logs and of
	// certificate transparency logs.
	Rekor, CTLogs [][]byte
	// TimestampAuthorities are chains, the root last and first the certificate
	// that signs, if it is known.
	TimestampAuthorities [][]byte
}

// NewTrustedRootFromParts puts a trusted root together. An error names the list
// and the part of it that is wrong.
func NewTrustedRootFromParts(p RootParts) (*TrustedRoot, error) {
	trusted := &prototrust.TrustedRoot{MediaType: root.TrustedRootMediaType01}
	var err error
	if trusted.CertificateAuthorities, err = authorityParts("fulcio", p.Fulcio); err != nil {
		return nil, err
	}
	if trusted.TimestampAuthorities, err = authorityParts("timestampAuthorities", p.TimestampAuthorities); err != nil {
		return nil, err
	}
	if trusted.Tlogs, err = logParts("rekor", p.Rekor); err != nil {
		return nil, err
	}
	if trusted.Ctlogs, err = logParts("ctLogs", p.CTLogs); err != nil {
		return nil, err
	}
	parsed, err := root.NewTrustedRootFromProtobuf(trusted)
	if err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(trusted)
	if err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	return &TrustedRoot{root: parsed, digest: imageref.DigestOf(append([]byte("parts\n"), raw...))}, nil
}

// With returns a trusted root with the parts in place of its own lists; of those
// that are empty it keeps its own. A nil TrustedRoot has none.
func (t *TrustedRoot) With(p RootParts) (*TrustedRoot, error) {
	parts, err := NewTrustedRootFromParts(p)
	if err != nil || t == nil {
		return parts, err
	}
	if t.root == nil {
		return nil, errors.New("trusted root: expected one made by NewTrustedRoot, got an empty one")
	}
	rekor, ctLogs := parts.root.RekorLogs(), parts.root.CTLogs()
	authorities, stampers := parts.root.FulcioCertificateAuthorities(), parts.root.TimestampingAuthorities()
	if len(p.Rekor) == 0 {
		rekor = t.root.RekorLogs()
	}
	if len(p.CTLogs) == 0 {
		ctLogs = t.root.CTLogs()
	}
	if len(p.Fulcio) == 0 {
		authorities = t.root.FulcioCertificateAuthorities()
	}
	if len(p.TimestampAuthorities) == 0 {
		stampers = t.root.TimestampingAuthorities()
	}
	merged, err := root.NewTrustedRoot(root.TrustedRootMediaType01, authorities, ctLogs, stampers, rekor)
	if err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	return &TrustedRoot{root: merged, digest: imageref.DigestOf([]byte("parts of another\n" + t.digest.String() + "\n" + parts.digest.String()))}, nil
}

func countParts(name string, parts [][]byte) error {
	if n := len(parts); n > maxRootParts {
		return fmt.Errorf("%s: expected at most %d, got %d", name, maxRootParts, n)
	}
	return nil
}

// authorityParts reads chains: each certificate is issued by the next one.
func authorityParts(name string, chains [][]byte) ([]*prototrust.CertificateAuthority, error) {
	var all []*prototrust.CertificateAuthority
	for i, text := range chains {
		certificates, err := parseCertificates(text)
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", name, i, err)
		}
		if last := certificates[len(certificates)-1]; !last.IsCA {
			return nil, fmt.Errorf("%s[%d]: expected the certificate of an authority as the last one, got %s", name, i, quote(nameOf(last)))
		}
		if err := checkOrder(certificates); err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", name, i, err)
		}
		chain := &protocommon.X509CertificateChain{}
		for _, c := range certificates {
			chain.Certificates = append(chain.Certificates, &protocommon.X509Certificate{RawBytes: c.Raw})
		}
		all = append(all, &prototrust.CertificateAuthority{CertChain: chain})
	}
	return all, countParts(name, chains)
}

// logParts reads keys. A log is known by the hash of its key (RFC 6962 §3.2).
func logParts(name string, keys [][]byte) ([]*prototrust.TransparencyLogInstance, error) {
	var all []*prototrust.TransparencyLogInstance
	for i, text := range keys {
		key, err := parsePublicKey(bytes.TrimSpace(text), 0)
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", name, i, err)
		}
		details, err := detailsOf(key)
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", name, i, err)
		}
		id := sha256.Sum256(key.spki)
		all = append(all, &prototrust.TransparencyLogInstance{
			HashAlgorithm: protocommon.HashAlgorithm_SHA2_256, LogId: &protocommon.LogId{KeyId: id[:]},
			PublicKey: &protocommon.PublicKey{
				RawBytes: key.spki, KeyDetails: details, ValidFor: &protocommon.TimeRange{Start: &timestamppb.Timestamp{}},
			},
		})
	}
	return all, countParts(name, keys)
}

// detailsOf says how a log's key signs.
func detailsOf(key publicKey) (protocommon.PublicKeyDetails, error) {
	switch k := key.key.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256, nil
		case elliptic.P384():
			return protocommon.PublicKeyDetails_PKIX_ECDSA_P384_SHA_384, nil
		case elliptic.P521():
			return protocommon.PublicKeyDetails_PKIX_ECDSA_P521_SHA_512, nil
		}
	case *rsa.PublicKey:
		switch k.N.BitLen() {
		case 2048:
			return protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_2048_SHA256, nil
		case 3072:
			return protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_3072_SHA256, nil
		case 4096:
			return protocommon.PublicKeyDetails_PKIX_RSA_PKCS1V15_4096_SHA256, nil
		}
		return 0, fmt.Errorf("expected an RSA key of 2048, 3072 or 4096 bits, got %d", k.N.BitLen())
	case ed25519.PublicKey:
		return protocommon.PublicKeyDetails_PKIX_ED25519, nil
	}
	return 0, errors.New("expected an ECDSA, RSA or Ed25519 key")
}
