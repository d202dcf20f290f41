package nirmata_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/nirmata"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// fakeSigner is a signer that says what it was made of.
type fakeSigner struct {
	policy.Signer

	made string
}

func (s fakeSigner) Describe() string    { return s.made }
func (s fakeSigner) ID() policy.SignerID { return policy.SignerID(s.made) }

// fakeSigners take every certificate that says so.
type fakeSigners struct{ dialect.Signers }

func (fakeSigners) Notation(s dialect.NotationSpec) (policy.Signer, error) {
	var stores []string
	for i, store := range s.TrustStores {
		if !strings.HasPrefix(string(store.Certificates), "certificates") {
			return nil, &dialect.SpecError{Field: dialect.FieldTrustStores, Index: i, Err: errors.New("expected certificates, got none")}
		}
		stores = append(stores, store.Type+" "+strings.TrimSpace(string(store.Certificates)))
	}
	if slices.Contains(s.TrustedIdentities, "x509.subject: bad") {
		return nil, &dialect.SpecError{Field: dialect.FieldTrustedIdentities, Err: errors.New("expected a distinguished name")}
	}
	made := fmt.Sprintf("%q %q %s %v", stores, s.TrustedIdentities, s.Level, s.Override)
	if s.AdmitNotEnforced {
		made += " admitting"
	}
	for _, p := range s.Plugins {
		made += " plugin " + p.Name
	}
	return fakeSigner{made: made}, nil
}

func load(t *testing.T, o nirmata.Options, documents ...string) ([]policy.Policy, error) {
	t.Helper()
	parsed, err := dialect.Parse("f.yaml", []byte(strings.Join(documents, "\n---\n")))
	if err != nil {
		t.Fatal(err)
	}
	policies, _, err := dialect.Loader{Dialects: []dialect.Dialect{nirmata.New(fakeSigners{}, o)}}.Load(parsed)
	return policies, err
}

// store is a TrustStore whose object has another name than the store.
func store(name, kind, bundle string) string {
	return "apiVersion: notation.nirmata.io/v1alpha1\nkind: TrustStore\nmetadata: {name: object-" + strings.ToLower(kind) + "-" + name + "}\n" +
		"spec: {trustStoreName: " + name + ", type: " + kind + ", caBundle: " + bundle + "}\n"
}

// trust is a TrustPolicy of one object name with statements in flow style.
func trust(object, name string, statements ...string) string {
	return "apiVersion: notation.nirmata.io/v1alpha1\nkind: TrustPolicy\nmetadata: {name: " + object + "}\n" +
		"spec:\n  version: '1.0'\n  trustPolicyName: " + name + "\n  trustPolicies:\n  - " + strings.Join(statements, "\n  - ") + "\n"
}

const (
	strict = "{name: s, registryScopes: ['*'], signatureVerification: {level: strict}, trustStores: ['ca:acme'], trustedIdentities: ['x509.subject: C=US']}"
	acme   = "acme"
)

// edited replaces a part of the statement strict.
func edited(old, by string) string {
	s := strings.Replace(strict, old, by, 1)
	if s == strict {
		panic("nothing to replace: " + old)
	}
	return s
}

func TestStatementsBecomePoliciesByName(t *testing.T) {
	policies, err := load(t, nirmata.Options{},
		trust("object", "tp-test",
			"{name: two, registryScopes: [ghcr.io/acme/app, docker.io/acme/tool], signatureVerification: {level: permissive, override: {expiry: enforce}},"+
				" trustStores: ['ca:acme', 'signingAuthority:acme'], trustedIdentities: ['*']}",
			"{name: rest, registryScopes: ['*'], signatureVerification: {level: strict}, trustStores: ['ca:acme'], trustedIdentities: ['x509.subject: C=US']}",
			"{name: free, registryScopes: [ghcr.io/acme/free], signatureVerification: {level: skip}}"),
		store(acme, "ca", "certificates 1"), store(acme, "signingAuthority", "certificates 2"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range policies {
		require := fmt.Sprintf("%#v", p.Require)
		if s, is := p.Require.(policy.Signature); is {
			require = s.Name + " " + s.Signer.Describe()
		}
		got = append(got, fmt.Sprintf("%s %s %s %s %s %s: %s", p.ByName, p.Origin.Dialect, p.Origin.Kind, p.Origin, p.Mode, p.Pin, require))
	}
	want := []string{
		`tp-test nirmata TrustPolicy object/two Enforce Digest: two ["ca certificates 1" "signingAuthority certificates 2"] ["*"] permissive map[expiry:enforce]`,
		`tp-test nirmata TrustPolicy object/rest Enforce Digest: rest ["ca certificates 1"] ["x509.subject: C=US"] strict map[]`,
		`tp-test nirmata TrustPolicy object/free Enforce None: policy.Static{Allow:true, Reason:"level skip"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	cases := map[string]string{
		"ghcr.io/acme/app:1": "two", "ghcr.io/acme/app@sha256:" + strings.Repeat("a", 64): "two", "acme/tool": "two", "index.docker.io/acme/tool:2": "two",
		"ghcr.io/acme/free": "free", "ghcr.io/acme/app/sub": "rest", "ghcr.io/acme/ap": "rest", "ghcr.io:444/acme/app": "rest", "nginx": "rest",
	}
	for image, want := range cases {
		ref, err := imageref.Parse(image)
		if err != nil {
			t.Fatal(err)
		}
		var covered []string
		for _, p := range policies {
			if p.Covers(ref) {
				covered = append(covered, p.Origin.Rule)
			}
		}
		if !slices.Equal(covered, []string{want}) {
			t.Errorf("%s: expected exactly the statement %q to judge it, got %q", image, want, covered)
		}
	}
}

func TestWithoutWildcardOtherImagesHaveNoStatement(t *testing.T) {
	policies, err := load(t, nirmata.Options{}, trust("o", "tp", edited("'*'", "ghcr.io/acme/app")), store(acme, "ca", "certificates"))
	if err != nil {
		t.Fatal(err)
	}
	if ref := imageref.MustParse("ghcr.io/acme/other"); policies[0].Covers(ref) {
		t.Errorf("expected no statement for %s, got one", ref)
	}
}

func TestRefusals(t *testing.T) {
	good := store(acme, "ca", "certificates")
	cases := map[string]struct {
		reason    string
		documents []string
		want      []string // fields
	}{
		"Version":             {"another version could mean another thing", []string{strings.Replace(trust("o", "tp", strict), "1.0", "1.1", 1), good}, []string{"spec.version"}},
		"NoVersion":           {"it is required", []string{strings.Replace(trust("o", "tp", strict), "  version: '1.0'\n", "", 1), good}, []string{"spec.version"}},
		"NoName":              {"nobody could ask for it", []string{trust("o", "''", strict), good}, []string{"spec.trustPolicyName"}},
		"NameIsPath":          {"names were parts of paths once", []string{trust("o", "../tp", strict), good}, []string{"spec.trustPolicyName"}},
		"NameIsParent":        {"names were parts of paths once", []string{trust("o", "'..'", strict), good}, []string{"spec.trustPolicyName"}},
		"StoreNameIsPath":     {"names were parts of paths once", []string{trust("o", "tp", strict), good, store("a/b", "ca", "certificates")}, []string{"spec.trustStoreName"}},
		"TwicePolicy":         {"which would apply is nobody's guess", []string{trust("o", "tp", strict), trust("p", "tp", strict), good}, []string{"spec.trustPolicyName"}},
		"TwiceStore":          {"which would count is nobody's guess", []string{trust("o", "tp", strict), good, strings.Replace(good, "object-", "other-", 1)}, []string{"spec.trustStoreName"}},
		"TwiceStatement":      {"names tell statements apart", []string{trust("o", "tp", strict, edited("'*'", "a.io/b")), good}, []string{"spec.trustPolicies[1].name"}},
		"NoStatement":         {"an empty set allows nothing", []string{"apiVersion: notation.nirmata.io/v1alpha1\nkind: TrustPolicy\nmetadata: {name: o}\nspec: {version: '1.0', trustPolicyName: tp, trustPolicies: []}"}, []string{"spec.trustPolicies"}},
		"NoScope":             {"an empty set selects nothing", []string{trust("o", "tp", edited("'*'", "")), good}, []string{"spec.trustPolicies[0].registryScopes"}},
		"ScopeBesideWildcard": {"the star stands alone", []string{trust("o", "tp", edited("'*'", "'*', a.io/b")), good}, []string{"spec.trustPolicies[0].registryScopes"}},
		"TwoWildcards":        {"one of them would be shadowed", []string{trust("o", "tp", strict, edited("name: s", "name: r")), good}, []string{"spec.trustPolicies[1].registryScopes"}},
		"R11ScopeTwice":       {"spellings of one repository are one", []string{trust("o", "tp", edited("'*'", "docker.io/a/b, index.docker.io/a/b")), good}, []string{"spec.trustPolicies[0].registryScopes[1]"}},
		"ScopeWithoutHost":    {"people mean Docker Hub, Notation a folder", []string{trust("o", "tp", edited("'*'", "acme/app")), good}, []string{"spec.trustPolicies[0].registryScopes[0]"}},
		"ScopeWithTag":        {"scopes are repositories", []string{trust("o", "tp", edited("'*'", "'a.io/b:1'")), good}, []string{"spec.trustPolicies[0].registryScopes[0]"}},
		"ScopeWithStar":       {"a star in a name means nothing here", []string{trust("o", "tp", edited("'*'", "'a.io/*'")), good}, []string{"spec.trustPolicies[0].registryScopes[0]"}},
		"Level":               {"unknown words are refused", []string{trust("o", "tp", edited("strict", "strikt")), good}, []string{"spec.trustPolicies[0].signatureVerification.level"}},
		"NoLevel":             {"the level is required", []string{trust("o", "tp", edited("{level: strict}", "{}")), good}, []string{"spec.trustPolicies[0].signatureVerification.level"}},
		"R29SkipEverything":   {"skip for every image would admit every image", []string{trust("o", "tp", "{name: s, registryScopes: ['*'], signatureVerification: {level: skip}}")}, []string{"spec.trustPolicies[0].signatureVerification.level"}},
		"R29SkipWithStores":   {"who names stores does not mean skip", []string{trust("o", "tp", "{name: s, registryScopes: [a.io/b], signatureVerification: {level: skip}, trustStores: ['ca:acme']}"), good}, []string{"spec.trustPolicies[0].trustStores"}},
		"R29SkipOverridden":   {"there is nothing to override", []string{trust("o", "tp", "{name: s, registryScopes: [a.io/b], signatureVerification: {level: skip, override: {expiry: log}}}")}, []string{"spec.trustPolicies[0].signatureVerification.override"}},
		"OverrideIntegrity":   {"integrity cannot be overridden", []string{trust("o", "tp", edited("strict}", "strict, override: {integrity: log}}")), good}, []string{"spec.trustPolicies[0].signatureVerification.override.integrity"}},
		"OverrideAction":      {"only revocation can be skipped", []string{trust("o", "tp", edited("strict}", "strict, override: {expiry: skip}}")), good}, []string{"spec.trustPolicies[0].signatureVerification.override.expiry"}},
		"R29VerifyTimestamp":  {"the kind has no such field", []string{trust("o", "tp", edited("strict}", "strict, verifyTimestamp: always}")), good}, []string{"spec.trustPolicies[0].signatureVerification.verifyTimestamp"}},
		"R29TimestampStore":   {"the kind has no such stores", []string{trust("o", "tp", edited("['ca:acme']", "['ca:acme', 'tsa:acme']")), good}, []string{"spec.trustPolicies[0].trustStores[1]"}},
		"StoreTypeTSA":        {"the kind has no such stores", []string{trust("o", "tp", strict), good, store("t", "tsa", "certificates")}, []string{"spec.type"}},
		"NoStore":             {"nobody would be trusted", []string{trust("o", "tp", edited("['ca:acme']", "[]")), good}, []string{"spec.trustPolicies[0].trustStores"}},
		"UnknownStore":        {"a store that is not there trusts nobody", []string{trust("o", "tp", edited("ca:acme", "ca:other")), good}, []string{"spec.trustPolicies[0].trustStores[0]"}},
		"StoreOfOtherType":    {"type and name are one name", []string{trust("o", "tp", edited("ca:acme", "signingAuthority:acme")), good}, []string{"spec.trustPolicies[0].trustStores[0]"}},
		"StoreWithoutType":    {"a name alone names none", []string{trust("o", "tp", edited("ca:acme", "acme")), good}, []string{"spec.trustPolicies[0].trustStores[0]"}},
		"StoreTwice":          {"said twice is not meant", []string{trust("o", "tp", edited("['ca:acme']", "['ca:acme', 'ca:acme']")), good}, []string{"spec.trustPolicies[0].trustStores[1]"}},
		"BrokenStore":         {"it is reported where it is and where it is used", []string{trust("o", "tp", strict), store(acme, "ca", "nothing")}, []string{"spec.trustPolicies[0].trustStores[0]", "spec.caBundle"}},
		"UnusedBrokenStore":   {"it will be used one day", []string{trust("o", "tp", strict), good, store("b", "ca", "nothing")}, []string{"spec.caBundle"}},
		"NoIdentity":          {"an empty set trusts nobody", []string{trust("o", "tp", edited("['x509.subject: C=US']", "[]")), good}, []string{"spec.trustPolicies[0].trustedIdentities"}},
		"R30PluginIdentity":   {"only a plugin could check it", []string{trust("o", "tp", edited("x509.subject: C=US", "arn:aws:signer:us-east-1:1:/signing-profiles/p")), good}, []string{"spec.trustPolicies[0].trustedIdentities[0]"}},
		"BadIdentity":         {"the verifier's refusal is passed on", []string{trust("o", "tp", edited("C=US", "bad")), good}, []string{"spec.trustPolicies[0].trustedIdentities"}},
		"R19UnknownField":     {"an unknown field is an error", []string{trust("o", "tp", edited("name: s", "name: s, globalPolicy: true")), good}, []string{"spec.trustPolicies[0].globalPolicy"}},
		"R19Case":             {"names have one case", []string{strings.Replace(trust("o", "tp", strict), "trustPolicies:", "TrustPolicies:", 1), good}, []string{"spec.TrustPolicies"}},
		"Namespaced":          {"the kinds are of the whole cluster", []string{strings.Replace(trust("o", "tp", strict), "{name: o}", "{name: o, namespace: n}", 1), good}, []string{"metadata.namespace"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, nirmata.Options{}, tc.documents...)
			var all dialect.Errors
			if err != nil && !errors.As(err, &all) {
				t.Fatalf("expected dialect.Errors, got %T", err)
			}
			var got []string
			for _, e := range all {
				if e.Line == 0 {
					t.Errorf("expected a line, got %v", e)
				}
				got = append(got, e.Path)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: %v (-want +got):\n%s", tc.reason, err, diff)
			}
		})
	}
}

// TestR19WeakeningsShow: each way to ask for less is a note.
func TestR19WeakeningsShow(t *testing.T) {
	const here = "spec.trustPolicies[0]."
	cases := map[string]struct {
		statement string
		want      []string // fields
		admits    bool     // a signature by anybody (TRUST R29)
	}{
		"Strict":             {strict, nil, false},
		"Permissive":         {edited("strict", "permissive"), []string{here + "signatureVerification.level"}, false},
		"R29Audit":           {edited("strict", "audit"), []string{here + "signatureVerification.level"}, true},
		"R29AuditEnforced":   {edited("strict}", "audit, override: {authenticity: enforce}}"), []string{here + "signatureVerification.level"}, false},
		"R29Authenticity":    {edited("strict}", "strict, override: {authenticity: log}}"), []string{here + "signatureVerification.override.authenticity"}, true},
		"Revocation":         {edited("strict}", "strict, override: {revocation: skip, expiry: enforce}}"), []string{here + "signatureVerification.override.revocation"}, false},
		"EveryIdentity":      {edited("x509.subject: C=US", "*"), []string{here + "trustedIdentities"}, false},
		"R29SkipOneOfItsOwn": {"{name: s, registryScopes: [a.io/b], signatureVerification: {level: skip}}", []string{here + "signatureVerification.level"}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			policies, err := load(t, nirmata.Options{}, trust("o", "tp", tc.statement), store(acme, "ca", "certificates"))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, n := range policies[0].Notes {
				if n.Weakening {
					got = append(got, n.Path)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if s, is := policies[0].Require.(policy.Signature); is && strings.HasSuffix(s.Signer.Describe(), "admitting") != tc.admits {
				t.Errorf("want admitting %t, got %s", tc.admits, s.Signer.Describe())
			}
		})
	}
}

func TestPluginsReachTheSigner(t *testing.T) {
	o := nirmata.Options{Plugins: []dialect.PluginSpec{{Name: "signer", Replaces: []string{"revocation"}}}}
	policies, err := load(t, o, trust("o", "tp", edited("x509.subject: C=US", "arn:aws:signer:us-east-1:1:/signing-profiles/p")), store(acme, "ca", "certificates"))
	if err != nil {
		t.Fatal(err)
	}
	if got := policies[0].Require.(policy.Signature).Signer.Describe(); !strings.HasSuffix(got, "plugin signer") {
		t.Errorf("expected the plugin to reach the signer, got %s", got)
	}
	if notes := policies[0].Notes; len(notes) != 1 || !notes[0].Weakening {
		t.Errorf("expected a weakening by what the plugin replaces, got %+v", notes)
	}
}

// TestLinkChangesNothing: a dialect is linked anew for each load.
func TestLinkChangesNothing(t *testing.T) {
	d := nirmata.New(fakeSigners{}, nirmata.Options{})
	loads := func(documents ...string) error {
		parsed, err := dialect.Parse("f.yaml", []byte(strings.Join(documents, "\n---\n")))
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = dialect.Loader{Dialects: []dialect.Dialect{d}}.Load(parsed)
		return err
	}
	if err := loads(trust("o", "tp", strict), store(acme, "ca", "certificates")); err != nil {
		t.Fatal(err)
	}
	if err := loads(trust("o", "tp", strict)); err == nil {
		t.Error("expected the store of an earlier load to be gone, got a policy")
	}
	if err := loads(trust("p", "tp", strict), store(acme, "ca", "certificates")); err != nil {
		t.Errorf("expected the name of an earlier load to be free, got %v", err)
	}
}

func FuzzTrustPolicy(f *testing.F) {
	f.Add(trust("o", "tp", strict) + "---\n" + store(acme, "ca", "certificates"))
	f.Add(trust("o", "tp", edited("strict}", "audit, override: {authenticity: enforce}}")))
	f.Add("{apiVersion: notation.nirmata.io/v1alpha1, kind: TrustStore, metadata: {name: x}, spec: 1}")
	f.Fuzz(func(t *testing.T, text string) {
		documents, err := dialect.Parse("f.yaml", []byte(text))
		if err != nil {
			return
		}
		policies, _, err := dialect.Loader{Dialects: []dialect.Dialect{nirmata.New(fakeSigners{}, nirmata.Options{})}}.Load(documents)
		if err != nil {
			return
		}
		for _, p := range policies {
			if p.ByName == "" || p.Require == nil || len(p.Include) == 0 {
				t.Errorf("expected a policy with a name, a requirement and images, got %+v", p)
			}
		}
	})
}
