package notation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/notation"
)

// TestR29AdmittingNeedsIntegrity: a signer that admits what its level does not
// enforce still asks that somebody signed this image, and names nobody.
func TestR29AdmittingNeedsIntegrity(t *testing.T) {
	now := time.Now()
	p := newPKI(t, fixture.CertificateOptions{})
	other := newPKI(t, fixture.CertificateOptions{Subject: strangerName()})
	admitting := func(change func(*notation.Options)) *notation.Signer {
		o := p.options()
		o.Level, o.AdmitNotEnforced = notation.Audit, true
		if change != nil {
			change(&o)
		}
		return newSigner(t, o)
	}
	cases := map[string]struct {
		reason string
		signer *notation.Signer
		leaf   fixture.Leaf
		sign   fixture.NotationOptions
		image  string
		want   evidence.Reason
	}{
		"Trusted":     {"whoever signed", admitting(nil), p.leaf, fixture.NotationOptions{}, "content", ""},
		"Stranger":    {"whoever signed", admitting(nil), other.leaf, fixture.NotationOptions{}, "content", ""},
		"OtherImage":  {"a copied signature is none of this image (R21)", admitting(nil), p.leaf, fixture.NotationOptions{}, "other content", evidence.SubjectMismatch},
		"NoEnvelope":  {"what is no signature is none of anybody", admitting(nil), p.leaf, fixture.NotationOptions{ContentType: "text/plain"}, "content", evidence.UnsupportedEvidence},
		"Refusing":    {"who does not ask for it gets none", admitting(func(o *notation.Options) { o.AdmitNotEnforced = false }), p.leaf, fixture.NotationOptions{}, "content", evidence.NotEnforced},
		"StillStrict": {"it softens nothing that is enforced", admitting(func(o *notation.Options) { o.Level = notation.Strict }), other.leaf, fixture.NotationOptions{}, "content", evidence.CertificateUntrusted},
		"Expiry": {
			"what an override enforces is enforced",
			admitting(func(o *notation.Options) { o.Override = map[string]string{"expiry": "enforce"} }), p.leaf,
			fixture.NotationOptions{SigningTime: now.Add(-time.Minute), Expiry: now.Add(-time.Second)}, "content", evidence.SignatureExpired,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			proof := verified(t, tc.signer, image(tc.image), item(t, image("content"), tc.leaf, tc.sign), tc.want)
			if tc.want == "" && (!strings.HasPrefix(proof.Identity, "claimed ") || !strings.Contains(strings.Join(proof.Notes, "\n"), "does not enforce who signed")) {
				t.Errorf("%s: want a note and no identity, got %+v", tc.reason, proof)
			}
		})
	}
}

// TestR35AdmittedSignatureExpires: the signature's own end bounds even a proof
// that names nobody.
func TestR35AdmittedSignatureExpires(t *testing.T) {
	p, end := newPKI(t, fixture.CertificateOptions{}), time.Now().Add(time.Hour).Truncate(time.Second)
	o := p.options()
	o.Level, o.AdmitNotEnforced = notation.Audit, true
	proof := verified(t, newSigner(t, o), image("content"), item(t, image("content"), p.leaf, fixture.NotationOptions{Expiry: end}), "")
	if !proof.Expires.Equal(end) {
		t.Errorf("want a proof until %s, got %s", end, proof.Expires)
	}
}
