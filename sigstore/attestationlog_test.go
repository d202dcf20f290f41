package sigstore_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/sigstore"
)

func TestR25AttestationLog(t *testing.T) {
	k, stranger, image := newKey(t, fixture.P256), newKey(t, fixture.P256), app(t)
	log, foreign := testca.New(t, testca.Options{}), testca.New(t, testca.Options{})
	first := func(o testca.EntryOptions) testca.EntryOptions {
		o.Kind, o.Version = "intoto", "0.0.1"
		return o
	}
	second := func(o testca.EntryOptions) testca.EntryOptions {
		o.Kind, o.Version = "intoto", "0.0.2"
		return o
	}
	noPayloadHash := func(spec map[string]any) { delete(spec["content"].(map[string]any), "payloadHash") }
	another := map[string]any{"algorithm": "sha256", "value": strings.Repeat("00", 32)}
	// A genuine entry of another attestation of the same image by the same key.
	borrowed := attested(t, image, k, fixture.AttestationOptions{PredicateType: fixture.PredicateTypeSPDX, Annotate: log.Annotate(testca.EntryOptions{})})
	// A genuine entry of a signature of the same image by the same key.
	release := simple(t, image, k, fixture.CosignOptions{Annotate: log.Annotate(testca.EntryOptions{})})
	// A genuine entry of another signature of the same payload by the same key.
	again := attested(t, image, k, fixture.AttestationOptions{Annotate: log.Annotate(testca.EntryOptions{})})
	cases := map[string]struct {
		reason string
		log    *testca.Sigstore
		sign   fixture.AttestationOptions
		entry  testca.EntryOptions
		edit   func(*evidence.Item)
		want   evidence.Reason
	}{
		"SecondSignature": {reason: "the entry is of the key's own signature", sign: fixture.AttestationOptions{Before: []fixture.Key{stranger}}},
		"DSSE":            {reason: "as cosign logs by default"},
		"FirstInToto":     {reason: "as cosign logs with --rekor-entry-type intoto", entry: first(testca.EntryOptions{})},
		"FirstNoPayload":  {reason: "the oldest entries", entry: first(testca.EntryOptions{Edit: noPayloadHash})},
		"InToto":          {reason: "the next version", entry: second(testca.EntryOptions{})},

		"Missing":       {reason: "no annotation", edit: annotate(fixture.AnnotationRekorBundle, ""), want: evidence.LogEntryMissing},
		"NotJSON":       {reason: "no entry", edit: annotate(fixture.AnnotationRekorBundle, "x"), want: evidence.LogEntryInvalid},
		"Null":          {reason: "an empty entry", edit: annotate(fixture.AnnotationRekorBundle, "null"), want: evidence.LogEntryInvalid},
		"BorrowedEntry": {reason: "an entry of another attestation", edit: annotate(fixture.AnnotationRekorBundle, borrowed.Annotations[fixture.AnnotationRekorBundle]), want: evidence.LogEntryInvalid},
		"EntryAgain":    {reason: "an entry of another signature of the statement", edit: annotate(fixture.AnnotationRekorBundle, again.Annotations[fixture.AnnotationRekorBundle]), want: evidence.LogEntryInvalid},
		"ReleaseEntry":  {reason: "an entry of an image signature", edit: annotate(fixture.AnnotationRekorBundle, release.Annotations[fixture.AnnotationRekorBundle]), want: evidence.LogEntryInvalid},
		"HashedRekord":  {reason: "an envelope is logged by its own kinds", entry: testca.EntryOptions{Kind: "hashedrekord"}, want: evidence.LogEntryInvalid},
		"VersionToCome": {reason: "not known yet", entry: testca.EntryOptions{Version: "0.0.9"}, want: evidence.LogEntryInvalid},

		"DSSEOtherSignature":   {reason: "CVE-2022-23649", entry: testca.EntryOptions{Signature: []byte("another")}, want: evidence.LogEntryInvalid},
		"DSSEOtherKey":         {reason: "CVE-2026-22703", entry: testca.EntryOptions{PublicPEM: stranger.PublicPEM}, want: evidence.LogEntryInvalid},
		"DSSENoKey":            {reason: "an entry without a key", entry: testca.EntryOptions{PublicPEM: []byte("x")}, want: evidence.LogEntryInvalid},
		"DSSEOtherPayload":     {reason: "an entry of another payload", entry: testca.EntryOptions{Message: []byte("another")}, want: evidence.LogEntryInvalid},
		"DSSENoSignatures":     {reason: "an entry of nothing", entry: testca.EntryOptions{Edit: func(s map[string]any) { s["signatures"] = []any{} }}, want: evidence.LogEntryInvalid},
		"InTotoOtherSignature": {reason: "CVE-2022-23649", entry: second(testca.EntryOptions{Signature: []byte("another")}), want: evidence.LogEntryInvalid},
		"InTotoOtherKey":       {reason: "CVE-2026-22703", entry: second(testca.EntryOptions{PublicPEM: stranger.PublicPEM}), want: evidence.LogEntryInvalid},
		"InTotoOtherPayload":   {reason: "an entry of another payload", entry: second(testca.EntryOptions{Message: []byte("another")}), want: evidence.LogEntryInvalid},
		"InTotoNoPayload":      {reason: "this version has the hash", entry: second(testca.EntryOptions{Edit: noPayloadHash}), want: evidence.LogEntryInvalid},
		"FirstOtherEnvelope":   {reason: "an entry of another signature", entry: first(testca.EntryOptions{Envelope: []byte("another")}), want: evidence.LogEntryInvalid},
		"FirstOtherKey":        {reason: "CVE-2026-22703", entry: first(testca.EntryOptions{PublicPEM: stranger.PublicPEM}), want: evidence.LogEntryInvalid},
		"FirstOtherPayload":    {reason: "an entry that contradicts itself", entry: first(testca.EntryOptions{Message: []byte("another")}), want: evidence.LogEntryInvalid},
		"FirstNoEnvelope":      {reason: "the payload's hash alone binds no signature", entry: first(testca.EntryOptions{Edit: func(s map[string]any) { delete(s["content"].(map[string]any), "hash") }}), want: evidence.LogEntryInvalid},
		"FirstOtherAlgorithm":  {reason: "the hash is of SHA-256", entry: first(testca.EntryOptions{Edit: func(s map[string]any) { s["content"].(map[string]any)["hash"].(map[string]any)["algorithm"] = "sha512" }}), want: evidence.LogEntryInvalid},
		"FirstAsSecond": {reason: "each version has its own members", entry: second(testca.EntryOptions{Edit: func(s map[string]any) {
			delete(s["content"].(map[string]any), "envelope")
			s["publicKey"] = k.PublicPEM
		}}), want: evidence.LogEntryInvalid},
		"DSSEOtherHash": {reason: "an entry of another payload", entry: testca.EntryOptions{Edit: func(s map[string]any) { s["payloadHash"] = another }}, want: evidence.LogEntryInvalid},
		"R1Signatures":  {reason: "bounded", entry: testca.EntryOptions{Edit: func(s map[string]any) { s["signatures"] = make([]struct{}, 17) }}, want: evidence.LimitExceeded},

		"OtherLog":     {reason: "a log that is not trusted", log: foreign, want: evidence.LogEntryInvalid},
		"OtherLogsKey": {reason: "a trusted log's name under another's signature", entry: testca.EntryOptions{Log: foreign}, want: evidence.LogEntryInvalid},
		"R26OtherTime": {reason: "a time that the log did not sign", entry: testca.EntryOptions{BreakPromise: true}, want: evidence.LogEntryInvalid},
		"R26NoPromise": {reason: "a time that nobody signed", entry: testca.EntryOptions{NoPromise: true}, want: evidence.LogEntryInvalid},
		"R26BeforeLog": {reason: "the log's key was not valid yet", entry: testca.EntryOptions{Time: time.Unix(1_000_000_000, 0)}, want: evidence.LogEntryInvalid},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			from := log
			if tc.log != nil {
				from = tc.log
			}
			tc.sign.Annotate = from.Annotate(tc.entry)
			item := attested(t, image, k, tc.sign)
			if tc.edit != nil {
				tc.edit(&item)
			}
			t.Log(tc.reason)
			wantStatement(t, signer(t, k, required(t, log)), image, item, custom, tc.want)
			wantStatement(t, signer(t, k, ignored), image, item, custom, "") // what is ignored is not looked at
		})
	}
}

func TestR25AttestationBundleLog(t *testing.T) {
	k, stranger, image := newKey(t, fixture.P256), newKey(t, fixture.P256), app(t)
	log := testca.New(t, testca.Options{})
	cases := map[string]struct {
		reason string
		sign   fixture.BundleOptions
		want   evidence.Reason
	}{
		"DSSE":         {reason: "as cosign logs", sign: fixture.BundleOptions{LogEntries: log.LogEntries()}},
		"InToto":       {reason: "the earlier kind", sign: fixture.BundleOptions{LogEntries: log.LogEntries(testca.EntryOptions{Kind: "intoto"})}},
		"Missing":      {reason: "no entry", want: evidence.LogEntryMissing},
		"OtherKey":     {reason: "CVE-2026-22703", sign: fixture.BundleOptions{LogEntries: log.LogEntries(testca.EntryOptions{PublicPEM: stranger.PublicPEM})}, want: evidence.LogEntryInvalid},
		"OtherPayload": {reason: "an entry of another statement", sign: fixture.BundleOptions{LogEntries: log.LogEntries(testca.EntryOptions{Message: []byte("x")})}, want: evidence.LogEntryInvalid},
		"OtherTime":    {reason: "a time that the log did not sign", sign: fixture.BundleOptions{LogEntries: log.LogEntries(testca.EntryOptions{BreakPromise: true})}, want: evidence.LogEntryInvalid},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.sign.PredicateType = custom
			item := bundled(t, image, k, tc.sign)
			t.Log(tc.reason)
			wantStatement(t, signer(t, k, required(t, log)), image, item, custom, tc.want)
			wantStatement(t, signer(t, k, ignored), image, item, custom, "")
		})
	}
}

// TestR26ProvenTime has logs and timestamps that agree on no time: the earliest
// counts, and only where somebody who is trusted has signed it.
func TestR26ProvenTime(t *testing.T) {
	k, image, stamps := newKey(t, fixture.P256), app(t), authority(t)
	log := testca.New(t, testca.Options{})
	trusted := rootWith(t, log.Material(t).RekorLogs(), stamps)
	yesterday, tomorrow := time.Now().Add(-24*time.Hour), time.Now().Add(24*time.Hour)
	stamp := func(s fixture.Signed) ([][]byte, error) {
		token, err := stamps.TimestampResponse(s.Signature)
		return [][]byte{token}, err
	}
	none := func(fixture.Signed) ([][]byte, error) { return nil, nil }
	cases := map[string]struct {
		reason  string
		options sigstore.KeyOptions
		entry   testca.EntryOptions
		stamps  func(fixture.Signed) ([][]byte, error)
		want    func(time.Time) bool
	}{
		"Log":         {reason: "the log's time", entry: testca.EntryOptions{Time: yesterday}, stamps: none, want: about1s(yesterday)},
		"LogEarlier":  {reason: "the log was first", entry: testca.EntryOptions{Time: yesterday}, stamps: stamp, want: about1s(yesterday)},
		"StampFirst":  {reason: "the timestamp was first", entry: testca.EntryOptions{Time: tomorrow}, stamps: stamp, want: func(got time.Time) bool { return got.Before(tomorrow.Add(-time.Hour)) && !got.IsZero() }},
		"LogIgnored":  {reason: "what is ignored proves nothing", options: ignored, entry: testca.EntryOptions{Time: yesterday}, stamps: none, want: time.Time.IsZero},
		"StampAlone":  {reason: "a timestamp without a log", options: sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, TrustedRoot: trusted}}, stamps: stamp, want: func(got time.Time) bool { return !got.IsZero() }},
		"NobodyKnown": {reason: "an authority that is not trusted", options: ignored, stamps: stamp, want: time.Time.IsZero},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.options.TransparencyLog == sigstore.LogRequired {
				tc.options = sigstore.KeyOptions{Options: sigstore.Options{TrustedRoot: trusted}}
			}
			s := signer(t, k, tc.options)
			annotated := func(signed fixture.Signed) (map[string]string, error) {
				return testified(log, tc.entry, tc.stamps, signed)
			}
			logged := log.LogEntries(tc.entry)
			check := func(proof result) {
				t.Helper()
				if got := proof.proof.Time; !tc.want(got) {
					t.Errorf("%s: got %s", tc.reason, got)
				}
			}
			check(wantStatement(t, s, image, attested(t, image, k, fixture.AttestationOptions{Annotate: annotated}), custom, ""))
			check(wantStatement(t, s, image, bundled(t, image, k, fixture.BundleOptions{PredicateType: custom, LogEntries: logged, Timestamps: tc.stamps}), custom, ""))
			check(want(t, s, image, simple(t, image, k, fixture.CosignOptions{Annotate: annotated}), ""))
			check(want(t, s, image, bundled(t, image, k, fixture.BundleOptions{LogEntries: logged, Timestamps: tc.stamps}), ""))
			check(want(t, s, image, bundled(t, image, k, fixture.BundleOptions{MessageSignature: true, LogEntries: logged, Timestamps: tc.stamps}), ""))
		})
	}
	t.Run("ProofAlone", func(t *testing.T) {
		item := bundled(t, image, k, fixture.BundleOptions{PredicateType: custom, LogEntries: log.LogEntries(testca.EntryOptions{NoPromise: true, Time: yesterday})})
		wantStatement(t, signer(t, k, required(t, log)), image, item, custom, evidence.TimestampMissing)
	})
}

func about1s(want time.Time) func(time.Time) bool {
	return func(got time.Time) bool { return got.Unix() == want.Unix() }
}

// testified annotates a layer with a log entry and a timestamp.
func testified(log *testca.Sigstore, entry testca.EntryOptions, stamps func(fixture.Signed) ([][]byte, error), signed fixture.Signed) (map[string]string, error) {
	all, err := log.Annotate(entry)(signed)
	if err != nil {
		return nil, err
	}
	tokens, err := stamps(signed)
	if err != nil || len(tokens) == 0 {
		return all, err
	}
	raw, err := json.Marshal(map[string][]byte{"SignedRFC3161Timestamp": tokens[0]})
	all[fixture.AnnotationTimestamp] = string(raw)
	return all, err
}

func TestR26TimestampsOfAttestations(t *testing.T) {
	k, image, stamps := newKey(t, fixture.P256), app(t), authority(t)
	trusted := rootWith(t, nil, stamps)
	s := signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, TrustedRoot: trusted}})
	over := func(message func(fixture.Signed) []byte) func(fixture.Signed) (map[string]string, error) {
		return func(signed fixture.Signed) (map[string]string, error) {
			token, err := stamps.TimestampResponse(message(signed))
			if err != nil {
				return nil, err
			}
			return map[string]string{fixture.AnnotationTimestamp: `{"SignedRFC3161Timestamp":"` + base64.StdEncoding.EncodeToString(token) + `"}`}, nil
		}
	}
	cases := map[string]struct {
		reason  string
		message func(fixture.Signed) []byte
		want    evidence.Reason
	}{
		"Envelope":  {reason: "as cosign has it stamped", message: func(s fixture.Signed) []byte { return s.Envelope }},
		"Signature": {reason: "as RFC 3161 is used elsewhere", message: func(s fixture.Signed) []byte { return s.Signature }},
		"Payload":   {reason: "of the statement, whoever signed it", message: func(s fixture.Signed) []byte { return s.Payload }, want: evidence.TimestampInvalid},
		"Another":   {reason: "of something else", message: func(fixture.Signed) []byte { return []byte("another") }, want: evidence.TimestampInvalid},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			proof := wantStatement(t, s, image, attested(t, image, k, fixture.AttestationOptions{Annotate: over(tc.message)}), custom, tc.want).proof
			if tc.want == "" && proof.Time.IsZero() {
				t.Error("want the proven time")
			}
		})
	}
	t.Run("Broken", func(t *testing.T) {
		item := attested(t, image, k, fixture.AttestationOptions{LayerAnnotations: map[string]string{fixture.AnnotationTimestamp: "x"}})
		wantStatement(t, s, image, item, custom, evidence.MalformedEvidence)
	})
}

func TestR26AttestationWithinTheKeysValidity(t *testing.T) {
	k, image := newKey(t, fixture.P256), app(t)
	log := testca.New(t, testca.Options{})
	trusted, now := trustedRoot(t, log.TrustedRoot()), time.Now()
	s := signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TrustedRoot: trusted}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)})
	for name, tc := range map[string]struct {
		at   time.Time
		want evidence.Reason
	}{
		"Within": {at: now}, "Before": {at: now.Add(-2 * time.Hour), want: evidence.TimestampInvalid}, "After": {at: now.Add(2 * time.Hour), want: evidence.TimestampInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			item := attested(t, image, k, fixture.AttestationOptions{Annotate: log.Annotate(testca.EntryOptions{Time: tc.at})})
			wantStatement(t, s, image, item, custom, tc.want)
		})
	}
}
