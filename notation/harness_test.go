package notation_test

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/notation"
	"github.com/bonafide-dev/bonafide/policy"
)

const ociManifest = "application/vnd.oci.image.manifest.v1+json"

var formats = map[string]fixture.NotationFormat{"JWS": fixture.JWS, "COSE": fixture.COSE}

// must is for the making of test material.
func must[T any](t testing.TB, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// subject returns a name that notation accepts as an identity.
func subject(name string) pkix.Name {
	return pkix.Name{Country: []string{"DE"}, Province: []string{"Berlin"}, Organization: []string{"Acme"}, CommonName: name}
}

func identity(name string) string {
	return "x509.subject: C=DE, ST=Berlin, O=Acme, CN=" + name
}

// pki is an authority with a signer.
type pki struct {
	root fixture.Authority
	leaf fixture.Leaf
}

func newPKI(t testing.TB, leaf fixture.CertificateOptions) pki {
	t.Helper()
	root, err := fixture.NewAuthority(fixture.CertificateOptions{Subject: subject("Root")})
	must(t, root, err)
	return pki{root: root, leaf: issue(t, root, leaf)}
}

func issue(t testing.TB, a fixture.Authority, o fixture.CertificateOptions) fixture.Leaf {
	t.Helper()
	if o.Subject.String() == "" {
		o.Subject = subject("signer")
	}
	leaf, err := a.Issue(o)
	return must(t, leaf, err)
}

func (p pki) store(t notation.StoreType) notation.TrustStore {
	return notation.TrustStore{Type: t, Name: "acme", Certificates: []*x509.Certificate{p.root.Certificate()}}
}

// options trust the authority's signer by name.
func (p pki) options() notation.Options {
	return notation.Options{TrustStores: []notation.TrustStore{p.store(notation.CA)}, TrustedIdentities: []string{identity("signer")}}
}

func newSigner(t testing.TB, o notation.Options) *notation.Signer {
	t.Helper()
	s, err := notation.New(o)
	return must(t, s, err)
}

// image returns an image whose content is the text.
func image(content string) evidence.Image {
	ref := imageref.MustParse("registry.example/team/app:1")
	return evidence.Image{
		Reference: ref, Repository: ref.Repository(),
		Manifest: evidence.Manifest{
			Raw:        []byte(content),
			Descriptor: evidence.Descriptor{MediaType: ociManifest, Digest: imageref.DigestOf([]byte(content)), Size: int64(len(content))},
		},
	}
}

// item signs an image.
func item(t testing.TB, of evidence.Image, leaf fixture.Leaf, o fixture.NotationOptions) evidence.Item {
	t.Helper()
	raw, err := fixture.NewNotationEnvelope(fixture.Image{MediaType: ociManifest, Raw: of.Manifest.Raw}, leaf, o)
	return wrap(must(t, raw, err), o.Format)
}

func wrap(raw []byte, format fixture.NotationFormat) evidence.Item {
	mediaType := "application/jose+json"
	if format == fixture.COSE {
		mediaType = "application/cose"
	}
	return evidence.Item{Format: evidence.Notation, Manifest: imageref.DigestOf(raw), MediaType: mediaType, Payload: raw}
}

// reason returns the problem's reason, "" for a proof.
func reason(err error) evidence.Reason {
	if err == nil {
		return ""
	}
	return evidence.ProblemOf(err).Reason
}

// verified fails the test unless the signer's verdict has the reason; "" asks
// for a proof.
func verified(t testing.TB, s *notation.Signer, of evidence.Image, it evidence.Item, want evidence.Reason) policy.Proof {
	t.Helper()
	proof, err := s.Verify(context.Background(), of, it)
	if got := reason(err); got != want {
		t.Fatalf("want reason %q, got %q: %v", want, got, err)
	}
	if err != nil && fmt.Sprint(proof) != fmt.Sprint(policy.Proof{}) {
		t.Fatalf("want no proof beside a problem, got %+v", proof)
	}
	return proof
}

// answers is a Revocation of fixed content that counts.
type answers struct {
	leaf   notation.Status
	next   time.Time
	err    error
	short  bool // one status too few
	asked  int
	chains []notation.Chain
}

func (a *answers) ID() string { return "answers" }

func (a *answers) Check(_ context.Context, chain notation.Chain) notation.Answer {
	a.asked++
	a.chains = append(a.chains, chain)
	statuses := []notation.Status{a.leaf}
	for range chain.Certificates[1:] {
		statuses = append(statuses, notation.Good)
	}
	if a.short {
		statuses = nil
	}
	return notation.Answer{Statuses: statuses, NextUpdate: a.next, Err: a.err}
}

// strangerName shares no attribute with subject's names.
func strangerName() pkix.Name {
	return pkix.Name{Country: []string{"FR"}, Province: []string{"Paris"}, Organization: []string{"Other"}, CommonName: "stranger"}
}
