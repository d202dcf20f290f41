package main

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// makeSigners makes the keys that cosign signs with, imported as it wants them,
// and the certificates that notation-go does. Only the public halves go into
// the corpus.
func (w *workshop) makeSigners(ctx context.Context) error {
	for _, sub := range []string{"keys", "trust"} {
		dir := filepath.Join(w.out, sub)
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // test data is for everyone
			return err
		}
	}
	for name, kind := range keyKinds {
		if err := w.makeKey(ctx, name, kind); err != nil {
			return fmt.Errorf("key %s: %w", name, err)
		}
	}
	w.leaves = map[string]fixture.Leaf{}
	for _, name := range []string{"acme", "evil"} {
		root, err := fixture.NewAuthority(fixture.CertificateOptions{Subject: subject(name, "Root CA")})
		if err != nil {
			return err
		}
		leaf, err := root.Issue(fixture.CertificateOptions{Subject: subject(name, "Release")})
		if err != nil {
			return err
		}
		w.leaves[name] = leaf
		if err := w.public("trust", name+".pem", root.PEM()); err != nil {
			return err
		}
	}
	return nil
}

func (w *workshop) makeKey(ctx context.Context, name string, kind fixture.KeyKind) error {
	key, err := fixture.NewKey(kind)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key.Signer)
	if err != nil {
		return err
	}
	plain := filepath.Join(w.scratch, name+".pem")
	if err := os.WriteFile(plain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return err
	}
	if out, err := w.execute(ctx, "cosign3", []string{"import-key-pair", "--key", plain, "--output-key-prefix", name, "-y"}); err != nil {
		return fmt.Errorf("import: %w\n%s", err, out)
	}
	public, err := os.ReadFile(filepath.Join(w.scratch, name+".pub"))
	if err != nil {
		return err
	}
	return w.public("keys", name+".pub", public)
}

func (w *workshop) public(sub, name string, content []byte) error {
	return os.WriteFile(filepath.Join(w.out, sub, name), content, 0o644) //nolint:gosec // test data is for everyone
}

func subject(organization, name string) pkix.Name {
	return pkix.Name{Country: []string{"DE"}, Province: []string{"Berlin"}, Organization: []string{organization}, CommonName: name}
}

// identity is the trusted identity that admits an organization's releases.
func identity(organization string) string {
	return "x509.subject: C=DE, ST=Berlin, O=" + organization + ", CN=Release"
}
