package sigstore_test

import (
	"strings"
	"testing"
	"time"

	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// TestR25KeylessLog has log entries of another signature, key, certificate or
// content, in every form.
func TestR25KeylessLog(t *testing.T) {
	s, other, image := whole(t), whole(t), app(t)
	ours, c := keyless(t, s, workflow(), nil), issued(t, s, testca.CertificateOptions{})
	same := issued(t, s, testca.CertificateOptions{Key: c.Key})
	stranger := issued(t, s, testca.CertificateOptions{})
	cases := map[string]struct {
		reason string
		entry  testca.EntryOptions
		in     func(form) bool // nil: every form
		want   evidence.Reason
	}{
		"Good":               {reason: "an entry of this signature"},
		"OtherSignature":     {reason: "an entry of another signature", entry: testca.EntryOptions{Signature: []byte("another")}, in: func(f form) bool { return f.version != "0.0.1" }, want: evidence.LogEntryInvalid},
		"OtherKey":           {reason: "an entry of another key", entry: testca.EntryOptions{PublicPEM: stranger.Key.PublicPEM}, want: evidence.LogEntryInvalid},
		"OtherCertificate":   {reason: "an entry of another certificate", entry: testca.EntryOptions{PublicPEM: stranger.PEM}, want: evidence.LogEntryInvalid},
		"SameKeyOther":       {reason: "another certificate of the same key is another's word", entry: testca.EntryOptions{PublicPEM: same.PEM}, want: evidence.LogEntryInvalid},
		"NoKey":              {reason: "an entry of nobody", entry: testca.EntryOptions{PublicPEM: []byte("x")}, in: func(f form) bool { return !f.rekor2 }, want: evidence.LogEntryInvalid},
		"OtherContent":       {reason: "an entry of another payload", entry: testca.EntryOptions{Message: []byte("another")}, want: evidence.LogEntryInvalid},
		"OtherEnvelope":      {reason: "an entry of another envelope", entry: testca.EntryOptions{Envelope: []byte("{}")}, in: func(f form) bool { return f.version == "0.0.1" }, want: evidence.LogEntryInvalid},
		"OtherLog":           {reason: "a log's name under another's signature", entry: testca.EntryOptions{Log: other}, want: evidence.LogEntryInvalid},
		"R26OtherTime":       {reason: "a time that the log did not sign", entry: testca.EntryOptions{BreakPromise: true}, in: func(f form) bool { return !f.rekor2 }, want: evidence.LogEntryInvalid},
		"OtherProof":         {reason: "a proof of another entry", entry: testca.EntryOptions{BreakProof: true}, in: func(f form) bool { return !f.legacy && !f.promised }, want: evidence.LogEntryInvalid},
		"R26NoPromise":       {reason: "a time that nobody signed", entry: testca.EntryOptions{NoPromise: true}, in: func(f form) bool { return f.legacy }, want: evidence.LogEntryInvalid},
		"R26ProofAlone":      {reason: "a proof signs no time", entry: testca.EntryOptions{NoPromise: true}, in: func(f form) bool { return !f.legacy && !f.rekor2 && !f.promised }, want: evidence.TimestampMissing},
		"ProofAlone":         {reason: "no proof and no promise", entry: testca.EntryOptions{NoPromise: true, NoProof: true}, in: func(f form) bool { return f.promised }, want: evidence.MalformedEvidence},
		"R26BeforeLog":       {reason: "the log's key was not in use", entry: testca.EntryOptions{Time: time.Unix(1_000_000_000, 0)}, in: func(f form) bool { return f.legacy }, want: evidence.LogEntryInvalid},
		"Checkpoint":         {reason: "a checkpoint that the log did not sign", entry: testca.EntryOptions{BreakCheckpoint: true}, in: func(f form) bool { return f.rekor2 }, want: evidence.LogEntryInvalid},
		"Origin":             {reason: "another log's checkpoint", entry: testca.EntryOptions{Origin: "other.test"}, in: func(f form) bool { return f.rekor2 }, want: evidence.LogEntryInvalid},
		"NothingProves":      {reason: "an entry without proof", entry: testca.EntryOptions{NoProof: true}, in: func(f form) bool { return f.rekor2 }, want: evidence.MalformedEvidence},
		"LargerTree":         {reason: "an entry among others", entry: testca.EntryOptions{Index: 12}, in: func(f form) bool { return f.rekor2 }},
		"UnsupportedKind":    {reason: "a kind that says nothing of the signature", entry: testca.EntryOptions{Kind: "dsse"}, in: func(f form) bool { return f.legacy && !f.attests || f.rekor2 }, want: evidence.LogEntryInvalid},
		"HashedEnvelope":     {reason: "an envelope's entry is of kind dsse", entry: testca.EntryOptions{Kind: "hashedrekord"}, in: func(f form) bool { return !f.rekor2 && f.kind == "" && f.attests }, want: evidence.LogEntryInvalid},
		"KeyWithoutItsPaper": {reason: "the entry names the key alone", entry: testca.EntryOptions{PublicPEM: c.Key.PublicPEM}, in: func(f form) bool { return f.legacy }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			eachForm(t, tc.in, func(t *testing.T, f form) {
				f.want(t, ours, image, f.sign(t, image, c, testimony{by: s, entry: tc.entry}), tc.want)
			})
		})
	}
	t.Run("Missing", func(t *testing.T) {
		eachForm(t, nil, func(t *testing.T, f form) {
			f.want(t, ours, image, f.sign(t, image, c, testimony{by: s, unlogged: true, stamped: true}), evidence.LogEntryMissing)
		})
	})
	t.Run("Copied", func(t *testing.T) {
		// A genuine entry of another signature by the same certificate.
		eachForm(t, nil, func(t *testing.T, f form) {
			from := signedOf(t, f, subject(t, "registry.test/acme/other:v1", "other"), c)
			f.want(t, ours, image, f.sign(t, image, c, testimony{by: s, entry: testca.EntryOptions{Of: &from}}), evidence.LogEntryInvalid)
		})
	})
}

type entry = *protorekor.TransparencyLogEntry

// signedOf returns what a form's signature of an image is made of.
func signedOf(tb testing.TB, f form, i fixture.Image, c testca.Certificate) fixture.Signed {
	tb.Helper()
	var kept fixture.Signed
	keep := func(s fixture.Signed) (map[string]string, error) {
		kept = s
		return nil, nil
	}
	switch {
	case f.legacy && f.attests:
		attested(tb, i, c.Key, c.Attestation(fixture.AttestationOptions{Annotate: keep}))
	case f.legacy:
		simple(tb, i, c.Key, c.Cosign(fixture.CosignOptions{Annotate: keep}))
	default:
		o := c.Bundle(f.bundle)
		o.Timestamps = func(s fixture.Signed) ([][]byte, error) {
			kept = s
			return nil, nil
		}
		bundled(tb, i, c.Key, o)
	}
	return kept
}

// TestR26RekorV2NeedsAnAuthority has entries without a time of their own.
func TestR26RekorV2NeedsAnAuthority(t *testing.T) {
	s, other, image := whole(t), whole(t), app(t)
	edwards := testca.New(t, testca.Options{Whole: true, Rekor2ECDSA: true})
	logEnded := testca.New(t, testca.Options{Whole: true, Rekor2: testca.Period{Until: longAgo().Add(-time.Hour)}})
	v2 := func(f form) bool { return f.rekor2 }
	cases := map[string]struct {
		reason string
		in     *testca.Sigstore // default s
		with   testimony
		want   evidence.Reason
	}{
		"Stamped":       {reason: "an entry and a time"},
		"OtherLogsKey":  {reason: "a log with an ECDSA key", in: edwards},
		"Unstamped":     {reason: "no time", with: testimony{bare: true}, want: evidence.TimestampMissing},
		"UnsignedTime":  {reason: "a time that nobody signed", with: testimony{bare: true, entry: testca.EntryOptions{Time: longAgo()}}, want: evidence.TimestampMissing},
		"StampedByAny":  {reason: "an authority that nobody named", with: testimony{stamp: testca.TimestampOptions{By: other}}, want: evidence.TimestampMissing},
		"StampedFalse":  {reason: "a timestamp of another signature", with: testimony{stamp: testca.TimestampOptions{OfOther: true}}, want: evidence.TimestampInvalid},
		"StampedLate":   {reason: "the certificate had ended", with: testimony{stamp: testca.TimestampOptions{Time: longAgo().Add(time.Hour)}}, want: evidence.CertificateInvalid},
		"LogsKeyEnded":  {reason: "the log's key was not in use", in: logEnded, want: evidence.LogEntryInvalid},
		"UnsignedOther": {reason: "a time that nobody signed, beyond the certificate", with: testimony{entry: testca.EntryOptions{Time: longAgo().Add(time.Hour)}}, want: evidence.LogEntryInvalid},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			in := s
			if tc.in != nil {
				in = tc.in
			}
			tc.with.by = in
			ours, c := keyless(t, in, workflow(), nil), issued(t, in, testca.CertificateOptions{})
			eachForm(t, v2, func(t *testing.T, f form) {
				f.want(t, ours, image, f.sign(t, image, c, tc.with), tc.want)
			})
		})
	}
	t.Run("Keys", func(t *testing.T) {
		for _, kind := range []fixture.KeyKind{fixture.P256, fixture.P384, fixture.P521, fixture.RSA2048, fixture.RSA4096, fixture.Ed25519} {
			t.Run(kind.String(), func(t *testing.T) {
				k := newKey(t, kind)
				ours := signer(t, k, required(t, s))
				eachForm(t, v2, func(t *testing.T, f form) {
					item := func(y testimony) evidence.Item {
						y.by = s
						return bundled(t, image, k, y.complete(f).enclose(f.bundle))
					}
					f.want(t, ours, image, item(testimony{}), "")
					f.want(t, ours, image, item(testimony{bare: true}), evidence.TimestampMissing)
					f.want(t, ours, image, item(testimony{entry: testca.EntryOptions{PublicPEM: newKey(t, fixture.P256).PublicPEM}}), evidence.LogEntryInvalid)
					f.want(t, ours, image, item(testimony{entry: testca.EntryOptions{Message: []byte("another")}}), evidence.LogEntryInvalid)
				})
			})
		}
	})
	t.Run("CertificateKeys", func(t *testing.T) {
		for _, kind := range []fixture.KeyKind{fixture.P384, fixture.P521, fixture.RSA4096, fixture.Ed25519} {
			t.Run(kind.String(), func(t *testing.T) {
				ours, c := keyless(t, s, workflow(), nil), issued(t, s, testca.CertificateOptions{Kind: kind})
				eachForm(t, nil, func(t *testing.T, f form) {
					f.want(t, ours, image, f.sign(t, image, c, testimony{by: s}), "")
				})
			})
		}
	})
}

// TestR28EntriesOfOneLog has entries that are one, and entries of logs that
// nobody named beside a good one.
func TestR28EntriesOfOneLog(t *testing.T) {
	s, other, image := whole(t), whole(t), app(t)
	ours, c := keyless(t, s, workflow(), nil), issued(t, s, testca.CertificateOptions{})
	at := testca.EntryOptions{Time: longAgo()}
	second := testca.EntryOptions{Time: longAgo(), Index: 7}
	bad := testca.EntryOptions{Time: longAgo(), Index: 7, BreakPromise: true}
	foreign := func(signed fixture.Signed) ([]entry, error) {
		theirs, err := other.Entry(signed, at)
		if err != nil {
			return nil, err
		}
		own, err := s.Entry(signed, at)
		return []entry{theirs, own}, err
	}
	alone := func(signed fixture.Signed) ([]entry, error) {
		theirs, err := other.Entry(signed, at)
		return []entry{theirs}, err
	}
	for name, tc := range map[string]struct {
		reason  string
		entries func(fixture.Signed) ([]entry, error)
		entered int
		want    evidence.Reason
	}{
		"Two":          {reason: "one signature logged twice", entries: s.LogEntries(at, second), entered: 2},
		"Twice":        {reason: "CVE-2026-49834: one entry is not two", entries: s.LogEntries(at, at), want: evidence.LogEntryInvalid},
		"OneBroken":    {reason: "an entry of a trusted log must verify", entries: s.LogEntries(at, bad), want: evidence.LogEntryInvalid},
		"OneForeign":   {reason: "an entry of another log proves nothing", entries: foreign, entered: 1},
		"ForeignAlone": {reason: "an entry of another log proves nothing", entries: alone, want: evidence.LogEntryInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			o := c.Bundle(fixture.BundleOptions{LogEntries: tc.entries})
			proof := want(t, ours, image, bundled(t, image, c.Key, o), tc.want).proof
			if tc.want == "" && len(proof.Testimony.Entries) != tc.entered {
				t.Errorf("want %d entries, got %+v", tc.entered, proof.Testimony.Entries)
			}
		})
	}
}

// TestR25KeylessLogIgnored needs a timestamp in the log's place.
func TestR25KeylessLogIgnored(t *testing.T) {
	s, other, image := whole(t), whole(t), app(t)
	c := issued(t, s, testca.CertificateOptions{})
	unlogged := keyless(t, s, workflow(), func(o *sigstore.KeylessOptions) { o.TransparencyLog = sigstore.LogIgnored })
	for name, tc := range map[string]struct {
		reason string
		with   testimony
		want   evidence.Reason
	}{
		"Stamped":      {reason: "an authority tells the time", with: testimony{unlogged: true, stamped: true}},
		"Unstamped":    {reason: "nobody tells the time", with: testimony{unlogged: true, bare: true}, want: evidence.TimestampMissing},
		"LoggedOnly":   {reason: "the log's time is not looked at", with: testimony{bare: true}, want: evidence.TimestampMissing},
		"BrokenEntry":  {reason: "what is ignored is not looked at", with: testimony{stamped: true, entry: testca.EntryOptions{Signature: []byte("x"), BreakPromise: true, BreakProof: true}}},
		"StampedByAny": {reason: "an authority that nobody named", with: testimony{unlogged: true, stamped: true, stamp: testca.TimestampOptions{By: other}}, want: evidence.TimestampMissing},
		"StampedLate":  {reason: "the certificate had ended", with: testimony{unlogged: true, stamped: true, stamp: testca.TimestampOptions{Time: longAgo().Add(time.Hour)}}, want: evidence.CertificateInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			tc.with.by = s
			eachForm(t, nil, func(t *testing.T, f form) {
				proof := f.want(t, unlogged, image, f.sign(t, image, c, tc.with), tc.want).proof
				if tc.want == "" && (len(proof.Testimony.Entries) != 0 || !proof.Time.Equal(longAgo()) || !proof.Expires.IsZero()) {
					t.Errorf("want the timestamp's time and no entry, got %+v", proof)
				}
			})
		})
	}
}

// TestR27CTLogIgnored admits certificates that nobody logged.
func TestR27CTLogIgnored(t *testing.T) {
	s, other, image := whole(t), whole(t), app(t)
	ours := keyless(t, s, workflow(), func(o *sigstore.KeylessOptions) { o.CTLog = sigstore.LogIgnored })
	for name, o := range map[string]testca.CertificateOptions{
		"None": {NoSCT: true}, "Unknown": {SCTs: []testca.SCTOptions{{By: other}}}, "Broken": {SCTs: []testca.SCTOptions{{Broken: true}}}, "Good": {},
	} {
		t.Run(name, func(t *testing.T) {
			c := issued(t, s, o)
			for _, of := range []string{"Sig", "Bundle03", "Rekor2"} {
				f := forms[of]
				f.want(t, ours, image, f.sign(t, image, c, testimony{by: s}), "")
			}
		})
	}
	f := forms["Sig"]
	f.want(t, ours, image, f.sign(t, image, issued(t, other, testca.CertificateOptions{NoSCT: true}), testimony{by: s}), evidence.CertificateUntrusted)
}

func TestKeylessAnnotationsAndReference(t *testing.T) {
	s, image := whole(t), app(t)
	c := issued(t, s, testca.CertificateOptions{})
	asks := keyless(t, s, workflow(), func(o *sigstore.KeylessOptions) { o.Annotations = map[string]string{"env": "prod"} })
	at := testimony{by: s}.complete(forms["Sig"])
	sign := func(o fixture.CosignOptions) evidence.Item {
		o.Annotate = at.annotate()
		return simple(t, image, c.Key, c.Cosign(o))
	}
	want(t, asks, image, sign(fixture.CosignOptions{Annotations: map[string]any{"env": "prod"}}), "")
	want(t, asks, image, sign(fixture.CosignOptions{}), evidence.AnnotationMismatch)
	// R33: a certificate changes nothing about the reference.
	matches := keyless(t, s, workflow(), func(o *sigstore.KeylessOptions) { o.SignedReference = sigstore.MatchRepository() })
	want(t, matches, image, sign(fixture.CosignOptions{}), "")
	want(t, matches, image, sign(fixture.CosignOptions{Reference: "elsewhere.test/acme/app"}), evidence.ReferenceMismatch)
	f := forms["Bundle03"]
	f.want(t, matches, image, f.sign(t, image, c, testimony{by: s}), evidence.ReferenceMismatch)
	if !matches.PerRepository() || !strings.Contains(matches.Describe(), testca.DefaultSubject) {
		t.Errorf("got %t, %q", matches.PerRepository(), matches.Describe())
	}
}
