package sigstore_test

import (
	"crypto/x509"
	names "crypto/x509/pkix"
	"encoding/asn1"
	"strings"
	"testing"
	"time"

	prototrust "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/sigstore"
)

func TestKeylessInEveryForm(t *testing.T) {
	s, other, image := whole(t), whole(t), app(t)
	ours, theirs := keyless(t, s, workflow(), nil), keyless(t, other, workflow(), nil)
	c := issued(t, s, testca.CertificateOptions{})
	eachForm(t, nil, func(t *testing.T, f form) {
		item := f.sign(t, image, c, testimony{by: s})
		f.want(t, ours, image, item, "")
		f.want(t, theirs, image, item, evidence.LogEntryInvalid) // another Sigstore's log
		f.want(t, ours, subject(t, "registry.test/acme/other:v1", "other"), item, evidence.SubjectMismatch)
	})
}

// TestR27Keyless has certificates of every kind under one signer.
func TestR27Keyless(t *testing.T) {
	s, other, image := whole(t), whole(t), app(t)
	raw := func(e testca.Extension, value string) []names.Extension {
		return []names.Extension{{Id: e.OID(), Value: []byte(value)}}
	}
	issuers := func(old, current string) []names.Extension {
		utf8, err := asn1.MarshalWithParams(current, "utf8")
		if err != nil {
			t.Fatal(err)
		}
		return []names.Extension{{Id: testca.Extension(1).OID(), Value: []byte(old)}, {Id: testca.Extension(8).OID(), Value: utf8}}
	}
	cases := map[string]struct {
		reason      string
		by          *testca.Sigstore // who issues, default s
		certificate testca.CertificateOptions
		want        evidence.Reason
	}{
		"Good":                   {reason: "as Fulcio issues"},
		"GitHub":                 {reason: "with all extensions of a workflow", certificate: testca.GitHub("acme/app", "release.yml", "refs/heads/main")},
		"OldIssuerOnly":          {reason: "before extension .8", certificate: testca.CertificateOptions{NoIssuer: true}},
		"NewIssuerOnly":          {reason: "after extension .1", certificate: testca.CertificateOptions{NoOldIssuer: true}},
		"UnknownExtension":       {reason: "one to come", certificate: testca.CertificateOptions{Extensions: map[testca.Extension]string{99: "x"}}},
		"ByRoot":                 {reason: "without intermediate", certificate: testca.CertificateOptions{ByRoot: true}},
		"P384":                   {reason: "another kind of key", certificate: testca.CertificateOptions{Kind: fixture.P384}},
		"Ed25519":                {reason: "another kind of key", certificate: testca.CertificateOptions{Kind: fixture.Ed25519}},
		"RSA":                    {reason: "another kind of key", certificate: testca.CertificateOptions{Kind: fixture.RSA2048}},
		"OtherSubject":           {reason: "another identity", certificate: testca.CertificateOptions{Subject: "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/dev"}, want: evidence.IdentityMismatch},
		"SubjectLonger":          {reason: "compared as a whole", certificate: testca.CertificateOptions{Subject: testca.DefaultSubject + "x"}, want: evidence.IdentityMismatch},
		"SubjectOtherCase":       {reason: "compared by case", certificate: testca.CertificateOptions{Subject: strings.Replace(testca.DefaultSubject, "acme", "Acme", 1)}, want: evidence.IdentityMismatch},
		"OtherIssuer":            {reason: "vouched for by another", certificate: testca.CertificateOptions{Issuer: "https://evil.test"}, want: evidence.IdentityMismatch},
		"NoIssuer":               {reason: "vouched for by nobody", certificate: testca.CertificateOptions{NoIssuer: true, NoOldIssuer: true}, want: evidence.IdentityMismatch},
		"IssuersDisagree":        {reason: "two issuers for two readers", certificate: testca.CertificateOptions{OldIssuer: "https://evil.test"}, want: evidence.CertificateInvalid},
		"IssuersDisagreeNew":     {reason: "two issuers for two readers", certificate: testca.CertificateOptions{Issuer: "https://evil.test", OldIssuer: testca.DefaultIssuer}, want: evidence.CertificateInvalid},
		"IssuersDisagreeEmpty":   {reason: "an empty one is one too", certificate: testca.CertificateOptions{NoIssuer: true, NoOldIssuer: true, RawExtensions: issuers(testca.DefaultIssuer, "")}, want: evidence.CertificateInvalid},
		"IssuersDisagreeEmptied": {reason: "an empty one is one too", certificate: testca.CertificateOptions{NoIssuer: true, NoOldIssuer: true, RawExtensions: issuers("", testca.DefaultIssuer)}, want: evidence.CertificateInvalid},
		"IssuerNotUTF8String":    {reason: "raw bytes where a string belongs", certificate: testca.CertificateOptions{NoIssuer: true, RawExtensions: raw(8, testca.DefaultIssuer)}, want: evidence.CertificateInvalid},
		"IssuerControls":         {reason: "a line break hides what follows", certificate: testca.CertificateOptions{Issuer: testca.DefaultIssuer + "\n"}, want: evidence.CertificateInvalid},
		"TwoSubjects":            {reason: "two identities for two readers", certificate: testca.CertificateOptions{Also: []string{"https://evil.test/x"}}, want: evidence.CertificateInvalid},
		"TwoKindsOfSubject":      {reason: "a mail address is one too", certificate: testca.CertificateOptions{Also: []string{"dev@acme.test"}}, want: evidence.CertificateInvalid},
		"AlsoAUserName":          {reason: "a user name is one too", certificate: testca.CertificateOptions{Also: []string{"alice!acme.test"}}, want: evidence.CertificateInvalid},
		"SubjectTwice":           {reason: "even the same", certificate: testca.CertificateOptions{Also: []string{testca.DefaultSubject}}, want: evidence.CertificateInvalid},
		"NoSubject":              {reason: "nobody", certificate: testca.CertificateOptions{NoSubject: true}, want: evidence.CertificateInvalid},
		"SubjectControls":        {reason: "a line break hides what follows", certificate: testca.CertificateOptions{Subject: "alice\n!acme.test"}, want: evidence.CertificateInvalid},
		"SubjectInCommonName": {reason: "a common name is no identity", certificate: testca.CertificateOptions{NoSubject: true, Edit: func(c *testca.Template) {
			c.Subject = names.Name{CommonName: testca.DefaultSubject}
		}}, want: evidence.CertificateInvalid},

		"Source":              {reason: "the workflow's own repository", certificate: testca.CertificateOptions{Extensions: map[testca.Extension]string{testca.SourceRepositoryURI: "https://github.com/acme/app"}}},
		"SourceOld":           {reason: "the workflow's own repository", certificate: testca.CertificateOptions{Extensions: map[testca.Extension]string{testca.GitHubWorkflowRepository: "acme/app"}}},
		"SourceDiffers":       {reason: "a workflow that others may call", certificate: testca.CertificateOptions{Extensions: map[testca.Extension]string{testca.SourceRepositoryURI: "https://github.com/evil/app"}}, want: evidence.IdentityMismatch},
		"SourceDiffersOld":    {reason: "a workflow that others may call", certificate: testca.CertificateOptions{Extensions: map[testca.Extension]string{testca.GitHubWorkflowRepository: "evil/app"}}, want: evidence.IdentityMismatch},
		"SourceBeginsAlike":   {reason: "another repository", certificate: testca.CertificateOptions{Extensions: map[testca.Extension]string{testca.SourceRepositoryURI: "https://github.com/acme/ap"}}, want: evidence.IdentityMismatch},
		"SourcesDisagree":     {reason: "two repositories for two readers", certificate: testca.CertificateOptions{Extensions: map[testca.Extension]string{testca.SourceRepositoryURI: "https://github.com/acme/app", testca.GitHubWorkflowRepository: "evil/app"}}, want: evidence.CertificateInvalid},
		"SourcesDisagreeHalf": {reason: "a name that ends alike", certificate: testca.CertificateOptions{Extensions: map[testca.Extension]string{testca.SourceRepositoryURI: "https://github.com/acme/app", testca.GitHubWorkflowRepository: "me/app"}}, want: evidence.CertificateInvalid},

		"OtherFulcio":    {reason: "an authority that nobody named", by: other, want: evidence.CertificateUntrusted},
		"SelfSigned":     {reason: "its own authority", certificate: testca.CertificateOptions{SelfSigned: true}, want: evidence.CertificateUntrusted},
		"WrongUsage":     {reason: "a certificate for TLS", certificate: testca.CertificateOptions{Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, want: evidence.CertificateInvalid},
		"Authority":      {reason: "an authority signs no images", certificate: testca.CertificateOptions{CA: true}, want: evidence.CertificateInvalid},
		"Expired":        {reason: "over when it was used", certificate: testca.CertificateOptions{NotBefore: longAgo().Add(-11 * time.Minute)}, want: evidence.CertificateInvalid},
		"NotYetValid":    {reason: "not begun when it was used", certificate: testca.CertificateOptions{NotBefore: longAgo().Add(time.Second)}, want: evidence.CertificateInvalid},
		"FirstSecond":    {reason: "begun when it was used", certificate: testca.CertificateOptions{NotBefore: longAgo()}},
		"LastSecond":     {reason: "ends when it was used", certificate: testca.CertificateOptions{NotBefore: longAgo().Add(-10 * time.Minute)}},
		"KeyForCiphers":  {reason: "a key that does not sign", certificate: testca.CertificateOptions{Edit: func(c *testca.Template) { c.KeyUsage = x509.KeyUsageKeyEncipherment }}, want: evidence.CertificateInvalid},
		"KeyUsageUnsaid": {reason: "none is any", certificate: testca.CertificateOptions{Edit: func(c *testca.Template) { c.KeyUsage = 0 }}},
		"UnknownCritical": {reason: "a promise that we do not know", certificate: testca.CertificateOptions{RawExtensions: []names.Extension{
			{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}},
		}}, want: evidence.CertificateInvalid},

		"NoSCT":         {reason: "no certificate log", certificate: testca.CertificateOptions{NoSCT: true}, want: evidence.CertificateUntrusted},
		"SCTUnknown":    {reason: "a log that nobody named", certificate: testca.CertificateOptions{SCTs: []testca.SCTOptions{{By: other}}}, want: evidence.CertificateUntrusted},
		"SCTForged":     {reason: "a known log's name", certificate: testca.CertificateOptions{SCTs: []testca.SCTOptions{{Forged: other}}}, want: evidence.CertificateUntrusted},
		"SCTBroken":     {reason: "of another certificate", certificate: testca.CertificateOptions{SCTs: []testca.SCTOptions{{Broken: true}}}, want: evidence.CertificateUntrusted},
		"SCTDetached":   {reason: "nobody sees it", certificate: testca.CertificateOptions{Detached: true}, want: evidence.CertificateUntrusted},
		"SCTOneOfTwo":   {reason: "one suffices", certificate: testca.CertificateOptions{SCTs: []testca.SCTOptions{{By: other}, {}}}},
		"SCTBeforeTime": {reason: "before the log's key was in use", certificate: testca.CertificateOptions{SCTs: []testca.SCTOptions{{Time: time.Unix(1_000_000_000, 0)}}}, want: evidence.CertificateUntrusted},
	}
	ours := keyless(t, s, workflow(), nil)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			by := s
			if tc.by != nil {
				by = tc.by
			}
			c := issued(t, by, tc.certificate)
			t.Log(tc.reason)
			for _, of := range []string{"Sig", "Att", "Bundle02", "Bundle03Message", "Rekor2"} {
				t.Run(of, func(t *testing.T) {
					f := forms[of]
					reason := tc.want
					if (name == "NotYetValid" || name == "Expired") && !f.legacy && !f.rekor2 {
						reason = evidence.LogEntryInvalid // said of the entry, which comes first
					}
					f.want(t, ours, image, f.sign(t, image, c, testimony{by: s}), reason)
				})
			}
		})
	}
}

func TestR27OtherKindsOfIdentity(t *testing.T) {
	s, image := whole(t), app(t)
	for name, tc := range map[string]struct {
		subject string
		others  []string
	}{
		"Mail":     {subject: "dev@acme.test", others: []string{"dev@acme.test.evil", "adev@acme.test"}},
		"UserName": {subject: "alice!acme.test", others: []string{"bob!acme.test"}},
		"SPIFFE":   {subject: "spiffe://acme.test/ns/ci/sa/build", others: []string{"spiffe://evil.test/ns/ci/sa/build"}},
		"GitLab":   {subject: "https://gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main", others: []string{"https://gitlab.com/acme/app2//.gitlab-ci.yml@refs/heads/main"}},
	} {
		t.Run(name, func(t *testing.T) {
			identity := sigstore.Identity{Issuer: sigstore.Exactly("https://issuer.test"), Subject: sigstore.Exactly(tc.subject)}
			ours := keyless(t, s, identity, nil)
			f := forms["Bundle03"]
			good := issued(t, s, testca.CertificateOptions{Subject: tc.subject, Issuer: "https://issuer.test"})
			proof := f.want(t, ours, image, f.sign(t, image, good, testimony{by: s}), "").proof
			if got := proof.Testimony.Certificate.Identity; got != tc.subject {
				t.Errorf("want identity %q, got %q", tc.subject, got)
			}
			for _, other := range tc.others {
				c := issued(t, s, testca.CertificateOptions{Subject: other, Issuer: "https://issuer.test"})
				f.want(t, ours, image, f.sign(t, image, c, testimony{by: s}), evidence.IdentityMismatch)
			}
		})
	}
}

// TestR27IdentityNamesAnythingElse has names that are no identity.
func TestR27IdentityNamesAnythingElse(t *testing.T) {
	s, image := whole(t), app(t)
	anybody := keyless(t, s, sigstore.Identity{Issuer: sigstore.Exactly(testca.DefaultIssuer), AnySubject: true}, nil)
	general := func(values ...asn1.RawValue) []names.Extension {
		raw, err := asn1.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		return []names.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: raw}}
	}
	uri := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(testca.DefaultSubject)}
	registered := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 8, Bytes: []byte{42, 3}}
	otherName := func(text []byte) asn1.RawValue {
		kind, err := asn1.Marshal(testca.Extension(7).OID())
		if err != nil {
			t.Fatal(err)
		}
		return asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: append(kind, text...)}
	}
	for name, tc := range map[string]struct {
		reason string
		values []asn1.RawValue
		want   evidence.Reason
	}{
		"URI":             {reason: "an identity", values: []asn1.RawValue{uri}},
		"AndARegistered":  {reason: "a name of another kind counts too", values: []asn1.RawValue{uri, registered}, want: evidence.CertificateInvalid},
		"None":            {reason: "an empty list", want: evidence.CertificateInvalid},
		"BrokenOtherName": {reason: "no value", values: []asn1.RawValue{otherName([]byte{5, 0})}, want: evidence.CertificateInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			c := issued(t, s, testca.CertificateOptions{NoSubject: true, RawExtensions: general(tc.values...)})
			f := forms["Bundle03"]
			f.want(t, anybody, image, f.sign(t, image, c, testimony{by: s}), tc.want)
		})
	}
}

func TestR27IdentityConditions(t *testing.T) {
	s, image := whole(t), app(t)
	github := testca.GitHub("acme/app", "release.yml", "refs/heads/main")
	reused := testca.GitHub("acme/app", "release.yml", "refs/heads/main")
	reused.Subject = "https://github.com/acme/shared/.github/workflows/release.yml@refs/tags/v1"
	calls := sigstore.Identity{Issuer: sigstore.Exactly(testca.DefaultIssuer), Subject: sigstore.Exactly(reused.Subject)}
	with := func(i sigstore.Identity, edit func(*sigstore.Identity)) sigstore.Identity {
		edit(&i)
		return i
	}
	extension := func(name string, m sigstore.Match) sigstore.Identity {
		return with(workflow(), func(i *sigstore.Identity) { i.Extensions = map[string]sigstore.Match{name: m} })
	}
	cases := map[string]struct {
		reason      string
		certificate testca.CertificateOptions
		identity    sigstore.Identity
		want        evidence.Reason
	}{
		"SubjectPattern":        {reason: "the whole identity", certificate: github, identity: with(workflow(), func(i *sigstore.Identity) { i.Subject = matching(t, `https://github\.com/acme/.*`) })},
		"R14SubjectPart":        {reason: "a pattern is of the whole", certificate: github, identity: with(workflow(), func(i *sigstore.Identity) { i.Subject = matching(t, `github\.com/acme/`) }), want: evidence.IdentityMismatch},
		"R14SubjectAlternative": {reason: "anchors hold for each alternative", certificate: testca.CertificateOptions{Subject: "https://evil.test/b"}, identity: with(workflow(), func(i *sigstore.Identity) { i.Subject = matching(t, `a|b`) }), want: evidence.IdentityMismatch},
		"IssuerPattern":         {reason: "the whole issuer", certificate: github, identity: with(workflow(), func(i *sigstore.Identity) { i.Issuer = matching(t, `https://token\.actions\..*`) })},
		"IssuerPatternOther":    {reason: "CVE-2025-29778: another issuer", certificate: testca.CertificateOptions{Issuer: "https://evil.test"}, identity: with(workflow(), func(i *sigstore.Identity) { i.Issuer = matching(t, `https://token\.actions\..*`) }), want: evidence.IdentityMismatch},
		"SubjectPatternOther":   {reason: "CVE-2025-29778: another subject", certificate: testca.CertificateOptions{Subject: "https://evil.test/x"}, identity: with(workflow(), func(i *sigstore.Identity) { i.Subject = matching(t, `https://github\.com/acme/.*`) }), want: evidence.IdentityMismatch},
		"AnySubject":            {reason: "any identity of the issuer", certificate: testca.CertificateOptions{Subject: "dev@acme.test"}, identity: sigstore.Identity{Issuer: sigstore.Exactly(testca.DefaultIssuer), AnySubject: true}},
		"AnySubjectOtherIssuer": {reason: "but of the issuer", certificate: testca.CertificateOptions{Issuer: "https://evil.test"}, identity: sigstore.Identity{Issuer: sigstore.Exactly(testca.DefaultIssuer), AnySubject: true}, want: evidence.IdentityMismatch},

		"ReusedUnnamed": {reason: "a workflow that others may call", certificate: reused, identity: calls, want: evidence.IdentityMismatch},
		"ReusedNamed":   {reason: "the caller is named", certificate: reused, identity: with(calls, func(i *sigstore.Identity) { i.SourceRepository = "https://github.com/acme/app" })},
		"ReusedOther":   {reason: "another caller is named", certificate: reused, identity: with(calls, func(i *sigstore.Identity) { i.SourceRepository = "https://github.com/acme/app2" }), want: evidence.IdentityMismatch},
		"ReusedByExtension": {reason: "the caller is named", certificate: reused, identity: with(calls, func(i *sigstore.Identity) {
			i.Extensions = map[string]sigstore.Match{"sourceRepositoryURI": sigstore.Exactly("https://github.com/acme/app")}
		})},
		"ReusedByPattern": {reason: "a pattern does not name one", certificate: reused, identity: with(calls, func(i *sigstore.Identity) {
			i.Extensions = map[string]sigstore.Match{"sourceRepositoryURI": matching(t, `https://github\.com/acme/.*`)}
		}), want: evidence.IdentityMismatch},
		"ReusedAnySubject":   {reason: "any identity is no repository", certificate: reused, identity: sigstore.Identity{Issuer: sigstore.Exactly(testca.DefaultIssuer), AnySubject: true}, want: evidence.IdentityMismatch},
		"SourceNamedMissing": {reason: "a certificate that names none", identity: with(workflow(), func(i *sigstore.Identity) { i.SourceRepository = "https://github.com/acme/app" }), want: evidence.IdentityMismatch},
		"SourceNamed":        {reason: "the workflow's own", certificate: github, identity: with(workflow(), func(i *sigstore.Identity) { i.SourceRepository = "https://github.com/acme/app" })},

		"Extension":              {reason: "equal", certificate: github, identity: extension("sourceRepositoryRef", sigstore.Exactly("refs/heads/main"))},
		"ExtensionPattern":       {reason: "matched as a whole", certificate: github, identity: extension("sourceRepositoryRef", matching(t, "refs/heads/(main|release)"))},
		"ExtensionOther":         {reason: "another value", certificate: github, identity: extension("sourceRepositoryRef", sigstore.Exactly("refs/heads/dev")), want: evidence.IdentityMismatch},
		"R14ExtensionPart":       {reason: "a part of the value", certificate: github, identity: extension("sourceRepositoryRef", matching(t, "refs/heads")), want: evidence.IdentityMismatch},
		"ExtensionMissing":       {reason: "no value", identity: extension("sourceRepositoryRef", sigstore.Exactly("refs/heads/main")), want: evidence.IdentityMismatch},
		"R14ExtensionMissingAny": {reason: "no value is not any value", identity: extension("sourceRepositoryRef", matching(t, ".*")), want: evidence.IdentityMismatch},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(tc.reason)
			f := forms["Bundle03"]
			item := f.sign(t, image, issued(t, s, tc.certificate), testimony{by: s})
			f.want(t, keyless(t, s, tc.identity, nil), image, item, tc.want)
		})
	}
}

// TestR27EveryExtension asks for each extension by its name.
func TestR27EveryExtension(t *testing.T) {
	s, image := whole(t), app(t)
	byName := map[string]testca.Extension{
		"githubWorkflowTrigger": testca.GitHubWorkflowTrigger, "githubWorkflowSHA": testca.GitHubWorkflowSHA,
		"githubWorkflowName": testca.GitHubWorkflowName, "githubWorkflowRepository": testca.GitHubWorkflowRepository,
		"githubWorkflowRef": testca.GitHubWorkflowRef, "buildSignerURI": testca.BuildSignerURI, "buildSignerDigest": testca.BuildSignerDigest,
		"runnerEnvironment": testca.RunnerEnvironment, "sourceRepositoryURI": testca.SourceRepositoryURI,
		"sourceRepositoryDigest": testca.SourceRepositoryDigest, "sourceRepositoryRef": testca.SourceRepositoryRef,
		"sourceRepositoryIdentifier": testca.SourceRepositoryIdentifier, "sourceRepositoryOwnerURI": testca.SourceRepositoryOwnerURI,
		"sourceRepositoryOwnerIdentifier": testca.SourceRepositoryOwnerIdentifier, "buildConfigURI": testca.BuildConfigURI,
		"buildConfigDigest": testca.BuildConfigDigest, "buildTrigger": testca.BuildTrigger, "runInvocationURI": testca.RunInvocationURI,
		"sourceRepositoryVisibilityAtSigning": testca.SourceRepositoryVisibility,
	}
	github := testca.GitHub("acme/app", "release.yml", "refs/heads/main")
	f := forms["Bundle03"]
	item := f.sign(t, image, issued(t, s, github), testimony{by: s})
	for _, name := range sigstore.ExtensionNames() {
		t.Run(name, func(t *testing.T) {
			value, known := github.Extensions[byName[name]]
			if !known {
				t.Fatalf("want the certificate of a workflow to state %s", name)
			}
			asks := func(value string) *sigstore.Signer {
				i := workflow()
				i.Extensions = map[string]sigstore.Match{name: sigstore.Exactly(value)}
				return keyless(t, s, i, nil)
			}
			proof := f.want(t, asks(value), image, item, "").proof
			if got := proof.Testimony.Certificate.Extensions[name]; got != value {
				t.Errorf("want testimony %q, got %q", value, got)
			}
			p := f.want(t, asks(value+"x"), image, item, evidence.IdentityMismatch).problem
			if !strings.Contains(p.Expected, name) || !strings.Contains(p.Got, value) {
				t.Errorf("want the extension and its value, got %q", p.Error())
			}
		})
	}
	if len(byName) != len(sigstore.ExtensionNames()) {
		t.Errorf("want %d extensions, got %v", len(byName), sigstore.ExtensionNames())
	}
}

// TestIdentityMismatchNamesBoth holds the message that a failed keyless check
// leaves: who was expected and who was found.
func TestIdentityMismatchNamesBoth(t *testing.T) {
	s, image := whole(t), app(t)
	c := issued(t, s, testca.CertificateOptions{Subject: "dev@acme.test", Issuer: "https://login.test"})
	eachForm(t, nil, func(t *testing.T, f form) {
		p := f.want(t, keyless(t, s, workflow(), nil), image, f.sign(t, image, c, testimony{by: s}), evidence.IdentityMismatch).problem
		for _, text := range []string{testca.DefaultSubject, testca.DefaultIssuer} {
			if !strings.Contains(p.Expected, text) {
				t.Errorf("want %q expected, got %q", text, p.Expected)
			}
		}
		for _, text := range []string{"dev@acme.test", "https://login.test"} {
			if !strings.Contains(p.Got, text) {
				t.Errorf("want %q found, got %q", text, p.Got)
			}
		}
	})
	// A certificate that is not trusted says who it is for, and that nobody knows.
	stranger := issued(t, whole(t), testca.CertificateOptions{Subject: "dev@acme.test"})
	f := forms["Bundle03"]
	p := f.want(t, keyless(t, s, workflow(), nil), image, f.sign(t, image, stranger, testimony{by: s}), evidence.CertificateUntrusted).problem
	if !strings.Contains(p.Got, "dev@acme.test") || !strings.Contains(p.Got, "not verified") {
		t.Errorf("want the claimed identity as a claim, got %q", p.Got)
	}
	k := newKey(t, fixture.P256)
	p = f.want(t, keyless(t, s, workflow(), nil), image, bundled(t, image, k, fixture.BundleOptions{}), evidence.SignerMismatch).problem
	if !strings.Contains(p.Expected, testca.DefaultSubject) {
		t.Errorf("want the identity expected, got %q", p.Expected)
	}
}

func TestKeylessTestimony(t *testing.T) {
	s, image := whole(t), app(t)
	github := testca.GitHub("acme/app", "release.yml", "refs/heads/main")
	c := issued(t, s, github)
	ours := keyless(t, s, workflow(), nil)
	eachForm(t, nil, func(t *testing.T, f form) {
		item := f.sign(t, image, c, testimony{by: s, stamped: true})
		proof := f.want(t, ours, image, item, "").proof
		if !proof.Time.Equal(longAgo()) || !proof.Expires.IsZero() {
			t.Errorf("want the proven time and no end, got %s and %s", proof.Time, proof.Expires)
		}
		if !strings.HasPrefix(proof.Identity, "keyless:") || !strings.Contains(proof.Who, testca.DefaultSubject) || !strings.Contains(proof.Who, testca.DefaultIssuer) {
			t.Errorf("want identity and issuer, got %q, %q", proof.Identity, proof.Who)
		}
		facts := proof.Testimony.Certificate
		if facts.Identity != testca.DefaultSubject || facts.Issuer != testca.DefaultIssuer || facts.CA != c.Leaf.Issuer.String() ||
			facts.Serial != c.Leaf.SerialNumber.Text(16) || !facts.NotBefore.Equal(c.Leaf.NotBefore) || !facts.NotAfter.Equal(c.Leaf.NotAfter) {
			t.Errorf("want what was issued, got %+v", facts)
		}
		if got := facts.Extensions["sourceRepositoryURI"]; got != "https://github.com/acme/app" {
			t.Errorf("want the source repository, got %q", got)
		}
		log, index, at := s.LogID(), int64(4242), longAgo()
		if f.rekor2 {
			log, index, at = s.Log2ID(), 1, time.Time{}
		}
		if n := len(proof.Testimony.Entries); n != 1 {
			t.Fatalf("want one entry, got %d", n)
		}
		if e := proof.Testimony.Entries[0]; e.Log != log || e.Index != index || !e.Time.Equal(at) {
			t.Errorf("want entry %d of log %s at %s, got %+v", index, log, at, e)
		}
		if n := len(proof.Testimony.Timestamps); n != 1 || !proof.Testimony.Timestamps[0].Equal(longAgo()) {
			t.Errorf("want the timestamp, got %v", proof.Testimony.Timestamps)
		}
	})
}

func TestR28KeylessIdentities(t *testing.T) {
	s, image := whole(t), app(t)
	anybody := keyless(t, s, sigstore.Identity{Issuer: matching(t, ".*"), AnySubject: true}, nil)
	ours := keyless(t, s, workflow(), nil)
	f := forms["Bundle03"]
	identity := func(by *sigstore.Signer, o testca.CertificateOptions) string {
		return f.want(t, by, image, f.sign(t, image, issued(t, s, o), testimony{by: s}), "").proof.Identity
	}
	one := identity(ours, testca.CertificateOptions{})
	if again := identity(anybody, testca.CertificateOptions{}); again != one {
		t.Error("want one identity for two certificates of one person, whichever signer asks")
	}
	for name, o := range map[string]testca.CertificateOptions{
		"Subject": {Subject: "dev@acme.test"}, "Issuer": {Issuer: "https://login.test"},
	} {
		if other := identity(anybody, o); other == one {
			t.Errorf("want another identity for another %s", name)
		}
	}
}

func TestNewKeylessRefuses(t *testing.T) {
	s := whole(t)
	edited := func(edit func(*prototrust.TrustedRoot)) *sigstore.TrustedRoot {
		return trustedRoot(t, s.EditedRoot(t, edit))
	}
	full := trustedRoot(t, s.TrustedRoot())
	cases := map[string]struct {
		reason   string
		identity sigstore.Identity
		options  sigstore.KeylessOptions
		says     string
	}{
		"NoIdentity":       {reason: "whose?", says: "issuer"},
		"NoIssuer":         {reason: "vouched for by whom?", identity: sigstore.Identity{Subject: sigstore.Exactly("x")}, says: "issuer"},
		"NoSubject":        {reason: "whose?", identity: sigstore.Identity{Issuer: sigstore.Exactly("x")}, says: "subject"},
		"EmptySubject":     {reason: "an empty text is none", identity: sigstore.Identity{Issuer: sigstore.Exactly("x"), Subject: sigstore.Exactly("")}, says: "subject"},
		"R14AnySubject":    {reason: "everybody, unsaid", identity: sigstore.Identity{Issuer: sigstore.Exactly("x"), Subject: matching(t, ".*")}, says: "everybody"},
		"R14AnyOnGitHub":   {reason: "everybody on GitHub, unsaid", identity: sigstore.Identity{Issuer: sigstore.Exactly("x"), Subject: matching(t, `https://github\.com/.*`)}, says: "everybody"},
		"R14AnyMail":       {reason: "everybody with mail, unsaid", identity: sigstore.Identity{Issuer: sigstore.Exactly("x"), Subject: matching(t, `.+@.+`)}, says: "everybody"},
		"R14AnyWorkflow":   {reason: "everybody's release workflow, unsaid", identity: sigstore.Identity{Issuer: sigstore.Exactly("x"), Subject: matching(t, `https://github\.com/[^/]+/[^/]+/\.github/workflows/release\.ya?ml@.*`)}, says: "everybody"},
		"R14AnyIssuer":     {reason: "every issuer, unsaid", identity: sigstore.Identity{Issuer: matching(t, "https://.*"), Subject: sigstore.Exactly("x")}, says: "every issuer"},
		"R14PartOfSubject": {reason: "everybody in a part, unsaid", identity: sigstore.Identity{Issuer: sigstore.Exactly("x"), Subject: containing(t, "github.com")}, says: "everybody"},
		"UnknownExtension": {reason: "a condition that nobody checks", identity: withExtension("workflowName", sigstore.Exactly("x")), says: "workflowName"},
		"ExtensionCase":    {reason: "names are of one case", identity: withExtension("BuildTrigger", sigstore.Exactly("x")), says: "BuildTrigger"},
		"EmptyExtension":   {reason: "a condition that says nothing", identity: withExtension("buildTrigger", sigstore.Match{}), says: "buildTrigger"},

		"NoRoot":            {reason: "nothing to trust", options: sigstore.KeylessOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored}}, says: "trusted root"},
		"EmptyRoot":         {reason: "nothing to trust", options: sigstore.KeylessOptions{Options: sigstore.Options{TrustedRoot: &sigstore.TrustedRoot{}}}, says: "trusted root"},
		"NoAuthority":       {reason: "nobody certifies", options: sigstore.KeylessOptions{Options: sigstore.Options{TrustedRoot: edited(func(r *prototrust.TrustedRoot) { r.CertificateAuthorities = nil })}}, says: "authority"},
		"R25NoLog":          {reason: "required and unknown", options: sigstore.KeylessOptions{Options: sigstore.Options{TrustedRoot: edited(func(r *prototrust.TrustedRoot) { r.Tlogs = nil })}}, says: "log"},
		"R27NoCTLog":        {reason: "required and unknown", options: sigstore.KeylessOptions{Options: sigstore.Options{TrustedRoot: edited(func(r *prototrust.TrustedRoot) { r.Ctlogs = nil })}}, says: "certificate transparency"},
		"R25IgnoredNoStamp": {reason: "nothing would prove a time", options: sigstore.KeylessOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, TrustedRoot: edited(func(r *prototrust.TrustedRoot) { r.TimestampAuthorities = nil })}}, says: "timestamp"},
		"StampsRequired":    {reason: "required and unknown", options: sigstore.KeylessOptions{Options: sigstore.Options{Timestamps: sigstore.TimestampsRequired, TrustedRoot: edited(func(r *prototrust.TrustedRoot) { r.TimestampAuthorities = nil })}}, says: "timestamp"},
		"UnknownLog":        {reason: "neither required nor ignored", options: sigstore.KeylessOptions{Options: sigstore.Options{TransparencyLog: 7, TrustedRoot: full}}, says: "log"},
		"UnknownCTLog":      {reason: "neither required nor ignored", options: sigstore.KeylessOptions{CTLog: 7, Options: sigstore.Options{TrustedRoot: full}}, says: "certificate transparency"},
		"UnknownStamps":     {reason: "neither required nor not", options: sigstore.KeylessOptions{Options: sigstore.Options{Timestamps: 7, TrustedRoot: full}}, says: "timestamps"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.options.TrustedRoot == nil && tc.options.TransparencyLog != sigstore.LogIgnored {
				tc.options.TrustedRoot = full
			} else {
				tc.identity = workflow()
			}
			_, err := sigstore.NewKeyless(tc.identity, tc.options)
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: want an error with %q, got %v", tc.reason, tc.says, err)
			}
		})
	}
}

func withExtension(name string, m sigstore.Match) sigstore.Identity {
	i := workflow()
	i.Extensions = map[string]sigstore.Match{name: m}
	return i
}

func containing(tb testing.TB, expression string) sigstore.Match {
	tb.Helper()
	m, err := sigstore.Containing(expression)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestR14Expressions(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, expression string
	}{
		"Empty":      {reason: "no condition"},
		"Broken":     {reason: "no expression", expression: "("},
		"Unbalanced": {reason: "would undo the anchors", expression: "a)|(?:b"},
		"Lookahead":  {reason: "RE2 has none", expression: "(?!x)"},
		"Huge":       {reason: "bounded", expression: strings.Repeat("x", 1025)},
	} {
		if m, err := sigstore.Matching(tc.expression); err == nil || !m.IsZero() {
			t.Errorf("%s: %s: want an error, got %v", name, tc.reason, m)
		}
		if m, err := sigstore.Containing(tc.expression); err == nil || !m.IsZero() {
			t.Errorf("%s: %s: want an error of a part, got %v", name, tc.reason, m)
		}
	}
	// A part is of what a dialect documents so, by its user's leave.
	s, image := whole(t), app(t)
	f := forms["Bundle03"]
	item := f.sign(t, image, issued(t, s, testca.CertificateOptions{}), testimony{by: s})
	i := workflow()
	i.Subject = containing(t, "/acme/app/")
	f.want(t, keyless(t, s, i, nil), image, item, "")
	i.Subject = containing(t, "^acme")
	f.want(t, keyless(t, s, i, nil), image, item, evidence.IdentityMismatch)
}
