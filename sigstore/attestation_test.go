package sigstore_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// attested attests as cosign does and returns the layer as discovery would.
func attested(tb testing.TB, i fixture.Image, k fixture.Key, o fixture.AttestationOptions) evidence.Item {
	tb.Helper()
	r, err := fixture.NewRegistry(fixture.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Close()
	pushed := i
	if pushed.Reference, err = r.Reference("acme/app:v1"); err != nil {
		tb.Fatal(err)
	}
	if _, err := r.SignAttestation(tb.Context(), pushed, k, o); err != nil {
		tb.Fatal(err)
	}
	tag, err := pushed.Reference.Repository().WithTag(fixture.AttestationTag(i.Digest))
	if err != nil {
		tb.Fatal(err)
	}
	raw, mediaType, err := r.Manifest(tb.Context(), tag)
	if err != nil {
		tb.Fatal(err)
	}
	m, err := evidence.ParseManifest(raw, mediaType)
	if err != nil {
		tb.Fatal(err)
	}
	payload, err := r.Blob(tb.Context(), tag.Repository(), m.Layers[0].Digest)
	if err != nil {
		tb.Fatal(err)
	}
	return evidence.Item{
		Format: evidence.Envelope, Manifest: m.Descriptor.Digest, MediaType: m.Layers[0].MediaType,
		Payload: payload, Annotations: m.Layers[0].Annotations,
	}
}

// wantStatement is [want] for a statement of the type.
func wantStatement(tb testing.TB, s *sigstore.Signer, i fixture.Image, item evidence.Item, predicateType string, reason evidence.Reason) result {
	tb.Helper()
	proof, err := s.VerifyStatement(tb.Context(), found(tb, i), item, predicateType)
	if reason == "" {
		if err != nil {
			tb.Fatalf("want a proof, got %v", err)
		}
		if proof.Statement == nil || proof.Statement.Type != predicateType || proof.Identity == "" {
			tb.Fatalf("want a statement of type %q, got %+v", predicateType, proof)
		}
		return result{proof: proof}
	}
	var p *evidence.Problem
	if !errors.As(err, &p) {
		tb.Fatalf("want a problem with reason %s, got %v", reason, err)
	}
	if p.Reason != reason {
		tb.Fatalf("want reason %s, got %s: %v", reason, p.Reason, err)
	}
	if p.Path == "" || (p.Expected == "" && p.Err == nil) {
		tb.Errorf("want a problem that says where and what, got %q", p.Error())
	}
	if proof.Identity != "" || proof.Statement != nil {
		tb.Errorf("want no proof beside a problem, got %v", proof)
	}
	return result{problem: p}
}

const custom = fixture.PredicateTypeCustom

// about writes an in-toto statement about images, by hexadecimal digest.
func about(kind, predicateType, more string, digests ...string) []byte {
	subjects := make([]string, 0, len(digests))
	for _, d := range digests {
		subjects = append(subjects, `{"name":"registry.test/acme/app","digest":{"sha256":"`+d+`"}}`)
	}
	return []byte(`{"_type":"` + kind + `","subject":[` + strings.Join(subjects, ",") + `],"predicateType":"` + predicateType + `","predicate":{}` + more + `}`)
}

func TestAttestation(t *testing.T) {
	k, stranger, image, other := newKey(t, fixture.P256), newKey(t, fixture.P256), app(t), subject(t, "registry.test/acme/other:v1", "other")
	hex := image.Digest.Hex()
	with := func(payload []byte) fixture.AttestationOptions { return fixture.AttestationOptions{Statement: payload} }
	edited := func(edit func(map[string]any)) fixture.AttestationOptions {
		return fixture.AttestationOptions{Envelope: func(raw []byte) []byte { return editJSON(t, raw, edit) }}
	}
	cases := map[string]struct {
		reason string
		sign   fixture.AttestationOptions
		edit   func(*evidence.Item)
		asked  string // default custom
		want   evidence.Reason
	}{
		"Good":              {reason: "as cosign attests"},
		"StatementV1":       {reason: "version 1 of statements", sign: fixture.AttestationOptions{StatementType: fixture.StatementV1}},
		"SecondSubject":     {reason: "one of several subjects is the image", sign: with(about(fixture.StatementV1, custom, "", other.Digest.Hex(), hex))},
		"NoAnnotations":     {reason: "the layer's annotations are hints", edit: func(i *evidence.Item) { i.Annotations = nil }},
		"WrongHint":         {reason: "an annotated type is a hint", edit: annotate("predicateType", "https://slsa.dev/provenance/v1")},
		"UnknownMember":     {reason: "members to come", sign: edited(func(e map[string]any) { e["new"] = 1 })},
		"BrokenLogIgnored":  {reason: "what is ignored is not looked at", edit: annotate(fixture.AnnotationRekorBundle, "{{{")},
		"URLBase64":         {reason: "either alphabet", sign: edited(inURLAlphabet)},
		"R24KeyID":          {reason: "names of keys are ignored", sign: fixture.AttestationOptions{KeyID: "another"}},
		"AnotherBefore":     {reason: "one signature by the key is enough", sign: fixture.AttestationOptions{Before: []fixture.Key{stranger}}},
		"ForeignKeyOnly":    {reason: "signatures by others are none", sign: fixture.AttestationOptions{Signature: []byte("x"), Before: []fixture.Key{stranger, stranger}}, want: evidence.SignerMismatch},
		"EmptySignature":    {reason: "none", sign: edited(setSignatures(map[string]any{"sig": ""})), want: evidence.SignerMismatch},
		"R24NoSignature":    {reason: "an envelope that nobody signed", sign: edited(setSignatures()), want: evidence.MalformedEvidence},
		"R24NullSignatures": {reason: "an envelope that nobody signed", sign: edited(func(e map[string]any) { e["signatures"] = nil }), want: evidence.MalformedEvidence},
		"BadBase64":         {reason: "no signature", sign: edited(setSignatures(map[string]any{"sig": "%"})), want: evidence.MalformedEvidence},
		"BadPayload":        {reason: "no payload", sign: edited(func(e map[string]any) { e["payload"] = "%" }), want: evidence.MalformedEvidence},

		"R21Copied":            {reason: "a statement about another image", sign: fixture.AttestationOptions{Subject: other.Digest}, want: evidence.SubjectMismatch},
		"R21NoSubject":         {reason: "about nothing", sign: with(about(fixture.StatementV1, custom, "")), want: evidence.SubjectMismatch},
		"R21NullSubject":       {reason: "about nothing", sign: with([]byte(`{"_type":"` + fixture.StatementV1 + `","subject":null,"predicateType":"` + custom + `"}`)), want: evidence.SubjectMismatch},
		"R21AbsentSubject":     {reason: "about nothing", sign: with([]byte(`{"_type":"` + fixture.StatementV1 + `","predicateType":"` + custom + `"}`)), want: evidence.SubjectMismatch},
		"R21UpperCase":         {reason: "another spelling of the digest", sign: with(about(fixture.StatementV1, custom, "", strings.ToUpper(hex))), want: evidence.SubjectMismatch},
		"R21NameOnly":          {reason: "a name that holds the digest is no digest", sign: with([]byte(`{"_type":"` + fixture.StatementV1 + `","subject":[{"name":"sha256:` + hex + `"}],"predicateType":"` + custom + `"}`)), want: evidence.SubjectMismatch},
		"R21DigestInPredicate": {reason: "only subjects count", sign: with(about(fixture.StatementV1, custom, `,"subjects":[{"digest":{"sha256":"`+hex+`"}}]`)), want: evidence.SubjectMismatch},

		"R23AnotherType":    {reason: "a statement of another type", asked: fixture.PredicateTypeSLSA1, want: evidence.NotAttested},
		"R23Prefix":         {reason: "a type that begins alike", asked: custom + "/x", want: evidence.NotAttested},
		"R23OtherCase":      {reason: "types are compared by case", asked: strings.ToUpper(custom), want: evidence.NotAttested},
		"R23NoType":         {reason: "a statement without type", sign: with([]byte(`{"_type":"` + fixture.StatementV1 + `","subject":[{"digest":{"sha256":"` + hex + `"}}]}`)), want: evidence.NotAttested},
		"R23NoTypeAsked":    {reason: "nothing is of no type", sign: with([]byte(`{"_type":"` + fixture.StatementV1 + `","subject":[{"digest":{"sha256":"` + hex + `"}}]}`)), asked: "-", want: evidence.NotAttested},
		"R23Signature":      {reason: "a signature is no attestation", sign: fixture.AttestationOptions{PredicateType: fixture.PredicateTypeSign}, want: evidence.NotAttested},
		"R23SignatureAsked": {reason: "even if its type is asked for", sign: fixture.AttestationOptions{PredicateType: fixture.PredicateTypeSign}, asked: fixture.PredicateTypeSign, want: evidence.NotAttested},

		"R24RawSimpleSigning": {reason: "Tekton Chains' simple signing in an envelope", sign: fixture.AttestationOptions{PayloadType: fixture.MediaTypeSimpleSigning, OverPayload: true}, want: evidence.UnsupportedEvidence},
		"R24OtherPayloadType": {reason: "JSON is no statement", sign: fixture.AttestationOptions{PayloadType: "application/json"}, want: evidence.UnsupportedEvidence},
		"R24NoPayloadType":    {reason: "nor is what has no type", sign: edited(func(e map[string]any) { delete(e, "payloadType") }), want: evidence.UnsupportedEvidence},
		"R24OverPayload":      {reason: "a signature over the payload alone", sign: fixture.AttestationOptions{OverPayload: true}, want: evidence.UnsupportedEvidence},
		"R24TypeSwapped":      {reason: "the payload type is signed", sign: swapped(t), want: evidence.SignerMismatch},

		"NotJSON":            {reason: "no envelope", edit: func(i *evidence.Item) { i.Payload = []byte("x") }, want: evidence.MalformedEvidence},
		"Null":               {reason: "an empty envelope", edit: func(i *evidence.Item) { i.Payload = []byte("null") }, want: evidence.UnsupportedEvidence},
		"PlainStatement":     {reason: "BuildKit's statements are not signed", edit: func(i *evidence.Item) { i.Payload = about(fixture.StatementV1, custom, "", hex) }, want: evidence.UnsupportedEvidence},
		"NotAStatement":      {reason: "a signed text", sign: with([]byte("hello")), want: evidence.MalformedEvidence},
		"OtherStatementType": {reason: "not in-toto", sign: with(about("https://example.test", custom, "", hex)), want: evidence.UnsupportedEvidence},
		"SubjectNoList":      {reason: "no statement", sign: with([]byte(`{"_type":"` + fixture.StatementV1 + `","subject":{"digest":{"sha256":"` + hex + `"}},"predicateType":"` + custom + `"}`)), want: evidence.MalformedEvidence},
		"PayloadChanged":     {reason: "another payload than was signed", sign: edited(changedPayload(t)), want: evidence.SignerMismatch},

		"R4TwiceInEnvelope": {reason: "two payloads for two readers", edit: func(i *evidence.Item) { i.Payload = prefixed(`{"payload":"",`)(i.Payload) }, want: evidence.MalformedEvidence},
		"R4OtherCase": {reason: "names are matched by case", edit: func(i *evidence.Item) {
			i.Payload = bytes.Replace(i.Payload, []byte(`"payload"`), []byte(`"Payload"`), 1)
		}, want: evidence.MalformedEvidence},
		"R4After":            {reason: "one value", edit: func(i *evidence.Item) { i.Payload = append(bytes.Clone(i.Payload), "{}"...) }, want: evidence.MalformedEvidence},
		"R4TwiceInStatement": {reason: "two types for two readers", sign: with(about(fixture.StatementV1, custom, `,"predicateType":"x"`, hex)), want: evidence.MalformedEvidence},
		"R4TwiceInPredicate": {reason: "also where conditions read", sign: with(about(fixture.StatementV1, custom, `,"more":{"a":1,"a":2}`, hex)), want: evidence.MalformedEvidence},
		"R4SubjectOtherCase": {reason: "a reader without regard to case would see this subject", sign: with(bytes.Replace(about(fixture.StatementV1, custom, "", hex), []byte(`"subject"`), []byte(`"Subject"`), 1)), want: evidence.SubjectMismatch},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			item := attested(t, image, k, tc.sign)
			if tc.edit != nil {
				tc.edit(&item)
			}
			asked := custom
			if tc.asked != "" {
				asked = strings.TrimPrefix(tc.asked, "-")
			}
			t.Log(tc.reason)
			wantStatement(t, signer(t, k, ignored), image, item, asked, tc.want)
		})
	}
}

func editJSON(tb testing.TB, raw []byte, edit func(map[string]any)) []byte {
	tb.Helper()
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		tb.Fatal(err)
	}
	edit(m)
	raw, err := json.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func setSignatures(all ...map[string]any) func(map[string]any) {
	return func(e map[string]any) { e["signatures"] = append([]map[string]any{}, all...) }
}

func inURLAlphabet(e map[string]any) {
	replace := strings.NewReplacer("+", "-", "/", "_")
	e["payload"] = replace.Replace(e["payload"].(string))
	s := e["signatures"].([]any)[0].(map[string]any)
	s["sig"] = replace.Replace(s["sig"].(string))
}

// swapped signs under one payload type and stores another.
func swapped(t *testing.T) fixture.AttestationOptions {
	return fixture.AttestationOptions{PayloadType: "text/plain", Envelope: func(raw []byte) []byte {
		return editJSON(t, raw, func(e map[string]any) { e["payloadType"] = fixture.PayloadTypeInToto })
	}}
}

func changedPayload(t *testing.T) func(map[string]any) {
	return func(e map[string]any) {
		raw, err := base64.StdEncoding.DecodeString(e["payload"].(string))
		if err != nil {
			t.Fatal(err)
		}
		e["payload"] = base64.StdEncoding.EncodeToString(append(raw, ' '))
	}
}

func TestAttestationProof(t *testing.T) {
	k, image := newKey(t, fixture.P256), app(t)
	s := signer(t, k, ignored)
	item := attested(t, image, k, fixture.AttestationOptions{PredicateType: fixture.PredicateTypeSPDX, Predicate: fixture.SPDX()})
	item.Layer = 2
	proof := wantStatement(t, s, image, item, fixture.PredicateTypeSPDX, "").proof
	signature := want(t, s, image, simple(t, image, k, fixture.CosignOptions{}), "").proof
	if proof.Identity != signature.Identity || proof.Who != s.Describe() {
		t.Errorf("want the identity of the key's signatures, got %+v", proof)
	}
	if want := "cosign attestation " + item.Manifest.String() + "[2]"; proof.Source != want {
		t.Errorf("Source: want %q, got %q", want, proof.Source)
	}
	if !proof.Time.IsZero() || !proof.Expires.IsZero() || proof.Reference != "" {
		t.Errorf("want no time and no reference, got %+v", proof)
	}
	predicate, err := proof.Statement.Predicate()
	if err != nil {
		t.Fatal(err)
	}
	var want any
	if err := evidence.DecodeJSON(fixture.SPDX(), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, predicate); diff != "" {
		t.Errorf("predicate (-want +got):\n%s", diff)
	}
	if n := s.StatementNeed(); n != (evidence.Need{Envelope: true, Bundle: true}) {
		t.Errorf("StatementNeed: got %+v", n)
	}
}

// TestR23OtherTypesAreNamed holds the message that tells what was found.
func TestR23OtherTypesAreNamed(t *testing.T) {
	k, image := newKey(t, fixture.P256), app(t)
	s := signer(t, k, ignored)
	for name, tc := range map[string]struct {
		item evidence.Item
		says string
	}{
		"Envelope":         {attested(t, image, k, fixture.AttestationOptions{PredicateType: fixture.PredicateTypeSPDX}), `one of type "` + fixture.PredicateTypeSPDX + `"`},
		"Bundle":           {bundled(t, image, k, fixture.BundleOptions{PredicateType: fixture.PredicateTypeSPDX}), `one of type "` + fixture.PredicateTypeSPDX + `"`},
		"AnotherKeys":      {bundled(t, image, newKey(t, fixture.P256), fixture.BundleOptions{PredicateType: fixture.PredicateTypeSPDX}), `one of type "` + fixture.PredicateTypeSPDX + `"`},
		"Keyless":          {bundled(t, image, k, fixture.BundleOptions{PredicateType: fixture.PredicateTypeSPDX, Certificates: [][]byte{leaf(t, k)}}), `one of type "` + fixture.PredicateTypeSPDX + `"`},
		"BundleSignature":  {bundled(t, image, k, fixture.BundleOptions{}), `one of type "` + fixture.PredicateTypeSign + `"`},
		"MessageSignature": {bundled(t, image, k, fixture.BundleOptions{MessageSignature: true}), "a signature of the image, which is no attestation"},
		"SimpleSigning":    {simple(t, image, k, fixture.CosignOptions{}), "a cosign signature"},
		"Notation":         {evidence.Item{Format: evidence.Notation, Payload: []byte("x")}, "a Notation signature"},
		"Artifact":         {evidence.Item{Format: evidence.Artifact}, "an artifact"},
	} {
		t.Run(name, func(t *testing.T) {
			p := wantStatement(t, s, image, tc.item, fixture.PredicateTypeSLSA1, evidence.NotAttested).problem
			if p.Expected != `a statement of type "`+fixture.PredicateTypeSLSA1+`"` || p.Got != tc.says {
				t.Errorf("got %q", p.Error())
			}
		})
	}
}

func TestR23AttestationIsNoSignature(t *testing.T) {
	k, image := newKey(t, fixture.P256), app(t)
	s := signer(t, k, ignored)
	want(t, s, image, attested(t, image, k, fixture.AttestationOptions{}), evidence.UnsupportedEvidence)
	want(t, s, image, attested(t, image, k, fixture.AttestationOptions{PredicateType: fixture.PredicateTypeSign}), evidence.UnsupportedEvidence)
	want(t, s, image, bundled(t, image, k, fixture.BundleOptions{PredicateType: fixture.PredicateTypeSLSA1}), evidence.UnsupportedEvidence)
}

func TestAttestationByAnotherKey(t *testing.T) {
	k, stranger, image := newKey(t, fixture.P256), newKey(t, fixture.P256), app(t)
	s := signer(t, k, ignored)
	keyless := map[string]string{fixture.AnnotationCertificate: string(block("CERTIFICATE", leaf(t, stranger)))}
	cases := map[string]struct {
		reason string
		item   evidence.Item
		says   string
	}{
		"NoHint":        {reason: "nothing names it", item: attested(t, image, stranger, fixture.AttestationOptions{}), says: "does not verify"},
		"KeyID":         {reason: "the name that the envelope gives", item: attested(t, image, stranger, fixture.AttestationOptions{KeyID: "SHA256:abc"}), says: `"SHA256:abc" (not verified)`},
		"Keyless":       {reason: "a certificate names a person", item: attested(t, image, stranger, fixture.AttestationOptions{LayerAnnotations: keyless, KeyID: "x"}), says: "dev@acme.test"},
		"Bundle":        {reason: "the hint says which key", item: bundled(t, image, stranger, fixture.BundleOptions{PredicateType: custom}), says: signer(t, stranger, ignored).Describe()},
		"BundleKeyless": {reason: "a certificate is no key, even one for ours", item: bundled(t, image, k, fixture.BundleOptions{PredicateType: custom, Certificates: [][]byte{leaf(t, k)}}), says: "certificate"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := wantStatement(t, s, image, tc.item, custom, evidence.SignerMismatch).problem
			if !strings.Contains(p.Expected, s.Describe()) || !strings.Contains(p.Got, tc.says) {
				t.Errorf("%s: want %q, got %q", tc.reason, tc.says, p.Error())
			}
		})
	}
}

func TestAttestationBundle(t *testing.T) {
	k, image, other := newKey(t, fixture.P256), app(t), subject(t, "registry.test/acme/other:v1", "other")
	cases := map[string]struct {
		reason string
		sign   fixture.BundleOptions
		want   evidence.Reason
	}{
		"Good":                {reason: "as cosign attests", sign: fixture.BundleOptions{}},
		"StatementV01":        {reason: "version 0.1 of statements", sign: fixture.BundleOptions{StatementType: fixture.StatementV01}},
		"R24KeyID":            {reason: "names of keys are ignored", sign: fixture.BundleOptions{KeyID: "SHA256:abc"}},
		"R21Copied":           {reason: "a statement about another image", sign: fixture.BundleOptions{Subject: other.Digest}, want: evidence.SubjectMismatch},
		"R24TwoSignatures":    {reason: "a bundle has exactly one", sign: fixture.BundleOptions{Edit: twice}, want: evidence.MalformedEvidence},
		"R24OverPayload":      {reason: "a signature over the payload alone", sign: fixture.BundleOptions{OverPayload: true}, want: evidence.UnsupportedEvidence},
		"R24RawSimpleSigning": {reason: "Tekton Chains' signature in its mode sigstore-bundle", sign: fixture.BundleOptions{PayloadType: fixture.MediaTypeSimpleSigning, OverPayload: true}, want: evidence.UnsupportedEvidence},
		"R24OtherPayloadType": {reason: "JSON is no statement", sign: fixture.BundleOptions{PayloadType: "application/json"}, want: evidence.UnsupportedEvidence},
		"R4TwiceInPredicate":  {reason: "also where conditions read", sign: fixture.BundleOptions{Statement: about(fixture.StatementV1, custom, `,"more":{"a":1,"a":2}`, image.Digest.Hex())}, want: evidence.MalformedEvidence},
		"NoContent":           {reason: "nothing signed", sign: fixture.BundleOptions{Edit: func(b *protobundle.Bundle) { b.Content = nil }}, want: evidence.MalformedEvidence},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			tc.sign.PredicateType = custom
			proof := wantStatement(t, signer(t, k, ignored), image, bundled(t, image, k, tc.sign), custom, tc.want).proof
			if tc.want == "" && !strings.HasPrefix(proof.Source, "Sigstore bundle ") {
				t.Errorf("Source: got %q", proof.Source)
			}
		})
	}
}

// TestR21AttestationCopiedFromAnotherImage moves whole items.
func TestR21AttestationCopiedFromAnotherImage(t *testing.T) {
	k, image, other := newKey(t, fixture.P256), app(t), subject(t, "registry.test/acme/other:v1", "other")
	s := signer(t, k, ignored)
	for name, item := range map[string]evidence.Item{
		"Envelope": attested(t, other, k, fixture.AttestationOptions{}),
		"Bundle":   bundled(t, other, k, fixture.BundleOptions{PredicateType: custom}),
	} {
		t.Run(name, func(t *testing.T) {
			p := wantStatement(t, s, image, item, custom, evidence.SubjectMismatch).problem
			if !strings.Contains(p.Expected, "a statement about "+image.Digest.String()) || !strings.Contains(p.Got, other.Digest.Hex()) {
				t.Errorf("want both digests, got %q", p.Error())
			}
			wantStatement(t, s, other, item, custom, "")
		})
	}
}

func TestTektonChains(t *testing.T) {
	k, image := newKey(t, fixture.P256), app(t)
	s := signer(t, k, ignored)
	first := fixture.TektonChains()
	first.Predicate = fixture.TektonProvenanceFirst()
	next := fixture.TektonChains()
	next.PredicateType, next.Predicate, next.StatementType = fixture.PredicateTypeSLSA1, fixture.TektonProvenance1(), fixture.StatementV1
	for name, tc := range map[string]struct {
		sign    fixture.AttestationOptions
		builder string
	}{
		"SLSA02":      {fixture.TektonChains(), "https://tekton.dev/chains/v2"},
		"SLSA02First": {first, "tekton-chains"},
		"SLSA1":       {next, "https://tekton.dev/chains/v2"},
	} {
		t.Run(name, func(t *testing.T) {
			item := attested(t, image, k, tc.sign)
			if v, found := item.Annotations[fixture.AnnotationCertificate]; !found || v != "" {
				t.Fatal("want an empty certificate, as Tekton Chains writes it")
			}
			if _, found := item.Annotations[fixture.AnnotationPredicateType]; found {
				t.Fatal("want no annotated predicate type")
			}
			proof := wantStatement(t, s, image, item, tc.sign.PredicateType, "").proof
			predicate, err := proof.Statement.Predicate()
			if err != nil {
				t.Fatal(err)
			}
			p, _ := predicate.(map[string]any)
			if details, is := p["runDetails"].(map[string]any); is {
				p = details
			}
			builder, _ := p["builder"].(map[string]any)
			if builder["id"] != tc.builder {
				t.Errorf("builder: want %q, got %v", tc.builder, builder["id"])
			}
		})
	}
	t.Run("AnotherKey", func(t *testing.T) {
		item := attested(t, image, newKey(t, fixture.P256), fixture.TektonChains())
		p := wantStatement(t, s, image, item, fixture.PredicateTypeSLSA02, evidence.SignerMismatch).problem
		if !strings.Contains(p.Got, "SHA256:") {
			t.Errorf("want the key id as a hint, got %q", p.Error())
		}
	})
}

func TestAttestationWithEveryKey(t *testing.T) {
	image := app(t)
	for _, kind := range []fixture.KeyKind{fixture.P256, fixture.P384, fixture.P521, fixture.RSA2048, fixture.Ed25519} {
		t.Run(kind.String(), func(t *testing.T) {
			k := newKey(t, kind)
			s := signer(t, k, ignored)
			wantStatement(t, s, image, attested(t, image, k, fixture.AttestationOptions{}), custom, "")
			wantStatement(t, s, image, bundled(t, image, k, fixture.BundleOptions{PredicateType: custom}), custom, "")
			wantStatement(t, s, image, attested(t, image, newKey(t, kind), fixture.AttestationOptions{}), custom, evidence.SignerMismatch)
		})
	}
}

func TestR33AttestationsRecordNoReference(t *testing.T) {
	k, image := newKey(t, fixture.P256), app(t)
	for name, o := range map[string]sigstore.SignedReference{
		"MatchRepository": sigstore.MatchRepository(), "SignedFor": sigstore.SignedFor(image.Reference.Repository()),
	} {
		t.Run(name, func(t *testing.T) {
			s := signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, SignedReference: o}})
			wantStatement(t, s, image, attested(t, image, k, fixture.AttestationOptions{}), custom, evidence.ReferenceMismatch)
			wantStatement(t, s, image, bundled(t, image, k, fixture.BundleOptions{PredicateType: custom}), custom, evidence.ReferenceMismatch)
		})
	}
}

func TestAnnotationsOfAStatementsSubject(t *testing.T) {
	k, image := newKey(t, fixture.P256), app(t)
	s := signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, Annotations: map[string]string{"env": "prod"}}})
	cases := map[string]struct {
		reason string
		signed map[string]any
		want   evidence.Reason
	}{
		"None":    {reason: "no tool annotates attestations"},
		"Same":    {reason: "one that does", signed: map[string]any{"env": "prod", "x": 1}},
		"Another": {reason: "it says otherwise", signed: map[string]any{"env": "dev"}, want: evidence.AnnotationMismatch},
		"Lacking": {reason: "annotated, and not with this", signed: map[string]any{"x": "y"}, want: evidence.AnnotationMismatch},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			wantStatement(t, s, image, attested(t, image, k, fixture.AttestationOptions{Annotations: tc.signed}), custom, tc.want)
			wantStatement(t, s, image, bundled(t, image, k, fixture.BundleOptions{PredicateType: custom, Annotations: tc.signed}), custom, tc.want)
		})
	}
}

func TestR48AttestationOfNoImage(t *testing.T) {
	k, image := newKey(t, fixture.P256), app(t)
	_, err := signer(t, k, ignored).VerifyStatement(t.Context(), evidence.Image{}, attested(t, image, k, fixture.AttestationOptions{}), custom)
	var p *evidence.Problem
	if !errors.As(err, &p) || p.Reason != evidence.Internal {
		t.Errorf("want an internal problem, got %v", err)
	}
}

// A policy cannot ask for any type: what stands for it within is no type.
func TestR23NoTypeStandsForEach(t *testing.T) {
	k, image := newKey(t, fixture.P256), app(t)
	item := bundled(t, image, k, fixture.BundleOptions{PredicateType: custom})
	for _, asked := range []string{"", "*", fixture.PredicateTypeSign} {
		wantStatement(t, signer(t, k, ignored), image, item, asked, evidence.NotAttested)
	}
}
