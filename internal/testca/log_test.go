package testca_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"testing"
	"time"

	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"

	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
)

var errRefused = errors.New("sigstore-go refuses it")

// image stands for one that was pushed: a bundle needs its bytes alone.
func image() fixture.Image {
	raw := []byte(`{"schemaVersion":2}`)
	return fixture.Image{Digest: imageref.DigestOf(raw), Raw: raw}
}

func newKey(t *testing.T, kind fixture.KeyKind) fixture.Key {
	t.Helper()
	key, err := fixture.NewKey(kind)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, key fixture.Key, payload []byte) fixture.Signed {
	t.Helper()
	sig, err := key.Sign(payload, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return fixture.Signed{Payload: payload, Message: payload, Signature: sig, Hash: crypto.SHA256, PublicPEM: key.PublicPEM}
}

// keyed is a trusted root and one key, by its hint.
func keyed(t *testing.T, s *testca.Sigstore, key fixture.Key) root.TrustedMaterial {
	t.Helper()
	verifier, err := signature.LoadVerifierWithOpts(key.Signer.Public(), options.WithHash(key.DefaultHash()), options.WithED25519ph())
	if err != nil {
		t.Fatal(err)
	}
	expiring := root.NewExpiringKey(verifier, time.Time{}, time.Time{})
	return root.TrustedMaterialCollection{s.Material(t), root.NewTrustedPublicKeyMaterialFromMapping(map[string]*root.ExpiringKey{key.Hint(): expiring})}
}

// check lets sigstore-go verify a bundle under one log entry.
func check(t *testing.T, raw []byte, material root.TrustedMaterial) error {
	t.Helper()
	b := &bundle.Bundle{}
	if err := b.UnmarshalJSON(raw); err != nil {
		t.Logf("sigstore-go does not read the bundle: %v", err)
		return errRefused
	}
	verifier, err := verify.NewVerifier(material, verify.WithTransparencyLog(1), verify.WithIntegratedTimestamps(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.Verify(b, verify.NewPolicy(verify.WithArtifact(bytes.NewReader(image().Raw)), verify.WithKey())); err != nil {
		t.Logf("sigstore-go: %v", err)
		return errRefused
	}
	return nil
}

func TestLogEntries(t *testing.T) {
	s, other := testca.New(t, testca.Options{}), testca.New(t, testca.Options{})
	retired := testca.New(t, testca.Options{LogValidFrom: time.Now().Add(-48 * time.Hour), LogValidUntil: time.Now().Add(-24 * time.Hour)})
	key, stranger := newKey(t, fixture.P256), newKey(t, fixture.P256)
	copied := sign(t, key, []byte("another artifact"))
	cases := map[string]struct {
		reason  string
		log     *testca.Sigstore // default s
		entries func(fixture.Signed) ([]*protorekor.TransparencyLogEntry, error)
		message bool // sign a message in place of a statement
		want    error
	}{
		"Envelope":         {reason: "The zero options log a DSSE envelope.", entries: s.LogEntries()},
		"InToto":           {reason: "Earlier versions of cosign log envelopes so.", entries: s.LogEntries(testca.EntryOptions{Kind: "intoto"})},
		"Message":          {reason: "The zero options log a message signature.", entries: s.LogEntries(), message: true},
		"PromiseAlone":     {reason: "A bundle needs the inclusion proof.", entries: s.LogEntries(testca.EntryOptions{NoProof: true}), want: errRefused},
		"ProofAlone":       {reason: "Without a signed entry timestamp no time is proven.", entries: s.LogEntries(testca.EntryOptions{NoPromise: true}), want: errRefused},
		"CopiedEntry":      {reason: "The entry is genuine, of another signature by the key.", entries: s.LogEntries(testca.EntryOptions{Of: &copied}), want: errRefused},
		"CopiedMessage":    {reason: "The entry is genuine, of another signature by the key.", entries: s.LogEntries(testca.EntryOptions{Of: &copied}), message: true, want: errRefused},
		"OtherKey":         {reason: "The entry names another key.", entries: s.LogEntries(testca.EntryOptions{PublicPEM: stranger.PublicPEM}), want: errRefused},
		"OtherMessage":     {reason: "The entry is for another artifact.", entries: s.LogEntries(testca.EntryOptions{Message: []byte("x")}), message: true, want: errRefused},
		"OtherPayload":     {reason: "The entry is for another statement.", entries: s.LogEntries(testca.EntryOptions{Message: []byte("x")}), want: errRefused},
		"OtherSignature":   {reason: "The entry is for another signature.", entries: s.LogEntries(testca.EntryOptions{Signature: []byte("x")}), want: errRefused},
		"OtherLog":         {reason: "The log is not in the root.", entries: other.LogEntries(), want: errRefused},
		"ForgedLog":        {reason: "Another key signs under the log's ID.", entries: s.LogEntries(testca.EntryOptions{Log: other}), want: errRefused},
		"BrokenPromise":    {reason: "The signed time is another.", entries: s.LogEntries(testca.EntryOptions{BreakPromise: true}), want: errRefused},
		"BrokenProof":      {reason: "The proof is of another entry.", entries: s.LogEntries(testca.EntryOptions{BreakProof: true}), want: errRefused},
		"BeforeTheLog":     {reason: "The entry is older than the log's key.", entries: s.LogEntries(testca.EntryOptions{Time: time.Unix(1, 0)}), want: errRefused},
		"AfterTheLog":      {reason: "The log's key had ended.", log: retired, entries: retired.LogEntries(), want: errRefused},
		"WhileTheLogLived": {reason: "The log's key had not ended yet.", log: retired, entries: retired.LogEntries(testca.EntryOptions{Time: time.Now().Add(-36 * time.Hour)})},
		"NoEntry":          {reason: "Nothing was logged.", want: errRefused},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			log := s
			if tc.log != nil {
				log = tc.log
			}
			raw, err := fixture.NewBundle(image(), key, fixture.BundleOptions{MessageSignature: tc.message, LogEntries: tc.entries})
			if err != nil {
				t.Fatal(err)
			}
			// sigstore-go takes the image's digest from a statement by itself.
			if got := check(t, raw, keyed(t, log, key)); !errors.Is(got, tc.want) {
				t.Errorf("%s\nwant %v, got %v", tc.reason, tc.want, got)
			}
		})
	}
}

func TestEveryKindOfKey(t *testing.T) {
	s := testca.New(t, testca.Options{})
	for _, kind := range []fixture.KeyKind{fixture.P256, fixture.P384, fixture.P521, fixture.RSA2048, fixture.RSA4096, fixture.Ed25519} {
		for name, message := range map[string]bool{"Statement": false, "Message": true} {
			t.Run(kind.String()+name, func(t *testing.T) {
				key := newKey(t, kind)
				raw, err := fixture.NewBundle(image(), key, fixture.BundleOptions{MessageSignature: message, LogEntries: s.LogEntries()})
				if err != nil {
					t.Fatal(err)
				}
				if err := check(t, raw, keyed(t, s, key)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// cosign's annotation is read here with a struct of its own and verified with
// sigstore-go's code for entries.
func TestRekorBundle(t *testing.T) {
	s := testca.New(t, testca.Options{})
	key := newKey(t, fixture.P256)
	payload := []byte(`{"critical":{}}`)
	signed := sign(t, key, payload)
	for name, tc := range map[string]struct {
		options testca.EntryOptions
		want    bool
	}{
		"Good":   {want: true},
		"Broken": {options: testca.EntryOptions{BreakPromise: true}},
		"Forged": {options: testca.EntryOptions{Log: testca.New(t, testca.Options{})}},
	} {
		t.Run(name, func(t *testing.T) {
			annotations, err := s.Annotate(tc.options)(signed)
			if err != nil {
				t.Fatal(err)
			}
			var read struct {
				SignedEntryTimestamp []byte
				Payload              struct {
					Body           []byte `json:"body"`
					IntegratedTime int64  `json:"integratedTime"`
					LogIndex       int64  `json:"logIndex"`
					LogID          string `json:"logID"`
				}
			}
			if err := json.Unmarshal([]byte(annotations[fixture.AnnotationRekorBundle]), &read); err != nil {
				t.Fatal(err)
			}
			id, err := hex.DecodeString(read.Payload.LogID)
			if err != nil {
				t.Fatal(err)
			}
			entry, err := tlog.NewEntry(read.Payload.Body, read.Payload.IntegratedTime, read.Payload.LogIndex, id, read.SignedEntryTimestamp, nil) //nolint:staticcheck // the function for entries of this form
			if err != nil {
				t.Fatalf("sigstore-go does not read the entry: %v", err)
			}
			err = tlog.VerifySET(entry, s.Material(t).RekorLogs())
			if (err == nil) != tc.want {
				t.Errorf("want verified %v, got %v", tc.want, err)
			}
			if !bytes.Equal(entry.Signature(), signed.Signature) {
				t.Error("the entry is not of the signature")
			}
			digest := imageref.DigestOf(payload)
			if got, _, _ := entry.GetHashedRekordDigest(); hex.EncodeToString(got) != digest.Hex() {
				t.Errorf("want the entry of %s, got %x", digest, got)
			}
			public, ok := entry.PublicKey().(*ecdsa.PublicKey)
			if !ok || !public.Equal(key.Signer.Public()) {
				t.Error("the entry is not of the key")
			}
		})
	}
}

func TestLogKeyHasTheLogsID(t *testing.T) {
	s := testca.New(t, testca.Options{})
	block, _ := pem.Decode(s.LogKey())
	if _, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil {
		t.Fatal(err)
	}
	if got := imageref.DigestOf(block.Bytes).Hex(); got != s.LogID() {
		t.Errorf("want %s, got %s", s.LogID(), got)
	}
}
