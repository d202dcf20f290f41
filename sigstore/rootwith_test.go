package sigstore_test

import (
	"testing"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// TestTrustedRootWithParts: a list that is given replaces that of the trusted
// root, and the other lists stay.
func TestTrustedRootWithParts(t *testing.T) {
	operators, own, image := whole(t), whole(t), app(t)
	base := trustedRoot(t, operators.TrustedRoot())
	v1 := func(f form) bool { return !f.rekor2 }
	// made is a certificate by one Sigstore, promised by the log of another.
	made := func(fulcio, ctLog *testca.Sigstore) testca.Certificate {
		return issued(t, fulcio, testca.CertificateOptions{SCTs: []testca.SCTOptions{{By: ctLog}}})
	}
	type signed struct {
		by        testca.Certificate
		testimony testimony
		want      evidence.Reason
	}
	logged, stamped := func(s *testca.Sigstore) testimony { return testimony{by: s} }, func(s *testca.Sigstore) testimony {
		return testimony{by: s, unlogged: true, stamped: true}
	}
	all := partsOf(own)
	for name, tc := range map[string]struct {
		parts   sigstore.RootParts
		options func(*sigstore.KeylessOptions)
		signed  []signed
	}{
		"Nothing": {signed: []signed{
			{made(operators, operators), logged(operators), ""},
			{made(own, operators), logged(operators), evidence.CertificateUntrusted},
		}},
		"Fulcio": {parts: sigstore.RootParts{Fulcio: all.Fulcio}, signed: []signed{
			{made(own, operators), logged(operators), ""},
			{made(operators, operators), logged(operators), evidence.CertificateUntrusted},
			{made(own, own), logged(operators), evidence.CertificateUntrusted},
			{made(own, operators), logged(own), evidence.LogEntryInvalid},
		}},
		"Rekor": {parts: sigstore.RootParts{Rekor: all.Rekor}, signed: []signed{
			{made(operators, operators), logged(own), ""},
			{made(operators, operators), logged(operators), evidence.LogEntryInvalid},
		}},
		"CTLogs": {parts: sigstore.RootParts{CTLogs: all.CTLogs}, signed: []signed{
			{made(operators, own), logged(operators), ""},
			{made(operators, operators), logged(operators), evidence.CertificateUntrusted},
		}},
		"TimestampAuthorities": {
			parts: sigstore.RootParts{TimestampAuthorities: all.TimestampAuthorities}, options: func(o *sigstore.KeylessOptions) { o.TransparencyLog = sigstore.LogIgnored },
			signed: []signed{
				{made(operators, operators), stamped(own), ""},
				{made(operators, operators), stamped(operators), evidence.TimestampMissing},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			root, err := base.With(tc.parts)
			if err != nil {
				t.Fatal(err)
			}
			signer := keyless(t, operators, workflow(), func(o *sigstore.KeylessOptions) {
				if o.TrustedRoot = root; tc.options != nil {
					tc.options(o)
				}
			})
			eachForm(t, v1, func(t *testing.T, f form) {
				for _, s := range tc.signed {
					f.want(t, signer, image, f.sign(t, image, s.by, s.testimony), s.want)
				}
			})
		})
	}
}

func TestR34TrustedRootWithPartsDigests(t *testing.T) {
	one, two := whole(t), whole(t)
	parts := partsOf(one)
	alone, err := sigstore.NewTrustedRootFromParts(parts)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{alone.Digest().String(): "alone", trustedRoot(t, one.TrustedRoot()).Digest().String(): "base"}
	for name, p := range map[string]sigstore.RootParts{"All": parts, "Fulcio": {Fulcio: parts.Fulcio}, "Rekor": {Rekor: parts.Rekor}, "CTLogs": {CTLogs: parts.Rekor}} {
		for of, base := range map[string]*testca.Sigstore{" of one": one, " of two": two} {
			root, err := trustedRoot(t, base.TrustedRoot()).With(p)
			if err != nil {
				t.Fatal(err)
			}
			if other, twice := seen[root.Digest().String()]; twice {
				t.Errorf("want another digest for %s%s than for %s", name, of, other)
			}
			seen[root.Digest().String()] = name + of
		}
	}
	var nobody *sigstore.TrustedRoot
	if root, err := nobody.With(parts); err != nil || root.Digest() != alone.Digest() {
		t.Errorf("want the parts alone where there is no trusted root, got %v", err)
	}
	if _, err := new(sigstore.TrustedRoot).With(parts); err == nil {
		t.Error("want an error about an empty trusted root")
	}
	if _, err := trustedRoot(t, one.TrustedRoot()).With(sigstore.RootParts{Rekor: parts.Fulcio}); err == nil {
		t.Error("want an error about a part that is no key")
	}
}
