package kyverno_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/dialect/kyverno"
	"github.com/bonafide-dev/bonafide/policy"
)

// keylessPolicy has one attestor with the fields, which are at keylessPath.
func keylessPolicy(fields string) string {
	return clusterPolicy("validationFailureAction: Enforce", entryOf(image+"\n  attestors: [{entries: [{keyless: {"+fields+"}}]}]"))
}

const keylessPath = "spec.rules[0].verifyImages[0].attestors[0].entries[0].keyless"

func TestKeylessAndCertificatesRefused(t *testing.T) {
	const enforce, anySubject = "validationFailureAction: Enforce", `bonafide.dev/any-subject: "true"`
	cases := map[string]struct {
		reason string
		text   string
		want   []string // fields; nil: none
	}{
		"R14Everybody":         {"whoever the issuer vouches for", keylessPolicy("issuer: a, subject: '*'"), []string{keylessPath + ".subject"}},
		"R14EverybodyByRegExp": {"whoever the issuer vouches for", keylessPolicy("issuer: a, subjectRegExp: '.+'"), []string{keylessPath + ".subjectRegExp"}},
		"R14EveryIssuer":       {"and whoever vouches", keylessPolicy("issuer: '*', subject: a"), []string{keylessPath + ".issuer"}},
		"R14EverybodyAllowed":  {"the annotation accepts it", annotated(keylessPolicy("issuer: a, subject: '*'"), anySubject), nil},
		"R14EverybodyNotAllowed": {"only true accepts it", annotated(keylessPolicy("issuer: a, subject: '*'"), strings.Replace(anySubject, "true", "false", 1)),
			[]string{keylessPath + ".subject"}},
		"R27NoSubject":            {"anybody could sign, whatever is accepted", annotated(keylessPolicy("issuer: a"), anySubject), []string{keylessPath + ".subject"}},
		"R27NoIssuer":             {"anybody could vouch, whatever is accepted", annotated(keylessPolicy("subjectRegExp: ^a$"), anySubject), []string{keylessPath + ".issuer"}},
		"R27EmptySubject":         {"an empty one is none", keylessPolicy("issuer: a, subject: ''"), []string{keylessPath + ".subject"}},
		"R27RootsAlone":           {"an authority is no identity", keylessPolicy("roots: a, rekor: {url: a}"), []string{keylessPath + ".issuer", keylessPath + ".subject"}},
		"R27OldFormNoIssuer":      {"which Kyverno drops", clusterPolicy(enforce, entryOf("image: a\n  subject: b\n  attestors: []")), []string{"spec.rules[0].verifyImages[0].issuer"}},
		"R27OldFormWithKey":       {"of which Kyverno drops one", clusterPolicy(enforce, entryOf("image: a\n  issuer: a\n  subject: b\n  key: |\n"+indent(publicKey, 4))), []string{"spec.rules[0].verifyImages[0].key"}},
		"R19TwoIssuers":           {"of which Kyverno asks for both", keylessPolicy("issuer: a, issuerRegExp: a, subject: a"), []string{keylessPath + ".issuer"}},
		"R19TwoSubjects":          {"of which Kyverno asks for one", keylessPolicy("issuer: a, subjectRegExp: a, subject: a"), []string{keylessPath + ".subject"}},
		"R19Extension":            {"Kyverno knows six", keylessPolicy("issuer: a, subject: a, additionalExtensions: {sourceRepositoryURI: a}"), []string{keylessPath + ".additionalExtensions"}},
		"R19ExtensionTwice":       {"by name and by identifier", keylessPolicy("issuer: a, subject: a, additionalExtensions: {githubWorkflowRef: a, 1.3.6.1.4.1.57264.1.6: b}"), []string{keylessPath + ".additionalExtensions.githubWorkflowRef"}},
		"R27ExtensionOfTheIssuer": {"another than the issuer", keylessPolicy("issuer: a, subject: a, additionalExtensions: {oidcIssuer: b}"), []string{keylessPath + ".additionalExtensions.oidcIssuer"}},
		"R27ExtensionOfAnyIssuer": {"that an expression would admit", keylessPolicy("issuer: 'https://a*', subject: a, additionalExtensions: {oidcIssuer: https://ab}"), []string{keylessPath + ".additionalExtensions.oidcIssuer"}},
		"ExtensionOfTheIssuer":    {"the issuer again", keylessPolicy("issuer: https://a, subject: a, additionalExtensions: {1.3.6.1.4.1.57264.1.1: 'https://*'}"), nil},
		"R27ChainWithoutPromise": {"what the default asks for is not left out unsaid", clusterPolicy(enforce, entryOf(image+"\n  attestors: [{entries: [{certificates: {certChain: a}}]}]")),
			[]string{"spec.rules[0].verifyImages[0].attestors[0].entries[0].certificates.ctlog"}},
		"R17KMSOfNamespace": {"a namespaced policy asks nobody", namespaced(enforce, ruleOf(pods, entryOf(image+"\n  attestors: [{entries: [{keys: {kms: 'awskms:///a'}}]}]"))),
			[]string{"spec.rules[0].verifyImages[0].attestors[0].entries[0].keys.kms"}},
		"R17KMSAsPublicKey": {"nor in another field", namespaced(enforce, ruleOf(pods, entryOf(image+"\n  attestors: [{entries: [{keys: {publicKeys: ' gcpkms://a'}}]}]"))),
			[]string{"spec.rules[0].verifyImages[0].attestors[0].entries[0].keys.publicKeys"}},
		"R17KMSAsKey": {"nor in the old form", namespaced(enforce, ruleOf(pods, entryOf(image+"\n  key: hashivault://a"))), []string{"spec.rules[0].verifyImages[0].key"}},
		"R17RepositoryOfNamespace": {"it would be asked with others' credentials", namespaced(enforce, ruleOf(pods, entryOf(image+"\n  repository: ghcr.io/acme/signatures"))),
			[]string{"spec.rules[0].verifyImages[0].repository"}},
		"RepositoryWithTag": {"signatures are no image", clusterPolicy(enforce, entryOf(image+"\n  repository: ghcr.io/acme/signatures:v1")), []string{"spec.rules[0].verifyImages[0].repository"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := compile(t, "p.yaml", c.text, fakeSigners{}, kyverno.Options{})
			if diff := cmp.Diff(c.want, paths(t, err)); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%v\n%s", c.reason, diff, err, c.text)
			}
		})
	}
}

func TestKeylessAndCertificatesNotes(t *testing.T) {
	cases := map[string]struct {
		reason, entry, path string
		weakening           bool
	}{
		"R14Anywhere":        {"as Kyverno's documentation says", image + "\n  attestors: [{entries: [{keyless: {issuer: a, subjectRegExp: '^github|a$'}}]}]", keylessPath + ".subjectRegExp", true},
		"R14IssuerAnywhere":  {"as Kyverno's documentation says", image + "\n  attestors: [{entries: [{keyless: {issuerRegExp: '^a', subject: a}}]}]", keylessPath + ".issuerRegExp", true},
		"R14NoWildcards":     {"a bundle's identity is exact", image + "\n  type: SigstoreBundle\n  attestors: [{entries: [{keyless: {issuer: a, subject: 'a*'}}]}]", keylessPath + ".subject", false},
		"R25KeylessUnlogged": {"the log is ignored", image + "\n  attestors: [{entries: [{keyless: {issuer: a, subject: a, rekor: {ignoreTlog: true}}}]}]", keylessPath + ".rekor.ignoreTlog", true},
		"R27Unpromised":      {"no certificate log", image + "\n  attestors: [{entries: [{keyless: {issuer: a, subject: a, ctlog: {ignoreSCT: true}}}]}]", keylessPath + ".ctlog.ignoreSCT", true},
		"R19LogNotContacted": {"entries come along", image + "\n  attestors: [{entries: [{keyless: {issuer: a, subject: a, rekor: {url: a}}}]}]", keylessPath + ".rekor.url", false},
		"R19ChainAlone":      {"no identity is asked", image + "\n  attestors: [{entries: [{certificates: {certChain: '-----BEGIN CERTIFICATE-----', ctlog: {ignoreSCT: true}}}]}]", strings.TrimSuffix(keylessPath, "keyless") + "certificates.certChain", true},
		"AlgorithmOfNoKey":   {"a certificate brings its own", image + "\n  attestors: [{entries: [{keyless: {issuer: a, subject: a}, signatureAlgorithm: sha384}]}]", strings.TrimSuffix(keylessPath, ".keyless") + ".signatureAlgorithm", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			n := noteAt(t, load(t, clusterPolicy("validationFailureAction: Enforce", entryOf(c.entry))), c.path)
			if n.Weakening != c.weakening || n.Text == "" {
				t.Errorf("%s: got %+v, want weakening %t", c.reason, n, c.weakening)
			}
		})
	}
}

// TestR14AnySubjectIsNoted: where the annotation accepts everybody it is a
// weakening of the field, and elsewhere it changes nothing.
func TestR14AnySubjectIsNoted(t *testing.T) {
	const accepted = `bonafide.dev/any-subject: "true"`
	if n := noteAt(t, load(t, annotated(keylessPolicy("issuer: a, subject: '*'"), accepted)), keylessPath+".subject"); !n.Weakening {
		t.Errorf("got %+v, want a weakening", n)
	}
	for _, text := range []string{annotated(keylessPolicy("issuer: a, subject: 'a*'"), accepted), keylessPolicy("issuer: a, subjectRegExp: '^a|b$'")} {
		if p := load(t, text)[0]; strings.Contains(p.Require.(policy.All).Of[0].(policy.Signature).Signer.Describe(), "any=true") {
			t.Errorf("got a signer that admits everybody of\n%s", text)
		}
	}
	if p := load(t, keylessPolicy("issuer: a, subjectRegExp: '^(a|b)$'"))[0]; len(p.Notes) > 0 {
		t.Errorf("got %v, want no note of an expression of the whole text", p.Notes)
	}
}

// TestR25KeylessNeedsATrustedRoot: without one a policy is refused, and the
// error names the attestor.
func TestR25KeylessNeedsATrustedRoot(t *testing.T) {
	_, err := compile(t, "p.yaml", keylessPolicy("issuer: a, subject: a"), fakeSigners{noRoot: true}, kyverno.Options{})
	if diff := cmp.Diff([]string{keylessPath}, paths(t, err)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestR27NamedRepository: a policy names the repository that a workflow of
// another was called for if the name can mean nothing else.
func TestR27NamedRepository(t *testing.T) {
	const github = "https://token.actions.githubusercontent.com"
	cases := map[string]struct{ reason, fields, want string }{
		"GitHub":      {"owner and name", "issuer: " + github + ", subject: a, additionalExtensions: {githubWorkflowRepository: acme/app}", "https://github.com/acme/app"},
		"Enterprise":  {"an issuer of its own on GitHub", "issuer: " + github + "/acme, subject: a, additionalExtensions: {1.3.6.1.4.1.57264.1.5: acme/app}", "https://github.com/acme/app"},
		"OtherIssuer": {"another server's name", "issuer: https://git.acme.test, subject: a, additionalExtensions: {githubWorkflowRepository: acme/app}", ""},
		"BeginsAlike": {"another server", "issuer: " + github + ".acme.test, subject: a, additionalExtensions: {githubWorkflowRepository: acme/app}", ""},
		"AnyIssuer":   {"which server is not said", "issuer: '" + github + "*', subject: a, additionalExtensions: {githubWorkflowRepository: acme/app}", ""},
		"Wildcard":    {"which repository is not said", "issuer: " + github + ", subject: a, additionalExtensions: {githubWorkflowRepository: 'acme/*'}", ""},
		"OtherFact":   {"no repository", "issuer: " + github + ", subject: a, additionalExtensions: {githubWorkflowName: acme/app}", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			described := load(t, keylessPolicy(c.fields))[0].Require.(policy.All).Of[0].(policy.Signature).Signer.Describe()
			if want := fmt.Sprintf("source=%q", c.want); !strings.Contains(described, want) {
				t.Errorf("%s: want %s, got %s", c.reason, want, described)
			}
		})
	}
}
