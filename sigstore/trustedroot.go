package sigstore

import (
	"crypto/x509"
	"fmt"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// maxTrustedRoot bounds a trusted root's file. Sigstore's public one, with all
// retired logs and authorities, has some 10 KiB.
const maxTrustedRoot = 1 << 20

// TrustedRoot holds the certificate authorities, transparency logs and
// timestamp authorities that a signer trusts. It is immutable and safe for
// concurrent use.
type TrustedRoot struct {
	root   *root.TrustedRoot
	digest imageref.Digest
}

// NewTrustedRoot reads a trusted_root.json (sigstore protobuf-specs,
// sigstore_trustroot.proto, TrustedRoot), at most 1 MiB.
func NewTrustedRoot(raw []byte) (*TrustedRoot, error) {
	if len(raw) > maxTrustedRoot {
		return nil, fmt.Errorf("trusted root: expected at most %d bytes, got %d", maxTrustedRoot, len(raw))
	}
	if err := evidence.CheckJSON(raw); err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	parsed, err := root.NewTrustedRootFromJSON(raw)
	if err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	if err := checkRoot(parsed); err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	return &TrustedRoot{root: parsed, digest: imageref.DigestOf(raw)}, nil
}

// checkRoot refuses keys that would keep a verifier busy.
func checkRoot(r *root.TrustedRoot) error {
	for _, ca := range r.FulcioCertificateAuthorities() {
		if a, is := ca.(*root.FulcioCertificateAuthority); is {
			if err := checkKeys(append([]*x509.Certificate{a.Root}, a.Intermediates...)...); err != nil {
				return fmt.Errorf("certificate authority %s: %w", a.URI, err)
			}
		}
	}
	for _, ca := range r.TimestampingAuthorities() {
		a, is := ca.(*root.SigstoreTimestampingAuthority)
		if !is {
			continue
		}
		for _, c := range append([]*x509.Certificate{a.Root, a.Leaf}, a.Intermediates...) {
			if c == nil {
				continue
			}
			if err := checkKeys(c); err != nil {
				return fmt.Errorf("timestamp authority %s: %w", a.URI, err)
			}
		}
	}
	for _, logs := range []map[string]*root.TransparencyLog{r.RekorLogs(), r.CTLogs()} {
		for _, log := range logs {
			if err := checkKey(log.PublicKey); err != nil {
				return fmt.Errorf("log %s: %w", log.BaseURL, err)
			}
		}
	}
	return nil
}

// Digest identifies the root by the bytes that it was read from.
func (t *TrustedRoot) Digest() imageref.Digest {
	if t == nil {
		return imageref.Digest{}
	}
	return t.digest
}
