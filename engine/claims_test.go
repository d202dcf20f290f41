package engine_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// says is a condition that a document says "ok": that.
type says struct{ want any }

func (c says) String() string { return "ok" }

func (c says) Check(_ context.Context, in policy.ConditionInput) error {
	document, err := in.Statement.Predicate()
	if err != nil {
		return err
	}
	got := document.(map[string]any)["ok"]
	if got != c.want {
		return &evidence.Problem{Reason: evidence.ConditionNotMet, Expected: "ok", Got: "secret-text"}
	}
	return nil
}

func claim(q policy.Quantifier, s *signer, conditions ...policy.Condition) policy.Claim {
	return policy.Claim{Type: "sbom", Quantifier: q, Signers: []policy.Signature{{Name: s.name, Signer: s}}, Conditions: conditions}
}

func require(t testing.TB, r policy.Requirement) policy.Policy {
	t.Helper()
	return policy.Policy{Origin: policy.Origin{Name: "claims"}, Include: []policy.ImagePattern{pattern(t, "reg.test/**")}, Require: r}
}

const (
	good = `{"ok":true}`
	bad  = `{"ok":false}`
)

func TestAttestations(t *testing.T) {
	ci := &signer{name: "ci"}
	cases := map[string]struct {
		reason     string
		quantifier policy.Quantifier
		stored     []string
		want       policy.Outcome
		because    evidence.Reason
	}{
		"Any":                     {"one that holds", policy.Any, []string{"ci sbom " + good}, policy.Allowed, ""},
		"AnyOfTwo":                {"one of two holds", policy.Any, []string{"ci sbom " + bad, "ci sbom " + good}, policy.Allowed, ""},
		"AnyNone":                 {"none is there", policy.Any, nil, policy.Denied, evidence.NotAttested},
		"R23OtherType":            {"another type is none", policy.Any, []string{"ci scan " + good}, policy.Denied, evidence.NotAttested},
		"OtherSigner":             {"signed by another", policy.Any, []string{"eve sbom " + good}, policy.Denied, evidence.SignerMismatch},
		"AnyUnmet":                {"it says something else", policy.Any, []string{"ci sbom " + bad}, policy.Denied, evidence.ConditionNotMet},
		"R32NotJSON":              {"what cannot be read does not hold", policy.Any, []string{"ci sbom {"}, policy.Denied, evidence.MalformedEvidence},
		"Every":                   {"both hold", policy.Every, []string{"ci sbom " + good, "ci sbom  " + good}, policy.Allowed, ""},
		"EveryUnmet":              {"one of two does not hold", policy.Every, []string{"ci sbom " + good, "ci sbom " + bad}, policy.Denied, evidence.ConditionNotMet},
		"R23EveryNone":            {"an empty set fails", policy.Every, []string{"ci scan " + good}, policy.Denied, evidence.NotAttested},
		"EveryBesideOtherSigners": {"others' statements are nobody's", policy.Every, []string{"eve sbom " + bad, "ci sbom " + good}, policy.Allowed, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, engine.Options{}, require(t, policy.Attestation{Claim: claim(tc.quantifier, ci, says{true})}))
			digest := h.registry.push(t, "reg.test/app:1", "a")
			if tc.stored != nil {
				h.registry.attest(t, "reg.test/app", digest, tc.stored...)
			}
			d := h.ask(t.Context(), "reg.test/app:1")
			if d.Outcome != tc.want || (tc.because != "" && !slices.Contains(reasons(d), tc.because)) {
				t.Errorf("%s: want %s (%s), got %s %v", tc.reason, tc.want, tc.because, d.Outcome, reasons(d))
			}
		})
	}
}

// One image, one discovery, whatever is asked about it.
func TestSignatureAndTwoAttestationsCostOneDiscovery(t *testing.T) {
	ci := &signer{name: "ci"}
	second := claim(policy.Any, ci)
	second.Type = "scan"
	h := newHarness(t, engine.Options{}, require(t, policy.All{Of: []policy.Requirement{
		policy.Signature{Signer: ci}, policy.Attestation{Claim: claim(policy.Any, ci, says{true})}, policy.Attestation{Claim: second},
	}}))
	digest := h.registry.push(t, "reg.test/app:1", "a")
	h.registry.sign(t, "reg.test/app", digest, "ci")
	h.registry.attest(t, "reg.test/app", digest, "ci sbom "+good, "ci scan "+good)
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
		t.Fatalf("want allowed, got %s %v", d.Outcome, reasons(d))
	}
	// The tag, two cosign tags, one list, three layers.
	if n := h.registry.count(""); n != 7 {
		t.Errorf("cold requests: want 7, got %d: %v", n, h.registry.asked)
	}
	h.ask(t.Context(), "reg.test/app:1")
	if n := h.registry.count(""); n != 7 {
		t.Errorf("requests after a warm decision: want 7, got %d: %v", n, h.registry.asked[7:])
	}
}

// Every decides over the list, which lives for seconds; an image that gains a
// bad statement is found out although its proofs are remembered.
func TestR35EveryIsDecidedOverTheList(t *testing.T) {
	var verified atomic.Int64
	ci := &signer{name: "ci", verified: func() { verified.Add(1) }}
	h := newHarness(t, engine.Options{}, require(t, policy.Attestation{Claim: claim(policy.Every, ci, says{true})}))
	digest := h.registry.push(t, "reg.test/app:1", "a")
	h.registry.attest(t, "reg.test/app", digest, "ci sbom "+good)
	for range 3 {
		if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
			t.Fatalf("want allowed, got %s %v", d.Outcome, reasons(d))
		}
	}
	if n := verified.Load(); n != 1 {
		t.Errorf("verifications of three decisions over one list: want 1, got %d", n)
	}
	h.registry.attest(t, "reg.test/app", digest, "ci sbom "+good, "ci sbom "+bad)
	h.clock.advance(time.Minute)
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Denied {
		t.Errorf("after a bad statement was added: want denied, got %s", d.Outcome)
	}
}

func TestR36StatementsAreForWhoCanReadThem(t *testing.T) {
	ci := &signer{name: "ci"}
	h := newHarness(t, engine.Options{}, require(t, policy.Attestation{Claim: claim(policy.Any, ci, says{true})}))
	h.registry.identity = func(p evidence.Puller) string { return p.Namespace }
	digest := h.registry.push(t, "reg.test/app:1", "a")
	h.registry.attest(t, "reg.test/app", digest, "ci sbom "+good)
	r := request("reg.test/app@" + digest.String())
	r.Puller.Namespace = "owner"
	if d := h.Decide(t.Context(), r).Images[0]; d.Outcome != policy.Allowed {
		t.Fatalf("want allowed, got %s %v", d.Outcome, reasons(d))
	}
	h.registry.setFault(func(context.Context, string) error { return &evidence.Problem{Reason: evidence.RegistryUnauthorized} })
	r.Puller.Namespace = "stranger"
	if d := h.Decide(t.Context(), r).Images[0]; d.Outcome != policy.Undecided {
		t.Errorf("a caller whose credentials read nothing: want undecided, got %s", d.Outcome)
	}
}

// What was stated before is for policies that say so, while it cannot be told,
// and never stands for a whole list.
func TestR35StatedBefore(t *testing.T) {
	for quantifier, want := range map[policy.Quantifier]policy.Outcome{policy.Any: policy.Allowed, policy.Every: policy.Undecided} {
		for _, choice := range []policy.OnUndecided{policy.DenyUndecided, policy.AllowIfProvenBefore} {
			p := require(t, policy.Attestation{Claim: claim(quantifier, &signer{name: "ci"}, says{true})})
			p.OnUndecided = choice
			h := newHarness(t, engine.Options{}, p)
			digest := h.registry.push(t, "reg.test/app:1", "a")
			h.registry.attest(t, "reg.test/app", digest, "ci sbom "+good)
			ref := "reg.test/app@" + digest.String()
			if d := h.ask(t.Context(), ref); d.Outcome != policy.Allowed {
				t.Fatalf("want allowed, got %s %v", d.Outcome, reasons(d))
			}
			h.registry.setFault(func(context.Context, string) error { return &evidence.Problem{Reason: evidence.RegistryUnavailable} })
			h.clock.advance(engine.DefaultProofTTL + time.Minute) // the proof is over, what it was about is remembered
			wanted := want
			if choice == policy.DenyUndecided {
				wanted = policy.Undecided
			}
			if d := h.ask(t.Context(), ref); d.Outcome != wanted {
				t.Errorf("%s, onUndecided %s: want %s, got %s %v", quantifier, choice, wanted, d.Outcome, reasons(d))
			}
		}
	}
}

func TestR36OperatorsCredentialsRevealNoText(t *testing.T) {
	for _, operators := range []bool{false, true} {
		h := newHarness(t, engine.Options{}, require(t, policy.Attestation{Claim: claim(policy.Any, &signer{name: "ci"}, says{true})}))
		h.registry.operators = operators
		h.registry.attest(t, "reg.test/app", h.registry.push(t, "reg.test/app:1", "a"), "ci sbom "+bad)
		d := h.ask(t.Context(), "reg.test/app:1")
		text := d.Policies[0].Finding.Problems[0].Error()
		if shown := strings.Contains(text, "secret-text"); shown == operators {
			t.Errorf("operator's credentials %t: text of a statement shown %t: %s", operators, shown, text)
		}
		if d.Private != operators {
			t.Errorf("private: want %t, got %t", operators, d.Private)
		}
	}
}

func TestArtifacts(t *testing.T) {
	cases := map[string]struct {
		reason     string
		quantifier policy.Quantifier
		arrange    func(h *harness, t *testing.T)
		want       policy.Outcome
		because    evidence.Reason
	}{
		"Signed": {
			"an artifact that is signed and says it", policy.Any,
			func(h *harness, t *testing.T) { h.artifact(t, "sbom", good, "ci") }, policy.Allowed, "",
		},
		"R22Unsigned": {
			"an artifact that nobody signed proves nothing", policy.Any,
			func(h *harness, t *testing.T) { h.artifact(t, "sbom", good, "") }, policy.Denied, evidence.NotSigned,
		},
		"R22SignedByAnother": {
			"nor one that a stranger signed", policy.Any,
			func(h *harness, t *testing.T) { h.artifact(t, "sbom", good, "eve") }, policy.Denied, evidence.SignerMismatch,
		},
		"R22OfAnotherImage": {
			"a list may name what refers to another image", policy.Any,
			func(h *harness, t *testing.T) {
				image, other := h.image(t), h.registry.push(t, "reg.test/other:1", "b")
				a := h.registry.attach(t, "reg.test/app", "sbom", good, other, image)
				h.registry.sign(t, "reg.test/app", a, "ci")
			}, policy.Denied, evidence.SubjectMismatch,
		},
		"Absent": {
			"none", policy.Any, func(h *harness, t *testing.T) { h.image(t) }, policy.Denied, evidence.NotAttested,
		},
		"R23OtherType": {
			"another type", policy.Any, func(h *harness, t *testing.T) { h.artifact(t, "scan", good, "ci") }, policy.Denied, evidence.NotAttested,
		},
		"Unmet": {
			"it says something else", policy.Any,
			func(h *harness, t *testing.T) { h.artifact(t, "sbom", bad, "ci") }, policy.Denied, evidence.ConditionNotMet,
		},
		"EveryFound": {
			"all signed, all hold", policy.EveryFound,
			func(h *harness, t *testing.T) {
				h.artifact(t, "sbom", good, "ci")
				h.artifact(t, "sbom", good+" ", "ci")
			}, policy.Allowed, "",
		},
		"EveryFoundOneUnsigned": {
			"one that nobody signed", policy.EveryFound,
			func(h *harness, t *testing.T) { h.artifact(t, "sbom", good, "ci"); h.artifact(t, "sbom", good+" ", "") }, policy.Denied, evidence.NotSigned,
		},
		"EveryFoundOneUnmet": {
			"one that does not hold", policy.EveryFound,
			func(h *harness, t *testing.T) { h.artifact(t, "sbom", good, "ci"); h.artifact(t, "sbom", bad, "ci") }, policy.Denied, evidence.ConditionNotMet,
		},
		"R48Unreadable": {
			"a registry that does not give what it lists", policy.Any,
			func(h *harness, t *testing.T) {
				h.artifact(t, "sbom", good, "ci")
				h.registry.setFault(func(_ context.Context, what string) error {
					if strings.Contains(what, ".sig") {
						return &evidence.Problem{Reason: evidence.RegistryUnavailable}
					}
					return nil
				})
			}, policy.Undecided, evidence.RegistryUnavailable,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, engine.Options{}, require(t, policy.Artifact{Claim: claim(tc.quantifier, &signer{name: "ci"}, says{true})}))
			tc.arrange(h, t)
			d := h.ask(t.Context(), "reg.test/app:1")
			if d.Outcome != tc.want || (tc.because != "" && !slices.Contains(reasons(d), tc.because)) {
				t.Errorf("%s: want %s (%s), got %s %v", tc.reason, tc.want, tc.because, d.Outcome, reasons(d))
			}
		})
	}
}

func TestR5CutListLeavesEveryUndecided(t *testing.T) {
	h := newHarness(t, engine.Options{}, require(t, policy.Artifact{Claim: claim(policy.EveryFound, &signer{name: "ci"}, says{true})}))
	h.artifact(t, "sbom", good, "ci")
	for i := range evidence.MaxReferrers {
		h.artifact(t, "other", strings.Repeat(" ", i)+good, "")
	}
	d := h.ask(t.Context(), "reg.test/app:1")
	if d.Outcome != policy.Undecided || !slices.Contains(reasons(d), evidence.LimitExceeded) {
		t.Errorf("want undecided (LimitExceeded), got %s %v", d.Outcome, reasons(d))
	}
}

func TestPoliciesByName(t *testing.T) {
	ci := &signer{name: "ci"}
	tenant, all := enforce(t, ci), enforce(t, &signer{name: "release"})
	tenant.ByName = "tp-a"
	skip := policy.Policy{Origin: policy.Origin{Name: "skip"}, ByName: "tp-skip", Include: tenant.Include, Require: policy.Static{Allow: true}}
	h := newHarness(t, engine.Options{}, tenant, all, skip)
	image := h.image(t)
	h.registry.sign(t, "reg.test/app", image, "ci")
	scan := engine.Extra{Artifact: policy.Claim{Type: "sbom", Quantifier: policy.EveryFound, Conditions: []policy.Condition{says{true}}}}
	cases := map[string]struct {
		reason string
		names  []string
		extra  []engine.Extra
		want   policy.Outcome
	}{
		"Unnamed":           {"only the policies for all apply", nil, nil, policy.Denied},
		"Named":             {"only the named one applies", []string{"tp-a"}, nil, policy.Allowed},
		"Unknown":           {"nobody's name covers nothing", []string{"tp-b"}, nil, policy.Unmatched},
		"NotByObjectName":   {"the policies for all have no such name", []string{"signed-by-release"}, nil, policy.Unmatched},
		"R23ExtraMissing":   {"what is asked beside must be there", []string{"tp-a"}, []engine.Extra{scan}, policy.Denied},
		"ExtraWithoutOwner": {"nobody could have signed for a policy without signers", []string{"tp-skip"}, []engine.Extra{scan}, policy.Allowed},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := request("reg.test/app:1")
			r.Policies, r.Extra = tc.names, tc.extra
			if d := h.Decide(t.Context(), r).Images[0]; d.Outcome != tc.want {
				t.Errorf("%s: want %s, got %s %v", tc.reason, tc.want, d.Outcome, reasons(d))
			}
		})
	}
}

func TestExtraIsSignedByWhomThePolicyTrusts(t *testing.T) {
	for by, want := range map[string]policy.Outcome{"ci": policy.Allowed, "eve": policy.Denied} {
		p := enforce(t, &signer{name: "ci"})
		p.ByName = "tp"
		h := newHarness(t, engine.Options{}, p)
		h.registry.sign(t, "reg.test/app", h.artifact(t, "sbom", good, by), "ci")
		r := request("reg.test/app:1")
		r.Policies = []string{"tp"}
		// The extra's own signers are ignored: a caller names no keys.
		r.Extra = []engine.Extra{{Artifact: claim(policy.EveryFound, &signer{name: "eve"})}}
		if d := h.Decide(t.Context(), r).Images[0]; d.Outcome != want {
			t.Errorf("artifact signed by %s: want %s, got %s %v", by, want, d.Outcome, reasons(d))
		}
	}
}

func TestPoliciesLendTheirPullSecrets(t *testing.T) {
	p := enforce(t, &signer{name: "ci"})
	p.PullSecrets = []evidence.SecretName{{Namespace: "kyverno", Name: "registry-credentials"}}
	h := newHarness(t, engine.Options{}, p, p)
	var seen []evidence.SecretName
	h.registry.identity = func(p evidence.Puller) string { seen = p.Operator; return "" }
	h.image(t)
	h.ask(t.Context(), "reg.test/app:1")
	if !slices.Equal(seen, p.PullSecrets) {
		t.Errorf("want the policy's secret once, got %v", seen)
	}
}

// image pushes the image of most tests, once.
func (h *harness) image(t testing.TB) imageref.Digest {
	t.Helper()
	return h.registry.push(t, "reg.test/app:1", "a")
}

// artifact attaches an artifact to the image and signs it, unless by is "". It
// returns the image's digest.
func (h *harness) artifact(t testing.TB, artifactType, content, by string) imageref.Digest {
	t.Helper()
	image := h.image(t)
	a := h.registry.attach(t, "reg.test/app", artifactType, content, image, image)
	if by != "" {
		h.registry.sign(t, "reg.test/app", a, by)
	}
	return image
}
