package kyverno_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/dialect/kyverno"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// The keys of these tests, by the name that facts give them.
func testKeys() map[string]string {
	return map[string]string{
		"a": publicKey,
		"b": "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEnLNw3RYx9xQjXbUEw8vonX3U4+tB\nkPnJq+zt386SCoG0ewIH5MB8+GjIDGArUULSDfjfM31Eae/71kavAUI0OA==\n-----END PUBLIC KEY-----\n",
		"c": "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEHMmDjK65krAyDaGaeyWNzgvIu155\nJI50B2vezCw8+3CVeE0lJTL5dbL3OP98Za0oAEBJcOxky8Riy/XcmfKZbw==\n-----END PUBLIC KEY-----\n",
	}
}

// signedBy are facts: who signed the image, and the statements with their
// signer and predicate.
type signedBy struct {
	image      string // names of keys
	statements map[string][]string
}

func (s signedBy) has(signer policy.Signer, name string) bool {
	made, err := fakeSigners{}.Key(specOf(name))
	return err == nil && strings.HasPrefix(signer.Describe(), strings.Fields(made.Describe())[0]+" "+strings.Fields(made.Describe())[1])
}

func (s signedBy) Signature(leaf policy.Signature) policy.Leaf {
	for _, name := range strings.Fields(s.image) {
		if s.has(leaf.Signer, name) {
			return policy.Leaf{Outcome: policy.Allowed, Proofs: []policy.Proof{{Identity: name, Source: "signature " + name}}}
		}
	}
	return policy.Leaf{Outcome: policy.Denied, Problems: []*evidence.Problem{{Reason: evidence.NotSigned}}}
}

func (s signedBy) Attestation(leaf policy.Attestation) policy.Stated {
	stated := policy.Stated{Whole: true}
	for name, predicates := range s.statements {
		if !slices.ContainsFunc(leaf.Signers, func(signer policy.Signature) bool { return s.has(signer.Signer, name) }) {
			continue
		}
		for i, predicate := range predicates {
			statement := policy.NewStatement(leaf.Type, []byte(`{"predicate":`+predicate+`}`))
			stated.Proofs = append(stated.Proofs, policy.Proof{Identity: name, Source: fmt.Sprintf("statement %s %d", name, i), Statement: statement})
		}
	}
	return stated
}

func (signedBy) Artifact(policy.Artifact) policy.Stated { return policy.Stated{Whole: true} }

// keysOf are entries of an attestor set, one for each name.
func keysOf(names string, by int) string {
	var b strings.Builder
	for _, name := range strings.Fields(names) {
		b.WriteString(strings.Repeat(" ", by) + "- keys:\n" + strings.Repeat(" ", by) + "    publicKeys: |\n" + indent(testKeys()[name], by+6))
	}
	return b.String()
}

func TestDecisions(t *testing.T) {
	const enforce = "validationFailureAction: Enforce"
	set := func(count, names string) string { return "  - " + count + "\n    entries:\n" + keysOf(names, 4) }
	sets := func(list ...string) string {
		return clusterPolicy(enforce, entryOf(image+"\n  attestors:\n"+strings.TrimSuffix(strings.Join(list, ""), "\n")))
	}
	twoInOne := "    entries:\n    - keys:\n        publicKeys: |\n" + indent(testKeys()["a"]+testKeys()["b"], 10)
	pasted := "    entries:\n    - keys:\n        publicKeys: |\n" + indent(testKeys()["a"], 10) + indent(testKeys()["b"], 14)
	const built = "{\"builder\":{\"id\":\"tekton-chains\"},\"recipe\":{\"type\":\"https://tekton.dev/attestations/chains@v1\"}}"
	document, err := os.ReadFile(filepath.Join("testdata", "valid", "v1.5-attestations.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	attested := string(document)
	cases := map[string]struct {
		reason, text string
		facts        signedBy
		want         policy.Outcome
	}{
		"One":                     {"signed", sets(set("count: 1", "a")), signedBy{image: "a"}, policy.Allowed},
		"OneUnsigned":             {"not signed", sets(set("count: 1", "a")), signedBy{}, policy.Denied},
		"AllWithoutCount":         {"no count is all", sets(set("count: 0", "a b")), signedBy{image: "a"}, policy.Denied},
		"AllWithoutCountSigned":   {"no count is all", sets(set("count: 0", "a b")), signedBy{image: "a b"}, policy.Allowed},
		"OneOfTwo":                {"a count of one", sets(set("count: 1", "a b")), signedBy{image: "b"}, policy.Allowed},
		"TwoOfThree":              {"two", sets(set("count: 2", "a b c")), signedBy{image: "a c"}, policy.Allowed},
		"TwoOfThreeByOne":         {"one", sets(set("count: 2", "a b c")), signedBy{image: "c"}, policy.Denied},
		"R28SameKeyTwice":         {"one signature fills one slot", sets(set("count: 2", "a a b")), signedBy{image: "a"}, policy.Denied},
		"SetsAreAnded":            {"each set", sets(set("count: 1", "a"), set("count: 1", "b")), signedBy{image: "a"}, policy.Denied},
		"SetsAreAndedSigned":      {"each set", sets(set("count: 1", "a"), set("count: 1", "b")), signedBy{image: "a b"}, policy.Allowed},
		"KeysOfOneEntryAllNeeded": {"each block is an entry", sets("  - count: 0\n" + twoInOne), signedBy{image: "a"}, policy.Denied},
		"KeysOfOneEntryCounted":   {"count applies across them", sets("  - count: 1\n" + twoInOne), signedBy{image: "b"}, policy.Allowed},
		"KeysThatWerePasted":      {"lines may be indented", sets("  - count: 1\n" + pasted), signedBy{image: "b"}, policy.Allowed},
		"Attested":                {"the first document's policy", attested, signedBy{statements: map[string][]string{"c": {built}}}, policy.Allowed},
		"R23SignedNotAttested":    {"a signature of the image is no attestation", attested, signedBy{image: "c"}, policy.Denied},
		"AttestedByAnother":       {"by a key that the policy does not name", attested, signedBy{statements: map[string][]string{"a": {built}}}, policy.Denied},
		"R32OtherBuilder":         {"a condition that does not hold", attested, signedBy{statements: map[string][]string{"c": {`{"builder":{"id":"laptop"},"recipe":{"type":"x"}}`}}}, policy.Denied},
		"R32NoBuilder":            {"a condition that errs", attested, signedBy{statements: map[string][]string{"c": {`{}`}}}, policy.Denied},
		"EveryStatement":          {"each statement of the signer", attested, signedBy{statements: map[string][]string{"c": {built, `{}`}}}, policy.Denied},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := load(t, c.text)[0]
			found := policy.Evaluate(t.Context(), p.Require, policy.Input{Facts: c.facts})
			if found.Outcome != c.want {
				t.Errorf("%s: got %s, want %s: %+v", c.reason, found.Outcome, c.want, found.Problems)
			}
		})
	}
}

// TestR15EntriesAreAnded: of the first document's ConfigMap policy both entries
// cover an image of the second, and each is a policy of its own.
func TestR15EntriesAreAnded(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "valid", "v1.5-config-map.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	policies, err := compile(t, "p.yaml", string(text), fakeSigners{}, kyverno.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ref := reference(t, "ghcr.io/kyverno/test-verify-image:signed")
	var outcomes []string
	for _, p := range policies {
		if applies, err := p.Match.Match(policy.Request{Kind: "Pod"}); applies && err == nil && p.Covers(ref) {
			found := policy.Evaluate(t.Context(), p.Require, policy.Input{Facts: signedBy{image: "a"}})
			outcomes = append(outcomes, p.Origin.Entry+" "+found.Outcome.String())
		}
	}
	if got, want := strings.Join(outcomes, ", "), "verifyImages[0] Denied, verifyImages[1] Allowed"; !strings.EqualFold(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}
