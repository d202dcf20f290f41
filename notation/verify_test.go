package notation_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/notaryproject/notation-core-go/signature"
	"github.com/veraison/go-cose"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/notation"
)

const hour = time.Hour

// verdicts are the reasons that one fault has at each level; "" is a proof.
type verdicts struct{ strict, permissive, audit evidence.Reason }

func same(r evidence.Reason) verdicts { return verdicts{r, r, r} }

// logged is a fault that only strict enforces.
func logged(r evidence.Reason) verdicts { return verdicts{r, "", evidence.NotEnforced} }

type fault struct {
	reason string
	leaf   fixture.CertificateOptions
	sign   fixture.NotationOptions
	signer func(*notation.Options)
	bytes  func(t *testing.T, it evidence.Item) evidence.Item
	image  string // what is verified, if not what was signed
	want   verdicts
	note   string // part of the proof's note, if permissive proves with one
}

func faults() map[string]fault {
	now := time.Now()
	stranger := func(o *notation.Options) { o.TrustedIdentities = []string{identity("someone else")} }
	return map[string]fault{
		"None": {
			reason: "a fresh signature of a trusted identity proves where authenticity is enforced",
			want:   verdicts{"", "", evidence.NotEnforced},
		},
		"UserMetadata": {
			reason: "what a signer adds to the descriptor binds nothing and breaks nothing",
			sign:   fixture.NotationOptions{Annotations: map[string]string{"io.acme.build": "1"}},
			want:   verdicts{"", "", evidence.NotEnforced},
		},
		"SignatureExpired": {
			reason: "the signature's own expiry has passed",
			leaf:   fixture.CertificateOptions{NotBefore: now.Add(-9 * hour)},
			sign:   fixture.NotationOptions{SigningTime: now.Add(-3 * hour), Expiry: now.Add(-hour)},
			want:   logged(evidence.SignatureExpired), note: "SignatureExpired",
		},
		"CertificateExpired": {
			reason: "without a timestamp the chain must be valid now",
			leaf:   fixture.CertificateOptions{NotBefore: now.Add(-9 * hour), NotAfter: now.Add(-hour)},
			sign:   fixture.NotationOptions{SigningTime: now.Add(-3 * hour)},
			want:   logged(evidence.CertificateInvalid), note: "CertificateInvalid",
		},
		"CertificateNotYetValid": {
			reason: "the chain is valid from tomorrow",
			leaf:   fixture.CertificateOptions{NotBefore: now.Add(9 * hour)},
			sign:   fixture.NotationOptions{SigningTime: now.Add(10 * hour)},
			want:   logged(evidence.CertificateInvalid), note: "CertificateInvalid",
		},
		"Untrusted": {
			reason: "the chain ends in a root that is not in the store",
			signer: func(o *notation.Options) {
				other, err := fixture.NewAuthority(fixture.CertificateOptions{Subject: subject("Root")})
				if err != nil {
					panic(err)
				}
				o.TrustStores = []notation.TrustStore{{Type: notation.CA, Certificates: []*x509.Certificate{other.Certificate()}}}
			},
			want: verdicts{evidence.CertificateUntrusted, evidence.CertificateUntrusted, evidence.NotEnforced},
		},
		"OtherScheme": {
			reason: "a store of signing authorities does not vouch for signers of the scheme notary.x509",
			signer: func(o *notation.Options) { o.TrustStores[0].Type = notation.SigningAuthority },
			want:   verdicts{evidence.CertificateUntrusted, evidence.CertificateUntrusted, evidence.NotEnforced},
		},
		"OtherIdentity": {
			reason: "the authority is trusted for another name",
			signer: stranger,
			want:   verdicts{evidence.IdentityMismatch, evidence.IdentityMismatch, evidence.NotEnforced},
		},
		"AnyIdentity": {
			reason: "the wildcard trusts every name below the store",
			signer: func(o *notation.Options) { o.TrustedIdentities = []string{"*"} },
			want:   verdicts{"", "", evidence.NotEnforced},
		},
		"OtherImage": {
			reason: "the signature is genuine, but of other content",
			image:  "other content",
			want:   same(evidence.SubjectMismatch),
		},
		"Tampered": {
			reason: "the payload was replaced by one that names the image",
			image:  "other content",
			bytes:  func(t *testing.T, it evidence.Item) evidence.Item { return retarget(t, it, image("other content")) },
			want:   same(evidence.MalformedEvidence),
		},
		"Garbage": {
			reason: "the blob is no envelope",
			bytes: func(_ *testing.T, it evidence.Item) evidence.Item {
				it.Payload = []byte(`{"payload":`)
				return it
			},
			want: same(evidence.MalformedEvidence),
		},
		"Empty": {
			reason: "the blob is empty",
			bytes: func(_ *testing.T, it evidence.Item) evidence.Item {
				it.Payload = nil
				return it
			},
			want: same(evidence.MalformedEvidence),
		},
		"OtherMediaType": {
			reason: "the layer says that it is something else",
			bytes: func(_ *testing.T, it evidence.Item) evidence.Item {
				it.MediaType = "application/octet-stream"
				return it
			},
			want: same(evidence.UnsupportedEvidence),
		},
		"OtherFormat": {
			reason: "a cosign signature is none of this signer's",
			bytes: func(_ *testing.T, it evidence.Item) evidence.Item {
				it.Format = evidence.SimpleSigning
				return it
			},
			want: same(evidence.UnsupportedEvidence),
		},
		"OtherContentType": {
			reason: "the payload says that it is something else",
			sign:   fixture.NotationOptions{ContentType: "application/json"},
			want:   same(evidence.UnsupportedEvidence),
		},
		"NoTarget": {
			reason: "the payload names no image",
			sign:   fixture.NotationOptions{Payload: []byte(`{"other":1}`)},
			want:   same(evidence.MalformedEvidence),
		},
		"Plugin": {
			reason: "a signature that names a plugin is refused, never verified without it (R30)",
			sign:   fixture.NotationOptions{Attributes: []signature.Attribute{{Key: "io.cncf.notary.verificationPlugin", Critical: true, Value: "acme"}}},
			want:   same(evidence.UnsupportedEvidence),
		},
		"PluginNotCritical": {
			reason: "a plugin attribute that is not critical is refused too",
			sign:   fixture.NotationOptions{Attributes: []signature.Attribute{{Key: "io.cncf.notary.verificationPlugin", Value: "acme"}}},
			want:   same(evidence.UnsupportedEvidence),
		},
		"CriticalAttribute": {
			reason: "whoever marked the attribute critical wants it understood",
			sign:   fixture.NotationOptions{Attributes: []signature.Attribute{{Key: "io.acme.only-on-mondays", Critical: true, Value: "yes"}}},
			want:   same(evidence.UnsupportedEvidence),
		},
		"CriticalExtension": {
			reason: "a certificate with a critical extension that nobody understands is rejected (RFC 5280 4.2)",
			leaf: fixture.CertificateOptions{Edit: func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 9999, 1}, Critical: true, Value: []byte{5, 0}}}
			}},
			want: same(evidence.CertificateInvalid),
		},
		"RevocationUnknown": {
			reason: "the certificate names a service, and offline nobody asks it",
			leaf:   fixture.CertificateOptions{OCSP: []string{"http://ocsp.invalid/"}},
			want:   logged(evidence.RevocationUnknown), note: "RevocationUnknown",
		},
		"PointWithoutURL": {
			reason: "a distribution point that cannot be fetched still names a list",
			leaf: fixture.CertificateOptions{Edit: func(c *x509.Certificate) {
				c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 31}, Value: []byte{0x30, 0}}}
			}},
			want: logged(evidence.RevocationUnknown), note: "RevocationUnknown",
		},
		"RevocationSkipped": {
			reason: "the policy does not ask",
			leaf:   fixture.CertificateOptions{OCSP: []string{"http://ocsp.invalid/"}},
			signer: func(o *notation.Options) { o.Override = map[string]string{"revocation": "skip"} },
			want:   verdicts{"", "", evidence.NotEnforced}, note: "revocation is not checked",
		},
		"Revoked": {
			reason: "a known revocation ends it at every level",
			signer: func(o *notation.Options) { o.Revocation = &answers{leaf: notation.Revoked} },
			want:   same(evidence.CertificateRevoked),
		},
		"ShortAnswer": {
			reason: "an answer that does not fit the chain knows nothing",
			signer: func(o *notation.Options) { o.Revocation = &answers{short: true} },
			want:   logged(evidence.RevocationUnknown), note: "RevocationUnknown",
		},
	}
}

func TestLevels(t *testing.T) {
	for formatName, format := range formats {
		for name, f := range faults() {
			t.Run(formatName+"/"+name, func(t *testing.T) {
				p := newPKI(t, f.leaf)
				f.sign.Format = format
				signed := image("content")
				it := item(t, signed, p.leaf, f.sign)
				if f.bytes != nil {
					it = f.bytes(t, it)
				}
				if f.image != "" {
					signed = image(f.image)
				}
				for level, want := range map[string]evidence.Reason{"": f.want.strict, notation.Strict: f.want.strict, notation.Permissive: f.want.permissive, notation.Audit: f.want.audit} {
					o := p.options()
					o.Level = level
					if f.signer != nil {
						f.signer(&o)
					}
					proof, err := newSigner(t, o).Verify(t.Context(), signed, it)
					if got := reason(err); got != want {
						t.Errorf("%s: level %q: want reason %q, got %q: %v", f.reason, level, want, got, err)
					}
					if notes := strings.Join(proof.Notes, "\n"); level == notation.Permissive && !strings.Contains(notes, f.note) || f.note == "" && err == nil && notes != "" {
						t.Errorf("%s: level %q: want a note with %q, got %q", f.reason, level, f.note, notes)
					}
				}
			})
		}
	}
}

// retarget replaces the payload of an envelope and leaves its signature.
func retarget(t *testing.T, it evidence.Item, to evidence.Image) evidence.Item {
	t.Helper()
	d := to.Manifest.Descriptor
	payload := fmt.Sprintf(`{"targetArtifact":{"mediaType":%q,"digest":%q,"size":%d}}`, d.MediaType, d.Digest, d.Size)
	if it.MediaType == "application/cose" {
		var m cose.Sign1Message
		if err := m.UnmarshalCBOR(it.Payload); err != nil {
			t.Fatal(err)
		}
		m.Payload = []byte(payload)
		raw, err := m.MarshalCBOR()
		it.Payload = must(t, raw, err)
		return it
	}
	return editJWS(t, it, func(j map[string]any) { j["payload"] = base64.RawURLEncoding.EncodeToString([]byte(payload)) })
}

func editJWS(t *testing.T, it evidence.Item, edit func(map[string]any)) evidence.Item {
	t.Helper()
	var j map[string]any
	if err := json.Unmarshal(it.Payload, &j); err != nil {
		t.Fatal(err)
	}
	edit(j)
	raw, err := json.Marshal(j)
	it.Payload = must(t, raw, err)
	return it
}

func TestProof(t *testing.T) {
	for name, format := range formats {
		t.Run(name, func(t *testing.T) {
			p := newPKI(t, fixture.CertificateOptions{})
			of := image("content")
			it := item(t, of, p.leaf, fixture.NotationOptions{Format: format})
			it.Layer = 2
			proof := verified(t, newSigner(t, p.options()), of, it, "")
			if want := "notation:C=DE,CN=signer,O=Acme,ST=Berlin"; sorted(proof.Identity) != sorted(want) {
				t.Errorf("want identity %q, got %q", want, proof.Identity)
			}
			if want := "CN=signer,O=Acme,ST=Berlin,C=DE"; proof.Who != want {
				t.Errorf("want %q, got %q", want, proof.Who)
			}
			if want := fmt.Sprintf("Notation signature %s[2]", it.Manifest); proof.Source != want {
				t.Errorf("want source %q, got %q", want, proof.Source)
			}
		})
	}
}

func sorted(identity string) string {
	parts := strings.Split(strings.TrimPrefix(identity, "notation:"), ",")
	count := map[string]int{}
	for _, p := range parts {
		count[p]++
	}
	return fmt.Sprint(count)
}

func TestR21SignatureCopiedFromAnotherImage(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	s := newSigner(t, p.options())
	for name, format := range formats {
		t.Run(name, func(t *testing.T) {
			it := item(t, image("a"), p.leaf, fixture.NotationOptions{Format: format})
			verified(t, s, image("a"), it, "")
			verified(t, s, image("b"), it, evidence.SubjectMismatch)

			renamed := image("a")
			renamed.Manifest.Descriptor.MediaType = "application/vnd.oci.image.index.v1+json"
			verified(t, s, renamed, it, evidence.SubjectMismatch)

			resized := image("a")
			resized.Manifest.Descriptor.Size++
			verified(t, s, resized, it, evidence.SubjectMismatch)
		})
	}
}

// The copy is told even where its certificate's revocation could not be.
func TestR21CopyIsDeniedBeforeRevocationIsAsked(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{OCSP: []string{"http://ocsp.invalid/"}})
	o := p.options()
	unknown := &answers{}
	o.Revocation = unknown
	it := item(t, image("a"), p.leaf, fixture.NotationOptions{})
	verified(t, newSigner(t, o), image("b"), it, evidence.SubjectMismatch)
	if unknown.asked != 0 {
		t.Errorf("want nobody asked about a signature of another image, got %d look-ups", unknown.asked)
	}
}

func TestR4AmbiguousJSON(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	s := newSigner(t, p.options())
	of := image("content")
	d := of.Manifest.Descriptor
	target := fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, d.MediaType, d.Digest, d.Size)
	good := item(t, of, p.leaf, fixture.NotationOptions{})
	twice := strings.Replace(string(good.Payload), `{"payload":`, `{"payload":"","payload":`, 1)
	if twice == string(good.Payload) {
		t.Fatal("the envelope does not begin with its payload")
	}
	for name, tc := range map[string]struct {
		reason string
		item   evidence.Item
		want   evidence.Reason
	}{
		"MemberTwice": {
			reason: "two decoders may pick different ones",
			item:   wrap([]byte(twice), fixture.JWS), want: evidence.MalformedEvidence,
		},
		"OtherCaseBesideIt": {
			reason: "a lax decoder would take the last of both; the library is given the right one",
			item:   editJWS(t, good, func(j map[string]any) { j["payLoad"] = "e30" }), want: "",
		},
		"OtherCaseAlone": {
			reason: "the member is missing",
			item: editJWS(t, good, func(j map[string]any) {
				j["Payload"] = j["payload"]
				delete(j, "payload")
			}),
			want: evidence.MalformedEvidence,
		},
		"TargetTwice": {
			reason: "the signed payload is read as strictly",
			item:   item(t, of, p.leaf, fixture.NotationOptions{Format: fixture.COSE, Payload: []byte(`{"targetArtifact":` + target + `,"targetArtifact":` + target + `}`)}),
			want:   evidence.MalformedEvidence,
		},
		"TargetInOtherCase": {
			reason: "no image is named",
			item:   item(t, of, p.leaf, fixture.NotationOptions{Format: fixture.COSE, Payload: []byte(`{"TargetArtifact":` + target + `}`)}),
			want:   evidence.MalformedEvidence,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := s.Verify(t.Context(), of, tc.item); reason(err) != tc.want {
				t.Errorf("%s: want %q, got %v", tc.reason, tc.want, err)
			}
		})
	}
}
