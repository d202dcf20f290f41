package sigstore_test

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	prototrust "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// says fails unless a text has each of the parts.
func says(tb testing.TB, text string, parts ...string) {
	tb.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			tb.Errorf("want %q in %q", part, text)
		}
	}
}

// TestProblemNamesWhoSeemsToHaveSigned has signatures whose certificate, log entry or
// timestamp is wrong: the message says whose they seem to be, as a claim.
func TestProblemNamesWhoSeemsToHaveSigned(t *testing.T) {
	s, other, image := whole(t), whole(t), app(t)
	mail := testca.CertificateOptions{Subject: "dev@acme.test"}
	noCT := mail
	noCT.NoSCT = true
	ended := testca.New(t, testca.Options{Whole: true, FulcioIntermediate: testca.Period{Until: longAgo().Add(-time.Hour)}})
	ignoreLog := func(o *sigstore.KeylessOptions) { o.TransparencyLog = sigstore.LogIgnored }
	cases := map[string]struct {
		reason      string
		in          *testca.Sigstore // whose root is trusted; default s
		by          *testca.Sigstore // whose certificate it is; default s
		certificate testca.CertificateOptions
		testimony   testimony // default by s
		edit        func(*sigstore.KeylessOptions)
		want        evidence.Reason
		says        []string
	}{
		"NoEntry":      {reason: "nothing is logged", certificate: mail, testimony: testimony{unlogged: true, bare: true}, want: evidence.LogEntryMissing},
		"OtherRoot":    {reason: "the trusted root is another's", in: other, certificate: mail, want: evidence.LogEntryInvalid, says: []string{"one in log"}},
		"BrokenEntry":  {reason: "the log signed another time", certificate: mail, testimony: testimony{entry: testca.EntryOptions{BreakPromise: true}}, want: evidence.LogEntryInvalid, says: []string{"does not verify"}},
		"NoStamp":      {reason: "nothing proves a time", certificate: mail, testimony: testimony{unlogged: true, bare: true}, edit: ignoreLog, want: evidence.TimestampMissing, says: []string{"expected a timestamp", "transparency log is ignored"}},
		"BrokenStamp":  {reason: "of another signature", certificate: mail, testimony: testimony{stamped: true, stamp: testca.TimestampOptions{OfOther: true}}, want: evidence.TimestampInvalid},
		"NoCTLog":      {reason: "no log promised to hold it", certificate: noCT, want: evidence.CertificateUntrusted},
		"Stranger":     {reason: "another authority", by: other, certificate: mail, want: evidence.CertificateUntrusted, says: []string{"issued by"}},
		"Intermediate": {reason: "an authority that had ended", in: ended, by: ended, certificate: mail, want: evidence.CertificateInvalid, says: []string{"made at " + longAgo().UTC().Format(time.RFC3339)}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			in, by := s, s
			if tc.in != nil {
				in = tc.in
			}
			if tc.by != nil {
				by = tc.by
			}
			if tc.testimony.by = s; tc.in == ended {
				tc.testimony.by = ended
			}
			c := issued(t, by, tc.certificate)
			eachForm(t, bare, func(t *testing.T, f form) {
				p := f.want(t, keyless(t, in, workflow(), tc.edit), image, f.sign(t, image, c, tc.testimony), tc.want).problem
				says(t, p.Got, `a signature by a certificate for "dev@acme.test" (not verified)`)
				says(t, p.Error(), tc.says...)
				if n := strings.Count(p.Got, "dev@acme.test"); n != 1 {
					t.Errorf("want it named once, got %q", p.Got)
				}
			})
		})
	}
	// A key's signer does not look at certificates that lie beside.
	k := newKey(t, fixture.P256)
	item := forms["Sig"].sign(t, image, testca.Certificate{Key: k, PEM: issued(t, s, mail).PEM}, testimony{by: s, unlogged: true})
	if p := want(t, signer(t, k, required(t, s)), image, item, evidence.LogEntryMissing).problem; strings.Contains(p.Got, "not verified") {
		t.Errorf("want nobody claimed, got %q", p.Got)
	}
}

// TestKeylessSignerGotAKey has signatures without a certificate for a signer without
// a key.
func TestKeylessSignerGotAKey(t *testing.T) {
	s, image, k := whole(t), app(t), newKey(t, fixture.P256)
	id := sha512.Sum512_256(k.PublicPEM)
	ours := keyless(t, s, workflow(), nil)
	eachForm(t, nil, func(t *testing.T, f form) {
		p := f.want(t, ours, image, f.sign(t, image, testca.Certificate{Key: k}, testimony{by: s}), evidence.SignerMismatch).problem
		says(t, p.Got, "a signature without a certificate")
		if strings.Contains(p.Got, "the key does not verify") {
			t.Errorf("want no word of a key that the signer has not, got %q", p.Got)
		}
		if !f.legacy {
			says(t, p.Got, " by key sha256:", "(not verified)")
		}
	})
	p := want(t, ours, image, bundled(t, image, k, fixture.BundleOptions{Hint: hex.EncodeToString(id[:])}), evidence.SignerMismatch).problem
	says(t, p.Got, "without a certificate by a key with hint", hex.EncodeToString(id[:]))
}

// TestCertificateNotValidSaysWhen has certificates that are not valid at a proven
// time, and at that of the clock.
func TestCertificateNotValidSaysWhen(t *testing.T) {
	s, image := whole(t), app(t)
	at := longAgo()
	now := at.Add(time.Hour + 123456789*time.Nanosecond)
	c := issued(t, s, testca.CertificateOptions{Subject: "dev@acme.test", NotAfter: at.Add(time.Minute)})
	period := `certificate "dev@acme.test" valid from ` + at.Add(-time.Minute).UTC().Format(time.RFC3339) + " to " + at.Add(time.Minute).UTC().Format(time.RFC3339)
	clock := func() time.Time { return now }
	for name, signer := range map[string]*sigstore.Signer{
		"Chain":  certified(t, sigstore.CertificateOptions{Chain: s.FulcioChain(), AnySubject: true, Now: clock}),
		"Pinned": certified(t, sigstore.CertificateOptions{Certificate: c.PEM, Now: clock}),
	} {
		t.Run(name, func(t *testing.T) {
			eachForm(t, bare, func(t *testing.T, f form) {
				p := f.want(t, signer, image, f.sign(t, image, c, nobody(s)), evidence.CertificateInvalid).problem
				if want := "one that nothing proves the time of, judged now (" + now.UTC().Format(time.RFC3339) + "), with " + period; p.Got != want {
					t.Errorf("want %q, got %q", want, p.Got)
				}
			})
		})
	}
	late := at.Add(2 * time.Minute)
	proven := certified(t, sigstore.CertificateOptions{Options: sigstore.Options{TrustedRoot: trustedRoot(t, s.TrustedRoot())}, Certificate: c.PEM, Now: clock})
	p := want(t, proven, image, forms["Sig"].sign(t, image, c, testimony{by: s, at: late}), evidence.CertificateInvalid).problem
	if want := "one made at " + late.UTC().Format(time.RFC3339) + " with " + period; p.Got != want {
		t.Errorf("want %q, got %q", want, p.Got)
	}
}

// TestSubjectMismatchSaysWhatWasNamed has statements whose subjects cannot be
// compared with an image, or differ in one of several digests.
func TestSubjectMismatchSaysWhatWasNamed(t *testing.T) {
	k, image := newKey(t, fixture.P256), app(t)
	raw := sha512.Sum512(image.Raw)
	longer := hex.EncodeToString(raw[:])
	cases := map[string]struct {
		reason, subject, want string
	}{
		"SHA512":   {"a digest by a hash that the image is not known by", `{"sha512": "` + longer + `"}`, "one named by sha512 only"},
		"Foreign":  {"names that are no hashes of ours", `{"gitCommit": "1", "sha384": "2"}`, `one named by "gitCommit", sha384 only`},
		"Many":     {"no more than a message holds", `{"a": "", "b": "", "c": "", "d": "", "e": "", "f": ""}`, `one named by "a", "b", "c", "d" and 2 more only`},
		"None":     {"nothing to compare", `{}`, "one of a subject without a digest"},
		"Compared": {"it is another", `{"sha256": "00"}`, `one of "sha256:00"`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			text := `{"_type": "https://in-toto.io/Statement/v1", "predicateType": "` + custom + `", "subject": [{"digest": ` + tc.subject + `}], "predicate": {}}`
			item := bundled(t, image, k, fixture.BundleOptions{Statement: []byte(text)})
			if p := wantStatement(t, signer(t, k, ignored), image, item, custom, evidence.SubjectMismatch).problem; p.Got != tc.want {
				t.Errorf("want %q, got %q", tc.want, p.Got)
			}
		})
	}
	// Of a file both digests are known, and one of them is another's.
	content := file("a file")
	text := `{"_type": "https://in-toto.io/Statement/v1", "predicateType": "` + custom + `", "subject": [{"digest": {"sha256": "` + content.Digest.Hex() + `", "sha512": "00"}}], "predicate": {}}`
	item := bundled(t, content, k, fixture.BundleOptions{Statement: []byte(text)})
	p := evidence.ProblemOf(verified(t, signer(t, k, ignored), item.Payload, artifact(t, content.Raw)))
	if want := `one of "sha512:00"`; p.Got != want {
		t.Errorf("want %q, got %q", want, p.Got)
	}
}

// TestTimestampProblemIsItsAuthoritys has a root with two authorities: what is
// wrong with a timestamp is what the authority that issued it says.
func TestTimestampProblemIsItsAuthoritys(t *testing.T) {
	s, other, image := whole(t), whole(t), app(t)
	c := issued(t, s, testca.CertificateOptions{})
	cause := func(first, second *testca.Sigstore) string {
		raw := s.EditedRoot(t, func(r *prototrust.TrustedRoot) {
			r.TimestampAuthorities = nil
			for _, by := range []*testca.Sigstore{first, second} {
				by.EditedRoot(t, func(theirs *prototrust.TrustedRoot) {
					r.TimestampAuthorities = append(r.TimestampAuthorities, theirs.TimestampAuthorities...)
				})
			}
		})
		signer := keyless(t, s, workflow(), func(o *sigstore.KeylessOptions) { o.TrustedRoot = trustedRoot(t, raw) })
		item := forms["Sig"].sign(t, image, c, testimony{by: s, stamped: true, stamp: testca.TimestampOptions{OfOther: true}})
		return want(t, signer, image, item, evidence.TimestampInvalid).problem.Err.Error()
	}
	if first, second := cause(s, other), cause(other, s); first != second {
		t.Errorf("want the same whatever the order, got %q and %q", first, second)
	}
}

// TestR1ArtifactEndsWithItsContext has a context that ends after the first
// read of a long file.
func TestR1ArtifactEndsWithItsContext(t *testing.T) {
	errGone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	reads := 0
	long := readerFunc(func(p []byte) (int, error) {
		cancel(errGone)
		if reads++; reads > 100 {
			return 0, io.EOF
		}
		return len(p), nil
	})
	if _, err := sigstore.NewArtifact(ctx, long); !errors.Is(err, errGone) {
		t.Errorf("want the end of the context, got %v", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

var _ io.Reader = readerFunc(nil)
