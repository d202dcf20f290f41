package testca_test

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
)

// What cosign annotates is read here member by member: a certificate that
// signed, its entry, and a timestamp of the signature or of the envelope.
func TestLegacyAnnotations(t *testing.T) {
	s := testca.New(t, testca.Options{Whole: true})
	registry, err := fixture.NewRegistry(fixture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer registry.Close()
	image, err := registry.PushImage(t.Context(), "acme/app:v1", "hello")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Truncate(time.Second).UTC()
	testify := testca.Testify(s.Annotate(testca.EntryOptions{}), s.AnnotateTimestamp(testca.TimestampOptions{Time: at}))
	c := s.Issue(t, testca.CertificateOptions{})

	simple, err := registry.SignCosign(t.Context(), image, c.Key, c.Cosign(fixture.CosignOptions{Annotate: testify}))
	if err != nil {
		t.Fatal(err)
	}
	attested, err := registry.SignAttestation(t.Context(), image, c.Key, c.Attestation(fixture.AttestationOptions{Annotate: testify}))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		tag     string
		signed  fixture.Signed
		stamped []byte
	}{
		"Simple":      {fixture.SignatureTag(image.Digest), simple, simple.Signature},
		"Attestation": {fixture.AttestationTag(image.Digest), attested, attested.Envelope},
	} {
		t.Run(name, func(t *testing.T) {
			ref, err := image.Reference.Repository().WithTag(tc.tag)
			if err != nil {
				t.Fatal(err)
			}
			raw, _, err := registry.Manifest(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			var manifest struct {
				Layers []struct{ Annotations map[string]string }
			}
			if err := json.Unmarshal(raw, &manifest); err != nil {
				t.Fatal(err)
			}
			annotations := manifest.Layers[0].Annotations
			if got := annotations[fixture.AnnotationCertificate]; got != string(c.PEM) {
				t.Errorf("want the certificate, got %q", got)
			}
			if got := annotations[fixture.AnnotationChain]; got != string(c.ChainPEM) || got != string(s.FulcioChain()) {
				t.Errorf("want the chain, got %q", got)
			}
			var stamp struct{ SignedRFC3161Timestamp []byte }
			if err := json.Unmarshal([]byte(annotations[fixture.AnnotationTimestamp]), &stamp); err != nil {
				t.Fatal(err)
			}
			verified, err := s.Material(t).TimestampingAuthorities()[0].Verify(stamp.SignedRFC3161Timestamp, tc.stamped)
			if err != nil || !verified.Time.Equal(at) {
				t.Errorf("want a timestamp of %s, got %v, %v", at, verified, err)
			}
			var logged struct{ Payload struct{ Body []byte } }
			if err := json.Unmarshal([]byte(annotations[fixture.AnnotationRekorBundle]), &logged); err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(logged.Payload.Body, []byte(base64.StdEncoding.EncodeToString(c.PEM))) {
				t.Error("want an entry that names the certificate")
			}
			public, err := signature.LoadVerifier(c.Leaf.PublicKey, crypto.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			if err := public.VerifySignature(bytes.NewReader(tc.signed.Signature), bytes.NewReader(tc.signed.Message)); err != nil {
				t.Errorf("want a signature of the certificate's key: %v", err)
			}
		})
	}
}

func TestTimestampsOfEachHash(t *testing.T) {
	s := testca.New(t, testca.Options{Whole: true})
	message := []byte("a message")
	for hash, want := range map[crypto.Hash]bool{crypto.SHA1: false, crypto.SHA256: true, crypto.SHA384: true, crypto.SHA512: true} {
		t.Run(hash.String(), func(t *testing.T) {
			response, err := s.Timestamp(message, testca.TimestampOptions{Hash: hash})
			if err != nil {
				t.Fatal(err)
			}
			if _, err = s.Material(t).TimestampingAuthorities()[0].Verify(response, message); (err == nil) != want {
				t.Errorf("want verified %v, got %v", want, err)
			}
		})
	}
	for bare, want := range map[bool]int{false: 2, true: 0} {
		response, err := s.Timestamp(message, testca.TimestampOptions{NoCertificates: bare})
		if err != nil {
			t.Fatal(err)
		}
		if read, err := timestamp.ParseResponse(response); err != nil || len(read.Certificates) != want {
			t.Errorf("want %d certificates, got %v, %v", want, read, err)
		}
	}
	wrong := testca.New(t, testca.Options{Whole: true, EditTimestamper: func(t *testca.Template) { t.ExtraExtensions = nil }})
	response, err := wrong.Timestamp(message, testca.TimestampOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wrong.Material(t).TimestampingAuthorities()[0].Verify(response, message); err == nil {
		t.Error("want a certificate without the usage refused")
	}
}
