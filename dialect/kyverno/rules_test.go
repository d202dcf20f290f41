package kyverno_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/dialect/internal/dialecttest"
	"github.com/bonafide-dev/bonafide/dialect/kyverno"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

const publicKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8nXRh950IZbRj8Ra/N9sbqOPZrfM
5/KAQN0/KjHcorm/J5yctVd7iEcnessRQjU917hmKO6JWVGHpDguIyakZA==
-----END PUBLIC KEY-----
`

func indent(text string, by int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.Repeat(" ", by) + line)
	}
	return b.String()
}

// entryOf is an entry of verifyImages with the lines and, unless they have some,
// a key that signs.
func entryOf(lines string) string {
	text := "- " + lines + "\n"
	if !strings.Contains(lines, "attestors:") && !strings.Contains(lines, "key:") {
		text += "  attestors:\n  - entries:\n    - keys:\n        publicKeys: |\n" + indent(publicKey, 10)
	}
	return text
}

const pods = "match: {any: [{resources: {kinds: [Pod]}}]}"

// ruleOf is a rule with the lines, and with the entries.
func ruleOf(lines string, entries ...string) string {
	return "- name: signed\n" + indent(lines, 2) + "\n  verifyImages:\n" + indent(strings.Join(entries, ""), 2)
}

func clusterPolicy(spec string, entries ...string) string {
	return ruled(spec, ruleOf(pods, entries...))
}

// ruled is a ClusterPolicy with the lines of spec and the rules.
func ruled(spec string, rules ...string) string {
	return "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nmetadata:\n  name: p\nspec:\n" + indent(spec, 2) + "\n  rules:\n" + indent(strings.Join(rules, ""), 2)
}

func namespaced(spec string, rules ...string) string {
	return strings.NewReplacer("kind: ClusterPolicy", "kind: Policy", "  name: p\n", "  name: p\n  namespace: team-a\n").Replace(ruled(spec, rules...))
}

func annotated(document, annotation string) string {
	return strings.Replace(document, "  name: p\n", "  name: p\n  annotations:\n    "+annotation+"\n", 1)
}

// podsAndJobs is a rule for which no others are made.
const podsAndJobs = "match: {any: [{resources: {kinds: [Pod, Job]}}]}"

const image = "imageReferences: ['*']"

// load compiles a document that must be valid.
func load(t *testing.T, text string) []policy.Policy {
	t.Helper()
	policies, err := compile(t, "p.yaml", text, fakeSigners{}, kyverno.Options{})
	if err != nil {
		t.Fatalf("expected policies, got\n%v\n%s", err, text)
	}
	return policies
}

// paths returns the fields that the errors are about, sorted.
func paths(t *testing.T, err error) []string {
	t.Helper()
	found := dialecttest.Paths(t, err)
	slices.Sort(found)
	return found
}

func TestRefused(t *testing.T) {
	const enforce, optOut = "validationFailureAction: Enforce", `bonafide.dev/allow-author-opt-out: "true"`
	rule := func(lines string) string { return ruled(enforce, ruleOf(lines, entryOf(image))) }
	cases := map[string]struct {
		reason string
		text   string
		want   []string // fields; nil: none
	}{
		"Complete": {"the smallest policy", clusterPolicy(enforce, entryOf(image)), nil},
		"R19UnknownField": {"case counts", clusterPolicy("validationfailureaction: Enforce", entryOf(image)),
			[]string{"spec.validationfailureaction"}},
		"R16Kinds": {"an author would run a Pod", rule("match: {any: [{resources: {kinds: [Deployment]}}]}"),
			[]string{"spec.rules[0].match.any[0].resources.kinds"}},
		"R16KindsInOtherNamespaces": {"or run one in the other namespace",
			rule("match: {any: [{resources: {kinds: [Pod], namespaces: [a]}}, {resources: {kinds: [Job], namespaces: [b]}}]}"),
			[]string{"spec.rules[0].match.any[1].resources.kinds"}},
		"R16KindsBesidePods":  {"Pods are covered too", rule("match: {any: [{resources: {kinds: [Pod]}}, {resources: {kinds: [Job], namespaces: [b]}}]}"), nil},
		"R16KindsWithPods":    {"Pods are covered too", rule("match: {any: [{resources: {kinds: [Pod, Job]}}]}"), nil},
		"R16KindsAllowed":     {"the annotation accepts it", annotated(rule("match: {any: [{resources: {kinds: [Deployment]}}]}"), optOut), nil},
		"R16KindsNotAllowed":  {"only true accepts it", annotated(rule("match: {any: [{resources: {kinds: [Deployment]}}]}"), strings.Replace(optOut, "true", "false", 1)), []string{"spec.rules[0].match.any[0].resources.kinds"}},
		"R16KindsReported":    {"a rule that only reports cannot be evaded", strings.Replace(rule("match: {any: [{resources: {kinds: [Deployment]}}]}"), "Enforce", "Audit", 1), nil},
		"R16Selector":         {"an author writes the labels", rule("match: {any: [{resources: {kinds: [Pod], selector: {matchLabels: {a: b}}}}]}"), []string{"spec.rules[0].match.any[0].resources.selector"}},
		"R16ExcludedSelector": {"also in exclude", rule(pods + "\nexclude: {any: [{resources: {selector: {matchLabels: {a: b}}}}]}"), []string{"spec.rules[0].exclude.any[0].resources.selector"}},
		"R16ExcludedPods":     {"the rule would cover no Pod", rule(pods + "\nexclude: {any: [{resources: {kinds: [Pod]}}]}"), []string{"spec.rules[0].exclude.any[0].resources.kinds"}},
		"R16Names": {"an author chooses the name, and nothing accepts that", annotated(rule("match: {any: [{resources: {kinds: [Pod], names: ['a*']}}]}"), optOut),
			[]string{"spec.rules[0].match.any[0].resources.names"}},
		"R16ExcludedSubjects": {"who asks decides nothing", rule(pods + "\nexclude: {any: [{subjects: [{kind: User, name: a}], resources: {namespaces: [a]}}]}"),
			[]string{"spec.rules[0].exclude.any[0].subjects"}},
		"ExcludedPodsOfANamespace": {"all filters together", rule(pods + "\nexclude: {all: [{resources: {kinds: [Pod]}}, {resources: {namespaces: [a]}}]}"), nil},
		"ExcludedNamespaces":       {"a namespace may be excluded", rule(pods + "\nexclude: {any: [{resources: {namespaces: [kube-system]}}]}"), nil},
		"R17OwnNamespace":          {"a namespaced policy selects as it likes", namespaced(enforce, ruleOf("match: {any: [{resources: {kinds: [Job], selector: {matchLabels: {a: b}}}}]}", entryOf(image))), nil},
		"R17OtherNamespaces": {"and not elsewhere", namespaced(enforce, ruleOf("match: {any: [{resources: {kinds: [Pod], namespaces: [team-b]}}]}", entryOf(image))),
			[]string{"spec.rules[0].match.any[0].resources.namespaces"}},
		"R17SecretOfAnother": {"nor does it read elsewhere", namespaced(enforce, ruleOf(pods, entryOf(image+"\n  attestors: [{entries: [{keys: {secret: {name: a, namespace: team-b}}}]}]"))),
			[]string{"spec.rules[0].verifyImages[0].attestors[0].entries[0].keys.secret"}},
		"R17ConfigMapOfAnother": {"nor does it read elsewhere", namespaced(enforce, ruleOf(pods+"\ncontext: [{name: a, configMap: {name: a, namespace: default}}]", entryOf(image))),
			[]string{"spec.rules[0].context[0].configMap.namespace"}},
		"R17PullSecretOfKyverno": {"nor with Kyverno's own secrets", namespaced(enforce, ruleOf(pods, entryOf(image+"\n  imageRegistryCredentials: {secrets: [pull]}"))),
			[]string{"spec.rules[0].verifyImages[0].imageRegistryCredentials.secrets[0]"}},
		"R48NothingRequired": {"an entry that asks for nothing allows everything", clusterPolicy(enforce, entryOf(image+"\n  attestors: []")),
			[]string{"spec.rules[0].verifyImages[0].attestors"}},
		"R48SkipsEverything": {"so does one that skips everything", clusterPolicy(enforce, entryOf(image+"\n  skipImageReferences: ['*']")),
			[]string{"spec.rules[0].verifyImages[0].skipImageReferences[0]"}},
		"R48SkipsEachForm": {"or everything of the form that images have", clusterPolicy(enforce, entryOf(image+"\n  skipImageReferences: ['quay.io/a/*', '*/*', '?*', '*.*', '*@*', '*:?*']")),
			[]string{"spec.rules[0].verifyImages[0].skipImageReferences[1]"}},
		"R48SkipsWhatItCovers": {"each of its patterns", clusterPolicy(enforce, entryOf("imageReferences: ['quay.io/*']\n  image: 'a/*'\n  skipImageReferences: ['a/*', 'quay.io/*']")),
			[]string{"spec.rules[0].verifyImages[0].skipImageReferences"}},
		"SkipsAPart": {"one of its patterns", clusterPolicy(enforce, entryOf("imageReferences: ['quay.io/*', 'a/*']\n  skipImageReferences: ['a/*']")), nil},
		"R16ExcludedPodsEverywhere": {"a wildcard limits nothing", rule(podsAndJobs + "\nexclude: {any: [{resources: {kinds: [Pod], namespaces: ['*']}}]}"),
			[]string{"spec.rules[0].exclude.any[0].resources.kinds"}},
		"R16ExcludedPodsOfAnyName": {"in whatever form", rule(podsAndJobs + "\nexclude: {all: [{resources: {kinds: [Pod], namespaces: [a, '?*']}}, {resources: {namespaces: ['?', b]}}]}"),
			[]string{"spec.rules[0].exclude.all[0].resources.kinds"}},
		"R48ExcludesEveryNamespace": {"the rule would cover nothing", rule(pods + "\nexclude: {any: [{resources: {namespaces: [a, '*']}}]}"),
			[]string{"spec.rules[0].exclude.any[0].resources"}},
		"R48ExcludesBothOperations": {"the rule would cover nothing", rule(pods + "\nexclude: {any: [{resources: {operations: [CREATE, UPDATE]}}]}"),
			[]string{"spec.rules[0].exclude.any[0].resources"}},
		"R48ExcludesOneOperationEach": {"together they are both", rule(pods + "\nexclude: {any: [{resources: {operations: [CREATE]}}, {resources: {operations: [UPDATE]}}]}"),
			[]string{"spec.rules[0].exclude"}},
		"R48ExcludesTheOperationOfMatch": {"no other is selected", rule("match: {any: [{resources: {kinds: [Pod], operations: [CREATE]}}]}\nexclude: {any: [{resources: {operations: [CREATE]}}]}"),
			[]string{"spec.rules[0].exclude.any[0].resources"}},
		"R48ExcludesTheNamespacesOfMatch": {"no other is selected", rule("match: {any: [{resources: {kinds: [Pod], namespaces: [a, 'b*', b1]}}]}\nexclude: {any: [{resources: {namespaces: ['?', 'b*']}}]}"),
			[]string{"spec.rules[0].exclude.any[0].resources"}},
		"R48ExcludesItsKinds": {"an author's choice or not", strings.Replace(rule(pods+"\nexclude: {any: [{resources: {kinds: [Pod]}}]}"), "Enforce", "Audit", 1),
			[]string{"spec.rules[0].exclude.any[0].resources"}},
		"R48ExcludesItsKindsOfOneNamespace": {"a namespaced policy too", namespaced(enforce, ruleOf(pods+"\nexclude: {any: [{resources: {kinds: [Pod]}}]}", entryOf(image))),
			[]string{"spec.rules[0].exclude.any[0].resources"}},
		"ExcludesAllOfTwo":        {"all filters together", rule(pods + "\nexclude: {all: [{resources: {namespaces: ['*']}}, {resources: {namespaces: [a]}}]}"), nil},
		"ExcludesDeletion":        {"admission decides no deletion", rule(pods + "\nexclude: {any: [{resources: {operations: [DELETE, CONNECT]}}]}"), nil},
		"ExcludesSomeNamespaces":  {"one of match stays", rule("match: {any: [{resources: {kinds: [Pod], namespaces: [a, b]}}]}\nexclude: {any: [{resources: {namespaces: [a]}}]}"), nil},
		"ExcludesShorterNames":    {"the others stay", rule("match: {any: [{resources: {kinds: [Pod], namespaces: ['b*']}}]}\nexclude: {any: [{resources: {namespaces: ['b?']}}]}"), nil},
		"ExcludesOtherKinds":      {"Pods stay", rule(podsAndJobs + "\nexclude: {any: [{resources: {kinds: [Job]}}]}"), nil},
		"ExcludesOfOneFilter":     {"the other stays", rule("match: {any: [{resources: {kinds: [Pod], namespaces: [a]}}, {resources: {kinds: [Pod], namespaces: [b]}}]}\nexclude: {any: [{resources: {namespaces: [a]}}]}"), nil},
		"R48NamespacesThatDiffer": {"nothing is in both", rule("match: {all: [{resources: {kinds: [Pod], namespaces: [a]}}, {resources: {kinds: [Pod], namespaces: [b, 'c*']}}]}"), []string{"spec.rules[0].match.all"}},
		"R48OperationsThatDiffer": {"nothing is both", rule("match: {all: [{resources: {kinds: [Pod], operations: [CREATE]}}, {resources: {kinds: [Pod], operations: [UPDATE]}}]}"), []string{"spec.rules[0].match.all"}},
		"R48KindsThatDiffer":      {"nothing is both", strings.Replace(rule("match: {all: [{resources: {kinds: [Pod]}}, {resources: {kinds: [Job]}}]}"), "Enforce", "Audit", 1), []string{"spec.rules[0].match.all"}},
		"NamespacesThatMeet":      {"by a pattern", rule("match: {all: [{resources: {kinds: [Pod], namespaces: [a, b1]}}, {resources: {kinds: [Pod], namespaces: ['b*']}}]}"), nil},
		"R19AnnotationsInAnotherCase": {"which Kubernetes would drop", strings.Replace(annotated(rule("match: {any: [{resources: {kinds: [Deployment]}}]}"), optOut), "annotations:", "Annotations:", 1),
			[]string{"metadata.Annotations", "spec.rules[0].match.any[0].resources.kinds"}},
		"R19UnknownMetadata":      {"as Kubernetes' validation says", strings.Replace(clusterPolicy(enforce, entryOf(image)), "  name: p\n", "  name: p\n  anotations: {a: b}\n", 1), []string{"metadata.anotations"}},
		"R19AnnotationsOfANumber": {"annotations are strings", annotated(clusterPolicy(enforce, entryOf(image)), "a: 1"), []string{"metadata.annotations"}},
		"MetadataOfAnAPIServer": {"which has no effect", strings.Replace(clusterPolicy(enforce, entryOf(image)), "  name: p\n",
			"  name: p\n  annotations:\n  labels: {a: b}\n  creationTimestamp: null\n  uid: a\n  generation: 1\n  resourceVersion: '1'\n  managedFields: [{manager: a}]\n  ownerReferences: []\n  finalizers: [a]\n", 1), nil},
		"R23AttestationByNobody": {"statements that nobody signs prove nothing", clusterPolicy(enforce, entryOf(image+"\n  attestors: []\n  attestations: [{type: a}]")),
			[]string{"spec.rules[0].verifyImages[0].attestations[0].attestors"}},
		"AuditPins": {"Kyverno refuses it too", clusterPolicy("validationFailureAction: Audit", entryOf(image+"\n  mutateDigest: true")),
			[]string{"spec.rules[0].verifyImages[0].mutateDigest"}},
		"AuditPinsByDefault": {"a default is nobody's word", clusterPolicy("validationFailureAction: Audit", entryOf(image)), nil},
		"CaseOfActions":      {"both spellings are in use", clusterPolicy("validationFailureAction: enforce", entryOf(image+"\n  failureAction: Audit")), nil},
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

// noteAt returns the first policy's note about a field.
func noteAt(t *testing.T, policies []policy.Policy, path string) policy.Note {
	t.Helper()
	for i, p := range policies {
		if i > 0 && len(p.Notes) > 0 {
			t.Errorf("expected notes on the first policy alone, got some on %s", p.Origin)
		}
	}
	for _, n := range policies[0].Notes {
		if n.Path == path {
			return n
		}
	}
	t.Fatalf("expected a note about %s, got %v", path, policies[0].Notes)
	return policy.Note{}
}

func TestNotes(t *testing.T) {
	const at = "spec.rules[0].verifyImages[0]"
	cases := map[string]struct {
		reason, spec, entry, path string
		weakening                 bool
	}{
		"R25KeyOfTheOldForm":   {"it never asked for a log", "validationFailureAction: Enforce", "image: '*'\n  key: |\n" + indent(publicKey, 4), at + ".key", true},
		"R25IgnoreTlog":        {"the log is ignored", "validationFailureAction: Enforce", image + "\n  attestors:\n  - entries:\n    - keys:\n        rekor: {ignoreTlog: true}\n        publicKeys: |\n" + indent(publicKey, 10), at + ".attestors[0].entries[0].keys.rekor.ignoreTlog", true},
		"R7InsecureRegistry":   {"a policy does not weaken TLS", "validationFailureAction: Enforce", image + "\n  imageRegistryCredentials: {allowInsecureRegistry: true}", at + ".imageRegistryCredentials.allowInsecureRegistry", false},
		"R19DefaultIsAudit":    {"nothing said is Audit", "background: false", image, at + ".failureAction", true},
		"R19AuditOfSpec":       {"the field that says it", "validationFailureAction: audit", image, "spec.validationFailureAction", true},
		"R19AuditOfAnEntry":    {"the field that says it", "validationFailureAction: Enforce", image + "\n  failureAction: Audit", at + ".failureAction", true},
		"R19AuditOfAnOverride": {"the field that says it", "validationFailureAction: Enforce\nvalidationFailureActionOverrides: [{action: Audit, namespaces: [a]}]", image, "spec.validationFailureActionOverrides", true},
		"R19AuditButOverrides": {"the field that says it", "validationFailureAction: Audit\nvalidationFailureActionOverrides: [{action: Enforce, namespaces: [a]}]", image, "spec.validationFailureAction", true},
		"R19TagsStay":          {"tags move", "validationFailureAction: Enforce", image + "\n  mutateDigest: false\n  verifyDigest: false", at + ".mutateDigest", true},
		"R41IgnoreIsNotDone":   {"what could not be decided is denied", "failurePolicy: Ignore", image, "spec.failurePolicy", false},
		"DigestsInsistedOn":    {"pins instead", "validationFailureAction: Enforce", image + "\n  mutateDigest: false", at + ".mutateDigest", false},
		"RequiredChangesNone":  {"verified anyway", "validationFailureAction: Enforce", image + "\n  required: false", at + ".required", false},
		"MissingPullSecret":    {"asked without", "validationFailureAction: Enforce", image + "\n  imageRegistryCredentials: {secrets: [a]}", at + ".imageRegistryCredentials.secrets[0]", false},
		"WebhookTimeout":       {"the registration decides", "webhookTimeoutSeconds: 30", image, "spec.webhookTimeoutSeconds", false},
		"BundlesAndSignatures": {"both count", "validationFailureAction: Enforce", image + "\n  type: SigstoreBundle", at + ".type", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			n := noteAt(t, load(t, clusterPolicy(c.spec, entryOf(c.entry))), c.path)
			if n.Weakening != c.weakening || n.Text == "" {
				t.Errorf("%s: got %+v, want weakening %t", c.reason, n, c.weakening)
			}
		})
	}
}

// TestR19AuditOfALaterEntry: the note is about the entry that says it, and what
// several rules leave to the policy is noted once.
func TestR19AuditOfALaterEntry(t *testing.T) {
	policies := load(t, clusterPolicy("validationFailureAction: Enforce", entryOf(image), entryOf(image+"\n  failureAction: Audit")))
	noteAt(t, policies, "spec.rules[0].verifyImages[1].failureAction")
	rule := ruleOf(pods, entryOf(image))
	policies = load(t, ruled("validationFailureAction: Audit", rule, strings.Replace(rule, "name: signed", "name: again", 1)))
	if len(policies[0].Notes) != 1 {
		t.Errorf("expected one note for both rules, got %v", policies[0].Notes)
	}
}

// TestR25LogIsRequired: without a trusted root a policy that does not ignore
// the log is refused, and the error names the field.
func TestR25LogIsRequired(t *testing.T) {
	_, err := compile(t, "p.yaml", clusterPolicy("validationFailureAction: Enforce", entryOf(image)), fakeSigners{noRoot: true}, kyverno.Options{})
	want := []string{"spec.rules[0].verifyImages[0].attestors[0].entries[0].keys.rekor"}
	if diff := cmp.Diff(want, paths(t, err)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestDefaultHash: sha256 is the CRD's default and asks nothing of a key that
// brings its own hash; another one does.
func TestDefaultHash(t *testing.T) {
	for algorithm, want := range map[string][]string{
		"sha256": nil, "sha384": {"spec.rules[0].verifyImages[0].attestors[0].entries[0].keys.signatureAlgorithm"},
	} {
		text := clusterPolicy("validationFailureAction: Enforce", entryOf(image+"\n  attestors:\n  - entries:\n    - keys:\n        signatureAlgorithm: "+algorithm+"\n        publicKeys: |\n"+indent(publicKey, 10)))
		_, err := compile(t, "p.yaml", text, fakeSigners{noHash: true}, kyverno.Options{})
		if diff := cmp.Diff(want, paths(t, err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", algorithm, diff)
		}
	}
}

// TestR19ExcludedOperations: a rule that leaves an operation out is weaker.
func TestR19ExcludedOperations(t *testing.T) {
	text := ruled("validationFailureAction: Enforce", ruleOf(pods+"\nexclude: {any: [{resources: {namespaces: [a], operations: [UPDATE]}}]}", entryOf(image)))
	if n := noteAt(t, load(t, text), "spec.rules[0].exclude.any[0].resources.operations"); !n.Weakening {
		t.Errorf("got %+v, want a weakening", n)
	}
}

func TestModes(t *testing.T) {
	entry := func(action string) string { return entryOf(image + action) }
	cases := map[string]struct {
		reason, text string
		want         policy.Mode
		pin          policy.Pin
	}{
		"Enforce":           {"said", clusterPolicy("validationFailureAction: Enforce", entry("")), policy.Enforce, policy.PinDigest},
		"LowerCase":         {"as of old", clusterPolicy("validationFailureAction: enforce", entry("")), policy.Enforce, policy.PinDigest},
		"Default":           {"nothing said", clusterPolicy("background: false", entry("")), policy.Audit, policy.PinDigest},
		"Warn":              {"a warning", clusterPolicy("emitWarning: true", entry("")), policy.Warn, policy.PinDigest},
		"EntryOverSpec":     {"an entry decides", clusterPolicy("validationFailureAction: Audit", entry("\n  failureAction: Enforce")), policy.Enforce, policy.PinDigest},
		"EntryAuditOver":    {"an entry decides", clusterPolicy("validationFailureAction: Enforce", entry("\n  failureAction: Audit")), policy.Audit, policy.PinDigest},
		"EnforceOfAnyEntry": {"one that enforces decides", clusterPolicy("validationFailureAction: Audit", entry("\n  failureAction: Audit"), entry("\n  failureAction: Enforce")), policy.Enforce, policy.PinDigest},
		"NoPin":             {"tags stay", clusterPolicy("validationFailureAction: Enforce", entry("\n  mutateDigest: false\n  verifyDigest: false")), policy.Enforce, policy.PinNone},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := load(t, c.text)[0]
			if p.Mode != c.want || p.Pin != c.pin || p.OnUndecided != policy.DenyUndecided {
				t.Errorf("%s: got %s, pin %s, undecided %s; want %s, pin %s, undecided Deny", c.reason, p.Mode, p.Pin, p.OnUndecided, c.want, c.pin)
			}
		})
	}
}

func in(namespace string) policy.Namespace {
	return policy.Namespace{State: policy.NamespaceKnown, Name: namespace}
}

// applying returns the rules and modes of the policies that apply.
func applying(t *testing.T, policies []policy.Policy, r policy.Request) (applies, doubts []string) {
	t.Helper()
	for _, p := range policies {
		is, err := p.Match.Match(r)
		word := p.Origin.Rule + " " + p.Mode.String()
		switch {
		case err != nil:
			if got := evidence.ProblemOf(err).Reason; got != evidence.SelectionFailed {
				t.Errorf("%s: got reason %s, want %s", word, got, evidence.SelectionFailed)
			}
			doubts = append(doubts, word)
		case is:
			applies = append(applies, word)
		}
	}
	return applies, doubts
}

func TestMatch(t *testing.T) {
	const enforce = "validationFailureAction: Enforce"
	rule := func(lines string) string { return ruled(enforce, ruleOf(lines, entryOf(image))) }
	const own, generated, cron = "signed Enforce", "autogen-signed Enforce", "autogen-cronjob-signed Enforce"
	unknown := policy.Namespace{State: policy.NamespaceUnknown}
	inProd := rule("match: {any: [{resources: {kinds: [Pod], namespaces: [prod, 'team-?*']}}]}")
	system := rule(pods + "\nexclude: {any: [{resources: {kinds: [Pod], namespaces: [kube-system]}}]}")
	overrides := ruled("validationFailureActionOverrides: [{action: Enforce, namespaces: ['prod*']}, {action: Audit, namespaces: [prod]}]", ruleOf(pods, entryOf(image)))
	cases := map[string]struct {
		reason  string
		text    string
		request policy.Request
		want    []string
		doubts  []string
	}{
		"Pod":                     {"the rule itself", rule(pods), policy.Request{Kind: "Pod"}, []string{own}, nil},
		"NoKind":                  {"what may be a Pod", rule(pods), policy.Request{}, []string{own}, nil},
		"Deployment":              {"a workload that makes Pods", rule(pods), policy.Request{Kind: "Deployment"}, []string{generated}, nil},
		"CronJob":                 {"with a rule of its own", rule(pods), policy.Request{Kind: "CronJob"}, []string{cron}, nil},
		"PodTemplate":             {"Kyverno makes no rule for it", rule(pods), policy.Request{Kind: "PodTemplate"}, nil, nil},
		"NoAutogen":               {"the annotation says none", annotated(rule(pods), "pod-policies.kyverno.io/autogen-controllers: none"), policy.Request{Kind: "Deployment"}, nil, nil},
		"SomeAutogen":             {"the annotation names some", annotated(rule(pods), "pod-policies.kyverno.io/autogen-controllers: Job,Deployment"), policy.Request{Kind: "Deployment"}, []string{generated}, nil},
		"OtherAutogen":            {"and not others", annotated(rule(pods), "pod-policies.kyverno.io/autogen-controllers: Job"), policy.Request{Kind: "Deployment"}, nil, nil},
		"MixedKindsHaveNoAutogen": {"as in Kyverno", rule("match: {any: [{resources: {kinds: [Pod, Job]}}]}"), policy.Request{Kind: "Deployment"}, nil, nil},
		"MixedKinds":              {"the kinds that are named", rule("match: {any: [{resources: {kinds: [Pod, Job]}}]}"), policy.Request{Kind: "Job"}, []string{own}, nil},
		"KindForms":               {"group, version and wildcards", rule("match: {any: [{resources: {kinds: ['*/Pod', apps/v1beta1/Deploy*]}}]}"), policy.Request{Kind: "Deployment"}, []string{own}, nil},
		"KindFormsPod":            {"group, version and wildcards", rule("match: {any: [{resources: {kinds: ['*/Pod', apps/v1beta1/Deploy*]}}]}"), policy.Request{Kind: "Pod"}, []string{own}, nil},
		"R16NoKindOfDeployments": {"it may be one", annotated(rule("match: {any: [{resources: {kinds: [Deployment]}}]}"), `bonafide.dev/allow-author-opt-out: "true"`),
			policy.Request{Namespace: in("prod")}, []string{own}, nil},
		"NoPodsHaveNoAutogen": {"a rule that leaves Pods out", annotated(rule("match: {any: [{resources: {kinds: [Deployment]}}]}"), `bonafide.dev/allow-author-opt-out: "true"`),
			policy.Request{Kind: "Deployment"}, []string{own}, nil},
		"Namespace":              {"a name", inProd, policy.Request{Kind: "Pod", Namespace: in("prod")}, []string{own}, nil},
		"NamespacePattern":       {"a pattern", inProd, policy.Request{Kind: "Job", Namespace: in("team-a")}, []string{generated}, nil},
		"OtherNamespace":         {"another", inProd, policy.Request{Kind: "Pod", Namespace: in("team-")}, nil, nil},
		"NoNamespace":            {"a door that carries none", inProd, policy.Request{}, []string{own}, nil},
		"R16UnknownNamespace":    {"doubt applies", inProd, policy.Request{Kind: "Pod", Namespace: unknown}, nil, []string{own}},
		"R16UnknownExcluded":     {"doubt does not exclude", system, policy.Request{Kind: "Pod", Namespace: unknown}, nil, []string{own}},
		"Excluded":               {"by namespace", system, policy.Request{Kind: "Pod", Namespace: in("kube-system")}, nil, nil},
		"ExcludedDeployment":     {"so are the workloads", system, policy.Request{Kind: "Deployment", Namespace: in("kube-system")}, nil, nil},
		"ExcludedWithoutKind":    {"all that the rule means is a Pod", system, policy.Request{Namespace: in("kube-system")}, nil, nil},
		"NotExcluded":            {"another namespace", system, policy.Request{Kind: "Pod", Namespace: in("prod")}, []string{own}, nil},
		"R16NoNamespaceExcludes": {"a door that carries none", system, policy.Request{Kind: "Pod"}, []string{own}, nil},
		"AllOf":                  {"each filter", rule("match: {all: [{resources: {kinds: [Pod]}}, {resources: {kinds: [Pod], namespaces: [prod]}}]}"), policy.Request{Kind: "Pod", Namespace: in("dev")}, nil, nil},
		"Flat":                   {"the old form", rule("match: {resources: {kinds: [Pod]}}"), policy.Request{Kind: "Pod"}, []string{own}, nil},
		"Operation":              {"another operation", rule("match: {any: [{resources: {kinds: [Pod], operations: [CREATE]}}]}"), policy.Request{Kind: "Pod", Operation: "UPDATE"}, nil, nil},
		"NoOperation":            {"a door that carries none", rule("match: {any: [{resources: {kinds: [Pod], operations: [CREATE]}}]}"), policy.Request{Kind: "Pod"}, []string{own}, nil},
		"R17OwnNamespace":        {"a namespaced policy", namespaced(enforce, ruleOf(pods, entryOf(image))), policy.Request{Kind: "Pod", Namespace: in("team-a")}, []string{own}, nil},
		"R17OtherNamespace":      {"is for its namespace", namespaced(enforce, ruleOf(pods, entryOf(image))), policy.Request{Kind: "Pod", Namespace: in("team-b")}, nil, nil},
		"OverrideFirst":          {"the first that names it", overrides, policy.Request{Kind: "Pod", Namespace: in("prod")}, []string{own}, nil},
		"OverrideDefault":        {"else the default", overrides, policy.Request{Kind: "Pod", Namespace: in("dev")}, []string{"signed Audit"}, nil},
		"OverrideNoNamespace":    {"the strictest", overrides, policy.Request{Kind: "Pod"}, []string{own}, nil},
		"R16OverrideUnknown":     {"doubt applies, enforced too", overrides, policy.Request{Kind: "Pod", Namespace: unknown}, nil, []string{own, "signed Audit"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			applies, doubts := applying(t, load(t, c.text), c.request)
			if diff := cmp.Diff([][]string{c.want, c.doubts}, [][]string{applies, doubts}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestSelectors(t *testing.T) {
	text := annotated(ruled("validationFailureAction: Enforce", ruleOf(
		"match: {any: [{resources: {kinds: [Pod], namespaceSelector: {matchLabels: {tier: prod}}, selector: {matchLabels: {app: web}}}}]}", entryOf(image))),
		`bonafide.dev/allow-author-opt-out: "true"`)
	policies, err := compile(t, "p.yaml", text, fakeSigners{}, kyverno.Options{ClusterAvailable: true})
	if err != nil {
		t.Fatal(err)
	}
	labelled := func(tier string) policy.Namespace {
		return policy.Namespace{State: policy.NamespaceKnown, Name: "a", Labels: map[string]string{"tier": tier}}
	}
	web := map[string]string{"app": "web"}
	cases := map[string]struct {
		request       policy.Request
		applies, errs bool
	}{
		"Both":                 {policy.Request{Kind: "Pod", Labels: web, Namespace: labelled("prod")}, true, false},
		"OtherLabels":          {policy.Request{Kind: "Pod", Namespace: labelled("prod")}, false, false},
		"OtherNamespace":       {policy.Request{Kind: "Pod", Labels: web, Namespace: labelled("dev")}, false, false},
		"NoObjectNoNamespace":  {policy.Request{}, true, false},
		"R16LabelsNotKnown":    {policy.Request{Kind: "Pod", Labels: web, Namespace: in("a")}, false, true},
		"R16NamespaceNotKnown": {policy.Request{Kind: "Pod", Labels: web, Namespace: policy.Namespace{State: policy.NamespaceUnknown}}, false, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			applies, err := policies[0].Match.Match(c.request)
			if applies != c.applies || (err != nil) != c.errs {
				t.Errorf("got %t, %v; want %t, error %t", applies, err, c.applies, c.errs)
			}
		})
	}
}

// TestNotary: certificates become a signer of the Notary Project.
func TestNotary(t *testing.T) {
	certificate := "-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END CERTIFICATE-----\n"
	policies := load(t, clusterPolicy("validationFailureAction: Enforce",
		entryOf(image+"\n  type: Notary\n  attestors:\n  - entries:\n    - certificates:\n        certChain: |\n"+indent(certificate, 10))))
	signatures := policy.Signatures(policies[0].Require)
	if len(signatures) != 1 || signatures[0].Where != ".attestors[0].entries[0]" {
		t.Fatalf("got %+v", signatures)
	}
	if got, want := signatures[0].Signer.Describe(), `notation ca ["*"] level=strict`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if n := noteAt(t, policies, "spec.rules[0].verifyImages[0].attestors[0].entries[0].certificates"); !n.Weakening {
		t.Errorf("got %+v, want a weakening", n)
	}
}
