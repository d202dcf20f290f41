package notation_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/notation"
)

func file(b []byte) *fstest.MapFile { return &fstest.MapFile{Data: b} }

func TestLoadTrustStores(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	root := p.root.PEM()
	for name, tc := range map[string]struct {
		reason string
		files  fstest.MapFS
		fails  bool
		stores int
	}{
		"Layout": {
			reason: "as notation lays it out, in PEM and DER",
			files: fstest.MapFS{
				"x509/ca/acme/root.pem":              file(root),
				"x509/ca/acme/two.crt":               file(append(root, root...)),
				"x509/signingAuthority/aws.1/r.cer":  file(p.root.Certificate().Raw),
				"x509/tsa/clock/root.crt":            file(root),
				"other/folders/are/not/ours.txt":     file(nil),
				"trustpolicy.json":                   file(nil),
				"x509/ca/acme-2_b.c/certificate.pem": file(root),
			},
			stores: 4,
		},
		"NoX509":       {reason: "the folder above or below was named", files: fstest.MapFS{"ca/acme/root.pem": file(root)}, fails: true},
		"X509File":     {reason: "not a folder", files: fstest.MapFS{"x509": file(root)}, fails: true},
		"UnknownType":  {reason: "nobody would read it", files: fstest.MapFS{"x509/cas/acme/root.pem": file(root)}, fails: true},
		"Name":         {reason: "documents cannot name it", files: fstest.MapFS{"x509/ca/a b/root.pem": file(root)}, fails: true},
		"FileInType":   {reason: "nobody would read it", files: fstest.MapFS{"x509/ca/root.pem": file(root)}, fails: true},
		"Folder":       {reason: "nobody would read it", files: fstest.MapFS{"x509/ca/acme/sub/root.pem": file(root)}, fails: true},
		"OtherFile":    {reason: "nobody would read it", files: fstest.MapFS{"x509/ca/acme/root.pem": file(root), "x509/ca/acme/README": file(nil)}, fails: true},
		"Leaf":         {reason: "a signer's certificate is no trust store", files: fstest.MapFS{"x509/ca/acme/leaf.pem": file(p.leaf.PEM())}, fails: true},
		"NoRoot":       {reason: "timestamp authorities are trusted by their roots", files: fstest.MapFS{"x509/tsa/acme/i.pem": file(intermediate(t, p))}, fails: true},
		"Intermediate": {reason: "signers may be trusted by an intermediate", files: fstest.MapFS{"x509/ca/acme/i.pem": file(intermediate(t, p))}, stores: 1},
		"Garbage":      {reason: "no certificate", files: fstest.MapFS{"x509/ca/acme/root.pem": file([]byte("garbage"))}, fails: true},
		"EmptyFile":    {reason: "no certificate", files: fstest.MapFS{"x509/ca/acme/root.pem": file(nil)}, fails: true},
		"TextAfterPEM": {reason: "half a certificate may be lost", files: fstest.MapFS{"x509/ca/acme/root.pem": file(append(root, []byte("garbage")...))}, fails: true},
		"PrivateKey":   {reason: "keys do not belong here", files: fstest.MapFS{"x509/ca/acme/root.pem": file(append(root, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}})...))}, fails: true},
		"LargeFile":    {reason: "bounded", files: fstest.MapFS{"x509/ca/acme/root.pem": file([]byte(strings.Repeat("\n", 2<<20)))}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			stores, err := notation.LoadTrustStores(tc.files)
			if (err != nil) != tc.fails || len(stores) != tc.stores {
				t.Errorf("%s: want %d stores and an error: %t, got %d and %v", tc.reason, tc.stores, tc.fails, len(stores), err)
			}
		})
	}
}

func intermediate(t *testing.T, p pki) []byte {
	t.Helper()
	between, err := p.root.Intermediate(fixture.CertificateOptions{Subject: subject("Intermediate")})
	must(t, between, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: between.Certificate().Raw})
}

func TestLoadTrustStoresFollowsNoLink(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	for name, link := range map[string][2]string{
		"Certificate": {"elsewhere/root.pem", "x509/ca/acme/root.pem"},
		"Store":       {"elsewhere", "x509/ca/acme"},
		"Type":        {".", "x509/ca"},
		"X509":        {".", "x509"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "elsewhere", "root.pem"), p.root.PEM())
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, link[1])), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(dir, link[0]), filepath.Join(dir, link[1])); err != nil {
				t.Fatal(err)
			}
			if _, err := notation.LoadTrustStores(os.DirFS(dir)); err == nil || !strings.Contains(err.Error(), "symbolic link") {
				t.Errorf("want the link refused, got %v", err)
			}
		})
	}
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestDocumentOverAFolder(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	dir := t.TempDir()
	write(t, filepath.Join(dir, "x509", "ca", "acme", "root.crt"), p.root.PEM())
	stores, err := notation.LoadTrustStores(os.DirFS(dir))
	must(t, stores, err)
	s, err := notation.FromDocument(text(strict("a", "*", identity("signer"))), stores, notation.DocumentOptions{})
	must(t, s, err)
	verified(t, s, image("content"), item(t, image("content"), p.leaf, fixture.NotationOptions{}), "")
	verified(t, s, image("content"), item(t, image("content"), newPKI(t, fixture.CertificateOptions{}).leaf, fixture.NotationOptions{}), evidence.CertificateUntrusted)
}

// An anchor may be any authority of the chain, and a self-signed signer is its
// own.
func TestAnchors(t *testing.T) {
	root, err := fixture.NewAuthority(fixture.CertificateOptions{Subject: subject("Root")})
	must(t, root, err)
	between, err := root.Intermediate(fixture.CertificateOptions{Subject: subject("Intermediate")})
	must(t, between, err)
	beside, err := root.Intermediate(fixture.CertificateOptions{Subject: subject("Intermediate")})
	must(t, beside, err)
	o := pki{root: between}.options()
	s := newSigner(t, o)
	verified(t, s, image("content"), item(t, image("content"), issue(t, between, fixture.CertificateOptions{}), fixture.NotationOptions{}), "")
	verified(t, s, image("content"), item(t, image("content"), issue(t, beside, fixture.CertificateOptions{}), fixture.NotationOptions{}), evidence.CertificateUntrusted)

	key, err := fixture.NewKey(0)
	must(t, key, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: subject("signer"), NotBefore: time.Now().Add(-hour), NotAfter: time.Now().Add(hour), KeyUsage: x509.KeyUsageDigitalSignature}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Signer.Public(), key.Signer)
	must(t, raw, err)
	self, err := x509.ParseCertificate(raw)
	must(t, self, err)
	o.TrustStores[0].Certificates = []*x509.Certificate{self}
	verified(t, newSigner(t, o), image("content"), item(t, image("content"), fixture.Leaf{Key: key, Chain: []*x509.Certificate{self}}, fixture.NotationOptions{}), "")
}

func TestR1HostileChainsAreBounded(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	s := newSigner(t, p.options())
	good := item(t, image("content"), p.leaf, fixture.NotationOptions{})
	chain := func(certificates ...[]byte) evidence.Item {
		return editJWS(t, good, func(j map[string]any) { j["header"] = map[string]any{"x5c": certificates} })
	}
	many := make([][]byte, 11)
	for i := range many {
		many[i] = p.root.Certificate().Raw
	}
	named := subject(strings.Repeat("x", 5000))
	for name, tc := range map[string]struct {
		reason string
		item   evidence.Item
		want   evidence.Reason
		bound  string // told in the message, where the reason alone would not tell it apart
	}{
		"None":     {reason: "no certificate", item: chain(), want: evidence.MalformedEvidence},
		"Garbage":  {reason: "no certificate", item: chain([]byte("garbage")), want: evidence.MalformedEvidence},
		"Many":     {reason: "each link costs a signature", item: chain(many...), want: evidence.MalformedEvidence},
		"Large":    {reason: "real certificates have some KiB", item: chain(make([]byte, 1<<17)), want: evidence.MalformedEvidence},
		"LongName": {reason: "names are parsed", item: chain(certificate(t, &x509.Certificate{Subject: named}, 0)), want: evidence.MalformedEvidence},
		"HugeKey":  {reason: "verifying with it would take minutes", item: chain(p.leaf.Certificate().Raw, certificate(t, &x509.Certificate{Subject: subject("Huge"), IsCA: true, BasicConstraintsValid: true}, 1<<17)), want: evidence.CertificateInvalid, bound: "at most 8192 bits"},
		"Unlinked": {reason: "the leaf is not the root's", item: chain(p.leaf.Certificate().Raw, newPKI(t, fixture.CertificateOptions{}).root.Certificate().Raw), want: evidence.CertificateInvalid},
		"NoRoot":   {reason: "a chain ends in a root", item: chain(p.leaf.Certificate().Raw), want: evidence.CertificateInvalid},
		"Good":     {reason: "what the others vary", item: good, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Verify(t.Context(), image("content"), tc.item)
			if reason(err) != tc.want || tc.bound != "" && !strings.Contains(err.Error(), tc.bound) {
				t.Errorf("%s: want %q %s, got %v", tc.reason, tc.want, tc.bound, err)
			}
		})
	}
	o := p.options()
	huge, err := x509.ParseCertificate(certificate(t, &x509.Certificate{Subject: subject("Huge"), IsCA: true, BasicConstraintsValid: true}, 1<<17))
	o.TrustStores[0].Certificates = []*x509.Certificate{must(t, huge, err)}
	if _, err := notation.New(o); err == nil {
		t.Error("want a trust store with a huge key refused, got no error")
	}
}

// certificate makes one by the template, for a made-up RSA key of so many bits.
func certificate(t *testing.T, template *x509.Certificate, bits uint) []byte {
	t.Helper()
	key, err := fixture.NewKey(0)
	must(t, key, err)
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(1), time.Now().Add(-hour), time.Now().Add(hour)
	public := key.Signer.Public()
	if bits > 0 {
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		public = &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, public, key.Signer)
	return must(t, raw, err)
}
