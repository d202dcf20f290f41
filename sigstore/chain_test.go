package sigstore_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"testing"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	prototrust "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// TestR26EveryCertificateOfTheChain has chains of which one part was not in
// force when the signature was made.
func TestR26EveryCertificateOfTheChain(t *testing.T) {
	image := app(t)
	before, after := longAgo().Add(-time.Hour), longAgo().Add(time.Hour)
	cases := map[string]struct {
		reason  string
		options testca.Options
		want    evidence.Reason
	}{
		"AllInForce":          {reason: "begun before, ended after", options: testca.Options{FulcioIntermediate: testca.Period{From: before, Until: after}, FulcioRoot: testca.Period{From: before, Until: after}, Fulcio: testca.Period{From: before, Until: after}}},
		"IntermediateEnded":   {reason: "CVE-2026-24122", options: testca.Options{FulcioIntermediate: testca.Period{Until: before}}, want: evidence.CertificateInvalid},
		"IntermediateToCome":  {reason: "not begun", options: testca.Options{FulcioIntermediate: testca.Period{From: after}}, want: evidence.CertificateInvalid},
		"RootEnded":           {reason: "the end of trust", options: testca.Options{FulcioRoot: testca.Period{Until: before}}, want: evidence.CertificateInvalid},
		"RootToCome":          {reason: "not begun", options: testca.Options{FulcioRoot: testca.Period{From: after}}, want: evidence.CertificateInvalid},
		"AuthorityEnded":      {reason: "the trusted root's own word", options: testca.Options{Fulcio: testca.Period{Until: before}}, want: evidence.CertificateInvalid},
		"AuthorityToCome":     {reason: "the trusted root's own word", options: testca.Options{Fulcio: testca.Period{From: after}}, want: evidence.CertificateInvalid},
		"CertificateLogEnded": {reason: "whose promise it was", options: testca.Options{CTLog: testca.Period{Until: before}}, want: evidence.CertificateUntrusted},
		"EndedSince":          {reason: "what ends later takes nothing back", options: testca.Options{FulcioIntermediate: testca.Period{Until: after}, Fulcio: testca.Period{Until: after}, CTLog: testca.Period{Until: after}, Authority: testca.Period{Until: after}, Rekor2: testca.Period{Until: after}, LogValidUntil: after}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			tc.options.Whole = true
			s := testca.New(t, tc.options)
			ours, c := keyless(t, s, workflow(), nil), issued(t, s, testca.CertificateOptions{})
			eachForm(t, nil, func(t *testing.T, f form) {
				f.want(t, ours, image, f.sign(t, image, c, testimony{by: s}), tc.want)
			})
		})
	}
}

// TestR26EveryProvenTime has two proven times of which one is not within.
func TestR26EveryProvenTime(t *testing.T) {
	image, at := app(t), longAgo()
	s := whole(t)
	ours, c := keyless(t, s, workflow(), nil), issued(t, s, testca.CertificateOptions{})
	logEnded := testca.New(t, testca.Options{Whole: true, LogValidUntil: at.Add(time.Minute)})
	v1 := func(f form) bool { return !f.rekor2 }
	cases := map[string]struct {
		reason           string
		logged, stamped  time.Time
		legacy, enclosed evidence.Reason
	}{
		"Both":           {reason: "within the certificate", logged: at, stamped: at.Add(time.Minute)},
		"StampedLate":    {reason: "logged in time, stamped after", logged: at, stamped: at.Add(time.Hour), legacy: evidence.CertificateInvalid, enclosed: evidence.CertificateInvalid},
		"StampedEarly":   {reason: "logged in time, stamped before", logged: at, stamped: at.Add(-time.Hour), legacy: evidence.CertificateInvalid, enclosed: evidence.CertificateInvalid},
		"LoggedLate":     {reason: "stamped in time, logged after", logged: at.Add(time.Hour), stamped: at, legacy: evidence.CertificateInvalid, enclosed: evidence.LogEntryInvalid},
		"LoggedTooEarly": {reason: "stamped in time, logged before", logged: at.Add(-time.Hour), stamped: at, legacy: evidence.CertificateInvalid, enclosed: evidence.LogEntryInvalid},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			eachForm(t, v1, func(t *testing.T, f form) {
				reason := tc.enclosed
				if f.legacy {
					reason = tc.legacy
				}
				y := testimony{by: s, entry: testca.EntryOptions{Time: tc.logged}, stamp: testca.TimestampOptions{Time: tc.stamped}, stamped: true}
				f.want(t, ours, image, f.sign(t, image, c, y), reason)
			})
		})
	}
	t.Run("LogsKeyEndedBetween", func(t *testing.T) {
		ours, c := keyless(t, logEnded, workflow(), nil), issued(t, logEnded, testca.CertificateOptions{})
		eachForm(t, v1, func(t *testing.T, f form) {
			good := testimony{by: logEnded, stamped: true}
			f.want(t, ours, image, f.sign(t, image, c, good), "")
			late := testimony{by: logEnded, stamped: true, stamp: testca.TimestampOptions{Time: at.Add(2 * time.Minute)}}
			f.want(t, ours, image, f.sign(t, image, c, late), evidence.LogEntryInvalid)
		})
	})
}

// TestIntermediatesSentAlong has intermediates that the trusted root does not
// list: they count where a signature can bring them and they chain to it.
func TestIntermediatesSentAlong(t *testing.T) {
	image, s, other := app(t), whole(t), whole(t)
	rootOnly := testca.New(t, testca.Options{Whole: true, Edit: func(r *prototrust.TrustedRoot) {
		chain := r.GetCertificateAuthorities()[0].GetCertChain()
		chain.Certificates = chain.GetCertificates()[1:]
	}})
	for name, tc := range map[string]struct {
		in          *testca.Sigstore
		by          *testca.Sigstore
		certificate testca.CertificateOptions
		want        evidence.Reason // where it can be sent along
	}{
		"BesideTheListed": {in: s, by: s, certificate: testca.CertificateOptions{ByStray: true}},
		"NoneListed":      {in: rootOnly, by: rootOnly},
		"OfAnother":       {in: s, by: other, want: evidence.CertificateUntrusted},
	} {
		t.Run(name, func(t *testing.T) {
			ours, c := keyless(t, tc.in, workflow(), nil), issued(t, tc.by, tc.certificate)
			eachForm(t, nil, func(t *testing.T, f form) {
				reason := tc.want
				if sends := f.legacy || f.bundle.MediaType == fixture.MediaTypeBundle01 || f.bundle.MediaType == fixture.MediaTypeBundle02; !sends {
					reason = evidence.CertificateUntrusted
				}
				f.want(t, ours, image, f.sign(t, image, c, testimony{by: tc.in}), reason)
			})
			if tc.want == "" {
				// Without its issuer nobody knows the certificate.
				c.Chain, c.ChainPEM = nil, nil
				f := forms["Sig"]
				f.want(t, ours, image, f.sign(t, image, c, testimony{by: tc.in}), evidence.CertificateUntrusted)
			}
		})
	}
}

// TestIntermediateIsOnlyACertificate has a leaf that "issues" another: who has a
// certificate is no authority.
func TestIntermediateIsOnlyACertificate(t *testing.T) {
	s, image := whole(t), app(t)
	mine := issued(t, s, testca.CertificateOptions{Subject: "evil@evil.test"})
	k := newKey(t, fixture.P256)
	template := issued(t, s, testca.CertificateOptions{}).Leaf
	template.PublicKey = k.Signer.Public()
	der, err := x509.CreateCertificate(rand.Reader, template, mine.Leaf, k.Signer.Public(), mine.Key.Signer)
	if err != nil {
		t.Fatal(err)
	}
	forged := testca.Certificate{Key: k, DER: der, PEM: block("CERTIFICATE", der), ChainPEM: append(bytes.Clone(mine.PEM), mine.ChainPEM...), Chain: append([]*x509.Certificate{mine.Leaf}, mine.Chain...)}
	eachForm(t, nil, func(t *testing.T, f form) {
		item := f.sign(t, image, forged, testimony{by: s})
		p := evidence.ProblemOf(verifyAny(t, keyless(t, s, workflow(), nil), f, image, item))
		if p == nil || (p.Reason != evidence.CertificateInvalid && p.Reason != evidence.CertificateUntrusted) {
			t.Errorf("want a certificate by a certificate refused, got %v", p)
		}
	})
}

// verifyAny returns what a verification returns, for tests where several reasons
// will do.
func verifyAny(tb testing.TB, s *sigstore.Signer, f form, i fixture.Image, item evidence.Item) error {
	tb.Helper()
	if f.attests {
		_, err := s.VerifyStatement(tb.Context(), found(tb, i), item, custom)
		return err
	}
	_, err := s.Verify(tb.Context(), found(tb, i), item)
	return err
}

// TestR1CertificateCaps has chains and certificates that are too long.
func TestR1CertificateCaps(t *testing.T) {
	s, image := whole(t), app(t)
	ours, c := keyless(t, s, workflow(), nil), issued(t, s, testca.CertificateOptions{})
	huge := issued(t, s, testca.CertificateOptions{Edit: func(c *testca.Template) {
		c.OCSPServer = []string{"http://x.test/" + string(bytes.Repeat([]byte("x"), 32<<10))}
	}})
	long := func(n int) testca.Certificate {
		c := c
		c.Chain, c.ChainPEM = nil, nil
		for range n - 1 {
			c.Chain, c.ChainPEM = append(c.Chain, huge.Chain[0]), append(c.ChainPEM, block("CERTIFICATE", huge.Chain[0].Raw)...)
		}
		// A bundle leaves out the last one.
		c.Chain, c.ChainPEM = append(c.Chain, huge.Chain[0]), append(c.ChainPEM, block("CERTIFICATE", huge.Chain[0].Raw)...)
		return c
	}
	for name, tc := range map[string]struct {
		reason string
		c      testca.Certificate
		want   evidence.Reason
	}{
		"Chain8":   {reason: "the most", c: long(8)},
		"Chain100": {reason: "a chain that keeps a verifier busy", c: long(100), want: evidence.LimitExceeded},
		"Huge":     {reason: "a certificate that keeps a verifier busy", c: huge, want: evidence.LimitExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			for _, of := range []string{"Sig", "Att", "Bundle01", "Bundle02"} {
				t.Run(of, func(t *testing.T) {
					forms[of].want(t, ours, image, forms[of].sign(t, image, tc.c, testimony{by: s}), tc.want)
				})
			}
		})
	}
}

func TestKeylessMalformedCertificates(t *testing.T) {
	s, image := whole(t), app(t)
	ours, c := keyless(t, s, workflow(), nil), issued(t, s, testca.CertificateOptions{})
	t.Run("Annotations", func(t *testing.T) {
		for name, tc := range map[string]struct {
			reason string
			edit   func(*evidence.Item)
			want   evidence.Reason
		}{
			"ChainEmpty":       {reason: "the root has the intermediate", edit: annotate(fixture.AnnotationChain, "")},
			"CertificateEmpty": {reason: "as good as none", edit: annotate(fixture.AnnotationCertificate, ""), want: evidence.SignerMismatch},
			"BothEmpty":        {reason: "Tekton Chains writes empty ones", edit: annotate(fixture.AnnotationCertificate, "", fixture.AnnotationChain, ""), want: evidence.SignerMismatch},
			"ChainInFirst":     {reason: "some tools write the chain after the certificate", edit: annotate(fixture.AnnotationCertificate, string(c.PEM)+string(c.ChainPEM), fixture.AnnotationChain, "")},
			"NotPEM":           {reason: "no certificate", edit: annotate(fixture.AnnotationCertificate, "x"), want: evidence.MalformedEvidence},
			"AKey":             {reason: "no certificate", edit: annotate(fixture.AnnotationCertificate, string(c.Key.PublicPEM)), want: evidence.MalformedEvidence},
			"NotDER":           {reason: "no certificate inside", edit: annotate(fixture.AnnotationCertificate, string(block("CERTIFICATE", []byte("x")))), want: evidence.MalformedEvidence},
			"ChainAKey":        {reason: "no certificates", edit: annotate(fixture.AnnotationChain, string(c.Key.PublicPEM)), want: evidence.MalformedEvidence},
			"ChainNotDER":      {reason: "no certificates", edit: annotate(fixture.AnnotationChain, string(block("CERTIFICATE", []byte("x")))), want: evidence.MalformedEvidence},
			"AnotherKeys":      {reason: "another certificate of the identity", edit: annotate(fixture.AnnotationCertificate, string(issued(t, s, testca.CertificateOptions{}).PEM)), want: evidence.SignerMismatch},
			"R25SameKey":       {reason: "another certificate of the key", edit: annotate(fixture.AnnotationCertificate, string(issued(t, s, testca.CertificateOptions{Key: c.Key, Subject: "evil@evil.test"}).PEM)), want: evidence.LogEntryInvalid},
			"WeakKey":          {reason: "a key that we would not take bare", edit: annotate(fixture.AnnotationCertificate, string(weak(t))), want: evidence.UnsupportedEvidence},
		} {
			t.Run(name, func(t *testing.T) {
				t.Log(tc.reason)
				for _, of := range []string{"Sig", "Att"} {
					item := forms[of].sign(t, image, c, testimony{by: s})
					tc.edit(&item)
					forms[of].want(t, ours, image, item, tc.want)
				}
			})
		}
	})
	t.Run("Bundle", func(t *testing.T) {
		chain := func(ders ...[]byte) func(*protobundle.Bundle) {
			return func(b *protobundle.Bundle) {
				all := &protocommon.X509CertificateChain{}
				for _, der := range ders {
					all.Certificates = append(all.Certificates, &protocommon.X509Certificate{RawBytes: der})
				}
				b.VerificationMaterial.Content = &protobundle.VerificationMaterial_X509CertificateChain{X509CertificateChain: all}
			}
		}
		leaf := func(der []byte) func(*protobundle.Bundle) {
			return func(b *protobundle.Bundle) {
				b.VerificationMaterial.Content = &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: der}}
			}
		}
		for name, tc := range map[string]struct {
			reason    string
			mediaType string
			edit      func(*protobundle.Bundle)
			want      evidence.Reason
		}{
			"ChainIn01":       {reason: "as it was", mediaType: fixture.MediaTypeBundle01, edit: chain(c.DER)},
			"CertificateIn01": {reason: "the newer member", mediaType: fixture.MediaTypeBundle01, edit: leaf(c.DER)},
			"CertificateIn02": {reason: "the newer member", mediaType: fixture.MediaTypeBundle02, edit: leaf(c.DER)},
			"ChainIn03":       {reason: "version 0.3 has one certificate, but cosign 3 writes a chain", edit: chain(c.DER)},
			"EmptyChain":      {reason: "nobody", mediaType: fixture.MediaTypeBundle02, edit: chain(), want: evidence.MalformedEvidence},
			"EmptyInChain":    {reason: "nobody", mediaType: fixture.MediaTypeBundle02, edit: chain(nil), want: evidence.MalformedEvidence},
			"BrokenFurther":   {reason: "no certificate", mediaType: fixture.MediaTypeBundle02, edit: chain(c.DER, []byte("x")), want: evidence.MalformedEvidence},
			"Empty":           {reason: "nobody", edit: leaf(nil), want: evidence.MalformedEvidence},
			"NotDER":          {reason: "nobody", edit: leaf([]byte("x")), want: evidence.MalformedEvidence},
			"Hint": {reason: "a key is no identity", edit: func(b *protobundle.Bundle) {
				b.VerificationMaterial.Content = &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{Hint: c.Key.Hint()}}
			}, want: evidence.SignerMismatch},
			"Unnamed":     {reason: "nobody", edit: func(b *protobundle.Bundle) { b.VerificationMaterial.Content = nil }, want: evidence.SignerMismatch},
			"AnotherKeys": {reason: "another certificate of the identity", edit: leaf(issued(t, s, testca.CertificateOptions{}).DER), want: evidence.SignerMismatch},
			"R25SameKey":  {reason: "another certificate of the key", edit: leaf(issued(t, s, testca.CertificateOptions{Key: c.Key, Subject: "evil@evil.test"}).DER), want: evidence.LogEntryInvalid},
		} {
			t.Run(name, func(t *testing.T) {
				t.Log(tc.reason)
				for _, message := range []bool{false, true} {
					f := form{bundle: fixture.BundleOptions{MediaType: tc.mediaType, MessageSignature: message, Edit: tc.edit}}
					f.want(t, ours, image, f.sign(t, image, c, testimony{by: s}), tc.want)
				}
			})
		}
	})
}

// weak is a certificate with a key of 1024 bits.
func weak(tb testing.TB) []byte {
	tb.Helper()
	k := newKey(tb, fixture.P256)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), EmailAddresses: []string{"dev@acme.test"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, rsaOf(1024, 65537), k.Signer)
	if err != nil {
		tb.Fatal(err)
	}
	return block("CERTIFICATE", der)
}
