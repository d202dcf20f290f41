package testca_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
)

// keyless lets sigstore-go verify a bundle of a certificate under one log
// entry and one certificate log's timestamp.
func keyless(t *testing.T, raw []byte, material root.TrustedMaterial, observed verify.VerifierOption) error {
	t.Helper()
	b := &bundle.Bundle{}
	if err := b.UnmarshalJSON(raw); err != nil {
		t.Logf("sigstore-go does not read the bundle: %v", err)
		return errRefused
	}
	verifier, err := verify.NewVerifier(material, verify.WithTransparencyLog(1), verify.WithSignedCertificateTimestamps(1), observed)
	if err != nil {
		t.Fatal(err)
	}
	identity, err := verify.NewShortCertificateIdentity(testca.DefaultIssuer, "", testca.DefaultSubject, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.Verify(b, verify.NewPolicy(verify.WithArtifact(bytes.NewReader(image().Raw)), verify.WithCertificateIdentity(identity))); err != nil {
		t.Logf("sigstore-go: %v", err)
		return errRefused
	}
	return nil
}

func TestKeylessBundles(t *testing.T) {
	whole := testca.Options{Whole: true}
	s, other := testca.New(t, whole), testca.New(t, whole)
	ecdsa2 := testca.New(t, testca.Options{Whole: true, Rekor2ECDSA: true})
	now := time.Now()
	past := now.Add(-365 * 24 * time.Hour)
	ended := testca.New(t, testca.Options{Whole: true, Fulcio: testca.Period{Until: past}, CTLog: testca.Period{Until: past}, Authority: testca.Period{Until: past}})
	expired := testca.New(t, testca.Options{
		Whole: true, Timestamper: testca.Period{Until: past},
		FulcioIntermediate: testca.Period{Until: past},
	})
	rootless := testca.New(t, testca.Options{Whole: true, TimestamperRoot: testca.Period{Until: past}})
	old := testca.CertificateOptions{NotBefore: past.Add(-time.Hour)}
	oldEntry := testca.EntryOptions{Time: past.Add(-time.Hour)}
	oldStamp := testca.TimestampOptions{Time: past.Add(-time.Hour)}
	entry2 := testca.EntryOptions{Rekor2: true}

	type with struct {
		certificate testca.CertificateOptions
		entry       testca.EntryOptions
		stamp       testca.TimestampOptions
		bundle      fixture.BundleOptions
	}
	cases := map[string]struct {
		reason string
		s      *testca.Sigstore // default s
		by     *testca.Sigstore // who issues, default s
		with   with
		rekor2 bool // with a timestamp
		want   error
	}{
		"Version03":     {reason: "a single certificate"},
		"Version02":     {reason: "a chain", with: with{bundle: fixture.BundleOptions{MediaType: fixture.MediaTypeBundle02}}},
		"Version01":     {reason: "a chain and a promise", with: with{bundle: fixture.BundleOptions{MediaType: fixture.MediaTypeBundle01}, entry: testca.EntryOptions{NoProof: true}}},
		"Message":       {reason: "no statement", with: with{bundle: fixture.BundleOptions{MessageSignature: true}}},
		"Rekor2":        {reason: "a checkpoint and a timestamp", rekor2: true, with: with{entry: entry2}},
		"Rekor2Message": {reason: "a checkpoint and a timestamp", rekor2: true, with: with{entry: entry2, bundle: fixture.BundleOptions{MessageSignature: true}}},
		"Rekor2ECDSA":   {reason: "a log with another kind of key", s: ecdsa2, by: ecdsa2, rekor2: true, with: with{entry: entry2}},
		"Rekor2Deep":    {reason: "a larger tree", rekor2: true, with: with{entry: testca.EntryOptions{Rekor2: true, Index: 12}}},
		"WithoutTSA":    {reason: "the time of an entry of Rekor v2 is nobody's", rekor2: true, with: with{entry: testca.EntryOptions{Rekor2: true, Time: now}, stamp: testca.TimestampOptions{By: other}}, want: errRefused},
		"P384":          {reason: "another kind of key", with: with{certificate: testca.CertificateOptions{Kind: fixture.P384}}},
		"Rekor2P384":    {reason: "another kind of key", rekor2: true, with: with{certificate: testca.CertificateOptions{Kind: fixture.P384}, entry: entry2}},

		"LongAgo":                     {reason: "all at one time in the past", with: with{certificate: old, entry: oldEntry}},
		"LongAgoEnded":                {reason: "before the authorities ended", s: ended, by: ended, with: with{certificate: old, entry: oldEntry}},
		"LongAgoRekor2":               {reason: "before the authorities ended", s: ended, by: ended, rekor2: true, with: with{certificate: old, entry: entry2, stamp: oldStamp}},
		"LongAgoCertificatesEnded":    {reason: "before their certificates ended", s: expired, by: expired, rekor2: true, with: with{certificate: old, entry: entry2, stamp: oldStamp}},
		"AuthoritiesEnded":            {reason: "after the authorities ended", s: ended, by: ended, want: errRefused},
		"IntermediateEnded":           {reason: "after the intermediate ended", s: expired, by: expired, want: errRefused},
		"TimestamperEnded":            {reason: "after the certificate ended", s: expired, by: expired, rekor2: true, with: with{certificate: testca.CertificateOptions{NotBefore: past.Add(-time.Hour), NotAfter: now.Add(time.Hour)}, entry: entry2}, want: errRefused},
		"Expired":                     {reason: "logged after the certificate ended", with: with{certificate: old}, want: errRefused},
		"NotYetValid":                 {reason: "logged before the certificate began", with: with{entry: oldEntry}, want: errRefused},
		"StampedBeforeTheCertificate": {reason: "stamped before the certificate began", rekor2: true, with: with{entry: entry2, stamp: oldStamp}, want: errRefused},

		"OtherFulcio":  {reason: "an authority that is not in the root", by: other, want: errRefused},
		"SelfSigned":   {reason: "no authority", with: with{certificate: testca.CertificateOptions{SelfSigned: true}}, want: errRefused},
		"ByRoot":       {reason: "the root issues too", with: with{certificate: testca.CertificateOptions{ByRoot: true}}},
		"ByStray":      {reason: "an intermediate that is not in the root", with: with{certificate: testca.CertificateOptions{ByStray: true}}, want: errRefused},
		"WrongUsage":   {reason: "not for code signing", with: with{certificate: testca.CertificateOptions{Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}}, want: errRefused},
		"OtherSubject": {reason: "another identity", with: with{certificate: testca.CertificateOptions{Subject: "dev@acme.test"}}, want: errRefused},
		"OtherIssuer":  {reason: "another identity", with: with{certificate: testca.CertificateOptions{Issuer: "https://issuer.test"}}, want: errRefused},

		"NoSCT":         {reason: "not logged", with: with{certificate: testca.CertificateOptions{NoSCT: true}}, want: errRefused},
		"DetachedSCT":   {reason: "nobody sees it", with: with{certificate: testca.CertificateOptions{Detached: true}}, want: errRefused},
		"TwoSCTs":       {reason: "of one log", with: with{certificate: testca.CertificateOptions{SCTs: []testca.SCTOptions{{}, {}}}}},
		"OneSCTUnknown": {reason: "one of two suffices", with: with{certificate: testca.CertificateOptions{SCTs: []testca.SCTOptions{{By: other}, {}}}}},
		"UnknownSCT":    {reason: "a log that is not in the root", with: with{certificate: testca.CertificateOptions{SCTs: []testca.SCTOptions{{By: other}}}}, want: errRefused},
		"ForgedSCT":     {reason: "another log signs", with: with{certificate: testca.CertificateOptions{SCTs: []testca.SCTOptions{{Forged: other}}}}, want: errRefused},
		"BrokenSCT":     {reason: "of another certificate", with: with{certificate: testca.CertificateOptions{SCTs: []testca.SCTOptions{{Broken: true}}}}, want: errRefused},
		"SCTAfterLog":   {reason: "the log had ended", s: ended, by: ended, with: with{certificate: testca.CertificateOptions{NotBefore: past.Add(-time.Hour), SCTs: []testca.SCTOptions{{Time: now}}}, entry: oldEntry}, want: errRefused},

		"Rekor2BrokenProof":      {reason: "a proof of another entry", rekor2: true, with: with{entry: testca.EntryOptions{Rekor2: true, BreakProof: true}}, want: errRefused},
		"Rekor2NoProof":          {reason: "nothing proves it", rekor2: true, with: with{entry: testca.EntryOptions{Rekor2: true, NoProof: true}}, want: errRefused},
		"Rekor2BrokenCheckpoint": {reason: "a signature of something else", rekor2: true, with: with{entry: testca.EntryOptions{Rekor2: true, BreakCheckpoint: true}}, want: errRefused},
		"Rekor2Origin":           {reason: "another log's name", rekor2: true, with: with{entry: testca.EntryOptions{Rekor2: true, Origin: "other.test"}}, want: errRefused},
		"Rekor2Forged":           {reason: "another log's key", rekor2: true, with: with{entry: testca.EntryOptions{Rekor2: true, Log: other}}, want: errRefused},
		"Rekor2OtherSignature":   {reason: "another signature", rekor2: true, with: with{entry: testca.EntryOptions{Rekor2: true, Signature: []byte("x")}}, want: errRefused},
		"Rekor2OtherMessage":     {reason: "another message", rekor2: true, with: with{entry: testca.EntryOptions{Rekor2: true, Message: []byte("x")}}, want: errRefused},
		"Rekor2OtherKey":         {reason: "another key", rekor2: true, with: with{entry: testca.EntryOptions{Rekor2: true, PublicPEM: newKey(t, fixture.P256).PublicPEM}}, want: errRefused},

		"NoCertificates":   {reason: "the root has the authority's", rekor2: true, with: with{entry: entry2, stamp: testca.TimestampOptions{NoCertificates: true}}},
		"StampOfOther":     {reason: "of another signature", rekor2: true, with: with{entry: entry2, stamp: testca.TimestampOptions{OfOther: true}}, want: errRefused},
		"StampForged":      {reason: "another key", rekor2: true, with: with{entry: entry2, stamp: testca.TimestampOptions{Forged: true}}, want: errRefused},
		"StampForgedBare":  {reason: "another key", rekor2: true, with: with{entry: entry2, stamp: testca.TimestampOptions{Forged: true, NoCertificates: true}}, want: errRefused},
		"StampByOther":     {reason: "an authority that is not in the root", rekor2: true, with: with{entry: entry2, stamp: testca.TimestampOptions{By: other}}, want: errRefused},
		"StampChanged":     {reason: "another time than was signed", rekor2: true, with: with{entry: entry2, stamp: testca.TimestampOptions{BreakTime: true}}, want: errRefused},
		"StampRejected":    {reason: "no timestamp", rekor2: true, with: with{entry: entry2, stamp: testca.TimestampOptions{Rejected: true}}, want: errRefused},
		"StamperRootEnded": {reason: "after the root's certificate ended", s: rootless, by: rootless, rekor2: true, with: with{entry: entry2}, want: errRefused},
		"StampEnded":       {reason: "after the authority ended", s: ended, by: ended, rekor2: true, with: with{certificate: testca.CertificateOptions{NotBefore: past.Add(-time.Hour), NotAfter: now.Add(time.Hour)}, entry: entry2}, want: errRefused},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			in, by := s, s
			if tc.s != nil {
				in = tc.s
			}
			if tc.s != nil || tc.by != nil {
				by = tc.by
			}
			c := by.Issue(t, tc.with.certificate)
			o := c.Bundle(tc.with.bundle)
			o.LogEntries = in.LogEntries(tc.with.entry)
			observed := verify.WithIntegratedTimestamps(1)
			if tc.rekor2 {
				o.Timestamps = in.Timestamps(tc.with.stamp)
				observed = verify.WithSignedTimestamps(1)
			}
			raw, err := fixture.NewBundle(image(), c.Key, o)
			if err != nil {
				t.Fatal(err)
			}
			if got := keyless(t, raw, in.Material(t), observed); !errors.Is(got, tc.want) {
				t.Errorf("%s\nwant %v, got %v", tc.reason, tc.want, got)
			}
		})
	}
}
