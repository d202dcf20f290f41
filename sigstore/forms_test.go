package sigstore_test

import (
	"encoding/base64"
	"sync"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// whole is a Sigstore with all of its parts in its trusted root.
func whole(tb testing.TB) *testca.Sigstore {
	tb.Helper()
	return testca.New(tb, testca.Options{Whole: true})
}

// longAgo is when most signatures of these tests were made: a time at which the
// clock on the wall would let nothing pass.
var longAgo = sync.OnceValue(func() time.Time { return time.Now().Add(-2 * 365 * 24 * time.Hour).Truncate(time.Second) })

// issued is a certificate that begins a minute before longAgo, unless it says
// otherwise.
func issued(tb testing.TB, by *testca.Sigstore, o testca.CertificateOptions) testca.Certificate {
	tb.Helper()
	if o.NotBefore.IsZero() {
		o.NotBefore = longAgo().Add(-time.Minute)
	}
	return by.Issue(tb, o)
}

// testimony is what testifies to a signature with a certificate.
type testimony struct {
	by       *testca.Sigstore // whose log and authority
	at       time.Time        // default longAgo
	entry    testca.EntryOptions
	stamp    testca.TimestampOptions
	stamped  bool // has a timestamp although its log tells the time
	unlogged bool
	bare     bool // has no timestamp although its log tells no time
}

func (y testimony) complete(f form) testimony {
	if y.at.IsZero() {
		y.at = longAgo()
	}
	y.entry.Rekor2 = f.rekor2
	if f.kind != "" {
		y.entry.Kind, y.entry.Version = f.kind, f.version
	}
	if f.promised {
		y.entry.NoProof = true
	}
	if y.entry.Time.IsZero() && !f.rekor2 {
		y.entry.Time = y.at
	}
	if y.stamp.Time.IsZero() {
		y.stamp.Time = y.at
	}
	y.stamped = (y.stamped || f.rekor2) && !y.bare
	return y
}

func (y testimony) annotate() func(fixture.Signed) (map[string]string, error) {
	var each []func(fixture.Signed) (map[string]string, error)
	if !y.unlogged {
		each = append(each, y.by.Annotate(y.entry))
	}
	if y.stamped {
		each = append(each, y.by.AnnotateTimestamp(y.stamp))
	}
	return testca.Testify(each...)
}

func (y testimony) enclose(o fixture.BundleOptions) fixture.BundleOptions {
	if !y.unlogged {
		o.LogEntries = y.by.LogEntries(y.entry)
	}
	if y.stamped {
		o.Timestamps = y.by.Timestamps(y.stamp)
	}
	return o
}

// form is a way to store a signature or a statement.
type form struct {
	legacy        bool // a layer with annotations
	attests       bool // a statement of the type custom, not a signature
	rekor2        bool // logged where entries have no time
	promised      bool // the log promises, and proves nothing
	kind, version string
	bundle        fixture.BundleOptions
}

// forms are all ways to store what a certificate signed.
var forms = map[string]form{
	"Sig":              {legacy: true},
	"Att":              {legacy: true, attests: true},
	"AttInToto1":       {legacy: true, attests: true, kind: "intoto", version: "0.0.1"},
	"AttInToto2":       {legacy: true, attests: true, kind: "intoto", version: "0.0.2"},
	"Bundle01":         {promised: true, bundle: fixture.BundleOptions{MediaType: fixture.MediaTypeBundle01}},
	"Bundle01Message":  {promised: true, bundle: fixture.BundleOptions{MediaType: fixture.MediaTypeBundle01, MessageSignature: true}},
	"Bundle02":         {bundle: fixture.BundleOptions{MediaType: fixture.MediaTypeBundle02}},
	"Bundle03":         {},
	"Bundle03Message":  {bundle: fixture.BundleOptions{MessageSignature: true}},
	"Bundle03InToto2":  {kind: "intoto", version: "0.0.2"},
	"Bundle03Attests":  {attests: true, bundle: fixture.BundleOptions{PredicateType: custom}},
	"Rekor2":           {rekor2: true},
	"Rekor2Message":    {rekor2: true, bundle: fixture.BundleOptions{MessageSignature: true}},
	"Rekor2Attests":    {rekor2: true, attests: true, bundle: fixture.BundleOptions{PredicateType: custom}},
	"Rekor2Bundle02":   {rekor2: true, bundle: fixture.BundleOptions{MediaType: fixture.MediaTypeBundle02}},
	"Rekor2MessageP02": {rekor2: true, bundle: fixture.BundleOptions{MediaType: fixture.MediaTypeBundle02, MessageSignature: true}},
}

// sign stores a signature of the image with a certificate.
func (f form) sign(tb testing.TB, i fixture.Image, c testca.Certificate, y testimony) evidence.Item {
	tb.Helper()
	y = y.complete(f)
	switch {
	case f.legacy && f.attests:
		return attested(tb, i, c.Key, c.Attestation(fixture.AttestationOptions{Annotate: y.annotate()}))
	case f.legacy:
		return simple(tb, i, c.Key, c.Cosign(fixture.CosignOptions{Annotate: y.annotate()}))
	}
	if c.DER == nil { // a key alone
		return bundled(tb, i, c.Key, y.enclose(f.bundle))
	}
	return bundled(tb, i, c.Key, y.enclose(c.Bundle(f.bundle)))
}

// want is [want] or [wantStatement], for what the form stores.
func (f form) want(tb testing.TB, s *sigstore.Signer, i fixture.Image, item evidence.Item, reason evidence.Reason) result {
	tb.Helper()
	if f.attests {
		return wantStatement(tb, s, i, item, custom, reason)
	}
	return want(tb, s, i, item, reason)
}

// eachForm runs a test for every form that is selected; nil selects all.
func eachForm(t *testing.T, selected func(form) bool, test func(*testing.T, form)) {
	t.Helper()
	for name, f := range forms {
		if selected == nil || selected(f) {
			t.Run(name, func(t *testing.T) { test(t, f) })
		}
	}
}

// workflow is the identity that certificates have by default.
func workflow() sigstore.Identity {
	return sigstore.Identity{Issuer: sigstore.Exactly(testca.DefaultIssuer), Subject: sigstore.Exactly(testca.DefaultSubject)}
}

// keyless is the signer of an identity under a Sigstore's own root.
func keyless(tb testing.TB, s *testca.Sigstore, identity sigstore.Identity, edit func(*sigstore.KeylessOptions)) *sigstore.Signer {
	tb.Helper()
	o := sigstore.KeylessOptions{Options: sigstore.Options{TrustedRoot: trustedRoot(tb, s.TrustedRoot())}}
	if edit != nil {
		edit(&o)
	}
	made, err := sigstore.NewKeyless(identity, o)
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

func matching(tb testing.TB, expression string) sigstore.Match {
	tb.Helper()
	m, err := sigstore.Matching(expression)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// signatureIn returns the signature of a simple signing.
func signatureIn(tb testing.TB, item evidence.Item) []byte {
	tb.Helper()
	raw, err := base64.StdEncoding.DecodeString(item.Annotations[fixture.AnnotationSignature])
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}
