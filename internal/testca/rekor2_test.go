package testca_test

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"testing"

	"github.com/google/go-cmp/cmp"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protobuf "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/rekor-tiles/v2/pkg/types/hashedrekord"
	tiles "github.com/sigstore/rekor-tiles/v2/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
)

// What the log of Rekor v2 makes of a request is what the log of tests holds.
func TestRekor2EntriesAreRekors(t *testing.T) {
	s := testca.New(t, testca.Options{Whole: true})
	for _, kind := range []fixture.KeyKind{fixture.P256, fixture.P384, fixture.P521, fixture.RSA2048, fixture.RSA4096, fixture.Ed25519} {
		c := s.Issue(t, testca.CertificateOptions{Kind: kind})
		for name, certified := range map[string]bool{"Key": false, "Certificate": true} {
			t.Run(kind.String()+name, func(t *testing.T) {
				message := []byte("a message")
				sig, err := c.Key.Sign(message, 0)
				if err != nil {
					t.Fatal(err)
				}
				signed := fixture.Signed{Payload: message, Message: message, Signature: sig, Hash: c.Key.DefaultHash(), PublicPEM: c.Key.PublicPEM}
				details, err := signature.GetDefaultAlgorithmDetails(c.Key.Signer.Public(), options.WithED25519ph())
				if err != nil {
					t.Fatal(err)
				}
				block, _ := pem.Decode(c.Key.PublicPEM)
				verifier := &protobuf.Verifier{KeyDetails: details.GetSignatureAlgorithm(), Verifier: &protobuf.Verifier_PublicKey{PublicKey: &protobuf.PublicKey{RawBytes: block.Bytes}}}
				if certified {
					signed.Certificate = c.PEM
					verifier.Verifier = &protobuf.Verifier_X509Certificate{X509Certificate: &protocommon.X509Certificate{RawBytes: c.DER}}
				}
				algorithms, err := signature.NewAlgorithmRegistryConfig([]protocommon.PublicKeyDetails{details.GetSignatureAlgorithm()})
				if err != nil {
					t.Fatal(err)
				}
				digest := signed.Hash.New()
				digest.Write(message)
				want, err := hashedrekord.ToLogEntry(&protobuf.HashedRekordRequestV002{Digest: digest.Sum(nil), Signature: &protobuf.Signature{Content: sig, Verifier: verifier}}, algorithms)
				if err != nil {
					t.Fatal(err)
				}
				raw, err := protojson.Marshal(want)
				if err != nil {
					t.Fatal(err)
				}
				entry, err := s.Entry(signed, testca.EntryOptions{Rekor2: true})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(decoded(t, raw), decoded(t, entry.GetCanonicalizedBody())); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
			})
		}
	}
}

// Earlier clients logged envelopes of their own kind. Sigstore's current
// library reads only the other kind, so that the entry is checked by itself.
func TestRekor2EnvelopeEntries(t *testing.T) {
	s := testca.New(t, testca.Options{Whole: true})
	c := s.Issue(t, testca.CertificateOptions{})
	signed := fixture.Signed{Payload: []byte("payload"), Message: []byte("encoded"), Signature: []byte("signature"), Hash: crypto.SHA256, Certificate: c.PEM}
	entry, err := s.Entry(signed, testca.EntryOptions{Rekor2: true, Kind: "dsse", Index: 5})
	if err != nil {
		t.Fatal(err)
	}
	if err := protojson.Unmarshal(entry.GetCanonicalizedBody(), &protobuf.Entry{}); err != nil {
		t.Errorf("want an entry that Rekor knows, got %v", err)
	}
	if proof := entry.GetInclusionProof(); entry.GetLogIndex() != 5 || proof.GetTreeSize() != 6 || len(proof.GetHashes()) != 2 || entry.GetIntegratedTime() != 0 || entry.GetInclusionPromise() != nil {
		t.Errorf("want the sixth of six entries, without a time, got %v", entry)
	}
	digest := sha256.Sum256(signed.Payload)
	text := base64.StdEncoding.EncodeToString
	want := map[string]any{"apiVersion": "0.0.2", "kind": "dsse", "spec": map[string]any{"dsseV002": map[string]any{
		"payloadHash": map[string]any{"algorithm": "SHA2_256", "digest": text(digest[:])},
		"signatures": []any{map[string]any{"content": text(signed.Signature), "verifier": map[string]any{
			"keyDetails": "PKIX_ECDSA_P256_SHA_256", "x509Certificate": map[string]any{"rawBytes": text(c.DER)},
		}}},
	}}}
	if diff := cmp.Diff(want, decoded(t, entry.GetCanonicalizedBody())); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	block, _ := pem.Decode(s.Log2Key())
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := signature.LoadVerifier(public, crypto.SHA512)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, err := note.NewNoteVerifier("log2026-1.rekor.test", verifier)
	if err != nil {
		t.Fatal(err)
	}
	if err := tiles.VerifyLogEntry(entry, checkpoint); err != nil {
		t.Error(err)
	}
	entry.CanonicalizedBody = append(entry.CanonicalizedBody, ' ')
	if err := tiles.VerifyLogEntry(entry, checkpoint); err == nil {
		t.Error("want a changed entry refused")
	}
}
