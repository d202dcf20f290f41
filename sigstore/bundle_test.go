package sigstore_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// statement writes an in-toto statement with more members than cosign's.
func statement(image fixture.Image, more string) []byte {
	return []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + image.Digest.Hex() + `"}}],"predicateType":"` + fixture.PredicateTypeSign + `"` + more + `}`)
}

func TestBundle(t *testing.T) {
	k, image, other := newKey(t, fixture.P256), app(t), subject(t, "registry.test/acme/other:v1", "other")
	sum := func(i fixture.Image) string { return `{"digest":{"sha256":"` + i.Digest.Hex() + `"}}` }
	typed := func(kind, subjects string) []byte {
		return []byte(`{"_type":"` + kind + `","subject":[` + subjects + `],"predicateType":"` + fixture.PredicateTypeSign + `","predicate":{}}`)
	}
	const v1 = "https://in-toto.io/Statement/v1"
	annotated := sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, Annotations: map[string]string{"env": "prod"}}}
	cases := map[string]struct {
		reason  string
		sign    fixture.BundleOptions
		options *sigstore.KeyOptions
		edit    func([]byte) []byte
		want    evidence.Reason
	}{
		"Good":                 {reason: "as cosign signs"},
		"GoodMessage":          {reason: "a signature over the manifest", sign: fixture.BundleOptions{MessageSignature: true}},
		"ParameterSpelling":    {reason: "0.3 has two spellings", sign: fixture.BundleOptions{MediaType: "application/vnd.dev.sigstore.bundle+json;version=0.3"}},
		"OldStatement":         {reason: "version 0.1 of statements", sign: fixture.BundleOptions{Statement: typed("https://in-toto.io/Statement/v0.1", sum(image))}},
		"SecondSubject":        {reason: "one of several subjects is the image", sign: fixture.BundleOptions{Statement: typed(v1, sum(other)+","+sum(image))}},
		"R24KeyID":             {reason: "names of keys in envelopes are ignored", sign: fixture.BundleOptions{Edit: func(b *protobundle.Bundle) { b.GetDsseEnvelope().GetSignatures()[0].Keyid = "another" }}},
		"Annotations":          {reason: "signed along", sign: fixture.BundleOptions{Annotations: map[string]any{"env": "prod", "x": 1}}, options: &annotated},
		"AnnotationsMissing":   {reason: "none signed", options: &annotated, want: evidence.AnnotationMismatch},
		"AnnotationsOfMessage": {reason: "a message signature has none", sign: fixture.BundleOptions{MessageSignature: true}, options: &annotated, want: evidence.AnnotationMismatch},
		"AnnotationsElsewhere": {
			reason: "only the image's own subject counts", options: &annotated, want: evidence.AnnotationMismatch,
			sign: fixture.BundleOptions{Statement: typed(v1, `{"digest":{"sha256":"`+other.Digest.Hex()+`"},"annotations":{"env":"prod"}},`+sum(image))},
		},
		"R21NoSubject":         {reason: "nothing is signed", sign: fixture.BundleOptions{Statement: typed(v1, "")}, want: evidence.SubjectMismatch},
		"R21EmptyDigest":       {reason: "a subject without digest", sign: fixture.BundleOptions{Statement: typed(v1, `{"name":"x"}`)}, want: evidence.SubjectMismatch},
		"R21OtherAlgorithm":    {reason: "the digest under another algorithm's name", sign: fixture.BundleOptions{Statement: typed(v1, `{"digest":{"sha512":"`+image.Digest.Hex()+`"}}`)}, want: evidence.SubjectMismatch},
		"R21UpperCase":         {reason: "another spelling of the digest", sign: fixture.BundleOptions{Statement: typed(v1, `{"digest":{"sha256":"`+strings.ToUpper(image.Digest.Hex())+`"}}`)}, want: evidence.SubjectMismatch},
		"R23Provenance":        {reason: "an attestation is no signature", sign: fixture.BundleOptions{PredicateType: "https://slsa.dev/provenance/v1"}, want: evidence.UnsupportedEvidence},
		"R23NoType":            {reason: "nor a statement without type", sign: fixture.BundleOptions{Statement: []byte(`{"_type":"` + v1 + `","subject":[` + sum(image) + `]}`)}, want: evidence.UnsupportedEvidence},
		"R23Prefix":            {reason: "nor a type that begins alike", sign: fixture.BundleOptions{PredicateType: fixture.PredicateTypeSign + "/x"}, want: evidence.UnsupportedEvidence},
		"R24RawSimpleSigning":  {reason: "Tekton Chains' bundle of a simple signing", sign: fixture.BundleOptions{PayloadType: "application/vnd.dev.cosign.simplesigning.v1+json"}, want: evidence.UnsupportedEvidence},
		"R24OtherPayloadType":  {reason: "JSON is no statement", sign: fixture.BundleOptions{PayloadType: "application/json"}, want: evidence.UnsupportedEvidence},
		"R24OverPayload":       {reason: "a signature over the payload alone", sign: fixture.BundleOptions{OverPayload: true}, want: evidence.UnsupportedEvidence},
		"R24TypeSwapped":       {reason: "the payload type is signed", sign: fixture.BundleOptions{PayloadType: "text/plain", Edit: func(b *protobundle.Bundle) { b.GetDsseEnvelope().PayloadType = fixture.PayloadTypeInToto }}, want: evidence.SignerMismatch},
		"R24TwoSignatures":     {reason: "exactly one", sign: fixture.BundleOptions{Edit: twice}, want: evidence.MalformedEvidence},
		"R24NoSignature":       {reason: "exactly one", sign: fixture.BundleOptions{Edit: func(b *protobundle.Bundle) { b.GetDsseEnvelope().Signatures = nil }}, want: evidence.MalformedEvidence},
		"EmptySignature":       {reason: "none", sign: fixture.BundleOptions{Edit: func(b *protobundle.Bundle) { b.GetDsseEnvelope().GetSignatures()[0].Sig = nil }}, want: evidence.SignerMismatch},
		"OtherStatementType":   {reason: "not in-toto", sign: fixture.BundleOptions{Statement: typed("https://example.test", sum(image))}, want: evidence.UnsupportedEvidence},
		"NotAStatement":        {reason: "not JSON", sign: fixture.BundleOptions{Statement: []byte("x")}, want: evidence.MalformedEvidence},
		"R4TwiceInStatement":   {reason: "two subjects for two readers", sign: fixture.BundleOptions{Statement: statement(image, `,"subject":[]`)}, want: evidence.MalformedEvidence},
		"R4TwiceInPredicate":   {reason: "also where we do not read", sign: fixture.BundleOptions{Statement: statement(image, `,"predicate":{"a":1,"a":2}`)}, want: evidence.MalformedEvidence},
		"R4OtherCase":          {reason: "a reader without regard to case would see this subject", sign: fixture.BundleOptions{Statement: bytes.Replace(typed(v1, sum(image)), []byte(`"subject"`), []byte(`"Subject"`), 1)}, want: evidence.SubjectMismatch},
		"R4TwiceInBundle":      {reason: "two envelopes for two readers", edit: prefixed(`{"dsseEnvelope":{},`), want: evidence.MalformedEvidence},
		"R4TwiceNull":          {reason: "a null is a value too", edit: prefixed(`{"dsseEnvelope":null,`), want: evidence.MalformedEvidence},
		"R4TwoSpellings":       {reason: "protobuf's JSON has two names for a field", edit: prefixed(`{"media_type":"x",`), want: evidence.MalformedEvidence},
		"UnknownField":         {reason: "a bundle of a version to come", edit: prefixed(`{"new":1,`), want: evidence.MalformedEvidence},
		"TwoContents":          {reason: "an envelope and a message", edit: prefixed(`{"messageSignature":{},`), want: evidence.MalformedEvidence},
		"NotJSON":              {reason: "no bundle", edit: func([]byte) []byte { return []byte("x") }, want: evidence.MalformedEvidence},
		"Null":                 {reason: "no bundle", edit: func([]byte) []byte { return []byte("null") }, want: evidence.MalformedEvidence},
		"Empty":                {reason: "no version", edit: func([]byte) []byte { return []byte("{}") }, want: evidence.UnsupportedEvidence},
		"Version02":            {reason: "an older one that says the same", sign: fixture.BundleOptions{MediaType: "application/vnd.dev.sigstore.bundle+json;version=0.2"}},
		"Version04":            {reason: "not known yet", sign: fixture.BundleOptions{MediaType: "application/vnd.dev.sigstore.bundle.v0.4+json"}, want: evidence.UnsupportedEvidence},
		"OtherMediaType":       {reason: "not a bundle", sign: fixture.BundleOptions{MediaType: "application/json"}, want: evidence.UnsupportedEvidence},
		"NoContent":            {reason: "nothing signed", sign: fixture.BundleOptions{Edit: func(b *protobundle.Bundle) { b.Content = nil }}, want: evidence.MalformedEvidence},
		"NoMaterial":           {reason: "no verification material", sign: fixture.BundleOptions{Edit: func(b *protobundle.Bundle) { b.VerificationMaterial = nil }}, want: evidence.MalformedEvidence},
		"NoKeyOrCertificate":   {reason: "neither named", sign: fixture.BundleOptions{Edit: func(b *protobundle.Bundle) { b.VerificationMaterial.Content = nil }}, want: evidence.MalformedEvidence},
		"EmptyChain":           {reason: "a chain without certificates is still no key", sign: fixture.BundleOptions{Edit: emptyChain}, want: evidence.SignerMismatch},
		"MessageDigestLies":    {reason: "the digest is a hint, and must agree", sign: fixture.BundleOptions{MessageSignature: true, Edit: digestOf(other)}, want: evidence.MalformedEvidence},
		"MessageWithoutDigest": {reason: "the digest is required", sign: fixture.BundleOptions{MessageSignature: true, Edit: func(b *protobundle.Bundle) { b.GetMessageSignature().MessageDigest = nil }}, want: evidence.MalformedEvidence},
		"BrokenLogIgnored":     {reason: "what is ignored is not looked at", sign: fixture.BundleOptions{Edit: brokenEntry}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := ignored
			if tc.options != nil {
				o = *tc.options
			}
			item := bundled(t, image, k, tc.sign)
			if tc.edit != nil {
				item.Payload = tc.edit(item.Payload)
			}
			t.Log(tc.reason)
			want(t, signer(t, k, o), image, item, tc.want)
		})
	}
}

func prefixed(p string) func([]byte) []byte {
	return func(raw []byte) []byte { return append([]byte(p), raw[1:]...) }
}

func twice(b *protobundle.Bundle) {
	e := b.GetDsseEnvelope()
	e.Signatures = append([]*protodsse.Signature{{Sig: []byte("x")}}, e.Signatures...)
}

func emptyChain(b *protobundle.Bundle) {
	b.VerificationMaterial.Content = &protobundle.VerificationMaterial_X509CertificateChain{X509CertificateChain: &protocommon.X509CertificateChain{}}
}

func digestOf(i fixture.Image) func(*protobundle.Bundle) {
	return func(b *protobundle.Bundle) {
		raw := make([]byte, 32)
		copy(raw, i.Digest.Hex())
		b.GetMessageSignature().MessageDigest.Digest = raw
	}
}

func brokenEntry(b *protobundle.Bundle) {
	b.VerificationMaterial.TlogEntries = []*protorekor.TransparencyLogEntry{{CanonicalizedBody: []byte("{{{")}}
}

func TestR1BundleCaps(t *testing.T) {
	k, image := newKey(t, fixture.P256), app(t)
	log := testca.New(t, testca.Options{})
	entries := make([]testca.EntryOptions, 33)
	for i := range entries {
		entries[i].Index = int64(i + 1)
	}
	subjects := func(n int) []byte {
		return []byte(strings.Replace(string(statement(image, "")), `"subject":[`, `"subject":[`+strings.Repeat(`{"digest":{"sha256":"00"}},`, n-1), 1))
	}
	digests := func(n int) []byte {
		var more strings.Builder
		for i := range n - 1 {
			fmt.Fprintf(&more, `"d%d":"00",`, i)
		}
		return []byte(strings.Replace(string(statement(image, "")), `"digest":{`, `"digest":{`+more.String(), 1))
	}
	stamps := func(n int) func(fixture.Signed) ([][]byte, error) {
		return func(fixture.Signed) ([][]byte, error) { return make([][]byte, n), nil }
	}
	cases := map[string]struct {
		reason string
		sign   fixture.BundleOptions
		want   evidence.Reason
	}{
		"Entries32":    {reason: "the most", sign: fixture.BundleOptions{LogEntries: log.LogEntries(entries[:32]...)}},
		"Entries33":    {reason: "CVE-2024-45395", sign: fixture.BundleOptions{LogEntries: log.LogEntries(entries...)}, want: evidence.LimitExceeded},
		"Timestamps32": {reason: "the most; no authority is trusted", sign: fixture.BundleOptions{LogEntries: log.LogEntries(), Timestamps: stamps(32)}},
		"Timestamps33": {reason: "CVE-2024-45395", sign: fixture.BundleOptions{LogEntries: log.LogEntries(), Timestamps: stamps(33)}, want: evidence.LimitExceeded},
		"Subjects1024": {reason: "the most", sign: fixture.BundleOptions{LogEntries: log.LogEntries(), Statement: subjects(1024)}},
		"Subjects1025": {reason: "CVE-2024-45395", sign: fixture.BundleOptions{LogEntries: log.LogEntries(), Statement: subjects(1025)}, want: evidence.LimitExceeded},
		"Digests32":    {reason: "the most", sign: fixture.BundleOptions{LogEntries: log.LogEntries(), Statement: digests(32)}},
		"Digests33":    {reason: "CVE-2024-45395", sign: fixture.BundleOptions{LogEntries: log.LogEntries(), Statement: digests(33)}, want: evidence.LimitExceeded},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			want(t, signer(t, k, required(t, log)), image, bundled(t, image, k, tc.sign), tc.want)
		})
	}
	huge := bundled(t, image, k, fixture.BundleOptions{})
	huge.Payload = append(huge.Payload, bytes.Repeat([]byte(" "), evidence.MaxSignatureBytes)...)
	want(t, signer(t, k, ignored), image, huge, evidence.LimitExceeded)
}

func FuzzBundle(f *testing.F) {
	k, image := newKey(f, fixture.P256), app(f)
	log := testca.New(f, testca.Options{})
	strict, lax := signer(f, k, required(f, log)), signer(f, k, ignored)
	for _, o := range []fixture.BundleOptions{{}, {MessageSignature: true}, {LogEntries: log.LogEntries()}, {OverPayload: true}, {Edit: twice}, {Edit: brokenEntry}, {PredicateType: custom}, {PredicateType: custom, LogEntries: log.LogEntries()}} {
		f.Add(bundled(f, image, k, o).Payload)
	}
	certifies := whole(f)
	certificate := issued(f, certifies, testca.CertificateOptions{})
	for _, form := range forms {
		if !form.legacy {
			f.Add(form.sign(f, image, certificate, testimony{by: certifies, stamped: true}).Payload)
		}
	}
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{},"tlogEntries":[{}]},"dsseEnvelope":{}}`))
	target, other := found(f, image), found(f, subject(f, "registry.test/acme/other:v1", "other"))
	whose := keyless(f, certifies, workflow(), nil)
	f.Fuzz(func(t *testing.T, raw []byte) {
		item := evidence.Item{Format: evidence.Bundle, Payload: raw}
		if proof, err := whose.Verify(t.Context(), target, item); err == nil && (proof.Time.IsZero() || !bytes.Contains(raw, []byte("rawBytes"))) {
			t.Fatalf("want no identity without a time and a certificate, got %+v", proof)
		}
		if _, err := whose.Verify(t.Context(), other, item); err == nil {
			t.Fatal("want no identity's signature of another image")
		}
		_, lenient := lax.Verify(t.Context(), target, item)
		if _, err := strict.Verify(t.Context(), target, item); err == nil && lenient != nil {
			t.Fatalf("want what the strict signer accepts accepted by the lenient one, got %v", lenient)
		}
		if lenient == nil && !json.Valid(raw) {
			t.Fatal("want JSON")
		}
		if _, err := lax.Verify(t.Context(), other, item); err == nil {
			t.Fatal("want no signature of another image")
		}
		proof, stated := lax.VerifyStatement(t.Context(), target, item, custom)
		if stated == nil && lenient == nil {
			t.Fatal("want a signature or a statement, not both")
		}
		if stated == nil && !bytes.Contains(proof.Statement.Payload, []byte(image.Digest.Hex())) {
			t.Fatalf("want a statement about the image, got %q", proof.Statement.Payload)
		}
		if _, err := strict.VerifyStatement(t.Context(), target, item, custom); err == nil && stated != nil {
			t.Fatalf("want what the strict signer accepts accepted by the lenient one, got %v", stated)
		}
		if _, err := lax.VerifyStatement(t.Context(), other, item, custom); err == nil {
			t.Fatal("want no statement about another image")
		}
	})
}
