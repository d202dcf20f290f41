package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// release is the identity in most certificates, a URI; developer is an email
// address.
const (
	release   = "https://acme.example/release"
	developer = "dev@acme.example"
)

// certified is who has a key and a certificate.
type certified struct {
	name, authority string
	kind            fixture.KeyKind
	edit            func(*x509.Certificate)
}

// certifieds are the holders of certificates, by file name. All but the last
// are by acme.
func certifieds() []certified {
	releases := func(c *x509.Certificate) { c.URIs = named(release) }
	return []certified{
		{name: "release", edit: releases},
		{name: "developer", edit: func(c *x509.Certificate) { c.EmailAddresses = []string{developer} }},
		{name: "p384", kind: fixture.P384, edit: releases},
		{name: "p521", kind: fixture.P521, edit: releases},
		{name: "rsa2048", kind: fixture.RSA2048, edit: releases},
		{name: "ed25519", kind: fixture.Ed25519, edit: releases},
		{name: "expired", edit: func(c *x509.Certificate) {
			c.URIs, c.NotBefore, c.NotAfter = named(release), time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		}},
		{name: "server", edit: func(c *x509.Certificate) {
			c.URIs, c.ExtKeyUsage = named(release), []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}},
		{name: "evil", authority: "evil", edit: releases},
	}
}

// named is the one name of a certificate.
func named(identity string) []*url.URL {
	return []*url.URL{{Scheme: "https", Host: "acme.example", Path: strings.TrimPrefix(identity, "https://acme.example")}}
}

// makeAuthorities makes two certificate authorities with an intermediate each,
// who they certify, a timestamp authority, and the name of another.
func (w *workshop) makeAuthorities(ctx context.Context) error {
	if err := w.folder("authorities"); err != nil {
		return err
	}
	w.authorities = map[string]fixture.Authority{}
	for _, name := range []string{"acme", "evil"} {
		intermediate, err := newSigningAuthority(name)
		if err != nil {
			return err
		}
		w.authorities[name] = intermediate
		if err := w.share("authorities", name+".pem", chainPEM(intermediate.Chain)); err != nil {
			return err
		}
	}
	for _, c := range certifieds() {
		if err := w.certify(ctx, c); err != nil {
			return fmt.Errorf("certificate %s: %w", c.name, err)
		}
	}
	for _, name := range []string{timestamps, "strange-timestamps"} {
		if err := w.makeTimestamps("authorities", name); err != nil {
			return err
		}
	}
	if err := w.startTimestamps(ctx); err != nil {
		return err
	}
	for name, authorities := range map[string][2]string{
		"acme": {"acme"}, "evil": {"evil"}, "acme-timestamps": {"acme", timestamps}, "evil-timestamps": {"evil", timestamps}, "acme-strange": {"acme", "strange-timestamps"},
	} {
		args := []string{"--fulcio", "url=https://ca.example,certificate-chain=" + authorities[0] + ".pem"}
		if authorities[1] != "" {
			args = append(args, "--tsa", "url=https://timestamps.example,certificate-chain="+authorities[1]+".pem")
		}
		if err := w.trust(ctx, "authorities", name+".json", args...); err != nil {
			return err
		}
	}
	return nil
}

// newSigningAuthority makes a root and an intermediate for signing code, which
// it returns.
func newSigningAuthority(organization string) (fixture.Authority, error) {
	root, err := fixture.NewAuthority(fixture.CertificateOptions{Subject: subject(organization, "Signing Root CA")})
	if err != nil {
		return fixture.Authority{}, err
	}
	return root.Intermediate(fixture.CertificateOptions{Subject: subject(organization, "Signing CA"), Edit: func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} // as Fulcio's has
	}})
}

// certify issues a certificate and hands its key to cosign.
func (w *workshop) certify(ctx context.Context, c certified) error {
	if c.authority == "" {
		c.authority = "acme"
	}
	leaf, err := w.authorities[c.authority].Issue(fixture.CertificateOptions{Subject: subject(c.authority, c.name), Kind: c.kind, Edit: c.edit})
	if err != nil {
		return err
	}
	if _, err := w.importKey(ctx, "certified-"+c.name, leaf.Key); err != nil {
		return err
	}
	return w.share("authorities", c.name+".crt", leaf.PEM())
}

// share writes a public file into the corpus and, for cosign, into the scratch
// folder.
func (w *workshop) share(sub, name string, content []byte) error {
	if err := os.WriteFile(filepath.Join(w.scratch, name), content, 0o600); err != nil {
		return err
	}
	return w.public(sub, name, content)
}

// trust makes a trusted root with cosign.
func (w *workshop) trust(ctx context.Context, sub, name string, args ...string) error {
	out, err := w.execute(ctx, "cosign3", slices.Concat([]string{"trusted-root", "create", "--out", name}, args))
	if err != nil {
		return fmt.Errorf("make the trusted root: %w\n%s", err, out)
	}
	made, err := os.ReadFile(filepath.Join(w.scratch, name))
	if err != nil {
		return err
	}
	return w.public(sub, name, made)
}

// timestamps is the timestamp authority that runs.
const timestamps = "timestamps"

// makeTimestamps makes a timestamp authority's certificates, as NAME.pem, and
// its key.
func (w *workshop) makeTimestamps(sub, name string) error {
	root, err := fixture.NewAuthority(fixture.CertificateOptions{Subject: subject("acme", name+" Root CA")})
	if err != nil {
		return err
	}
	extKeyUsage := asn1.ObjectIdentifier{2, 5, 29, 37}
	timeStamping, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	if err != nil {
		return err
	}
	leaf, err := root.Issue(fixture.CertificateOptions{Subject: subject("acme", name), Edit: func(c *x509.Certificate) {
		// RFC 3161 §2.3: the extension is critical.
		c.ExtKeyUsage, c.ExtraExtensions = nil, []pkix.Extension{{Id: extKeyUsage, Critical: true, Value: timeStamping}}
	}})
	if err != nil {
		return err
	}
	if err := w.share(sub, name+".pem", chainPEM(leaf.Chain)); err != nil {
		return err
	}
	return w.private(name+".key", leaf.Key)
}

// startTimestamps starts the timestamp authority. There can be one on a machine:
// it has its metrics on a port of its own choice.
func (w *workshop) startTimestamps(ctx context.Context) error {
	authority, err := w.serve(ctx, serviceSpec{name: timestamps, binary: w.tools.timestamps, ready: "/ping", args: func(ports [3]string) []string {
		return []string{
			"serve", "--host", "127.0.0.1", "--port", ports[0], "--disable-ntp-monitoring",
			"--timestamp-signer", "file", "--file-signer-key-path", timestamps + ".key", "--certificate-chain-path", timestamps + ".pem",
		}
	}})
	if err != nil {
		return err
	}
	w.stamps = authority.url + "/api/v1/timestamp"
	return nil
}

// private writes a key into the scratch folder.
func (w *workshop) private(name string, key fixture.Key) error {
	der, err := x509.MarshalPKCS8PrivateKey(key.Signer)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(w.scratch, name), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

func chainPEM(chain []*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range chain {
		// Nothing fails to be written to a buffer.
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	return b.Bytes()
}

// folder empties a folder of the corpus.
func (w *workshop) folder(sub string) error {
	dir := filepath.Join(w.out, sub)
	return errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)) //nolint:gosec // test data is for everyone
}
