package policyset_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	prototrust "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/sigstore"
)

const issuer = "https://token.actions.githubusercontent.com"

func whole(tb testing.TB) *testca.Sigstore {
	tb.Helper()
	return testca.New(tb, testca.Options{Whole: true})
}

func trustedRoot(tb testing.TB, raw []byte) *sigstore.TrustedRoot {
	tb.Helper()
	root, err := sigstore.NewTrustedRoot(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return root
}

// material answers with what a test gives it.
type material struct {
	root, key       []byte
	rootErr, keyErr error
}

func (m material) TrustedRoot(dialect.TUFSpec) ([]byte, error) { return m.root, m.rootErr }
func (m material) PublicKey(string) ([]byte, error)            { return m.key, m.keyErr }

func notYet(reason evidence.Reason) error {
	return &evidence.Problem{Reason: reason, Path: "https://tuf.acme.test", Expected: "an answer", Got: "none yet"}
}

// party is a kind of Sigstore signer with changes of its specification, by the
// field that they change. Each starts from the plain specification.
type party struct {
	plain   any
	changes map[string]func(spec any)
	make    func(policyset.Signers, any) (policy.Signer, error)
}

func parties(s *testca.Sigstore, o *testca.Sigstore, tb testing.TB) map[string]party {
	pinned, other := s.Issue(tb, testca.CertificateOptions{}), s.Issue(tb, testca.CertificateOptions{})
	key := func(change func(*dialect.KeySpec)) func(any) {
		return func(spec any) { change(spec.(*dialect.KeySpec)) }
	}
	keyless := func(change func(*dialect.KeylessSpec)) func(any) {
		return func(spec any) { change(spec.(*dialect.KeylessSpec)) }
	}
	certificate := func(change func(*dialect.CertificateSpec)) func(any) {
		return func(spec any) { change(spec.(*dialect.CertificateSpec)) }
	}
	return map[string]party{
		"Key": {
			plain: dialect.KeySpec{PEM: []byte(publicKey)},
			changes: map[string]func(any){
				"PEM":  key(func(k *dialect.KeySpec) { k.PEM = []byte(otherKey) }),
				"KMS":  key(func(k *dialect.KeySpec) { k.PEM, k.KMS = nil, "awskms:///alias/release" }),
				"Hash": key(func(k *dialect.KeySpec) { k.Hash = "sha224" }),
			},
			make: func(by policyset.Signers, spec any) (policy.Signer, error) { return by.Key(*spec.(*dialect.KeySpec)) },
		},
		"Keyless": {
			plain: dialect.KeylessSpec{Issuer: issuer, Subject: "dev@acme.test"},
			changes: map[string]func(any){
				"Issuer":           keyless(func(k *dialect.KeylessSpec) { k.Issuer = "https://accounts.acme.test" }),
				"IssuerRegExp":     keyless(func(k *dialect.KeylessSpec) { k.Issuer, k.IssuerRegExp = "", issuer }),
				"Subject":          keyless(func(k *dialect.KeylessSpec) { k.Subject = "qa@acme.test" }),
				"SubjectRegExp":    keyless(func(k *dialect.KeylessSpec) { k.Subject, k.SubjectRegExp = "", "dev@acme.test" }),
				"PartialMatch":     keyless(func(k *dialect.KeylessSpec) { k.Subject, k.SubjectRegExp, k.PartialMatch = "", "dev@acme.test", true }),
				"AnySubject":       keyless(func(k *dialect.KeylessSpec) { k.AnySubject = true }),
				"SourceRepository": keyless(func(k *dialect.KeylessSpec) { k.SourceRepository = "https://github.com/acme/app" }),
				"Extensions":       keyless(func(k *dialect.KeylessSpec) { k.Extensions = map[string]string{"buildTrigger": "push"} }),
				"ExtensionsRegExp": keyless(func(k *dialect.KeylessSpec) { k.ExtensionsRegExp = map[string]string{"buildTrigger": "push"} }),
				"CTLogIgnored":     keyless(func(k *dialect.KeylessSpec) { k.CTLogIgnored = true }),
			},
			make: func(by policyset.Signers, spec any) (policy.Signer, error) {
				return by.Keyless(*spec.(*dialect.KeylessSpec))
			},
		},
		"Certificate": {
			plain: dialect.CertificateSpec{Chain: s.FulcioChain(), Subject: "dev@acme.test"},
			changes: map[string]func(any){
				"Chain":         certificate(func(c *dialect.CertificateSpec) { c.Chain = o.FulcioChain() }),
				"Certificate":   certificate(func(c *dialect.CertificateSpec) { c.Certificate, c.Subject = pinned.PEM, "" }),
				"Subject":       certificate(func(c *dialect.CertificateSpec) { c.Subject = "qa@acme.test" }),
				"SubjectRegExp": certificate(func(c *dialect.CertificateSpec) { c.Subject, c.SubjectRegExp = "", "dev@acme.test" }),
				"AnySubject":    certificate(func(c *dialect.CertificateSpec) { c.Subject, c.AnySubject = "", true }),
				"Certificate, another": certificate(func(c *dialect.CertificateSpec) {
					c.Certificate, c.Subject = other.PEM, ""
				}),
			},
			make: func(by policyset.Signers, spec any) (policy.Signer, error) {
				return by.Certificate(*spec.(*dialect.CertificateSpec))
			},
		},
	}
}

// common are changes of what all Sigstore signers have.
func common(o *testca.Sigstore) map[string]func(*dialect.SigstoreSpec) {
	return map[string]func(*dialect.SigstoreSpec){
		"LogIgnored":         func(s *dialect.SigstoreSpec) { s.LogIgnored = true },
		"TimestampsRequired": func(s *dialect.SigstoreSpec) { s.TimestampsRequired = true },
		"SignedReference":    func(s *dialect.SigstoreSpec) { s.SignedReference = "MatchRepository" },
		"Annotations":        func(s *dialect.SigstoreSpec) { s.Annotations = map[string]string{"env": "prod"} },
		"TrustedRoot":        func(s *dialect.SigstoreSpec) { s.TrustedRoot = &dialect.TrustedRootSpec{JSON: o.TrustedRoot()} },
		"Repository":         func(s *dialect.SigstoreSpec) { s.Repository = "ghcr.io/acme/signatures" },
		"TagPrefix":          func(s *dialect.SigstoreSpec) { s.TagPrefix = "acme-" },
	}
}

// TestR34EveryFieldReachesTheSigner changes each field of each specification: an
// option that made no difference would be one that a policy states in vain.
func TestR34EveryFieldReachesTheSigner(t *testing.T) {
	s, o := whole(t), whole(t)
	by := policyset.NewSigners(trustedRoot(t, s.TrustedRoot()))
	by.Material = material{key: []byte(otherKey2)}
	for name, p := range parties(s, o, t) {
		t.Run(name, func(t *testing.T) {
			seen := map[policy.SignerID]string{}
			try := func(what string, change func(reflect.Value)) {
				spec := reflect.New(reflect.TypeOf(p.plain))
				spec.Elem().Set(reflect.ValueOf(p.plain))
				change(spec)
				signer, err := p.make(by, spec.Interface())
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if other, twice := seen[signer.ID()]; twice {
					t.Errorf("expected %s and %s to be different signers", what, other)
				}
				seen[signer.ID()] = what
			}
			try("the plain one", func(reflect.Value) {})
			fields := []string{"SigstoreSpec"}
			for what, change := range p.changes {
				try(what, func(v reflect.Value) { change(v.Interface()) })
				fields = append(fields, what)
			}
			expectFields(t, p.plain, fields)
			shared := []string{}
			for what, change := range common(o) {
				try(what, func(v reflect.Value) {
					change(v.Elem().FieldByName("SigstoreSpec").Addr().Interface().(*dialect.SigstoreSpec))
				})
				shared = append(shared, what)
			}
			expectFields(t, dialect.SigstoreSpec{}, shared)
		})
	}
}

// expectFields fails for a field that no test changes.
func expectFields(t *testing.T, of any, changed []string) {
	t.Helper()
	for i := range reflect.TypeOf(of).NumField() {
		if name := reflect.TypeOf(of).Field(i).Name; !slices.Contains(changed, name) {
			t.Errorf("expected a change of %T.%s, got none", of, name)
		}
	}
}

const otherKey2 = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAENHkkFkMZSwYun+z1geT581v8ECJl
sMgDRCSJYA3TgQexs6q/MQ126vjFG2yfLuYEqlPgKX9xB90at+ZAi7FJJA==
-----END PUBLIC KEY-----
`

// TestSigstoreSignersRefuse names the field that is to blame.
func TestSigstoreSignersRefuse(t *testing.T) {
	s := whole(t)
	without := func(edit func(*prototrust.TrustedRoot)) *dialect.TrustedRootSpec {
		return &dialect.TrustedRootSpec{JSON: s.EditedRoot(t, edit)}
	}
	noFulcio := without(func(r *prototrust.TrustedRoot) { r.CertificateAuthorities = nil })
	noLog := without(func(r *prototrust.TrustedRoot) { r.Tlogs = nil })
	noCTLog := without(func(r *prototrust.TrustedRoot) { r.Ctlogs = nil })
	noTSA := without(func(r *prototrust.TrustedRoot) { r.TimestampAuthorities = nil })
	noTime := without(func(r *prototrust.TrustedRoot) { r.Tlogs, r.TimestampAuthorities = nil, nil })
	type keyless = dialect.KeylessSpec
	type certificate = dialect.CertificateSpec
	of := func(edit func(*keyless)) func(policyset.Signers) (policy.Signer, error) {
		spec := keyless{Issuer: issuer, Subject: "dev@acme.test"}
		edit(&spec)
		return func(by policyset.Signers) (policy.Signer, error) { return by.Keyless(spec) }
	}
	by := func(edit func(*certificate)) func(policyset.Signers) (policy.Signer, error) {
		spec := certificate{Chain: s.FulcioChain(), Subject: "dev@acme.test"}
		edit(&spec)
		return func(by policyset.Signers) (policy.Signer, error) { return by.Certificate(spec) }
	}
	key := func(edit func(*dialect.KeySpec)) func(policyset.Signers) (policy.Signer, error) {
		spec := dialect.KeySpec{PEM: []byte(publicKey)}
		edit(&spec)
		return func(by policyset.Signers) (policy.Signer, error) { return by.Key(spec) }
	}
	leaf, foreign := s.Issue(t, testca.CertificateOptions{}), whole(t)
	cases := map[string]struct {
		make  func(policyset.Signers) (policy.Signer, error)
		field string
	}{
		"R27NoIssuer":           {of(func(k *keyless) { k.Issuer = "" }), dialect.FieldIssuer},
		"R27NoSubject":          {of(func(k *keyless) { k.Subject = "" }), dialect.FieldSubject},
		"TwoIssuers":            {of(func(k *keyless) { k.IssuerRegExp = "x" }), dialect.FieldIssuer},
		"TwoSubjects":           {of(func(k *keyless) { k.SubjectRegExp = "x" }), dialect.FieldSubject},
		"R14IssuerNoRE2":        {of(func(k *keyless) { k.Issuer, k.IssuerRegExp = "", "(?!x)" }), dialect.FieldIssuer},
		"R14SubjectNoRE2":       {of(func(k *keyless) { k.Subject, k.SubjectRegExp = "", "a)|(b" }), dialect.FieldSubject},
		"R14EveryIssuer":        {of(func(k *keyless) { k.Issuer, k.IssuerRegExp = "", "https://.*" }), dialect.FieldIssuer},
		"R14EverySubject":       {of(func(k *keyless) { k.Subject, k.SubjectRegExp = "", ".*" }), dialect.FieldSubject},
		"R14PartOfEverySubject": {of(func(k *keyless) { k.Subject, k.SubjectRegExp, k.PartialMatch = "", "github", true }), dialect.FieldSubject},
		"UnknownExtension":      {of(func(k *keyless) { k.Extensions = map[string]string{"source": "x"} }), dialect.FieldExtensions},
		"ExtensionNoRE2":        {of(func(k *keyless) { k.ExtensionsRegExp = map[string]string{"buildTrigger": "("} }), dialect.FieldExtensions},
		"ExtensionTwice": {of(func(k *keyless) {
			k.Extensions = map[string]string{"buildTrigger": "push"}
			k.ExtensionsRegExp = map[string]string{"buildTrigger": "push"}
		}), dialect.FieldExtensions},
		"NoRootAtAll": {func(policyset.Signers) (policy.Signer, error) {
			return policyset.NewSigners(nil).Keyless(keyless{Issuer: issuer, Subject: "x"})
		}, dialect.FieldTrustedRoot},
		"RootWithoutAuthority": {of(func(k *keyless) { k.TrustedRoot = noFulcio }), dialect.FieldTrustedRoot},
		"RootWithoutTime":      {of(func(k *keyless) { k.TrustedRoot = noTime }), dialect.FieldTrustedRoot},
		"R25RootWithoutLog":    {of(func(k *keyless) { k.TrustedRoot = noLog }), dialect.FieldTransparencyLog},
		"R25LogIgnoredWithoutAuthority": {of(func(k *keyless) { k.TrustedRoot, k.LogIgnored = noTSA, true }),
			dialect.FieldTransparencyLog},
		"R27RootWithoutCTLog":   {of(func(k *keyless) { k.TrustedRoot = noCTLog }), dialect.FieldCTLog},
		"RootWithoutTimestamps": {of(func(k *keyless) { k.TrustedRoot, k.TimestampsRequired = noTSA, true }), dialect.FieldTimestamps},
		"RootNoJSON":            {of(func(k *keyless) { k.TrustedRoot = &dialect.TrustedRootSpec{JSON: []byte("{")} }), dialect.FieldTrustedRoot},
		"RootEmpty":             {of(func(k *keyless) { k.TrustedRoot = &dialect.TrustedRootSpec{} }), dialect.FieldTrustedRoot},
		"RootOfNoParts":         {of(func(k *keyless) { k.TrustedRoot = &dialect.TrustedRootSpec{Parts: &dialect.RootParts{}} }), dialect.FieldTrustedRoot},
		"RootOfBadPart": {of(func(k *keyless) {
			k.TrustedRoot = &dialect.TrustedRootSpec{Parts: &dialect.RootParts{Rekor: [][]byte{[]byte("x")}}}
		}), dialect.FieldTrustedRoot},
		"MirrorWithoutKeeper":     {of(func(k *keyless) { k.TrustedRoot = &dialect.TrustedRootSpec{TUF: &dialect.TUFSpec{}} }), dialect.FieldTrustedRoot},
		"TagPrefix":               {of(func(k *keyless) { k.TagPrefix = "a/b" }), dialect.FieldTagPrefix},
		"Repository":              {of(func(k *keyless) { k.Repository = "not a repository" }), dialect.FieldRepository},
		"NoCertificate":           {by(func(c *certificate) { c.Chain, c.Subject = nil, "" }), dialect.FieldChain},
		"CertificateNoPEM":        {by(func(c *certificate) { c.Certificate, c.Subject = []byte("x"), "" }), dialect.FieldCertificate},
		"ChainNoPEM":              {by(func(c *certificate) { c.Chain = []byte("x") }), dialect.FieldChain},
		"ChainOfAnother":          {by(func(c *certificate) { c.Certificate, c.Chain, c.Subject = leaf.PEM, foreign.FulcioChain(), "" }), dialect.FieldChain},
		"ChainIsLeaf":             {by(func(c *certificate) { c.Chain = leaf.PEM }), dialect.FieldChain},
		"SubjectMissing":          {by(func(c *certificate) { c.Subject = "" }), dialect.FieldSubject},
		"SubjectBesideLeaf":       {by(func(c *certificate) { c.Certificate = leaf.PEM }), dialect.FieldSubject},
		"AnySubjectBesideLeaf":    {by(func(c *certificate) { c.Certificate, c.Subject, c.AnySubject = leaf.PEM, "", true }), dialect.FieldSubject},
		"R14EveryCertificate":     {by(func(c *certificate) { c.Subject, c.SubjectRegExp = "", ".+" }), dialect.FieldSubject},
		"CertificateLog":          {by(func(c *certificate) { c.TrustedRoot = noLog }), dialect.FieldTransparencyLog},
		"CertificateTimestamps":   {by(func(c *certificate) { c.TrustedRoot, c.TimestampsRequired = noTSA, true }), dialect.FieldTimestamps},
		"KeyTimestamps":           {key(func(k *dialect.KeySpec) { k.TrustedRoot, k.TimestampsRequired = noTSA, true }), dialect.FieldTimestamps},
		"R25KeyLog":               {key(func(k *dialect.KeySpec) { k.TrustedRoot = noLog }), dialect.FieldTransparencyLog},
		"KeyServiceWithoutKeeper": {key(func(k *dialect.KeySpec) { k.PEM, k.KMS = nil, "awskms:///x" }), dialect.FieldKMS},
		"KeyServiceBesideKey":     {key(func(k *dialect.KeySpec) { k.KMS = "awskms:///x" }), dialect.FieldKMS},
	}
	signers := policyset.NewSigners(trustedRoot(t, s.TrustedRoot()))
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			made, err := tc.make(signers)
			var spec *dialect.SpecError
			if made != nil || !errors.As(err, &spec) || spec.Field != tc.field {
				t.Errorf("expected an error about %s, got %v, %v", tc.field, made, err)
			}
		})
	}
}

func TestTrustedRootsOfEveryForm(t *testing.T) {
	s := whole(t)
	parts := &dialect.RootParts{
		Fulcio: [][]byte{s.FulcioChain()}, Rekor: [][]byte{s.LogKey()}, CTLogs: [][]byte{s.CTLogKey()}, TimestampAuthorities: [][]byte{s.TimestampChain()},
	}
	by := policyset.NewSigners(nil)
	by.Material = material{root: s.TrustedRoot()}
	ids := map[string]policy.SignerID{}
	for name, root := range map[string]*dialect.TrustedRootSpec{
		"JSON": {JSON: s.TrustedRoot()}, "PublicGood": {PublicGood: true}, "Parts": {Parts: parts},
		"TUF": {TUF: &dialect.TUFSpec{Mirror: "https://tuf.acme.test", Root: []byte("{}")}},
	} {
		made, err := by.Keyless(dialect.KeylessSpec{Issuer: issuer, Subject: "dev@acme.test", SigstoreSpec: dialect.SigstoreSpec{TrustedRoot: root}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ids[name] = made.ID()
	}
	if ids["TUF"] != ids["JSON"] {
		t.Error("expected one signer of one trusted root, wherever it comes from")
	}
	if ids["JSON"] == ids["PublicGood"] || ids["JSON"] == ids["Parts"] || ids["Parts"] == ids["PublicGood"] {
		t.Errorf("expected signers of their own, got %v", ids)
	}
}

// TestUnknownMaterialIsPending: a policy is loaded, checked as a whole, and its
// signer undecided, until what it names is known.
func TestUnknownMaterialIsPending(t *testing.T) {
	s := whole(t)
	tuf := dialect.SigstoreSpec{TrustedRoot: &dialect.TrustedRootSpec{TUF: &dialect.TUFSpec{Mirror: "https://tuf.acme.test"}}}
	everything := tuf // of which the stand-in has not all
	everything.LogIgnored, everything.TimestampsRequired = true, true
	operator := trustedRoot(t, s.TrustedRoot())
	kinds := map[string]struct {
		make func(policyset.Signers, string) (policy.Signer, error)
		want evidence.Reason
	}{
		"Key": {func(by policyset.Signers, _ string) (policy.Signer, error) {
			return by.Key(dialect.KeySpec{PEM: []byte(publicKey), SigstoreSpec: tuf})
		}, evidence.TrustRootUnavailable},
		"Keyless": {func(by policyset.Signers, subject string) (policy.Signer, error) {
			return by.Keyless(dialect.KeylessSpec{Issuer: issuer, SubjectRegExp: subject, SigstoreSpec: everything})
		}, evidence.TrustRootUnavailable},
		"Certificate": {func(by policyset.Signers, subject string) (policy.Signer, error) {
			return by.Certificate(dialect.CertificateSpec{Chain: s.FulcioChain(), SubjectRegExp: subject, SigstoreSpec: everything})
		}, evidence.TrustRootUnavailable},
		"KMS": {func(by policyset.Signers, _ string) (policy.Signer, error) {
			return by.Key(dialect.KeySpec{KMS: "awskms:///x", Hash: "sha384"})
		}, evidence.KeyUnavailable},
		"KMSAndTUF": {func(by policyset.Signers, _ string) (policy.Signer, error) {
			return by.Key(dialect.KeySpec{KMS: "awskms:///x", SigstoreSpec: everything})
		}, evidence.KeyUnavailable},
	}
	for name, tc := range kinds {
		t.Run(name, func(t *testing.T) {
			by := policyset.NewSigners(operator)
			by.Material = material{rootErr: notYet(evidence.TrustRootUnavailable), keyErr: notYet(evidence.KeyUnavailable)}
			made, err := tc.make(by, "dev@acme.test")
			if err != nil {
				t.Fatal(err)
			}
			pending, is := made.(policy.Unavailable)
			if !is || pending.Unavailable().Reason != tc.want || !pending.Unavailable().Undecided() {
				t.Fatalf("expected a signer that is undecided for %s, got %v", tc.want, made)
			}
			if _, attests := made.(policy.Attestor); !attests {
				t.Error("expected one that attestations may name, too")
			}
			if again, err := tc.make(by, "dev@acme.test"); err != nil || again.ID() != made.ID() {
				t.Errorf("expected the same signer of the same specification, got %v", err)
			}
			by.Material = material{root: s.TrustedRoot(), key: []byte(otherKey2)}
			known, err := tc.make(by, "dev@acme.test")
			if err != nil {
				t.Fatal(err)
			}
			if _, still := known.(policy.Unavailable); still || known.ID() == made.ID() {
				t.Errorf("expected a signer once the material is known, got %v", known)
			}
			for _, wrong := range []error{errors.New("no such mirror"), notYet(evidence.LimitExceeded)} {
				by.Material = material{rootErr: wrong, keyErr: wrong}
				if made, err := tc.make(by, "dev@acme.test"); err == nil {
					t.Errorf("expected the error of a wrong specification, got %v", made)
				}
			}
		})
	}
	by := policyset.NewSigners(operator)
	by.Material = material{rootErr: notYet(evidence.TrustRootUnavailable)}
	for _, name := range []string{"Keyless", "Certificate"} {
		if made, err := kinds[name].make(by, ".*"); err == nil {
			t.Errorf("R14: %s: expected an error about a pattern that admits everybody, whatever the material, got %v", name, made)
		}
	}
}

// TestR48PendingSignerProvesNothing asks a pending signer what it was made to
// answer.
func TestR48PendingSignerProvesNothing(t *testing.T) {
	by := policyset.NewSigners(nil)
	by.Material = material{rootErr: notYet(evidence.TrustRootUnavailable)}
	made, err := by.Keyless(dialect.KeylessSpec{Issuer: issuer, Subject: "x", SigstoreSpec: dialect.SigstoreSpec{TrustedRoot: &dialect.TrustedRootSpec{TUF: &dialect.TUFSpec{}}}})
	if err != nil {
		t.Fatal(err)
	}
	proof, err := made.Verify(t.Context(), evidence.Image{}, evidence.Item{})
	if p := evidence.ProblemOf(err); p == nil || !p.Undecided() || proof.Identity != "" {
		t.Errorf("expected an undecided problem, got %v, %v", proof, err)
	}
	if !strings.Contains(made.Describe(), issuer) {
		t.Errorf("expected whom it stands for, got %q", made.Describe())
	}
}

// TestR26CertificateWithoutClock: without a clock nothing tells that a
// certificate is valid where nothing proves when it signed, so another signer
// it is.
func TestR26CertificateWithoutClock(t *testing.T) {
	s := whole(t)
	spec := dialect.CertificateSpec{Chain: s.FulcioChain(), Subject: "dev@acme.test", SigstoreSpec: dialect.SigstoreSpec{LogIgnored: true}}
	by := policyset.NewSigners(nil)
	without, err := by.Certificate(spec)
	if err != nil {
		t.Fatal(err)
	}
	by.Now = time.Now
	with, err := by.Certificate(spec)
	if err != nil || with.ID() == without.ID() {
		t.Errorf("expected another signer with a clock, got %v", err)
	}
}

func TestHashesOfKeys(t *testing.T) {
	by := policyset.Signers{}
	seen := map[policy.SignerID]string{}
	for _, hash := range []string{"", "sha224", "sha384", "sha512"} {
		made, err := by.Key(dialect.KeySpec{PEM: []byte(publicKey), Hash: hash, SigstoreSpec: dialect.SigstoreSpec{LogIgnored: true}})
		if err != nil {
			t.Fatal(err)
		}
		if other, twice := seen[made.ID()]; twice {
			t.Errorf("expected %q and %q to be different signers", hash, other)
		}
		seen[made.ID()] = hash
	}
}
