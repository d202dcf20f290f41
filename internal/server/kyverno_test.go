package server_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// unproven is a leaf at a place of Kyverno's.
func unproven(where string, problem *evidence.Problem) policy.Finding {
	return policy.Finding{Path: "require", Where: where, Outcome: policy.Denied, Expected: "a signature by key A", Problems: []*evidence.Problem{problem}}
}

// byRule makes the decision of a rule of the dialect over leaves.
func byRule(d engine.ImageDecision, dialect, name, rule string, leaves ...policy.Finding) engine.ImageDecision {
	f := policy.Finding{Path: "require", Outcome: policy.Denied, Children: leaves}
	for _, leaf := range leaves {
		f.Problems = append(f.Problems, leaf.Problems...)
	}
	d.Policies = append(d.Policies, engine.PolicyDecision{
		Origin: policy.Origin{Dialect: dialect, Kind: "ClusterPolicy", Name: name, Rule: rule}, Outcome: policy.Denied, Effective: policy.Denied, Finding: f,
	})
	d.Outcome = policy.Denied
	return d
}

const firstKeys = ".attestors[0].entries[0].keys"

// kyvernos splits a message into what Kyverno's block says by policy and rule,
// and what follows.
func kyvernos(t *testing.T, message string) (map[string]map[string]string, string) {
	t.Helper()
	block, found := strings.CutPrefix(message, "\n\nresource Deployment/recorded/web was blocked due to the following policies \n\n")
	if !found {
		return nil, message
	}
	block, rest, found := strings.Cut(block, "\n\n")
	if !found {
		t.Fatalf("expected a block that ends, got %q", message)
	}
	var rules map[string]map[string]string
	if err := yaml.UnmarshalStrict([]byte(block), &rules); err != nil {
		t.Fatalf("%v: %s", err, block)
	}
	return rules, rest
}

func TestKyvernosWords(t *testing.T) {
	const none = "failed to verify image registry.example/web:v1: .attestors[0].entries[0].keys: no signatures found"
	type rules = map[string]map[string]string
	condition := &evidence.Problem{Reason: evidence.ConditionNotMet, Expected: "builder.id", Got: "another value"}
	missing := unproven(".attestations[0].attestors[0].entries[0].keys", &evidence.Problem{Reason: evidence.NotAttested, Got: "none"})
	cases := map[string]struct {
		reason string
		decide func(engine.ImageDecision) engine.ImageDecision
		want   rules
		ours   []string // lines of what follows
	}{
		"NoSignature": {
			"as Kyverno writes it",
			func(d engine.ImageDecision) engine.ImageDecision {
				return byRule(d, "kyverno", "only-cosign-image-deploy", "autogen-check-image", unproven(firstKeys, notSigned))
			},
			rules{"only-cosign-image-deploy": {"autogen-check-image": none}},
			[]string{
				"bonafide: 1 of 1 images may not run",
				"registry.example/web:v1: only-cosign-image-deploy/autogen-check-image: require: expected a signature by key A, got no signature",
			},
		},
		"OtherKey": {
			"what was found is said",
			func(d engine.ImageDecision) engine.ImageDecision {
				return byRule(d, "kyverno", "a", "r", unproven(firstKeys, &evidence.Problem{Reason: evidence.SignerMismatch, Expected: "key A", Got: "another"}))
			},
			rules{"a": {"r": "failed to verify image registry.example/web:v1: .attestors[0].entries[0].keys: no matching signatures: expected key A, got another"}},
			nil,
		},
		"Condition": {
			"statements that do not say what is asked",
			func(d engine.ImageDecision) engine.ImageDecision {
				return byRule(d, "kyverno", "a", "r", unproven(".attestations[0].attestors[0].entries[0].keys", condition))
			},
			rules{"a": {"r": "image attestations verification failed, verifiedCount: 0, requiredCount: 1, error: .attestations[0].attestors[0].entries[0].keys: attestation checks failed for registry.example/web:v1: expected builder.id, got another value"}},
			nil,
		},
		"NoAttestations": {
			"several places",
			func(d engine.ImageDecision) engine.ImageDecision {
				return byRule(d, "kyverno", "a", "r", missing, missing)
			},
			rules{"a": {"r": "image attestations verification failed, error: .attestations[0].attestors[0].entries[0].keys: attestations not found: got none; .attestations[0].attestors[0].entries[0].keys: attestations not found: got none"}},
			nil,
		},
		"TwoPolicies": {
			"each rule once",
			func(d engine.ImageDecision) engine.ImageDecision {
				d = byRule(d, "kyverno", "b", "r", unproven(firstKeys, notSigned))
				d = byRule(d, "kyverno", "a", "r", unproven(firstKeys, notSigned))
				return byRule(d, "kyverno", "b", "r", unproven(firstKeys, notSigned))
			},
			rules{"a": {"r": none}, "b": {"r": none}},
			nil,
		},
		"TwoEntries": {
			"the entries of a rule together",
			func(d engine.ImageDecision) engine.ImageDecision {
				d = byRule(d, "kyverno", "a", "r", unproven(firstKeys, notSigned))
				return byRule(d, "kyverno", "a", "r", unproven(firstKeys, &evidence.Problem{Reason: evidence.RegistryTimeout, Expected: "an answer", Got: "none"}))
			},
			rules{"a": {"r": none + "; failed to verify image registry.example/web:v1: .attestors[0].entries[0].keys: expected an answer, got none"}},
			nil,
		},
		"MixedDialects": {
			"ours follows, of both",
			func(d engine.ImageDecision) engine.ImageDecision {
				return byRule(byRule(d, "kyverno", "a", "r", unproven(firstKeys, notSigned)), "native", "ours", "", unproven("", notSigned))
			},
			rules{"a": {"r": none}},
			[]string{
				"bonafide: 1 of 1 images may not run",
				"registry.example/web:v1: a/r: require: expected a signature by key A, got no signature",
				"registry.example/web:v1: ours: require: expected a signature by key A, got no signature",
			},
		},
		"OnlyOurs": {
			"nothing of Kyverno's",
			func(d engine.ImageDecision) engine.ImageDecision {
				return byRule(d, "native", "ours", "", unproven("", notSigned))
			},
			nil,
			[]string{"bonafide: 1 of 1 images may not run", "registry.example/web:v1: ours: require: expected a signature by key A, got no signature"},
		},
		"NoPlace": {
			"a doubt about the rule itself",
			func(d engine.ImageDecision) engine.ImageDecision {
				d = byRule(d, "kyverno", "a", "r")
				d.Policies[0].Finding.Problems = []*evidence.Problem{{Reason: evidence.SelectionFailed, Expected: "to know", Got: "an error"}}
				return d
			},
			rules{"a": {"r": "failed to verify image registry.example/web:v1: expected to know, got an error"}},
			nil,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			decide := func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision { return c.decide(d) }
			response := ask(t, newServer(t, each(decide)), mutateDoor, recorded(t, "deployment-create"))
			if response.Allowed {
				t.Fatalf("%s: got allowed", c.reason)
			}
			got, ours := kyvernos(t, response.Result.Message)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
			if want := strings.Join(c.ours, "\n"); c.ours != nil && ours != want || !strings.HasPrefix(ours, "bonafide: ") {
				t.Errorf("%s: got\n%s\nwant\n%s", c.reason, ours, want)
			}
		})
	}
}

// TestKyvernosWordsFold: the block is folded as Kyverno's own.
func TestKyvernosWordsFold(t *testing.T) {
	decide := func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
		return byRule(d, "kyverno", "only-cosign-image-deploy", "check-image", unproven(firstKeys, notSigned))
	}
	got := ask(t, newServer(t, each(decide)), mutateDoor, recorded(t, "deployment-create")).Result.Message
	want := "\n\nresource Deployment/recorded/web was blocked due to the following policies \n\n" +
		"only-cosign-image-deploy:\n  check-image: 'failed to verify image registry.example/web:v1: .attestors[0].entries[0].keys:\n    no signatures found'\n\nbonafide: "
	if !strings.HasPrefix(got, want) {
		t.Errorf("got\n%s\nwant it to begin\n%s", got, want)
	}
}

// TestKyvernosMissingDigest: a rule that pins, at the validating door.
func TestKyvernosMissingDigest(t *testing.T) {
	decide := func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
		d.Policies = []engine.PolicyDecision{{
			Origin: policy.Origin{Dialect: "kyverno", Name: "a", Rule: "r"}, Outcome: policy.Allowed, Effective: policy.Allowed,
		}}
		d.Outcome, d.Pins = policy.Allowed, true
		return d
	}
	response := ask(t, newServer(t, each(decide)), validateDoor, recorded(t, "deployment-create"))
	got, _ := kyvernos(t, response.Result.Message)
	want := map[string]map[string]string{"a": {"r": "missing digest for registry.example/web:v1"}}
	if diff := cmp.Diff(want, got); diff != "" || response.Allowed {
		t.Errorf("allowed %t (-want +got):\n%s", response.Allowed, diff)
	}
}

// TestR1KyvernosWordsAreBounded: many rules with much to say leave room for
// ours, and for no forged line.
func TestR1KyvernosWordsAreBounded(t *testing.T) {
	decide := func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
		for i := range 200 {
			d = byRule(d, "kyverno", "a"+strconv.Itoa(i), "r", unproven(firstKeys, &evidence.Problem{
				Reason: evidence.MalformedEvidence, Got: strings.Repeat("x", 500) + "\nbonafide: everything may run",
			}))
		}
		return d
	}
	got := ask(t, newServer(t, each(decide)), mutateDoor, recorded(t, "deployment-create")).Result.Message
	const most = 4<<10 + 100
	if len(got) > most || strings.Contains(got, "\nbonafide: everything") || !strings.Contains(got, "\nbonafide: 1 of 1 images may not run\n") {
		t.Errorf("got %d bytes, want at most %d:\n%s", len(got), most, got)
	}
}
