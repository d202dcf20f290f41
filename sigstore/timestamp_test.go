package sigstore_test

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// TestR26Timestamps has timestamps of every kind beside signatures whose log
// tells the time, and beside signatures whose log does not.
func TestR26Timestamps(t *testing.T) {
	s, other, image := whole(t), whole(t), app(t)
	made := func(o testca.Options) *testca.Sigstore {
		o.Whole = true
		return testca.New(t, o)
	}
	before := longAgo().Add(-time.Hour)
	cases := map[string]struct {
		reason string
		in     *testca.Sigstore // default s
		stamp  testca.TimestampOptions
		want   evidence.Reason
		absent bool // as good as none
	}{
		"Good":               {reason: "with the authority's certificates"},
		"NoCertificates":     {reason: "the root has the authority's", stamp: testca.TimestampOptions{NoCertificates: true}},
		"SHA384":             {reason: "another hash", stamp: testca.TimestampOptions{Hash: crypto.SHA384}},
		"SHA512":             {reason: "another hash", stamp: testca.TimestampOptions{Hash: crypto.SHA512}},
		"SHA1":               {reason: "a broken hash", stamp: testca.TimestampOptions{Hash: crypto.SHA1}, want: evidence.TimestampInvalid},
		"OfOther":            {reason: "of another signature", stamp: testca.TimestampOptions{OfOther: true}, want: evidence.TimestampInvalid},
		"Forged":             {reason: "another key in the authority's name", stamp: testca.TimestampOptions{Forged: true}, want: evidence.TimestampInvalid},
		"ForgedBare":         {reason: "another key in the authority's name", stamp: testca.TimestampOptions{Forged: true, NoCertificates: true}, want: evidence.TimestampInvalid},
		"Changed":            {reason: "another time than was signed", stamp: testca.TimestampOptions{BreakTime: true}, want: evidence.TimestampInvalid},
		"Rejected":           {reason: "the authority did not sign", stamp: testca.TimestampOptions{Rejected: true}, want: evidence.TimestampInvalid},
		"Unknown":            {reason: "an authority that nobody named", stamp: testca.TimestampOptions{By: other}, absent: true},
		"UnknownForged":      {reason: "a signature that its own certificate refutes", stamp: testca.TimestampOptions{By: other, Forged: true}, want: evidence.TimestampInvalid},
		"AuthorityEnded":     {reason: "the trusted root's own word", in: made(testca.Options{Authority: testca.Period{Until: before}}), want: evidence.TimestampInvalid},
		"AuthorityToCome":    {reason: "the trusted root's own word", in: made(testca.Options{Authority: testca.Period{From: longAgo().Add(time.Hour)}}), want: evidence.TimestampInvalid},
		"CertificateEnded":   {reason: "the authority's certificate was over", in: made(testca.Options{Timestamper: testca.Period{Until: before}}), want: evidence.TimestampInvalid},
		"CertificateToCome":  {reason: "the authority's certificate had not begun", in: made(testca.Options{Timestamper: testca.Period{From: longAgo().Add(time.Hour)}}), want: evidence.TimestampInvalid},
		"CertificateEndedBy": {reason: "over since", in: made(testca.Options{Timestamper: testca.Period{Until: longAgo().Add(time.Hour)}, Authority: testca.Period{Until: longAgo().Add(time.Hour)}})},
		"WrongUsage": {reason: "a certificate for code", in: made(testca.Options{EditTimestamper: func(c *testca.Template) {
			c.ExtraExtensions, c.ExtKeyUsage = nil, []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
		}}), want: evidence.TimestampInvalid},
		"NoUsage":           {reason: "a certificate for anything", in: made(testca.Options{EditTimestamper: func(c *testca.Template) { c.ExtraExtensions = nil }}), want: evidence.TimestampInvalid},
		"BeforeCertificate": {reason: "stamped before the signer's certificate began", stamp: testca.TimestampOptions{Time: before}, want: evidence.CertificateInvalid},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			in := s
			if tc.in != nil {
				in = tc.in
			}
			c := issued(t, in, testca.CertificateOptions{})
			lax := keyless(t, in, workflow(), nil)
			strict := keyless(t, in, workflow(), func(o *sigstore.KeylessOptions) { o.Timestamps = sigstore.TimestampsRequired })
			eachForm(t, nil, func(t *testing.T, f form) {
				item := f.sign(t, image, c, testimony{by: in, stamped: true, stamp: tc.stamp})
				loose, firm := tc.want, tc.want
				if tc.absent {
					if firm = evidence.TimestampMissing; f.rekor2 {
						loose = evidence.TimestampMissing
					}
				}
				proof := f.want(t, lax, image, item, loose).proof
				if n := 1; loose == "" && !tc.absent && len(proof.Testimony.Timestamps) != n {
					t.Errorf("want %d timestamp, got %v", n, proof.Testimony.Timestamps)
				}
				f.want(t, strict, image, item, firm)
			})
		})
	}
	t.Run("Required", func(t *testing.T) {
		strict := keyless(t, s, workflow(), func(o *sigstore.KeylessOptions) { o.Timestamps = sigstore.TimestampsRequired })
		c := issued(t, s, testca.CertificateOptions{})
		eachForm(t, nil, func(t *testing.T, f form) {
			f.want(t, strict, image, f.sign(t, image, c, testimony{by: s, bare: true}), evidence.TimestampMissing)
		})
	})
	t.Run("OneOfTwoBroken", func(t *testing.T) {
		c := issued(t, s, testca.CertificateOptions{})
		at := testca.TimestampOptions{Time: longAgo()}
		forged := testca.TimestampOptions{Time: longAgo(), Forged: true}
		for _, stamps := range [][]testca.TimestampOptions{{at, forged}, {forged, at}} {
			o := c.Bundle(fixture.BundleOptions{LogEntries: s.LogEntries(testca.EntryOptions{Time: longAgo()}), Timestamps: s.Timestamps(stamps...)})
			want(t, keyless(t, s, workflow(), nil), image, bundled(t, image, c.Key, o), evidence.TimestampInvalid)
		}
	})
}

// TestR26TimestampsBesideKeys has the authority's word on signatures by a key.
func TestR26TimestampsBesideKeys(t *testing.T) {
	s, image, k := whole(t), app(t), newKey(t, fixture.P256)
	trusted := sigstore.Options{TransparencyLog: sigstore.LogIgnored, Timestamps: sigstore.TimestampsRequired, TrustedRoot: trustedRoot(t, s.TrustedRoot())}
	ours := signer(t, k, sigstore.KeyOptions{Options: trusted})
	key := testca.Certificate{Key: k}
	eachForm(t, bare, func(t *testing.T, f form) {
		proof := f.want(t, ours, image, f.sign(t, image, key, testimony{by: s, unlogged: true, stamped: true}), "").proof
		if !proof.Time.Equal(longAgo()) || proof.Testimony.Certificate != nil {
			t.Errorf("want the stamped time and no certificate, got %+v", proof)
		}
		f.want(t, ours, image, f.sign(t, image, key, nobody(s)), evidence.TimestampMissing)
		f.want(t, ours, image, f.sign(t, image, key, testimony{by: s, unlogged: true, stamped: true, stamp: testca.TimestampOptions{OfOther: true}}), evidence.TimestampInvalid)
	})
}

func FuzzTimestamp(f *testing.F) {
	s, image, k := whole(f), app(f), newKey(f, fixture.P256)
	o := sigstore.Options{TransparencyLog: sigstore.LogIgnored, Timestamps: sigstore.TimestampsRequired, TrustedRoot: trustedRoot(f, s.TrustedRoot())}
	ours := signer(f, k, sigstore.KeyOptions{Options: o})
	item := simple(f, image, k, fixture.CosignOptions{})
	signature := signatureIn(f, item)
	for _, o := range []testca.TimestampOptions{{}, {NoCertificates: true}, {Forged: true}, {Rejected: true}, {By: whole(f)}} {
		token, err := s.Timestamp(signature, o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(token)
	}
	f.Add([]byte{0x30, 0x80, 0, 0})
	other, target := simple(f, subject(f, "registry.test/acme/other:v1", "other"), k, fixture.CosignOptions{}), found(f, image)
	elsewhere := found(f, subject(f, "registry.test/acme/other:v1", "other"))
	f.Fuzz(func(t *testing.T, token []byte) {
		raw, err := json.Marshal(map[string][]byte{"SignedRFC3161Timestamp": token})
		if err != nil {
			t.Fatal(err)
		}
		stamped := item
		annotate(fixture.AnnotationTimestamp, string(raw))(&stamped)
		if proof, err := ours.Verify(t.Context(), target, stamped); err == nil && proof.Time.IsZero() {
			t.Fatal("want a time with a required timestamp")
		}
		borrowed := other
		annotate(fixture.AnnotationTimestamp, string(raw))(&borrowed)
		if _, err := ours.Verify(t.Context(), elsewhere, borrowed); err == nil {
			t.Fatal("want no timestamp of another signature")
		}
	})
}
