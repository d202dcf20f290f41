package sigstore_test

import (
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"testing"
	"time"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	tiles "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/signature"
	"golang.org/x/mod/sumdb/note"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/sigstore"
)

func TestR25BundleLog(t *testing.T) {
	k, stranger, image := newKey(t, fixture.P256), newKey(t, fixture.P256), app(t)
	log, foreign := testca.New(t, testca.Options{}), testca.New(t, testca.Options{})
	bad := func(o testca.EntryOptions) fixture.BundleOptions {
		return fixture.BundleOptions{LogEntries: log.LogEntries(o)}
	}
	message := func(o testca.EntryOptions) fixture.BundleOptions {
		return fixture.BundleOptions{MessageSignature: true, LogEntries: log.LogEntries(o)}
	}
	cases := map[string]struct {
		reason string
		sign   fixture.BundleOptions
		want   evidence.Reason
	}{
		"Good":                  {reason: "an entry of this signature", sign: bad(testca.EntryOptions{})},
		"GoodMessage":           {reason: "an entry of a message signature", sign: message(testca.EntryOptions{})},
		"R26ProofAlone":         {reason: "a proof under a signed checkpoint, at no time", sign: bad(testca.EntryOptions{NoPromise: true}), want: evidence.TimestampMissing},
		"Missing":               {reason: "no entry", want: evidence.LogEntryMissing},
		"MissingOfMessage":      {reason: "no entry", sign: fixture.BundleOptions{MessageSignature: true}, want: evidence.LogEntryMissing},
		"OtherSignature":        {reason: "CVE-2022-23649", sign: bad(testca.EntryOptions{Signature: []byte("another")}), want: evidence.LogEntryInvalid},
		"OtherKey":              {reason: "CVE-2026-22703", sign: bad(testca.EntryOptions{PublicPEM: stranger.PublicPEM}), want: evidence.LogEntryInvalid},
		"OtherPayload":          {reason: "an entry of another payload", sign: bad(testca.EntryOptions{Message: []byte("another")}), want: evidence.LogEntryInvalid},
		"OtherSignatureMessage": {reason: "CVE-2022-23649", sign: message(testca.EntryOptions{Signature: []byte("another")}), want: evidence.LogEntryInvalid},
		"OtherKeyMessage":       {reason: "CVE-2026-22703", sign: message(testca.EntryOptions{PublicPEM: stranger.PublicPEM}), want: evidence.LogEntryInvalid},
		"OtherMessage":          {reason: "an entry of another artifact", sign: message(testca.EntryOptions{Message: []byte("another")}), want: evidence.LogEntryInvalid},
		"OtherLog":              {reason: "a log that is not trusted", sign: fixture.BundleOptions{LogEntries: foreign.LogEntries()}, want: evidence.LogEntryInvalid},
		"OtherLogsKey":          {reason: "a trusted log's name under another's signatures", sign: bad(testca.EntryOptions{Log: foreign}), want: evidence.LogEntryInvalid},
		"OtherTime":             {reason: "R26: a time that the log did not sign", sign: bad(testca.EntryOptions{BreakPromise: true}), want: evidence.LogEntryInvalid},
		"OtherProof":            {reason: "a proof of another entry", sign: bad(testca.EntryOptions{BreakProof: true}), want: evidence.LogEntryInvalid},
		"OtherProofAlone":       {reason: "a proof of another entry", sign: bad(testca.EntryOptions{BreakProof: true, NoPromise: true}), want: evidence.LogEntryInvalid},
		"PromiseAlone":          {reason: "bundles since 0.2 have a proof", sign: bad(testca.EntryOptions{NoProof: true}), want: evidence.MalformedEvidence},
		"HashedEnvelope":        {reason: "an envelope's entry is of kind dsse", sign: bad(testca.EntryOptions{Kind: "hashedrekord"}), want: evidence.LogEntryInvalid},
		"OneBoundOneNot":        {reason: "no entry may be of something else", sign: fixture.BundleOptions{LogEntries: log.LogEntries(testca.EntryOptions{}, testca.EntryOptions{Signature: []byte("another"), Index: 7})}, want: evidence.LogEntryInvalid},
		"R28Twice":              {reason: "one entry is not two", sign: fixture.BundleOptions{LogEntries: log.LogEntries(testca.EntryOptions{}, testca.EntryOptions{})}, want: evidence.LogEntryInvalid},
		"Unparseable":           {reason: "no entry", sign: fixture.BundleOptions{Edit: brokenEntry}, want: evidence.LogEntryInvalid},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			item := bundled(t, image, k, tc.sign)
			t.Log(tc.reason)
			want(t, signer(t, k, required(t, log)), image, item, tc.want)
			want(t, signer(t, k, ignored), image, item, "") // what is ignored is not looked at
		})
	}
}

// tiled is a log of Rekor v2, which signs checkpoints and no times.
type tiled struct {
	key    fixture.Key
	id     []byte
	origin string
}

func newTiled(t *testing.T) tiled {
	t.Helper()
	k := newKey(t, fixture.P256)
	return tiled{key: k, id: keyID(t, k), origin: "log2026.test"}
}

func keyID(t *testing.T, k fixture.Key) []byte {
	t.Helper()
	b, _ := pem.Decode(k.PublicPEM)
	sum := sha256.Sum256(b.Bytes)
	return sum[:]
}

func (l tiled) logs() map[string]*root.TransparencyLog {
	return map[string]*root.TransparencyLog{hex.EncodeToString(l.id): {
		BaseURL: "https://log2026.test", ID: l.id, ValidityPeriodStart: time.Now().Add(-time.Hour),
		HashFunc: crypto.SHA256, PublicKey: l.key.Signer.Public(), SignatureHashFunc: crypto.SHA256,
	}}
}

// entry logs a signature by key, or what edit makes of it (rekor-tiles
// docs/openapi, hashedRekordV002).
func (l tiled) entry(t *testing.T, key fixture.Key, signed fixture.Signed, edit func(spec map[string]any)) *protorekor.TransparencyLogEntry {
	t.Helper()
	der, _ := pem.Decode(key.PublicPEM)
	digest := sha256.Sum256(signed.Message)
	spec := map[string]any{
		"data": map[string]any{"algorithm": "SHA2_256", "digest": digest[:]},
		"signature": map[string]any{"content": signed.Signature, "verifier": map[string]any{
			"keyDetails": "PKIX_ECDSA_P256_SHA_256", "publicKey": map[string]any{"rawBytes": der.Bytes},
		}},
	}
	if edit != nil {
		edit(spec)
	}
	body, err := json.Marshal(map[string]any{"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": map[string]any{"hashedRekordV002": spec}})
	if err != nil {
		t.Fatal(err)
	}
	return l.include(t, body, "hashedrekord", "0.0.2")
}

// include is the log's only entry.
func (l tiled) include(t *testing.T, body []byte, kind, version string) *protorekor.TransparencyLogEntry {
	t.Helper()
	hash := sha256.Sum256(append([]byte{0}, body...))
	return &protorekor.TransparencyLogEntry{
		LogIndex: 0, LogId: &protocommon.LogId{KeyId: l.id}, CanonicalizedBody: body,
		KindVersion:    &protorekor.KindVersion{Kind: kind, Version: version},
		InclusionProof: &protorekor.InclusionProof{TreeSize: 1, RootHash: hash[:], Checkpoint: &protorekor.Checkpoint{Envelope: l.checkpoint(t, hash[:])}},
	}
}

func (l tiled) checkpoint(t *testing.T, hash []byte) string {
	t.Helper()
	sv, err := signature.LoadSignerVerifier(l.key.Signer, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := tiles.NewNoteSigner(t.Context(), "log2026.test", sv)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(hash) // base64 in quotes
	if err != nil {
		t.Fatal(err)
	}
	text := l.origin + "\n1\n" + string(encoded[1:len(encoded)-1]) + "\n"
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

func TestR26RekorV2NeedsATimestamp(t *testing.T) {
	k, stranger, image, stamps := newKey(t, fixture.P256), newKey(t, fixture.P256), app(t), authority(t)
	log := newTiled(t)
	trusted := rootWith(t, log.logs(), stamps)
	now := time.Now()
	o := sigstore.KeyOptions{Options: sigstore.Options{TrustedRoot: trusted}}
	limited := sigstore.KeyOptions{Options: sigstore.Options{TrustedRoot: trusted}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	past := sigstore.KeyOptions{Options: sigstore.Options{TrustedRoot: trusted}, NotAfter: now.Add(-time.Hour)}
	stamp := func(s fixture.Signed) ([][]byte, error) {
		token, err := stamps.TimestampResponse(s.Signature)
		return [][]byte{token}, err
	}
	logged := func(edit func(map[string]any)) func(fixture.Signed) ([]*protorekor.TransparencyLogEntry, error) {
		return func(s fixture.Signed) ([]*protorekor.TransparencyLogEntry, error) {
			return []*protorekor.TransparencyLogEntry{log.entry(t, k, s, edit)}, nil
		}
	}
	otherKey := func(s map[string]any) {
		der, _ := pem.Decode(stranger.PublicPEM)
		s["signature"].(map[string]any)["verifier"].(map[string]any)["publicKey"] = map[string]any{"rawBytes": der.Bytes}
	}
	otherSignature := func(s map[string]any) { s["signature"].(map[string]any)["content"] = []byte("another") }
	otherDigest := func(s map[string]any) { s["data"].(map[string]any)["digest"] = make([]byte, 32) }
	cases := map[string]struct {
		reason  string
		options sigstore.KeyOptions
		sign    fixture.BundleOptions
		want    evidence.Reason
	}{
		"Stamped":           {reason: "an entry and a time", options: o, sign: fixture.BundleOptions{LogEntries: logged(nil), Timestamps: stamp}},
		"StampedMessage":    {reason: "likewise for a message", options: o, sign: fixture.BundleOptions{MessageSignature: true, LogEntries: logged(nil), Timestamps: stamp}},
		"Unstamped":         {reason: "no time", options: o, sign: fixture.BundleOptions{LogEntries: logged(nil)}, want: evidence.TimestampMissing},
		"StampedWithin":     {reason: "the key was in use", options: limited, sign: fixture.BundleOptions{LogEntries: logged(nil), Timestamps: stamp}},
		"StampedAfter":      {reason: "the key was out of use", options: past, sign: fixture.BundleOptions{LogEntries: logged(nil), Timestamps: stamp}, want: evidence.TimestampInvalid},
		"R25OtherKey":       {reason: "an entry of another key", options: o, sign: fixture.BundleOptions{LogEntries: logged(otherKey), Timestamps: stamp}, want: evidence.LogEntryInvalid},
		"R25OtherSignature": {reason: "an entry of another signature", options: o, sign: fixture.BundleOptions{LogEntries: logged(otherSignature), Timestamps: stamp}, want: evidence.LogEntryInvalid},
		"R25OtherDigest":    {reason: "an entry of another artifact", options: o, sign: fixture.BundleOptions{LogEntries: logged(otherDigest), Timestamps: stamp}, want: evidence.LogEntryInvalid},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			want(t, signer(t, k, tc.options), image, bundled(t, image, k, tc.sign), tc.want)
		})
	}
}

// TestR25RekorV2EntryUnderAnOldCheckpoint has a log whose checkpoints look like
// Rekor v1's. There the library compares nothing with the bundle.
func TestR25RekorV2EntryUnderAnOldCheckpoint(t *testing.T) {
	k, stranger, image, stamps := newKey(t, fixture.P256), newKey(t, fixture.P256), app(t), authority(t)
	log := newTiled(t)
	log.origin = "log2026.test - 42"
	entries := func(fixture.Signed) ([]*protorekor.TransparencyLogEntry, error) {
		return []*protorekor.TransparencyLogEntry{log.entry(t, stranger, fixture.Signed{Message: []byte("x"), Signature: []byte("y")}, nil)}, nil
	}
	stamp := func(s fixture.Signed) ([][]byte, error) {
		token, err := stamps.TimestampResponse(s.Signature)
		return [][]byte{token}, err
	}
	item := bundled(t, image, k, fixture.BundleOptions{LogEntries: entries, Timestamps: stamp})
	want(t, signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TrustedRoot: rootWith(t, log.logs(), stamps)}}), image, item, evidence.LogEntryInvalid)
}

// TestR4RepeatedNameInALogEntry has a log that signs what a careful one would
// not: an entry that two readers read differently.
func TestR4RepeatedNameInALogEntry(t *testing.T) {
	k, image := newKey(t, fixture.P256), app(t)
	log := newTiled(t)
	log.origin = "log2026.test - 42"
	s := signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TrustedRoot: rootWith(t, log.logs(), nil)}})
	made := testca.New(t, testca.Options{}) // writes the bodies
	for name, tc := range map[string]struct {
		edit   func([]byte) []byte
		bundle evidence.Reason // read that far: this log's entries have no time
		want   evidence.Reason
	}{
		"Once":  {edit: func(b []byte) []byte { return b }, bundle: evidence.TimestampMissing},
		"Twice": {edit: prefixed(`{"kind":"x",`), bundle: evidence.LogEntryInvalid, want: evidence.LogEntryInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			entries := func(signed fixture.Signed) ([]*protorekor.TransparencyLogEntry, error) {
				e, err := made.Entry(signed, testca.EntryOptions{})
				if err != nil {
					return nil, err
				}
				body := tc.edit(e.GetCanonicalizedBody())
				return []*protorekor.TransparencyLogEntry{log.include(t, body, e.GetKindVersion().GetKind(), e.GetKindVersion().GetVersion())}, nil
			}
			want(t, s, image, bundled(t, image, k, fixture.BundleOptions{LogEntries: entries}), tc.bundle)
			annotated := func(signed fixture.Signed) (map[string]string, error) {
				e, err := made.Entry(signed, testca.EntryOptions{})
				if err != nil {
					return nil, err
				}
				return map[string]string{fixture.AnnotationRekorBundle: log.promise(t, tc.edit(e.GetCanonicalizedBody()))}, nil
			}
			want(t, s, image, simple(t, image, k, fixture.CosignOptions{Annotate: annotated}), tc.want)
		})
	}
}

// promise is cosign's annotation with the log's signature.
func (l tiled) promise(t *testing.T, body []byte) string {
	t.Helper()
	payload := map[string]any{"body": body, "integratedTime": time.Now().Unix(), "logID": hex.EncodeToString(l.id), "logIndex": 7}
	canonical, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := l.key.Sign(canonical, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(map[string]any{"SignedEntryTimestamp": signed, "Payload": payload})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestR26PresentTimestampsVerify(t *testing.T) {
	k, image, stamps, others := newKey(t, fixture.P256), app(t), authority(t), authority(t)
	log := testca.New(t, testca.Options{})
	trusted := rootWith(t, log.Material(t).RekorLogs(), stamps)
	stamp := func(by interface{ TimestampResponse([]byte) ([]byte, error) }, of []byte) func(fixture.Signed) ([][]byte, error) {
		return func(s fixture.Signed) ([][]byte, error) {
			if of != nil {
				s.Signature = of
			}
			token, err := by.TimestampResponse(s.Signature)
			return [][]byte{token}, err
		}
	}
	text := func(string) func(fixture.Signed) ([][]byte, error) {
		return func(fixture.Signed) ([][]byte, error) { return [][]byte{[]byte("x")}, nil }
	}
	cases := map[string]struct {
		reason string
		stamps func(fixture.Signed) ([][]byte, error)
		want   evidence.Reason
	}{
		"None":           {reason: "a timestamp is not required", stamps: func(fixture.Signed) ([][]byte, error) { return nil, nil }},
		"Good":           {reason: "of this signature", stamps: stamp(stamps, nil)},
		"OtherSignature": {reason: "of another signature", stamps: stamp(stamps, []byte("another")), want: evidence.TimestampInvalid},
		"Broken":         {reason: "whose it is cannot be told", stamps: text("x"), want: evidence.TimestampInvalid},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			for _, o := range []sigstore.KeyOptions{{Options: sigstore.Options{TrustedRoot: trusted}}, {Options: sigstore.Options{TrustedRoot: trusted, TransparencyLog: sigstore.LogIgnored}}} {
				s := signer(t, k, o)
				want(t, s, image, bundled(t, image, k, fixture.BundleOptions{LogEntries: log.LogEntries(), Timestamps: tc.stamps}), tc.want)
				want(t, s, image, simple(t, image, k, fixture.CosignOptions{Annotate: both(log, tc.stamps)}), tc.want)
			}
		})
	}
	t.Run("OtherAuthority", func(t *testing.T) {
		// All virtual authorities have one name, so that a foreign one is in the
		// root by name; the root without authorities knows none.
		item := bundled(t, image, k, fixture.BundleOptions{LogEntries: log.LogEntries(), Timestamps: stamp(others, nil)})
		want(t, signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TrustedRoot: trusted}}), image, item, evidence.TimestampInvalid)
		want(t, signer(t, k, required(t, log)), image, item, "")
	})
	t.Run("SimpleAnnotation", func(t *testing.T) {
		s := signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TrustedRoot: trusted, TransparencyLog: sigstore.LogIgnored}})
		for annotation, reason := range map[string]evidence.Reason{"": "", "{}": "", "x": evidence.MalformedEvidence, `{"SignedRFC3161Timestamp":"AAAA"}`: evidence.TimestampInvalid} {
			item := simple(t, image, k, fixture.CosignOptions{})
			annotate(fixture.AnnotationTimestamp, annotation)(&item)
			want(t, s, image, item, reason)
		}
	})
}

// both annotates a simple signing with a log entry and a timestamp.
func both(log *testca.Sigstore, stamps func(fixture.Signed) ([][]byte, error)) func(fixture.Signed) (map[string]string, error) {
	return func(s fixture.Signed) (map[string]string, error) {
		all, err := log.Annotate(testca.EntryOptions{})(s)
		if err != nil {
			return nil, err
		}
		tokens, err := stamps(s)
		if err != nil || len(tokens) == 0 {
			return all, err
		}
		raw, err := json.Marshal(map[string][]byte{"SignedRFC3161Timestamp": tokens[0]})
		all[fixture.AnnotationTimestamp] = string(raw)
		return all, errors.Join(err)
	}
}
