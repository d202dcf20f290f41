package notation_test

import (
	"slices"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/notation"
)

// FuzzDocument: a document is an error or a signer whose every statement is
// whole.
func FuzzDocument(f *testing.F) {
	p := newPKI(f, fixture.CertificateOptions{})
	stores := []notation.TrustStore{p.store(notation.CA), p.store(notation.TSA)}
	f.Add(text(strict("a", "*", "*")))
	f.Add(text(strict("a", "registry.example/app", identity("signer")), strict("b", "*", "*")))
	f.Add(text(`{"name":"s","registryScopes":["registry.example/a"],"signatureVerification":{"level":"skip"}}`))
	f.Add(text(`{"name":"t","registryScopes":["*"],"signatureVerification":{"level":"permissive","override":{"expiry":"enforce"},"verifyTimestamp":"afterCertExpiry"},"trustStores":["ca:acme","tsa:acme"],"trustedIdentities":["*"]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		s, err := notation.FromDocument(document, stores, notation.DocumentOptions{})
		if err != nil {
			return
		}
		again, err := notation.FromDocument(document, stores, notation.DocumentOptions{})
		if err != nil || again.ID() != s.ID() {
			t.Errorf("want one identity for one document, got %v", err)
		}
		for _, st := range s.Statements() {
			if st.Proves && st.Skipped || st.Level == notation.Skip != st.Skipped {
				t.Errorf("want a statement that makes sense, got %+v", st)
			}
		}
	})
}

// fuzzed are two signers, with timestamps asked for late and always, and
// genuine signatures of the image "seed".
func fuzzed(f *testing.F) (signers []*notation.Signer, seeds []evidence.Item) {
	f.Helper()
	now := time.Now()
	p := newPKI(f, fixture.CertificateOptions{NotBefore: now.Add(-9 * hour)})
	authority := newTSA(f, now.Add(-hour).Truncate(time.Second), fixture.CertificateOptions{NotBefore: now.Add(-9 * hour)})
	for _, option := range []string{"afterCertExpiry", "always"} {
		o := p.options()
		o.TrustStores, o.VerifyTimestamp = append(o.TrustStores, authority.store(notation.TSA)), option
		signers = append(signers, newSigner(f, o))
	}
	for _, format := range []fixture.NotationFormat{fixture.JWS, fixture.COSE} {
		seeds = append(seeds,
			item(f, image("seed"), p.leaf, fixture.NotationOptions{Format: format}),
			item(f, image("seed"), p.leaf, authority.stamp(fixture.NotationOptions{Format: format, SigningTime: now.Add(-2 * hour)})))
	}
	return signers, seeds
}

// hostile fails the test if an item proves an image that it was not made for,
// or if a problem is not classified.
func hostile(t *testing.T, signers []*notation.Signer, it evidence.Item) {
	t.Helper()
	for _, s := range signers {
		if proof, err := s.Verify(t.Context(), image("content"), it); err == nil || reason(err) == evidence.Internal {
			t.Fatalf("want a classified problem, got %v and %+v", err, proof)
		}
		proof, err := s.Verify(t.Context(), image("seed"), it)
		if reason(err) == evidence.Internal || err == nil && proof.Who != "CN=signer,O=Acme,ST=Berlin,C=DE" {
			t.Fatalf("want a classified problem or the signer's proof, got %v and %+v", err, proof)
		}
	}
}

// FuzzEnvelope: bytes that the trusted signer did not make never prove, never
// panic.
func FuzzEnvelope(f *testing.F) {
	signers, seeds := fuzzed(f)
	for _, seed := range seeds {
		f.Add(seed.Payload, seed.MediaType == "application/cose")
	}
	f.Fuzz(func(t *testing.T, payload []byte, cose bool) {
		format := fixture.JWS
		if cose {
			format = fixture.COSE
		}
		hostile(t, signers, wrap(payload, format))
	})
}

// FuzzTamperedEnvelope changes a genuine signature in one place. It reaches
// deeper than FuzzEnvelope, whose seeds are by another process's keys.
func FuzzTamperedEnvelope(f *testing.F) {
	signers, seeds := fuzzed(f)
	f.Add(uint8(0), uint16(0), uint16(0), []byte(nil))
	f.Add(uint8(1), uint16(30), uint16(1), []byte("A"))
	f.Add(uint8(3), uint16(300), uint16(2), []byte{0xff, 0})
	f.Fuzz(func(t *testing.T, which uint8, at, cut uint16, insert []byte) {
		it := seeds[int(which)%len(seeds)]
		from := int(at) % len(it.Payload)
		to := min(from+int(cut), len(it.Payload))
		it.Payload = slices.Concat(it.Payload[:from], insert, it.Payload[to:])
		hostile(t, signers, it)
	})
}

// FuzzTrustedIdentity: a name is refused, or trusts only signers that have it.
func FuzzTrustedIdentity(f *testing.F) {
	p := newPKI(f, fixture.CertificateOptions{})
	it := item(f, image("content"), p.leaf, fixture.NotationOptions{})
	stranger := item(f, image("content"), issue(f, p.root, fixture.CertificateOptions{Subject: strangerName()}), fixture.NotationOptions{})
	for _, seed := range []string{"*", identity("signer"), "x509.subject: C=DE,S=Berlin,O=Acme", "x509.subject:C=DE,ST=Berlin,O=Acme+CN=x", "x509.subject:O=#04,C=DE", "x509.subject:C=DE\\,,ST=\\41,O=\"a\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		o := p.options()
		o.TrustedIdentities = []string{name}
		s, err := notation.New(o)
		if err != nil {
			return
		}
		_, mine := s.Verify(t.Context(), image("content"), it)
		_, theirs := s.Verify(t.Context(), image("content"), stranger)
		if name != "*" && mine == nil && theirs == nil {
			t.Errorf("want %q to trust one of two signers that have no attribute in common, got both", name)
		}
	})
}
