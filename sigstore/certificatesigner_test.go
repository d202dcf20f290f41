package sigstore_test

import (
	"bytes"
	"crypto/x509"
	names "crypto/x509/pkix"
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// certified is the signer with a certificate. With the zero Options it asks for
// neither log nor timestamp and judges at longAgo.
func certified(tb testing.TB, o sigstore.CertificateOptions) *sigstore.Signer {
	tb.Helper()
	if o.TrustedRoot == nil {
		o.TransparencyLog = sigstore.LogIgnored
	}
	if o.Now == nil {
		o.Now = longAgo
	}
	s, err := sigstore.NewCertificate(o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// bare are the forms as cosign writes them without log and timestamp.
func bare(f form) bool { return !f.rekor2 && f.kind == "" }

func nobody(s *testca.Sigstore) testimony { return testimony{by: s, unlogged: true, bare: true} }

// TestR35CertificateJudgedNow has signatures of which nothing proves when they
// were made: the chain must be valid now, and the proof ends with it.
func TestR35CertificateJudgedNow(t *testing.T) {
	image, at := app(t), longAgo()
	before, soon := at.Add(-time.Hour), at.Add(3*time.Minute)
	cases := map[string]struct {
		reason      string
		options     testca.Options
		certificate testca.CertificateOptions
		now         time.Time
		expires     time.Time // default the leaf's end
		chained     evidence.Reason
		pinned      evidence.Reason // without a chain
	}{
		"Valid":             {reason: "within all"},
		"LeafEnded":         {reason: "over", now: at.Add(time.Hour), chained: evidence.CertificateInvalid, pinned: evidence.CertificateInvalid},
		"LeafToCome":        {reason: "not begun", now: at.Add(-2 * time.Minute), chained: evidence.CertificateInvalid, pinned: evidence.CertificateInvalid},
		"IntermediateEnded": {reason: "CVE-2026-24122", options: testca.Options{FulcioIntermediate: testca.Period{Until: before}}, chained: evidence.CertificateInvalid},
		"RootEnded":         {reason: "the end of trust", options: testca.Options{FulcioRoot: testca.Period{Until: before}}, chained: evidence.CertificateInvalid},
		"IntermediateFirst": {reason: "what ends first ends the proof", options: testca.Options{FulcioIntermediate: testca.Period{Until: soon}}, expires: soon},
		"RootFirst":         {reason: "what ends first ends the proof", options: testca.Options{FulcioRoot: testca.Period{Until: soon}}, expires: soon},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			s := testca.New(t, tc.options)
			c := issued(t, s, tc.certificate)
			now := at
			if !tc.now.IsZero() {
				now = tc.now
			}
			clock := func() time.Time { return now }
			end := c.Leaf.NotAfter
			if !tc.expires.IsZero() {
				end = tc.expires
			}
			by := map[string]*sigstore.Signer{
				"Chain":          certified(t, sigstore.CertificateOptions{Chain: s.FulcioChain(), AnySubject: true, Now: clock}),
				"PinnedAndChain": certified(t, sigstore.CertificateOptions{Certificate: c.PEM, Chain: s.FulcioChain(), Now: clock}),
				"Pinned":         certified(t, sigstore.CertificateOptions{Certificate: c.PEM, Now: clock}),
			}
			eachForm(t, bare, func(t *testing.T, f form) {
				item := f.sign(t, image, c, nobody(s))
				for which, signer := range by {
					reason, ends := tc.chained, end
					if which == "Pinned" {
						reason, ends = tc.pinned, c.Leaf.NotAfter
					}
					proof := f.want(t, signer, image, item, reason).proof
					if reason == "" && (!proof.Expires.Equal(ends) || !proof.Time.IsZero()) {
						t.Errorf("%s: want a proof until %s without time, got %s and %s", which, ends, proof.Expires, proof.Time)
					}
				}
			})
		})
	}
	t.Run("WithoutAClock", func(t *testing.T) {
		s := testca.New(t, testca.Options{})
		c := issued(t, s, testca.CertificateOptions{})
		signer, err := sigstore.NewCertificate(sigstore.CertificateOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored}, Certificate: c.PEM})
		if err != nil {
			t.Fatal(err)
		}
		forms["Sig"].want(t, signer, image, forms["Sig"].sign(t, image, c, nobody(s)), evidence.TimestampMissing)
	})
}

// TestR26CertificateJudgedAtTheProvenTime has signatures by certificates that
// have ended since.
func TestR26CertificateJudgedAtTheProvenTime(t *testing.T) {
	s, image := whole(t), app(t)
	c := issued(t, s, testca.CertificateOptions{})
	late := issued(t, s, testca.CertificateOptions{NotBefore: longAgo().Add(time.Second)})
	trusted := sigstore.Options{TrustedRoot: trustedRoot(t, s.TrustedRoot())}
	stamped := trusted
	stamped.TransparencyLog, stamped.Timestamps = sigstore.LogIgnored, sigstore.TimestampsRequired
	for name, tc := range map[string]struct {
		reason  string
		options sigstore.Options
		with    testimony
	}{
		"Logged":  {reason: "at the logged time", options: trusted},
		"Stamped": {reason: "at the stamped time", options: stamped, with: testimony{unlogged: true, stamped: true}},
		"Both":    {reason: "at both times", options: trusted, with: testimony{stamped: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			tc.with.by = s
			for which, o := range map[string]sigstore.CertificateOptions{
				"Chain":          {Options: tc.options, Chain: s.FulcioChain(), AnySubject: true, Now: time.Now},
				"PinnedAndChain": {Options: tc.options, Certificate: c.PEM, Chain: s.FulcioChain(), Now: time.Now},
				"Pinned":         {Options: tc.options, Certificate: c.PEM, Now: time.Now},
			} {
				signer := certified(t, o)
				eachForm(t, nil, func(t *testing.T, f form) {
					proof := f.want(t, signer, image, f.sign(t, image, c, tc.with), "").proof
					if !proof.Expires.IsZero() || !proof.Time.Equal(longAgo()) {
						t.Errorf("%s: want a proven time and no end, got %s and %s", which, proof.Time, proof.Expires)
					}
					if proof.Testimony.Certificate.Fingerprint == "" {
						t.Errorf("%s: want the certificate in the testimony", which)
					}
				})
			}
			eachForm(t, func(f form) bool { return f.legacy || f.rekor2 || tc.with.unlogged }, func(t *testing.T, f form) {
				any := certified(t, sigstore.CertificateOptions{Options: tc.options, Chain: s.FulcioChain(), AnySubject: true})
				f.want(t, any, image, f.sign(t, image, late, tc.with), evidence.CertificateInvalid)
				pinned := certified(t, sigstore.CertificateOptions{Options: tc.options, Certificate: late.PEM})
				f.want(t, pinned, image, f.sign(t, image, late, tc.with), evidence.CertificateInvalid)
			})
		})
	}
	t.Run("Unproven", func(t *testing.T) {
		signer := certified(t, sigstore.CertificateOptions{Options: trusted, Chain: s.FulcioChain(), AnySubject: true})
		eachForm(t, nil, func(t *testing.T, f form) {
			f.want(t, signer, image, f.sign(t, image, c, nobody(s)), evidence.LogEntryMissing)
		})
		signer = certified(t, sigstore.CertificateOptions{Options: stamped, Chain: s.FulcioChain(), AnySubject: true})
		eachForm(t, nil, func(t *testing.T, f form) {
			f.want(t, signer, image, f.sign(t, image, c, nobody(s)), evidence.TimestampMissing)
		})
	})
	t.Run("R25OtherCertificate", func(t *testing.T) {
		same := issued(t, s, testca.CertificateOptions{Key: c.Key})
		signer := certified(t, sigstore.CertificateOptions{Options: trusted, Certificate: c.PEM})
		eachForm(t, nil, func(t *testing.T, f form) {
			f.want(t, signer, image, f.sign(t, image, c, testimony{by: s, entry: testca.EntryOptions{PublicPEM: same.PEM}}), evidence.LogEntryInvalid)
		})
	})
}

// TestPinnedCertificateWithoutOneInTheSignature has signatures with the
// certificate's key that bring no certificate.
func TestPinnedCertificateWithoutOneInTheSignature(t *testing.T) {
	s, image := whole(t), app(t)
	c := issued(t, s, testca.CertificateOptions{})
	alone := testca.Certificate{Key: c.Key}
	other := testca.Certificate{Key: newKey(t, fixture.P256)}
	chain := sigstore.CertificateOptions{Certificate: c.PEM, Chain: s.FulcioChain()}
	logged := chain
	logged.TrustedRoot = trustedRoot(t, s.TrustedRoot())
	t.Run("Unlogged", func(t *testing.T) {
		eachForm(t, bare, func(t *testing.T, f form) {
			f.want(t, certified(t, chain), image, f.sign(t, image, alone, nobody(s)), "")
			f.want(t, certified(t, chain), image, f.sign(t, image, other, nobody(s)), evidence.SignerMismatch)
		})
	})
	t.Run("Logged", func(t *testing.T) {
		eachForm(t, nil, func(t *testing.T, f form) {
			f.want(t, certified(t, logged), image, f.sign(t, image, alone, testimony{by: s}), "")
			f.want(t, certified(t, logged), image, f.sign(t, image, other, testimony{by: s}), evidence.SignerMismatch)
		})
	})
}

func TestCertificateSigner(t *testing.T) {
	s, other, image := whole(t), whole(t), app(t)
	mail := issued(t, s, testca.CertificateOptions{Subject: "dev@acme.test"})
	bySubject := sigstore.CertificateOptions{Chain: s.FulcioChain(), Subject: sigstore.Exactly("dev@acme.test")}
	pinned := sigstore.CertificateOptions{Certificate: mail.PEM, Chain: s.FulcioChain()}
	cases := map[string]struct {
		reason  string
		options sigstore.CertificateOptions
		c       testca.Certificate
		want    evidence.Reason
	}{
		"Subject":          {reason: "whose certificate", options: bySubject, c: mail},
		"SubjectRenewed":   {reason: "a new certificate of the same", options: bySubject, c: issued(t, s, testca.CertificateOptions{Subject: "dev@acme.test"})},
		"OtherSubject":     {reason: "another's certificate", options: bySubject, c: issued(t, s, testca.CertificateOptions{Subject: "ops@acme.test"}), want: evidence.IdentityMismatch},
		"TwoSubjects":      {reason: "two for two readers", options: bySubject, c: issued(t, s, testca.CertificateOptions{Subject: "dev@acme.test", Also: []string{"ops@acme.test"}}), want: evidence.CertificateInvalid},
		"NoSubject":        {reason: "nobody's certificate", options: bySubject, c: issued(t, s, testca.CertificateOptions{NoSubject: true}), want: evidence.CertificateInvalid},
		"ChainSentAlong":   {reason: "an intermediate that nobody named", options: bySubject, c: issued(t, s, testca.CertificateOptions{Subject: "dev@acme.test", ByStray: true})},
		"OtherAuthority":   {reason: "another authority", options: bySubject, c: issued(t, other, testca.CertificateOptions{Subject: "dev@acme.test"}), want: evidence.CertificateUntrusted},
		"SelfSigned":       {reason: "no authority", options: bySubject, c: issued(t, s, testca.CertificateOptions{Subject: "dev@acme.test", SelfSigned: true}), want: evidence.CertificateUntrusted},
		"WrongUsage":       {reason: "a certificate for TLS", options: bySubject, c: issued(t, s, testca.CertificateOptions{Subject: "dev@acme.test", Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}), want: evidence.CertificateInvalid},
		"Authority":        {reason: "an authority signs no images", options: bySubject, c: issued(t, s, testca.CertificateOptions{Subject: "dev@acme.test", CA: true}), want: evidence.CertificateInvalid},
		"Pinned":           {reason: "the certificate", options: pinned, c: mail},
		"PinnedOther":      {reason: "another certificate of the same", options: pinned, c: issued(t, s, testca.CertificateOptions{Subject: "dev@acme.test"}), want: evidence.SignerMismatch},
		"PinnedSameKey":    {reason: "another certificate of the key", options: pinned, c: issued(t, s, testca.CertificateOptions{Subject: "dev@acme.test", Key: mail.Key}), want: evidence.SignerMismatch},
		"SubjectPattern":   {reason: "whoever of acme", options: sigstore.CertificateOptions{Chain: s.FulcioChain(), Subject: matching(t, `.*@acme\.test`)}, c: mail},
		"SubjectPattern14": {reason: "R14: a pattern is of the whole", options: sigstore.CertificateOptions{Chain: s.FulcioChain(), Subject: matching(t, `dev@acme`)}, c: mail, want: evidence.IdentityMismatch},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			signer := certified(t, tc.options)
			for _, of := range []string{"Sig", "Att", "Bundle02"} {
				f := forms[of]
				p := f.want(t, signer, image, f.sign(t, image, tc.c, nobody(s)), tc.want).problem
				if tc.want == evidence.IdentityMismatch && (!strings.Contains(p.Expected, "acme") || !strings.Contains(p.Got, "@acme.test")) {
					t.Errorf("want both identities, got %q", p.Error())
				}
			}
		})
	}
}

// TestR28CertificateIdentities has one key under several signers.
func TestR28CertificateIdentities(t *testing.T) {
	s, image := whole(t), app(t)
	one, two := issued(t, s, testca.CertificateOptions{}), issued(t, s, testca.CertificateOptions{Subject: "dev@acme.test"})
	f := forms["Sig"]
	identity := func(by *sigstore.Signer, c testca.Certificate) string {
		return f.want(t, by, image, f.sign(t, image, c, nobody(s)), "").proof.Identity
	}
	pinned := certified(t, sigstore.CertificateOptions{Certificate: one.PEM})
	key := signer(t, one.Key, ignored)
	if identity(pinned, one) != identity(key, one) {
		t.Error("want one identity for a key and for its certificate")
	}
	if identity(pinned, one) == identity(signer(t, two.Key, ignored), two) {
		t.Error("want two identities for two keys")
	}
	anyone := certified(t, sigstore.CertificateOptions{Chain: s.FulcioChain(), AnySubject: true})
	if identity(anyone, one) == identity(anyone, two) {
		t.Error("want two identities for two subjects")
	}
	renewed := issued(t, s, testca.CertificateOptions{Subject: "dev@acme.test"})
	if identity(anyone, two) != identity(anyone, renewed) {
		t.Error("want one identity for two certificates of one subject")
	}
}

func TestNewCertificateRefuses(t *testing.T) {
	s, other := whole(t), whole(t)
	c := issued(t, s, testca.CertificateOptions{})
	clientAuth := issued(t, s, testca.CertificateOptions{Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	chain := s.FulcioChain()
	backwards := append(block("CERTIFICATE", c.Chain[1].Raw), block("CERTIFICATE", c.Chain[0].Raw)...)
	cases := map[string]struct {
		reason  string
		options sigstore.CertificateOptions
		says    string
	}{
		"Nothing":             {reason: "whose?", says: "neither"},
		"ChainAlone":          {reason: "anybody of the authority, unsaid", options: sigstore.CertificateOptions{Chain: chain}, says: "subject"},
		"R14AnySubject":       {reason: "anybody of the authority, unsaid", options: sigstore.CertificateOptions{Chain: chain, Subject: matching(t, ".*")}, says: "everybody"},
		"SubjectBeside":       {reason: "a certificate has its own", options: sigstore.CertificateOptions{Certificate: c.PEM, Subject: sigstore.Exactly("x")}, says: "subject"},
		"AnySubjectBeside":    {reason: "a certificate has its own", options: sigstore.CertificateOptions{Certificate: c.PEM, AnySubject: true}, says: "subject"},
		"TwoCertificates":     {reason: "which?", options: sigstore.CertificateOptions{Certificate: append(bytes.Clone(c.PEM), c.PEM...)}, says: "one certificate"},
		"AKey":                {reason: "no certificate", options: sigstore.CertificateOptions{Certificate: c.Key.PublicPEM}, says: "CERTIFICATE"},
		"NotPEM":              {reason: "no certificate", options: sigstore.CertificateOptions{Certificate: []byte("x")}, says: "PEM"},
		"TextBetween":         {reason: "a reader may skip what another reads", options: sigstore.CertificateOptions{Certificate: append([]byte("x\n"), c.PEM...)}, says: "PEM"},
		"NotDER":              {reason: "no certificate", options: sigstore.CertificateOptions{Certificate: block("CERTIFICATE", []byte("x"))}, says: "x509"},
		"WeakKey":             {reason: "too weak", options: sigstore.CertificateOptions{Certificate: weak(t)}, says: "1024"},
		"WrongUsage":          {reason: "a certificate for TLS", options: sigstore.CertificateOptions{Certificate: clientAuth.PEM}, says: "codeSigning"},
		"ChainOfAnother":      {reason: "nothing could verify", options: sigstore.CertificateOptions{Certificate: c.PEM, Chain: other.FulcioChain()}, says: "authority"},
		"ChainBackwards":      {reason: "the root is last", options: sigstore.CertificateOptions{Certificate: c.PEM, Chain: backwards}, says: "root last"},
		"ChainWithALeaf":      {reason: "authorities alone", options: sigstore.CertificateOptions{Certificate: c.PEM, Chain: append(bytes.Clone(c.PEM), chain...)}, says: "authorities"},
		"ChainEmptyText":      {reason: "white space is none", options: sigstore.CertificateOptions{Certificate: c.PEM, Chain: []byte("\n")}, says: "none"},
		"ChainTooLong":        {reason: "bounded", options: sigstore.CertificateOptions{Certificate: c.PEM, Chain: bytes.Repeat(block("CERTIFICATE", c.Chain[1].Raw), 10)}, says: "at most"},
		"ChainTooManyBytes":   {reason: "bounded", options: sigstore.CertificateOptions{Certificate: c.PEM, Chain: bytes.Repeat([]byte("x"), 65<<10)}, says: "at most"},
		"R25LogWithoutRoot":   {reason: "required and unknown", options: sigstore.CertificateOptions{Certificate: c.PEM, Options: sigstore.Options{TransparencyLog: sigstore.LogRequired}}, says: "log"},
		"StampsWithoutRoot":   {reason: "required and unknown", options: sigstore.CertificateOptions{Certificate: c.PEM, Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, Timestamps: sigstore.TimestampsRequired}}, says: "timestamp"},
		"UnknownLogOption":    {reason: "neither required nor ignored", options: sigstore.CertificateOptions{Certificate: c.PEM, Options: sigstore.Options{TransparencyLog: 7}}, says: "log"},
		"SelfSignedAsTheRoot": {reason: "a leaf is no authority", options: sigstore.CertificateOptions{Certificate: c.PEM, Chain: c.PEM}, says: "authorities"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.options.TransparencyLog == sigstore.LogRequired && name != "R25LogWithoutRoot" {
				tc.options.TransparencyLog = sigstore.LogIgnored
			}
			_, err := sigstore.NewCertificate(tc.options)
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: want an error with %q, got %v", tc.reason, tc.says, err)
			}
		})
	}
}

func TestCertificateSignerDescribes(t *testing.T) {
	s := whole(t)
	c := issued(t, s, testca.CertificateOptions{Edit: func(c *testca.Template) { c.Subject = names.Name{CommonName: "release"} }})
	for got, want := range map[string]string{
		certified(t, sigstore.CertificateOptions{Certificate: c.PEM}).Describe():                                                 "release",
		certified(t, sigstore.CertificateOptions{Chain: s.FulcioChain(), AnySubject: true}).Describe():                           "any certificate by authority",
		certified(t, sigstore.CertificateOptions{Chain: s.FulcioChain(), Subject: sigstore.Exactly("dev@acme.test")}).Describe(): `"dev@acme.test"`,
		certified(t, sigstore.CertificateOptions{Certificate: issued(t, s, testca.CertificateOptions{}).PEM}).Describe():         testca.DefaultSubject,
		keyless(t, s, sigstore.Identity{Issuer: sigstore.Exactly("https://login.test"), AnySubject: true}, nil).Describe():       "any identity by issuer",
		keyless(t, s, sigstore.Identity{Issuer: sigstore.Exactly("x"), Subject: matching(t, "acme/.*")}, nil).Describe():         "/acme/.*/",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in %q", want, got)
		}
	}
}
