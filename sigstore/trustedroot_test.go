package sigstore_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// sigstoreAnybody are whose certificates of a Sigstore's authority count, as of
// longAgo.
func sigstoreAnybody(s *testca.Sigstore) sigstore.CertificateOptions {
	return sigstore.CertificateOptions{Chain: s.FulcioChain(), AnySubject: true}
}

func partsOf(s *testca.Sigstore) sigstore.RootParts {
	return sigstore.RootParts{
		Fulcio: [][]byte{s.FulcioChain()}, Rekor: [][]byte{s.LogKey()}, CTLogs: [][]byte{s.CTLogKey()},
		TimestampAuthorities: [][]byte{s.TimestampChain()},
	}
}

// TestTrustedRootFromParts verifies under a root that was put together.
func TestTrustedRootFromParts(t *testing.T) {
	s, other, image := whole(t), whole(t), app(t)
	c, stranger := issued(t, s, testca.CertificateOptions{}), issued(t, other, testca.CertificateOptions{})
	v1 := func(f form) bool { return !f.rekor2 }
	signerOf := func(p sigstore.RootParts, edit func(*sigstore.KeylessOptions)) *sigstore.Signer {
		r, err := sigstore.NewTrustedRootFromParts(p)
		if err != nil {
			t.Fatal(err)
		}
		return keyless(t, s, workflow(), func(o *sigstore.KeylessOptions) {
			o.TrustedRoot = r
			if edit != nil {
				edit(o)
			}
		})
	}
	ours := signerOf(partsOf(s), nil)
	both, theirs := partsOf(s), partsOf(other)
	both.Fulcio, both.Rekor = append(theirs.Fulcio, both.Fulcio...), append(theirs.Rekor, both.Rekor...)
	both.CTLogs, both.TimestampAuthorities = append(theirs.CTLogs, both.CTLogs...), append(theirs.TimestampAuthorities, both.TimestampAuthorities...)
	two := signerOf(both, nil)
	eachForm(t, v1, func(t *testing.T, f form) {
		f.want(t, ours, image, f.sign(t, image, c, testimony{by: s, stamped: true}), "")
		f.want(t, ours, image, f.sign(t, image, stranger, testimony{by: s, stamped: true}), evidence.CertificateUntrusted)
		f.want(t, ours, image, f.sign(t, image, c, testimony{by: other}), evidence.LogEntryInvalid)
		f.want(t, two, image, f.sign(t, image, c, testimony{by: s, stamped: true}), "")
		f.want(t, two, image, f.sign(t, image, stranger, testimony{by: other, stamped: true}), "")
	})
	t.Run("StampsAlone", func(t *testing.T) {
		p := sigstore.RootParts{Fulcio: [][]byte{s.FulcioChain()}, TimestampAuthorities: [][]byte{s.TimestampChain()}}
		alone := signerOf(p, func(o *sigstore.KeylessOptions) {
			o.TransparencyLog, o.CTLog = sigstore.LogIgnored, sigstore.LogIgnored
		})
		eachForm(t, v1, func(t *testing.T, f form) {
			f.want(t, alone, image, f.sign(t, image, c, testimony{by: s, unlogged: true, stamped: true}), "")
			f.want(t, alone, image, f.sign(t, image, c, testimony{by: other, unlogged: true, stamped: true}), evidence.TimestampMissing)
		})
	})
}

func TestTrustedRootFromPartsRefuses(t *testing.T) {
	s := whole(t)
	c := issued(t, s, testca.CertificateOptions{})
	small, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	backwards := append(block("CERTIFICATE", c.Chain[1].Raw), block("CERTIFICATE", c.Chain[0].Raw)...)
	for name, tc := range map[string]struct {
		reason string
		parts  sigstore.RootParts
		says   string
	}{
		"FulcioAKey":       {reason: "no certificate", parts: sigstore.RootParts{Fulcio: [][]byte{s.LogKey()}}, says: "fulcio[0]"},
		"FulcioEmpty":      {reason: "nobody", parts: sigstore.RootParts{Fulcio: [][]byte{s.FulcioChain(), nil}}, says: "fulcio[1]"},
		"FulcioBackwards":  {reason: "the root is last", parts: sigstore.RootParts{Fulcio: [][]byte{backwards}}, says: "fulcio[0]"},
		"FulcioALeaf":      {reason: "no authority", parts: sigstore.RootParts{Fulcio: [][]byte{c.PEM}}, says: "fulcio[0]"},
		"RekorCertificate": {reason: "no key", parts: sigstore.RootParts{Rekor: [][]byte{s.FulcioChain()}}, says: "rekor[0]"},
		"RekorTwoKeys":     {reason: "which?", parts: sigstore.RootParts{Rekor: [][]byte{append(bytes.Clone(s.LogKey()), s.CTLogKey()...)}}, says: "rekor[0]"},
		"RekorWeak":        {reason: "too weak", parts: sigstore.RootParts{Rekor: [][]byte{pkix(t, rsaOf(1024, 65537))}}, says: "rekor[0]"},
		"CTLogOddCurve":    {reason: "a curve that nobody signs with", parts: sigstore.RootParts{CTLogs: [][]byte{pkix(t, small.Public())}}, says: "ctLogs[0]"},
		"RekorOddSize":     {reason: "a size without a name", parts: sigstore.RootParts{Rekor: [][]byte{pkix(t, rsaOf(2056, 65537))}}, says: "rekor[0]"},
		"StampsAKey":       {reason: "no certificate", parts: sigstore.RootParts{TimestampAuthorities: [][]byte{s.LogKey()}}, says: "timestampAuthorities[0]"},
		"R1TooMany":        {reason: "bounded", parts: sigstore.RootParts{Rekor: make([][]byte, 33)}, says: "rekor"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := sigstore.NewTrustedRootFromParts(tc.parts); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: want an error with %q, got %v", tc.reason, tc.says, err)
			}
		})
	}
}

// TestR34TrustedRootDigests has roots that differ in one part.
func TestR34TrustedRootDigests(t *testing.T) {
	one, two := whole(t), whole(t)
	other := partsOf(two)
	changes := map[string]func(*sigstore.RootParts){
		"Nothing": func(*sigstore.RootParts) {}, "Fulcio": func(p *sigstore.RootParts) { p.Fulcio = other.Fulcio },
		"Rekor": func(p *sigstore.RootParts) { p.Rekor = other.Rekor }, "CTLogs": func(p *sigstore.RootParts) { p.CTLogs = other.CTLogs },
		"TimestampAuthorities": func(p *sigstore.RootParts) { p.TimestampAuthorities = other.TimestampAuthorities },
		"Swapped":              func(p *sigstore.RootParts) { p.Rekor, p.CTLogs = p.CTLogs, p.Rekor },
	}
	seen := map[string]string{trustedRoot(t, one.TrustedRoot()).Digest().String(): "JSON"}
	for name, change := range changes {
		p := partsOf(one)
		change(&p)
		r, err := sigstore.NewTrustedRootFromParts(p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := sigstore.NewTrustedRootFromParts(p)
		if err != nil || again.Digest() != r.Digest() {
			t.Errorf("%s: want one digest for one content, got %v", name, err)
		}
		if other, twice := seen[r.Digest().String()]; twice {
			t.Errorf("want another digest for %s than for %s", name, other)
		}
		seen[r.Digest().String()] = name
	}
}

// TestPublicGood has Sigstore's public root do what it is for, and nothing of a
// test's.
func TestPublicGood(t *testing.T) {
	r, err := sigstore.PublicGood()
	if err != nil {
		t.Fatal(err)
	}
	again, err := sigstore.PublicGood()
	if err != nil || again.Digest() != r.Digest() || r.Digest().IsZero() {
		t.Errorf("want one digest, got %v and %v: %v", r.Digest(), again.Digest(), err)
	}
	if sigstore.PublicGoodSnapshot == "" {
		t.Error("want to be told of when it is")
	}
	s, image := whole(t), app(t)
	public := keyless(t, s, workflow(), func(o *sigstore.KeylessOptions) { o.TrustedRoot = r })
	f := forms["Bundle03"]
	f.want(t, public, image, f.sign(t, image, issued(t, s, testca.CertificateOptions{}), testimony{by: s}), evidence.LogEntryInvalid)
	// No root is everybody's: a key that asks for no log has none.
	k := newKey(t, fixture.P256)
	if signer(t, k, ignored).ID() == signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, TrustedRoot: r}}).ID() {
		t.Error("want another signer with the public root")
	}
}
