package sigstore_test

import (
	"bytes"
	"encoding/base64"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/sigstore"
)

func TestR21SignatureCopiedFromAnotherImage(t *testing.T) {
	k, image, other := newKey(t, fixture.P256), app(t), subject(t, "registry.test/acme/other:v1", "other")
	s := signer(t, k, ignored)
	for name, item := range map[string]evidence.Item{
		"SimpleSigning": simple(t, other, k, fixture.CosignOptions{}),
		"Statement":     bundled(t, other, k, fixture.BundleOptions{}),
		"Message":       bundled(t, other, k, fixture.BundleOptions{MessageSignature: true}),
	} {
		t.Run(name, func(t *testing.T) {
			p := want(t, s, image, item, evidence.SubjectMismatch).problem
			if !strings.Contains(p.Expected, image.Digest.String()) || !strings.Contains(p.Got, other.Digest.String()) {
				t.Errorf("want both digests, got %q", p.Error())
			}
			want(t, s, other, item, "")
		})
	}
}

func TestSignatureByAnotherKey(t *testing.T) {
	k, stranger, image := newKey(t, fixture.P256), newKey(t, fixture.P256), app(t)
	s := signer(t, k, ignored)
	certificate := leaf(t, stranger)
	cases := map[string]struct {
		reason string
		item   evidence.Item
		says   string
	}{
		"SimpleSigning":        {reason: "no hint", item: simple(t, image, stranger, fixture.CosignOptions{}), says: "does not verify"},
		"SimpleSigningKeyless": {reason: "the certificate says whose it seems", item: simple(t, image, stranger, fixture.CosignOptions{Certificate: block("CERTIFICATE", certificate)}), says: "dev@acme.test"},
		"Bundle":               {reason: "the hint says which key", item: bundled(t, image, stranger, fixture.BundleOptions{}), says: signer(t, stranger, ignored).Describe() + " (not verified)"},
		"BundleHint":           {reason: "a hint may be anything", item: bundled(t, image, stranger, fixture.BundleOptions{Hint: "release"}), says: `"release" (not verified)`},
		"BundleLies":           {reason: "a hint may lie", item: bundled(t, image, stranger, fixture.BundleOptions{Hint: k.Hint()}), says: "claims this key"},
		"BundleKeyless":        {reason: "a certificate is no key", item: bundled(t, image, stranger, fixture.BundleOptions{Certificates: [][]byte{certificate}}), says: "dev@acme.test"},
		"BundleKeylessOurs":    {reason: "even one for our key", item: bundled(t, image, k, fixture.BundleOptions{Certificates: [][]byte{leaf(t, k)}}), says: "certificate"},
		"BundleBrokenKeyless":  {reason: "nor one that does not parse", item: bundled(t, image, k, fixture.BundleOptions{Certificates: [][]byte{[]byte("x")}}), says: "does not parse"},
		"Message":              {reason: "likewise over the manifest", item: bundled(t, image, stranger, fixture.BundleOptions{MessageSignature: true}), says: "not verified"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := want(t, s, image, tc.item, evidence.SignerMismatch).problem
			if !strings.Contains(p.Expected, s.Describe()) || !strings.Contains(p.Got, tc.says) {
				t.Errorf("%s: want %q, got %q", tc.reason, tc.says, p.Error())
			}
		})
	}
}

func TestSimpleSigning(t *testing.T) {
	k, image := newKey(t, fixture.P256), app(t)
	payload := func(digest, kind, more string) []byte {
		return []byte(`{"critical":{"identity":{"docker-reference":"registry.test/acme/app"},"image":{"docker-manifest-digest":"` + digest + `"},"type":"` + kind + `"},"optional":null` + more + `}`)
	}
	const kind = "cosign container image signature"
	asked := sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, Annotations: map[string]string{"env": "prod", "team": "x"}}}
	cases := map[string]struct {
		reason  string
		sign    fixture.CosignOptions
		options *sigstore.KeyOptions
		edit    func(*evidence.Item)
		want    evidence.Reason
	}{
		"Good":                {reason: "as cosign signs"},
		"GoodByHand":          {reason: "null claims are none", sign: fixture.CosignOptions{Payload: payload(image.Digest.String(), kind, "")}},
		"EmptyCertificate":    {reason: "Tekton Chains writes empty annotations", edit: annotate("dev.sigstore.cosign/certificate", "", "dev.sigstore.cosign/chain", "")},
		"ForeignCertificate":  {reason: "the key decides", edit: annotate("dev.sigstore.cosign/certificate", "x")},
		"BrokenLogIgnored":    {reason: "what is ignored is not looked at", edit: annotate("dev.sigstore.cosign/bundle", "{{{")},
		"ContainersType":      {reason: "containers/image's signatures promise something else", sign: fixture.CosignOptions{Type: "atomic container signature"}, want: evidence.UnsupportedEvidence},
		"NoType":              {reason: "critical.type is required", sign: fixture.CosignOptions{Payload: payload(image.Digest.String(), "", "")}, want: evidence.UnsupportedEvidence},
		"TypeOfOtherCase":     {reason: "compared by case", sign: fixture.CosignOptions{Type: "Cosign container image signature"}, want: evidence.UnsupportedEvidence},
		"NoDigest":            {reason: "nothing is signed", sign: fixture.CosignOptions{Payload: payload("", kind, "")}, want: evidence.MalformedEvidence},
		"BadDigest":           {reason: "nothing is signed", sign: fixture.CosignOptions{Payload: payload("sha256:x", kind, "")}, want: evidence.MalformedEvidence},
		"NotJSON":             {reason: "a signed text is no payload", sign: fixture.CosignOptions{Payload: []byte("hello")}, want: evidence.MalformedEvidence},
		"Null":                {reason: "an empty payload", sign: fixture.CosignOptions{Payload: []byte("null")}, want: evidence.UnsupportedEvidence},
		"NoSignature":         {reason: "an empty annotation", edit: annotate("dev.cosignproject.cosign/signature", ""), want: evidence.MalformedEvidence},
		"NotBase64":           {reason: "a broken annotation", edit: annotate("dev.cosignproject.cosign/signature", "%"), want: evidence.MalformedEvidence},
		"HugeSignature":       {reason: "bounded", edit: annotate("dev.cosignproject.cosign/signature", base64.StdEncoding.EncodeToString(make([]byte, 2000))), want: evidence.SignerMismatch},
		"PayloadChanged":      {reason: "one byte more", edit: func(i *evidence.Item) { i.Payload = append(bytes.Clone(i.Payload), ' ') }, want: evidence.SignerMismatch},
		"Annotations":         {reason: "what was asked and more", options: &asked, sign: fixture.CosignOptions{Annotations: map[string]any{"env": "prod", "team": "x", "more": 1}}},
		"AnnotationMissing":   {reason: "one of two", options: &asked, sign: fixture.CosignOptions{Annotations: map[string]any{"env": "prod"}}, want: evidence.AnnotationMismatch},
		"AnnotationOther":     {reason: "another value", options: &asked, sign: fixture.CosignOptions{Annotations: map[string]any{"env": "prod", "team": "y"}}, want: evidence.AnnotationMismatch},
		"AnnotationNotText":   {reason: "a value of another type", options: &asked, sign: fixture.CosignOptions{Annotations: map[string]any{"env": "prod", "team": []string{"x"}}}, want: evidence.AnnotationMismatch},
		"AnnotationOtherCase": {reason: "compared by case", options: &asked, sign: fixture.CosignOptions{Annotations: map[string]any{"Env": "prod", "team": "x"}}, want: evidence.AnnotationMismatch},
		"R4Twice": {
			reason: "two digests for two readers", want: evidence.MalformedEvidence,
			sign: fixture.CosignOptions{Payload: payload(image.Digest.String(), kind, `,"critical":{}`)},
		},
		"R4OtherCase": {
			reason: "names are matched by case", want: evidence.UnsupportedEvidence,
			sign: fixture.CosignOptions{Payload: bytes.Replace(payload(image.Digest.String(), kind, ""), []byte("critical"), []byte("Critical"), 1)},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := ignored
			if tc.options != nil {
				o = *tc.options
			}
			item := simple(t, image, k, tc.sign)
			if tc.edit != nil {
				tc.edit(&item)
			}
			t.Log(tc.reason)
			want(t, signer(t, k, o), image, item, tc.want)
		})
	}
}

// annotate sets annotations of a layer, given as names and values.
func annotate(pairs ...string) func(*evidence.Item) {
	return func(i *evidence.Item) {
		i.Annotations = maps.Clone(i.Annotations)
		for n := 0; n < len(pairs); n += 2 {
			i.Annotations[pairs[n]] = pairs[n+1]
		}
	}
}

func TestR33SignedReference(t *testing.T) {
	k, image := newKey(t, fixture.P256), app(t)
	mirror := imageref.MustParse("mirror.test/acme/app").Repository()
	cases := map[string]struct {
		reason string
		want   sigstore.SignedReference
		signed string
		result evidence.Reason
	}{
		"Any":              {reason: "the default", signed: "elsewhere.test/x"},
		"AnyBroken":        {reason: "is not even read", signed: "%%%"},
		"Match":            {reason: "the image's repository", want: sigstore.MatchRepository(), signed: "registry.test/acme/app"},
		"MatchTagged":      {reason: "a tag is no repository", want: sigstore.MatchRepository(), signed: "registry.test/acme/app:v1@" + image.Digest.String()},
		"MatchSpelling":    {reason: "one repository in two spellings", want: sigstore.MatchRepository(), signed: "Registry.test:443/acme/app"},
		"MatchOther":       {reason: "another repository", want: sigstore.MatchRepository(), signed: "registry.test/acme/app2", result: evidence.ReferenceMismatch},
		"MatchOtherHost":   {reason: "another host", want: sigstore.MatchRepository(), signed: "registry.test:5000/acme/app", result: evidence.ReferenceMismatch},
		"MatchBroken":      {reason: "no reference", want: sigstore.MatchRepository(), signed: "%%%", result: evidence.ReferenceMismatch},
		"SignedFor":        {reason: "the image is a mirror's copy", want: sigstore.SignedFor(mirror), signed: "mirror.test/acme/app"},
		"SignedForOther":   {reason: "the image's own repository is not asked for", want: sigstore.SignedFor(mirror), signed: "registry.test/acme/app", result: evidence.ReferenceMismatch},
		"SignedForNothing": {reason: "an empty repository matches like the image's", want: sigstore.SignedFor(imageref.Repository{}), signed: "mirror.test/acme/app", result: evidence.ReferenceMismatch},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, SignedReference: tc.want}})
			t.Log(tc.reason)
			want(t, s, image, simple(t, image, k, fixture.CosignOptions{Reference: tc.signed}), tc.result)
			bundleResult := evidence.ReferenceMismatch // a bundle records none
			if tc.want == (sigstore.SignedReference{}) {
				bundleResult = ""
			}
			want(t, s, image, bundled(t, image, k, fixture.BundleOptions{}), bundleResult)
			want(t, s, image, bundled(t, image, k, fixture.BundleOptions{MessageSignature: true}), bundleResult)
			if got, want := s.PerRepository(), tc.want == sigstore.MatchRepository(); got != want {
				t.Errorf("PerRepository: want %t, got %t", want, got)
			}
		})
	}
}

func TestR25SimpleSigningLog(t *testing.T) {
	k, stranger, image := newKey(t, fixture.P256), newKey(t, fixture.P256), app(t)
	log, foreign := testca.New(t, testca.Options{}), testca.New(t, testca.Options{})
	other := simple(t, image, k, fixture.CosignOptions{Annotations: map[string]any{"other": "payload"}})
	otherSignature, err := base64.StdEncoding.DecodeString(other.Annotations[fixture.AnnotationSignature])
	if err != nil {
		t.Fatal(err)
	}
	ended := testca.New(t, testca.Options{LogValidFrom: time.Unix(1_500_000_000, 0), LogValidUntil: time.Unix(1_600_000_000, 0)})
	cases := map[string]struct {
		reason string
		log    *testca.Sigstore
		entry  testca.EntryOptions
		edit   func(*evidence.Item)
		want   evidence.Reason
	}{
		"Good":             {reason: "an entry of this signature"},
		"Missing":          {reason: "no annotation", edit: annotate(fixture.AnnotationRekorBundle, ""), want: evidence.LogEntryMissing},
		"NotJSON":          {reason: "no entry", edit: annotate(fixture.AnnotationRekorBundle, "x"), want: evidence.LogEntryInvalid},
		"Null":             {reason: "an empty entry", edit: annotate(fixture.AnnotationRekorBundle, "null"), want: evidence.LogEntryInvalid},
		"OtherSignature":   {reason: "CVE-2022-23649: an entry of another signature by the same key", entry: testca.EntryOptions{Signature: otherSignature}, want: evidence.LogEntryInvalid},
		"OtherKey":         {reason: "CVE-2026-22703: an entry of another key", entry: testca.EntryOptions{PublicPEM: stranger.PublicPEM}, want: evidence.LogEntryInvalid},
		"NoKey":            {reason: "an entry without a key", entry: testca.EntryOptions{PublicPEM: []byte("x")}, want: evidence.LogEntryInvalid},
		"OtherPayload":     {reason: "an entry of another payload", entry: testca.EntryOptions{Message: other.Payload}, want: evidence.LogEntryInvalid},
		"OtherKind":        {reason: "an attestation's entry", entry: testca.EntryOptions{Kind: "dsse"}, want: evidence.LogEntryInvalid},
		"OtherLog":         {reason: "a log that is not trusted", log: foreign, want: evidence.LogEntryInvalid},
		"OtherLogsKey":     {reason: "a trusted log's name under another's signature", entry: testca.EntryOptions{Log: foreign}, want: evidence.LogEntryInvalid},
		"R26OtherTime":     {reason: "a time that the log did not sign", entry: testca.EntryOptions{BreakPromise: true}, want: evidence.LogEntryInvalid},
		"R26NoPromise":     {reason: "a time that nobody signed", entry: testca.EntryOptions{NoPromise: true}, want: evidence.LogEntryInvalid},
		"R26BeforeLog":     {reason: "the log's key was not valid yet", entry: testca.EntryOptions{Time: time.Unix(1_000_000_000, 0)}, want: evidence.LogEntryInvalid},
		"LogBorrowed":      {reason: "the whole annotation of another signature", edit: annotate(fixture.AnnotationRekorBundle, logged(t, log, image, k)), want: evidence.LogEntryInvalid},
		"OtherMemberNames": {reason: "R4: members by case", edit: rewrite("Payload", "payload"), want: evidence.LogEntryInvalid},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			from := log
			if tc.log != nil {
				from = tc.log
			}
			item := simple(t, image, k, fixture.CosignOptions{Annotate: from.Annotate(tc.entry)})
			if tc.edit != nil {
				tc.edit(&item)
			}
			t.Log(tc.reason)
			want(t, signer(t, k, required(t, log)), image, item, tc.want)
			want(t, signer(t, k, ignored), image, item, "") // what is ignored is not looked at
		})
	}
	t.Run("R26LogEnded", func(t *testing.T) {
		within := fixture.CosignOptions{Annotate: ended.Annotate(testca.EntryOptions{Time: time.Unix(1_550_000_000, 0)})}
		want(t, signer(t, k, required(t, ended)), image, simple(t, image, k, within), "")
		after := fixture.CosignOptions{Annotate: ended.Annotate(testca.EntryOptions{})}
		want(t, signer(t, k, required(t, ended)), image, simple(t, image, k, after), evidence.LogEntryInvalid)
	})
}

// TestLogWithEveryKey has entries whose hash is another than SHA-256.
func TestLogWithEveryKey(t *testing.T) {
	image, log := app(t), testca.New(t, testca.Options{})
	for _, kind := range []fixture.KeyKind{fixture.P256, fixture.P384, fixture.P521, fixture.RSA2048, fixture.Ed25519} {
		t.Run(kind.String(), func(t *testing.T) {
			k := newKey(t, kind)
			s := signer(t, k, required(t, log))
			want(t, s, image, simple(t, image, k, fixture.CosignOptions{Hash: k.DefaultHash(), Annotate: log.Annotate(testca.EntryOptions{})}), "")
			want(t, s, image, bundled(t, image, k, fixture.BundleOptions{LogEntries: log.LogEntries()}), "")
		})
	}
}

// logged returns the log annotation of another signature by the key.
func logged(t *testing.T, log *testca.Sigstore, image fixture.Image, k fixture.Key) string {
	t.Helper()
	o := fixture.CosignOptions{Annotations: map[string]any{"other": "payload"}, Annotate: log.Annotate(testca.EntryOptions{})}
	return simple(t, image, k, o).Annotations[fixture.AnnotationRekorBundle]
}

func rewrite(from, to string) func(*evidence.Item) {
	return func(i *evidence.Item) {
		annotate(fixture.AnnotationRekorBundle, strings.Replace(i.Annotations[fixture.AnnotationRekorBundle], from, to, 1))(i)
	}
}

func TestR26KeyValidity(t *testing.T) {
	k, image := newKey(t, fixture.P256), app(t)
	log := testca.New(t, testca.Options{})
	begin := time.Now().Add(-48 * time.Hour).Truncate(time.Second)
	end := begin.Add(24 * time.Hour)
	o := required(t, log)
	o.NotBefore, o.NotAfter = begin, end
	s := signer(t, k, o)
	cases := map[string]struct {
		reason string
		entry  testca.EntryOptions
		simple evidence.Reason
		bundle evidence.Reason
	}{
		"Within":      {reason: "logged while the key was in use", entry: testca.EntryOptions{Time: begin.Add(time.Hour)}},
		"AtBegin":     {reason: "the first second", entry: testca.EntryOptions{Time: begin}},
		"AtEnd":       {reason: "the last second", entry: testca.EntryOptions{Time: end}},
		"Before":      {reason: "CVE-2026-54787", entry: testca.EntryOptions{Time: begin.Add(-time.Second)}, simple: evidence.TimestampInvalid, bundle: evidence.LogEntryInvalid},
		"After":       {reason: "CVE-2026-54787", entry: testca.EntryOptions{Time: end.Add(time.Second)}, simple: evidence.TimestampInvalid, bundle: evidence.LogEntryInvalid},
		"WithoutTime": {reason: "an inclusion proof signs no time", entry: testca.EntryOptions{Time: begin.Add(time.Hour), NoPromise: true}, simple: evidence.LogEntryInvalid, bundle: evidence.TimestampMissing},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			want(t, s, image, simple(t, image, k, fixture.CosignOptions{Annotate: log.Annotate(tc.entry)}), tc.simple)
			want(t, s, image, bundled(t, image, k, fixture.BundleOptions{LogEntries: log.LogEntries(tc.entry)}), tc.bundle)
		})
	}
}

func TestVerifyRefusesWhatIsNotItsOwn(t *testing.T) {
	k, image := newKey(t, fixture.P256), app(t)
	s := signer(t, k, ignored)
	good := simple(t, image, k, fixture.CosignOptions{})
	notation := good
	notation.Format = evidence.Notation
	want(t, s, image, notation, evidence.UnsupportedEvidence)
	want(t, s, image, evidence.Item{}, evidence.UnsupportedEvidence)
	_, err := s.Verify(t.Context(), evidence.Image{}, good)
	if p := evidence.ProblemOf(err); p == nil || p.Reason != evidence.Internal {
		t.Errorf("want an image without digest refused, got %v", err)
	}
}

func FuzzSimpleSigning(f *testing.F) {
	k, image := newKey(f, fixture.P256), app(f)
	log := testca.New(f, testca.Options{})
	strict, lax := signer(f, k, required(f, log)), signer(f, k, ignored)
	good := simple(f, image, k, fixture.CosignOptions{Annotate: log.Annotate(testca.EntryOptions{})})
	f.Add(good.Payload, good.Annotations[fixture.AnnotationSignature], good.Annotations[fixture.AnnotationRekorBundle], "")
	f.Add(good.Payload, good.Annotations[fixture.AnnotationSignature], "{}", `{"SignedRFC3161Timestamp":"AAAA"}`)
	f.Add([]byte("{}"), "AAAA", "", "")
	target := found(f, image)
	logged, err := base64.StdEncoding.DecodeString(good.Annotations[fixture.AnnotationSignature])
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, payload []byte, signature, entry, stamp string) {
		item := evidence.Item{Format: evidence.SimpleSigning, Payload: payload, Annotations: map[string]string{
			fixture.AnnotationSignature: signature, fixture.AnnotationRekorBundle: entry, fixture.AnnotationTimestamp: stamp,
		}}
		// ECDSA signatures can be varied without the key, payloads cannot.
		if _, err := lax.Verify(t.Context(), target, item); err == nil && !bytes.Equal(payload, good.Payload) {
			t.Fatalf("want %q refused", payload)
		}
		raw, _ := base64.StdEncoding.DecodeString(signature)
		if _, err := strict.Verify(t.Context(), target, item); err == nil && !bytes.Equal(raw, logged) {
			t.Fatalf("want an entry for signature %q refused", signature)
		}
	})
}
