package sigstore_test

import (
	"crypto"
	"reflect"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// variants are a change of each field of an options struct.
type variants[O any] map[string]func(*O)

// wantIDs makes a signer with each variant of the options. A field without a
// variant fails the test: what it changes about a verdict must change the ID.
func wantIDs[O any](t *testing.T, base func() O, all variants[O], make func(O) (*sigstore.Signer, error)) {
	t.Helper()
	for _, f := range reflect.VisibleFields(reflect.TypeFor[O]()) {
		if _, tested := all[f.Name]; !tested && !f.Anonymous {
			t.Errorf("want a variant of field %s", f.Name)
		}
	}
	id := func(name string, o O) policy.SignerID {
		s, err := make(o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return s.ID()
	}
	plain := id("the plain options", base())
	if again := id("the plain options", base()); again != plain {
		t.Error("want one ID for one content")
	}
	seen := map[policy.SignerID]string{plain: "the plain options"}
	for name, change := range all {
		o := base()
		change(&o)
		changed := id(name, o)
		if other, twice := seen[changed]; twice {
			t.Errorf("want another ID for %s than for %s", name, other)
		}
		seen[changed] = name
	}
}

// common are the variants of the options that all signers have.
func common[O any](of func(*O) *sigstore.Options, other *sigstore.TrustedRoot) variants[O] {
	return variants[O]{
		"TransparencyLog": func(o *O) { of(o).TransparencyLog = sigstore.LogIgnored },
		"Timestamps":      func(o *O) { of(o).Timestamps = sigstore.TimestampsRequired },
		"TrustedRoot":     func(o *O) { of(o).TrustedRoot = other },
		"SignedReference": func(o *O) { of(o).SignedReference = sigstore.MatchRepository() },
		"SignedReferenceTo": func(o *O) {
			of(o).SignedReference = sigstore.SignedFor(imageref.MustParse("registry.test/acme/app").Repository())
		},
		"Annotations":      func(o *O) { of(o).Annotations = map[string]string{"a": "b"} },
		"AnnotationsShift": func(o *O) { of(o).Annotations = map[string]string{"ab": ""} },
		"Place":            func(o *O) { of(o).Place = evidence.Place{TagPrefix: "x-"} },
		"PlaceElsewhere": func(o *O) {
			of(o).Place = evidence.Place{Repository: imageref.MustParse("registry.test/sigs").Repository()}
		},
	}
}

func with[O any](all, more variants[O]) variants[O] {
	for name, change := range more {
		all[name] = change
	}
	return all
}

func TestR34EveryOptionChangesTheID(t *testing.T) {
	s, two := whole(t), whole(t)
	trusted, other := trustedRoot(t, s.TrustedRoot()), trustedRoot(t, two.TrustedRoot())
	now := time.Unix(1_800_000_000, 0)
	t.Run("Key", func(t *testing.T) {
		k := newKey(t, fixture.P384)
		wantIDs(t, func() sigstore.KeyOptions {
			return sigstore.KeyOptions{Options: sigstore.Options{TrustedRoot: trusted}}
		},
			with(common(func(o *sigstore.KeyOptions) *sigstore.Options { return &o.Options }, other), variants[sigstore.KeyOptions]{
				"Hash":      func(o *sigstore.KeyOptions) { o.Hash = crypto.SHA256 },
				"HashOther": func(o *sigstore.KeyOptions) { o.Hash = crypto.SHA384 },
				"HashSmall": func(o *sigstore.KeyOptions) { o.Hash = crypto.SHA224 },
				"NotBefore": func(o *sigstore.KeyOptions) { o.NotBefore = now },
				"NotAfter":  func(o *sigstore.KeyOptions) { o.NotAfter = now },
			}), func(o sigstore.KeyOptions) (*sigstore.Signer, error) { return sigstore.NewKey(k.PublicPEM, o) })
	})
	t.Run("Keyless", func(t *testing.T) {
		wantIDs(t, func() sigstore.KeylessOptions {
			return sigstore.KeylessOptions{Options: sigstore.Options{TrustedRoot: trusted}}
		},
			with(common(func(o *sigstore.KeylessOptions) *sigstore.Options { return &o.Options }, other), variants[sigstore.KeylessOptions]{
				"CTLog": func(o *sigstore.KeylessOptions) { o.CTLog = sigstore.LogIgnored },
			}), func(o sigstore.KeylessOptions) (*sigstore.Signer, error) { return sigstore.NewKeyless(workflow(), o) })
	})
	t.Run("Identity", func(t *testing.T) {
		extension := func(name string, m sigstore.Match) func(*sigstore.Identity) {
			return func(i *sigstore.Identity) { i.Extensions = map[string]sigstore.Match{name: m} }
		}
		wantIDs(t, workflow, variants[sigstore.Identity]{
			"Issuer":           func(i *sigstore.Identity) { i.Issuer = sigstore.Exactly("x") },
			"IssuerPattern":    func(i *sigstore.Identity) { i.Issuer = matching(t, testca.DefaultIssuer) },
			"Subject":          func(i *sigstore.Identity) { i.Subject = sigstore.Exactly("x") },
			"SubjectPattern":   func(i *sigstore.Identity) { i.Subject = matching(t, "x") },
			"SubjectPart":      func(i *sigstore.Identity) { i.Subject = containing(t, "x-y") },
			"SubjectWhole":     func(i *sigstore.Identity) { i.Subject = matching(t, "x-y") },
			"AnySubject":       func(i *sigstore.Identity) { i.Subject, i.AnySubject = sigstore.Match{}, true },
			"SourceRepository": func(i *sigstore.Identity) { i.SourceRepository = "x" },
			"Extensions":       extension("buildTrigger", sigstore.Exactly("push")),
			"ExtensionOther":   extension("runnerEnvironment", sigstore.Exactly("push")),
			"ExtensionValue":   extension("buildTrigger", sigstore.Exactly("pull")),
			"ExtensionPattern": extension("buildTrigger", matching(t, "push")),
		}, func(i sigstore.Identity) (*sigstore.Signer, error) {
			return sigstore.NewKeyless(i, sigstore.KeylessOptions{Options: sigstore.Options{TrustedRoot: trusted}})
		})
	})
	t.Run("Certificate", func(t *testing.T) {
		one, again := issued(t, s, testca.CertificateOptions{}), issued(t, s, testca.CertificateOptions{})
		base := func() sigstore.CertificateOptions {
			return sigstore.CertificateOptions{Options: sigstore.Options{TrustedRoot: trusted}, Chain: s.FulcioChain(), Subject: sigstore.Exactly("dev@acme.test")}
		}
		pin := func(o *sigstore.CertificateOptions, pem []byte) { o.Certificate, o.Subject = pem, sigstore.Match{} }
		wantIDs(t, base, with(common(func(o *sigstore.CertificateOptions) *sigstore.Options { return &o.Options }, other), variants[sigstore.CertificateOptions]{
			"Certificate":      func(o *sigstore.CertificateOptions) { pin(o, one.PEM) },
			"CertificateOther": func(o *sigstore.CertificateOptions) { pin(o, again.PEM) },
			"CertificateAlone": func(o *sigstore.CertificateOptions) { pin(o, one.PEM); o.Chain = nil },
			"Chain":            func(o *sigstore.CertificateOptions) { o.Chain = two.FulcioChain() },
			"ChainRootOnly":    func(o *sigstore.CertificateOptions) { o.Chain = block("CERTIFICATE", one.Chain[1].Raw) },
			"Subject":          func(o *sigstore.CertificateOptions) { o.Subject = sigstore.Exactly("ops@acme.test") },
			"SubjectPattern":   func(o *sigstore.CertificateOptions) { o.Subject = matching(t, "dev@acme.test") },
			"AnySubject":       func(o *sigstore.CertificateOptions) { o.Subject, o.AnySubject = sigstore.Match{}, true },
			"Now":              func(o *sigstore.CertificateOptions) { o.Now = time.Now }, // whether there is one
		}), sigstore.NewCertificate)
		first, second := base(), base()
		first.Now, second.Now = time.Now, longAgo
		a, err := sigstore.NewCertificate(first)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := sigstore.NewCertificate(second); err != nil || a.ID() != b.ID() {
			t.Errorf("want one ID whichever clock, got %v", err)
		}
	})
}

// TestR34KindsOfSigner has one key under every kind of signer.
func TestR34KindsOfSigner(t *testing.T) {
	s := whole(t)
	c := issued(t, s, testca.CertificateOptions{})
	o := sigstore.Options{TrustedRoot: trustedRoot(t, s.TrustedRoot())}
	ids := map[policy.SignerID]bool{
		signer(t, c.Key, sigstore.KeyOptions{Options: o}).ID():                                                             true,
		keyless(t, s, workflow(), nil).ID():                                                                                true,
		certified(t, sigstore.CertificateOptions{Options: o, Certificate: c.PEM}).ID():                                     true,
		certified(t, sigstore.CertificateOptions{Options: o, Certificate: c.PEM, Chain: s.FulcioChain()}).ID():             true,
		certified(t, sigstore.CertificateOptions{Options: o, Subject: sigstore.Exactly("x"), Chain: s.FulcioChain()}).ID(): true,
	}
	if len(ids) != 5 {
		t.Errorf("want five IDs, got %v", ids)
	}
}

// TestPlaceIsWhereEvidenceIs holds that the place is handed on, and proves
// nothing by itself.
func TestPlaceIsWhereEvidenceIs(t *testing.T) {
	place := evidence.Place{Repository: imageref.MustParse("registry.test/sigs").Repository(), TagPrefix: "x-"}
	s := signer(t, newKey(t, fixture.P256), sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, Place: place}})
	if s.Need().Place != place || s.StatementNeed().Place != place {
		t.Errorf("want %v, got %v and %v", place, s.Need(), s.StatementNeed())
	}
}
