package sigstore_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
)

func TestR1AttestationCaps(t *testing.T) {
	k, image := newKey(t, fixture.P256), app(t)
	s := signer(t, k, ignored)
	subjects := func(n int) fixture.AttestationOptions {
		all := make([]string, n)
		for i := range all {
			all[i] = "00"
		}
		all[n-1] = image.Digest.Hex()
		return fixture.AttestationOptions{Statement: about(fixture.StatementV1, custom, "", all...)}
	}
	digests := func(n int) fixture.AttestationOptions {
		var more strings.Builder
		for i := range n - 1 {
			fmt.Fprintf(&more, `"d%d":"00",`, i)
		}
		return fixture.AttestationOptions{Statement: bytes.Replace(about(fixture.StatementV1, custom, "", image.Digest.Hex()), []byte(`"digest":{`), []byte(`"digest":{`+more.String()), 1)}
	}
	signatures := func(n int) fixture.AttestationOptions {
		return fixture.AttestationOptions{Envelope: func(raw []byte) []byte {
			return editJSON(t, raw, func(e map[string]any) {
				all := make([]any, n-1, n)
				for i := range all {
					all[i] = map[string]any{"sig": "AAAA"}
				}
				e["signatures"] = append(all, e["signatures"].([]any)...)
			})
		}}
	}
	cases := map[string]struct {
		reason string
		sign   fixture.AttestationOptions
		want   evidence.Reason
		says   string
	}{
		"Subjects1024":   {reason: "the most", sign: subjects(1024)},
		"Subjects1025":   {reason: "one more", sign: subjects(1025), want: evidence.LimitExceeded},
		"Subjects100000": {reason: "not even read", sign: subjects(100_000), want: evidence.LimitExceeded, says: "parts of subjects"},
		"Digests32":      {reason: "the most", sign: digests(32)},
		"Digests33":      {reason: "one more", sign: digests(33), want: evidence.LimitExceeded},
		"Signatures16":   {reason: "the most", sign: signatures(16)},
		"Signatures17":   {reason: "one more", sign: signatures(17), want: evidence.LimitExceeded},
		"Signatures1e5":  {reason: "not even read", sign: signatures(100_000), want: evidence.LimitExceeded, says: "parts of an envelope"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			p := wantStatement(t, s, image, attested(t, image, k, tc.sign), custom, tc.want).problem
			if p != nil && !strings.Contains(p.Expected, tc.says) {
				t.Errorf("want %q, got %q", tc.says, p.Error())
			}
		})
	}
	t.Run("Bytes", func(t *testing.T) {
		huge := attested(t, image, k, fixture.AttestationOptions{})
		huge.Payload = append(huge.Payload, bytes.Repeat([]byte(" "), evidence.MaxSignatureBytes)...)
		wantStatement(t, s, image, huge, custom, evidence.LimitExceeded)
	})
	t.Run("BundleParts", func(t *testing.T) {
		item := bundled(t, image, k, fixture.BundleOptions{PredicateType: custom})
		many := `{"verificationMaterial":{"tlogEntries":[` + strings.Repeat(`{},`, 20_000) + `{}]},`
		item.Payload = append([]byte(many), item.Payload[1:]...)
		p := wantStatement(t, s, image, item, custom, evidence.LimitExceeded).problem
		if !strings.Contains(p.Expected, "parts of a bundle") {
			t.Errorf("want it not even read, got %q", p.Error())
		}
	})
	t.Run("LogEntryParts", func(t *testing.T) {
		log := testca.New(t, testca.Options{})
		many := testca.EntryOptions{Edit: func(spec map[string]any) { spec["signatures"] = make([]struct{}, 20_000) }}
		item := bundled(t, image, k, fixture.BundleOptions{PredicateType: custom, LogEntries: log.LogEntries(many)})
		p := wantStatement(t, signer(t, k, required(t, log)), image, item, custom, evidence.LimitExceeded).problem
		if !strings.Contains(p.Expected, "parts of a log entry") {
			t.Errorf("want it not even read, got %q", p.Error())
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	k, image := newKey(f, fixture.P256), app(f)
	log := testca.New(f, testca.Options{})
	strict, lax := signer(f, k, required(f, log)), signer(f, k, ignored)
	chains := fixture.TektonChains()
	chains.Annotate = log.Annotate(testca.EntryOptions{Kind: "intoto"})
	first := log.Annotate(testca.EntryOptions{Kind: "intoto", Version: "0.0.1"})
	for _, o := range []fixture.AttestationOptions{
		{}, chains, {Annotate: first}, {Annotate: log.Annotate(testca.EntryOptions{})}, {OverPayload: true}, {Before: []fixture.Key{k}}, {PayloadType: "x"}, {Statement: []byte("{}")},
	} {
		item := attested(f, image, k, o)
		f.Add(item.Payload, item.Annotations[fixture.AnnotationRekorBundle], "")
	}
	f.Add([]byte(`{"payloadType":"application/vnd.in-toto+json","payload":"","signatures":[{}]}`), "{}", `{"SignedRFC3161Timestamp":"AAAA"}`)
	target, other := found(f, image), found(f, subject(f, "registry.test/acme/other:v1", "other"))
	f.Fuzz(func(t *testing.T, raw []byte, entry, stamp string) {
		item := evidence.Item{
			Format: evidence.Envelope, Payload: raw, Manifest: imageref.DigestOf(raw),
			Annotations: map[string]string{fixture.AnnotationRekorBundle: entry, fixture.AnnotationTimestamp: stamp},
		}
		proof, lenient := lax.VerifyStatement(t.Context(), target, item, custom)
		if lenient == nil && (!json.Valid(raw) || !bytes.Contains(proof.Statement.Payload, []byte(image.Digest.Hex()))) {
			t.Fatalf("want a statement about the image, got %q", proof.Statement.Payload)
		}
		if _, err := strict.VerifyStatement(t.Context(), target, item, custom); err == nil && (lenient != nil || entry == "") {
			t.Fatalf("want what the strict signer accepts logged, and accepted by the lenient one, got %v", lenient)
		}
		if _, err := lax.VerifyStatement(t.Context(), other, item, custom); err == nil {
			t.Fatal("want no statement about another image")
		}
		if _, err := lax.VerifyStatement(t.Context(), target, item, "https://example.test/other"); err == nil {
			t.Fatal("want no statement of another type")
		}
		if _, err := lax.Verify(t.Context(), target, item); err == nil {
			t.Fatal("want no signature")
		}
	})
}
