package main

import (
	"context"
	"crypto/x509/pkix"
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
		if err := w.folder(sub); err != nil {
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
	public, err := w.importKey(ctx, name, key)
	if err != nil {
		return err
	}
	return w.public("keys", name+".pub", public)
}

// importKey makes a key cosign's own, as NAME.key, and returns its public half
// as cosign writes it.
func (w *workshop) importKey(ctx context.Context, name string, key fixture.Key) ([]byte, error) {
	if err := w.private(name+".pem", key); err != nil {
		return nil, err
	}
	if out, err := w.execute(ctx, "cosign3", []string{"import-key-pair", "--key", name + ".pem", "--output-key-prefix", name, "-y"}); err != nil {
		return nil, fmt.Errorf("import: %w\n%s", err, out)
	}
	return os.ReadFile(filepath.Join(w.scratch, name+".pub"))
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
