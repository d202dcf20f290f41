package sigstore_test

import (
	"bytes"
	"strings"
	"testing"

	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
)

// deep is JSON that nests.
func deep(levels int) string {
	return strings.Repeat(`{"a":`, levels) + "1" + strings.Repeat("}", levels)
}

// TestR1DeepJSON has documents that nest where nobody reads.
func TestR1DeepJSON(t *testing.T) {
	s, image := whole(t), app(t)
	ours, c := keyless(t, s, workflow(), nil), issued(t, s, testca.CertificateOptions{})
	y := testimony{by: s}.complete(form{})
	statement := func(levels int) []byte {
		return about(fixture.StatementV1, custom, `,"more":`+deep(levels), image.Digest.Hex())
	}
	for name, tc := range map[string]struct {
		levels int
		want   evidence.Reason
	}{
		"Usual": {levels: 100}, "Deep": {levels: 100_000, want: evidence.MalformedEvidence},
	} {
		t.Run(name, func(t *testing.T) {
			wantStatement(t, ours, image, attested(t, image, c.Key, c.Attestation(fixture.AttestationOptions{Statement: statement(tc.levels), Annotate: y.annotate()})), custom, tc.want)
			wantStatement(t, ours, image, bundled(t, image, c.Key, y.enclose(c.Bundle(fixture.BundleOptions{Statement: statement(tc.levels)}))), custom, tc.want)
			item := simple(t, image, c.Key, c.Cosign(fixture.CosignOptions{Annotate: y.annotate()}))
			item.Payload = bytes.Replace(item.Payload, []byte(`"optional":null`), []byte(`"optional":`+deep(tc.levels)), 1)
			want(t, ours, image, item, evidence.SignerMismatch) // nobody signed that
			payload := item.Payload
			want(t, ours, image, simple(t, image, c.Key, c.Cosign(fixture.CosignOptions{Payload: payload, Annotate: y.annotate()})), tc.want)
		})
	}
	t.Run("Bundle", func(t *testing.T) {
		item := bundled(t, image, c.Key, y.enclose(c.Bundle(fixture.BundleOptions{})))
		item.Payload = prefixed(`{"deep":` + deep(100_000) + `,`)(item.Payload)
		want(t, ours, image, item, evidence.MalformedEvidence)
	})
	t.Run("Entry", func(t *testing.T) {
		entries := func(signed fixture.Signed) ([]*protorekor.TransparencyLogEntry, error) {
			e, err := s.Entry(signed, testca.EntryOptions{Time: longAgo()})
			if err == nil {
				e.CanonicalizedBody = prefixed(`{"deep":` + deep(100_000) + `,`)(e.GetCanonicalizedBody())
			}
			return []*protorekor.TransparencyLogEntry{e}, err
		}
		want(t, ours, image, bundled(t, image, c.Key, c.Bundle(fixture.BundleOptions{LogEntries: entries})), evidence.LogEntryInvalid)
	})
	t.Run("Annotation", func(t *testing.T) {
		item := simple(t, image, c.Key, c.Cosign(fixture.CosignOptions{Annotate: y.annotate()}))
		annotate(fixture.AnnotationRekorBundle, deep(100_000))(&item)
		want(t, ours, image, item, evidence.LogEntryInvalid)
		item = simple(t, image, c.Key, c.Cosign(fixture.CosignOptions{Annotate: y.annotate()}))
		annotate(fixture.AnnotationTimestamp, deep(100_000))(&item)
		want(t, ours, image, item, evidence.MalformedEvidence)
	})
}

// TestR21KeylessStatements has statements about nothing and about others.
func TestR21KeylessStatements(t *testing.T) {
	s, image, other := whole(t), app(t), subject(t, "registry.test/acme/other:v1", "other")
	ours, c := keyless(t, s, workflow(), nil), issued(t, s, testca.CertificateOptions{})
	y := testimony{by: s}.complete(form{})
	for name, tc := range map[string]struct {
		reason    string
		statement []byte
		want      evidence.Reason
	}{
		"Image":    {reason: "about the image", statement: about(fixture.StatementV1, custom, "", image.Digest.Hex())},
		"Nothing":  {reason: "about nothing", statement: about(fixture.StatementV1, custom, ""), want: evidence.SubjectMismatch},
		"Other":    {reason: "about another", statement: about(fixture.StatementV1, custom, "", other.Digest.Hex()), want: evidence.SubjectMismatch},
		"OneOfTwo": {reason: "about the image too", statement: about(fixture.StatementV1, custom, "", other.Digest.Hex(), image.Digest.Hex())},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			wantStatement(t, ours, image, attested(t, image, c.Key, c.Attestation(fixture.AttestationOptions{Statement: tc.statement, Annotate: y.annotate()})), custom, tc.want)
			wantStatement(t, ours, image, bundled(t, image, c.Key, y.enclose(c.Bundle(fixture.BundleOptions{Statement: tc.statement}))), custom, tc.want)
		})
	}
}

// TestR24KeylessEnvelopes has signatures of a certificate's key that leave the
// payload's type out.
func TestR24KeylessEnvelopes(t *testing.T) {
	s, image := whole(t), app(t)
	ours, c := keyless(t, s, workflow(), nil), issued(t, s, testca.CertificateOptions{})
	y := testimony{by: s}.complete(form{})
	for name, o := range map[string]fixture.AttestationOptions{
		"OverPayload": {OverPayload: true}, "OtherType": {PayloadType: "application/json"},
	} {
		o.Annotate = y.annotate()
		wantStatement(t, ours, image, attested(t, image, c.Key, c.Attestation(o)), custom, evidence.UnsupportedEvidence)
		b := y.enclose(c.Bundle(fixture.BundleOptions{PredicateType: custom, OverPayload: o.OverPayload, PayloadType: o.PayloadType}))
		wantStatement(t, ours, image, bundled(t, image, c.Key, b), custom, evidence.UnsupportedEvidence)
		t.Log(name)
	}
}

// TestR48KeylessOfNothing has items without anything in them.
func TestR48KeylessOfNothing(t *testing.T) {
	s, image := whole(t), app(t)
	ours := keyless(t, s, workflow(), nil)
	for _, f := range []evidence.Format{evidence.SimpleSigning, evidence.Bundle, evidence.Envelope, evidence.Notation, evidence.Artifact, evidence.Embedded} {
		item := evidence.Item{Format: f}
		if _, err := ours.Verify(t.Context(), found(t, image), item); err == nil || evidence.ProblemOf(err).Reason == evidence.Internal {
			t.Errorf("%s: want a classified refusal, got %v", f, err)
		}
		if _, err := ours.VerifyStatement(t.Context(), found(t, image), item, custom); err == nil || evidence.ProblemOf(err).Reason == evidence.Internal {
			t.Errorf("%s: want a classified refusal of a statement, got %v", f, err)
		}
	}
}

// FuzzCertificate has a certificate of the fuzzer's beside a good signature.
func FuzzCertificate(f *testing.F) {
	s, image := whole(f), app(f)
	c := issued(f, s, testca.CertificateOptions{})
	f.Add(c.DER, c.Chain[0].Raw)
	f.Add(issued(f, s, testca.GitHub("acme/app", "release.yml", "refs/heads/main")).DER, []byte("x"))
	f.Add(issued(f, s, testca.CertificateOptions{Subject: "alice!acme.test", Key: c.Key, NoSCT: true}).DER, c.Chain[1].Raw)
	f.Add(issued(f, s, testca.CertificateOptions{Also: []string{"dev@acme.test"}, Key: c.Key, SelfSigned: true}).DER, []byte{})
	ours := keyless(f, s, workflow(), nil)
	anybody := certified(f, sigstoreAnybody(s))
	item, target := forms["Sig"].sign(f, image, c, testimony{by: s}), found(f, image)
	f.Fuzz(func(t *testing.T, leaf, further []byte) {
		mutated := item
		annotate(fixture.AnnotationCertificate, string(block("CERTIFICATE", leaf)), fixture.AnnotationChain, string(block("CERTIFICATE", further)))(&mutated)
		if _, err := ours.Verify(t.Context(), target, mutated); err == nil && !bytes.Equal(leaf, c.DER) {
			t.Fatal("want no certificate but the one that was issued and logged")
		}
		if _, err := anybody.Verify(t.Context(), target, mutated); err == nil && !bytes.Contains(leaf, c.Leaf.RawSubjectPublicKeyInfo) {
			t.Fatal("want no certificate of another key")
		}
	})
}
