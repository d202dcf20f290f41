package notation_test

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/notation"
	"github.com/bonafide-dev/bonafide/policy"
)

func TestR29NativeOptions(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	for name, tc := range map[string]struct {
		reason string
		edit   func(*notation.Options)
		fails  bool
	}{
		"Plain":             {reason: "what the others vary", edit: func(*notation.Options) {}},
		"Skip":              {reason: "it verifies nothing", edit: func(o *notation.Options) { o.Level = notation.Skip }, fails: true},
		"UnknownLevel":      {reason: "unknown", edit: func(o *notation.Options) { o.Level = "Strict" }, fails: true},
		"UnknownOverride":   {reason: "unknown", edit: func(o *notation.Options) { o.Override = map[string]string{"Expiry": "log"} }, fails: true},
		"UnknownAction":     {reason: "unknown", edit: func(o *notation.Options) { o.Override = map[string]string{"expiry": "ignore"} }, fails: true},
		"NoStores":          {reason: "nobody is trusted", edit: func(o *notation.Options) { o.TrustStores = nil }, fails: true},
		"NoCertificates":    {reason: "nobody is trusted", edit: func(o *notation.Options) { o.TrustStores[0].Certificates = nil }, fails: true},
		"NilCertificate":    {reason: "a mistake", edit: func(o *notation.Options) { o.TrustStores[0].Certificates = []*x509.Certificate{nil} }, fails: true},
		"Leaf":              {reason: "a signer's certificate is no trust store", edit: func(o *notation.Options) { o.TrustStores[0].Certificates = p.leaf.Chain[:1] }, fails: true},
		"UnknownType":       {reason: "unknown", edit: func(o *notation.Options) { o.TrustStores[0].Type = "CA" }, fails: true},
		"NoIdentities":      {reason: "nobody is trusted", edit: func(o *notation.Options) { o.TrustedIdentities = nil }, fails: true},
		"TooManyIdentities": {reason: "bounded", edit: func(o *notation.Options) { o.TrustedIdentities = make([]string, 101) }, fails: true},
		"TimestampNoStore":  {reason: "no timestamp would be looked at", edit: func(o *notation.Options) { o.VerifyTimestamp = "always" }, fails: true},
		"OverrideNoStore":   {reason: "no timestamp would be looked at", edit: func(o *notation.Options) { o.Override = map[string]string{"authenticTimestamp": "log"} }, fails: true},
		"TimestampOnly":     {reason: "no signer could be trusted", edit: func(o *notation.Options) { o.TrustStores[0].Type = notation.TSA }, fails: true},
		"TimestampWithStore": {reason: "timestamps are looked at", edit: func(o *notation.Options) {
			o.TrustStores, o.VerifyTimestamp = append(o.TrustStores, p.store(notation.TSA)), "afterCertExpiry"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := p.options()
			tc.edit(&o)
			if _, err := notation.New(o); (err != nil) != tc.fails {
				t.Errorf("%s: want an error: %t, got %v", tc.reason, tc.fails, err)
			}
		})
	}
}

func TestR34IDCoversEverythingByContent(t *testing.T) {
	p, other := newPKI(t, fixture.CertificateOptions{}), newPKI(t, fixture.CertificateOptions{})
	base := newSigner(t, p.options()).ID()
	timestamps := func(o *notation.Options) { o.TrustStores = append(o.TrustStores, p.store(notation.TSA)) }
	seen := map[policy.SignerID]string{base: "base"}
	for name, edit := range map[string]func(*notation.Options){
		"Certificate":     func(o *notation.Options) { o.TrustStores[0].Certificates = other.root.Chain },
		"MoreCertificate": func(o *notation.Options) { o.TrustStores = append(o.TrustStores, other.store(notation.CA)) },
		"StoreType":       func(o *notation.Options) { o.TrustStores[0].Type = notation.SigningAuthority },
		"Identity":        func(o *notation.Options) { o.TrustedIdentities = []string{"*"} },
		"Level":           func(o *notation.Options) { o.Level = notation.Permissive },
		"Override":        func(o *notation.Options) { o.Override = map[string]string{"expiry": "log"} },
		"Timestamps":      timestamps,
		"TimestampOption": func(o *notation.Options) { timestamps(o); o.VerifyTimestamp = "afterCertExpiry" },
		"Revocation":      func(o *notation.Options) { o.Revocation = &notation.Online{} },
	} {
		o := p.options()
		edit(&o)
		id := newSigner(t, o).ID()
		if twin := seen[id]; twin != "" {
			t.Errorf("want another identity for %s than for %s, got %s for both", name, twin, id)
		}
		seen[id] = name
	}

	written := p.options()
	written.Level, written.TrustStores[0].Name = notation.Strict, "renamed"
	written.TrustStores[0].Certificates = append(written.TrustStores[0].Certificates, p.root.Certificate())
	if id := newSigner(t, written).ID(); id != base {
		t.Errorf("want names, defaults and repetition to be no content, got %s and %s", id, base)
	}
}

func TestR34DocumentIDCoversStatementsAndStores(t *testing.T) {
	p, other := newPKI(t, fixture.CertificateOptions{}), newPKI(t, fixture.CertificateOptions{})
	id := func(stores []notation.TrustStore, statements ...string) policy.SignerID {
		s, err := notation.FromDocument(text(statements...), stores, notation.DocumentOptions{})
		return must(t, s, err).ID()
	}
	mine, theirs := []notation.TrustStore{p.store(notation.CA)}, []notation.TrustStore{other.store(notation.CA)}
	a, b := strict("a", "registry.example/a", "*"), strict("b", "registry.example/b", "*")
	base := id(mine, a, b)
	if id(theirs, a, b) == base {
		t.Error("want another identity when the store of that name holds other certificates")
	}
	if id(mine, a) == base || id(mine, a, strict("b", "registry.example/c", "*")) == base {
		t.Error("want another identity when a statement or a scope changes")
	}
	if id(mine, b, a) != base || id(append(mine, other.store(notation.TSA)), a, b) != base || id(mine, strict("x", "Registry.example:443/a", "*"), b) != base {
		t.Error("want order, names, spelling and stores that nobody names to be no content")
	}
	if !newSigner(t, p.options()).PerRepository() {
		t.Error("want verdicts to be kept by repository (R34)")
	}
}

func TestR35ProofEndsWithWhatItRestsOn(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	end := now.Add(9 * hour)
	chain := fixture.CertificateOptions{NotBefore: now.Add(-9 * hour), NotAfter: end}
	for name, tc := range map[string]struct {
		reason string
		leaf   fixture.CertificateOptions
		sign   fixture.NotationOptions
		next   time.Time
		level  string
		want   time.Time
	}{
		"Chain":         {reason: "validity was judged now, so the proof ends with the chain", leaf: chain, want: end},
		"Expiry":        {reason: "the signature ends first", leaf: chain, sign: fixture.NotationOptions{Expiry: now.Add(2 * hour)}, want: now.Add(2 * hour)},
		"NextUpdate":    {reason: "the revocation answer ends first", leaf: chain, next: now.Add(hour), want: now.Add(hour)},
		"LoggedExpiry":  {reason: "an expiry that has passed and is only logged says no more", leaf: chain, sign: fixture.NotationOptions{SigningTime: now.Add(-5 * hour), Expiry: now.Add(-hour)}, level: notation.Permissive, want: end},
		"LoggedAndThen": {reason: "logged ends that lie ahead count: a note is due then", leaf: chain, sign: fixture.NotationOptions{Expiry: now.Add(2 * hour)}, level: notation.Permissive, want: now.Add(2 * hour)},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPKI(t, tc.leaf)
			o := p.options()
			o.Level, o.Revocation = tc.level, &answers{leaf: notation.Good, next: tc.next}
			proof := verified(t, newSigner(t, o), image("content"), item(t, image("content"), p.leaf, tc.sign), "")
			if !proof.Expires.Equal(tc.want) {
				t.Errorf("%s: want %s, got %s", tc.reason, tc.want, proof.Expires)
			}
		})
	}
}

func TestR28OnePartyIsOneIdentity(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	between, err := p.root.Intermediate(fixture.CertificateOptions{Subject: subject("Intermediate")})
	must(t, between, err)
	reordered := issue(t, between, fixture.CertificateOptions{Edit: func(c *x509.Certificate) {
		names := subject("signer").ToRDNSequence()
		for i, j := 0, len(names)-1; i < j; i, j = i+1, j-1 {
			names[i], names[j] = names[j], names[i]
		}
		raw, err := asn1.Marshal(names)
		if err != nil {
			panic(err)
		}
		c.RawSubject = raw
	}})
	s := newSigner(t, p.options())
	proof := func(leaf fixture.Leaf) string {
		return verified(t, s, image("content"), item(t, image("content"), leaf, fixture.NotationOptions{}), "").Identity
	}
	first := proof(p.leaf)
	if second := proof(issue(t, p.root, fixture.CertificateOptions{})); second != first {
		t.Errorf("want a second certificate of one party to be one identity, got %q and %q", first, second)
	}
	if third := proof(reordered); third != first {
		t.Errorf("want another intermediate and another order of the name to be one identity, got %q and %q", first, third)
	}
	o := p.options()
	o.TrustedIdentities = []string{"*"}
	other := verified(t, newSigner(t, o), image("content"), item(t, image("content"), issue(t, p.root, fixture.CertificateOptions{Subject: subject("other")}), fixture.NotationOptions{}), "")
	if other.Identity == first {
		t.Errorf("want another party to be another identity, got %q twice", first)
	}
}

func TestContextEnds(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	it := item(t, image("content"), p.leaf, fixture.NotationOptions{})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newSigner(t, p.options()).Verify(ended, image("content"), it); reason(err) != evidence.Cancelled {
		t.Errorf("want Cancelled, got %v", err)
	}
	late, stop := context.WithDeadline(t.Context(), time.Now().Add(-hour))
	defer stop()
	if _, err := newSigner(t, p.options()).Verify(late, image("content"), it); reason(err) != evidence.DeadlineExceeded {
		t.Errorf("want DeadlineExceeded, got %v", err)
	}
}

func TestR48PanicAndZeroValuesDecideNothing(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	it := item(t, image("content"), p.leaf, fixture.NotationOptions{})
	o := p.options()
	o.Revocation = panicking{}
	verified(t, newSigner(t, o), image("content"), it, evidence.Internal)
	verified(t, newSigner(t, p.options()), evidence.Image{}, it, evidence.Internal)
	verified(t, &notation.Signer{}, image("content"), it, evidence.OutOfScope)
}

type panicking struct{}

func (panicking) ID() string { return "panicking" }

func (panicking) Check(context.Context, notation.Chain) notation.Answer { panic("boom") }

func TestVerifyConcurrently(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	s := newSigner(t, p.options())
	good, bad := item(t, image("a"), p.leaf, fixture.NotationOptions{}), item(t, image("b"), p.leaf, fixture.NotationOptions{Format: fixture.COSE})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := s.Verify(t.Context(), image("a"), good); err != nil {
				t.Error(err)
			}
			if _, err := s.Verify(t.Context(), image("a"), bad); reason(err) != evidence.SubjectMismatch {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestDescribe(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	if got, want := newSigner(t, p.options()).Describe(), "a Notation certificate of identity x509.subject: C=DE, ST=Berlin, O=Acme, CN=signer"; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
	s, err := notation.FromDocument(text(strict("prod", "registry.example/a", "*"), strict("dev", "registry.example/b", "*")), []notation.TrustStore{p.store(notation.CA)}, notation.DocumentOptions{})
	if got, want := must(t, s, err).Describe(), `Notation trust policy "prod" or "dev"`; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
	_, err = newSigner(t, p.options()).Verify(t.Context(), image("other"), item(t, image("content"), p.leaf, fixture.NotationOptions{}))
	for _, part := range []string{"Notation signature sha256:", "expected a signature of " + image("other").Digest().String(), "got one of " + image("content").Digest().String()} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("want %q in the message, got %q", part, err)
		}
	}
}
