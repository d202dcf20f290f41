package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

var errBoom = errors.New("boom")

func TestDecideSignedUnsignedAndStranger(t *testing.T) {
	h := newHarness(t, engine.Options{}, enforce(t, &signer{name: "release"}))
	signed := h.registry.push(t, "reg.test/app:signed", "a")
	h.registry.sign(t, "reg.test/app", signed, "stranger", "release")
	h.registry.push(t, "reg.test/app:unsigned", "b")
	stranger := h.registry.push(t, "reg.test/app:stranger", "c")
	h.registry.sign(t, "reg.test/app", stranger, "mallory")

	cases := map[string]struct {
		ref     string
		want    policy.Outcome
		reasons []evidence.Reason
		pinned  string
	}{
		"Signed":       {ref: "reg.test/app:signed", want: policy.Allowed, pinned: "reg.test/app:signed@" + signed.String()},
		"SignedDigest": {ref: "reg.test/app@" + signed.String(), want: policy.Allowed},
		"Unsigned":     {ref: "reg.test/app:unsigned", want: policy.Denied, reasons: []evidence.Reason{evidence.NotSigned}},
		"Stranger":     {ref: "reg.test/app:stranger", want: policy.Denied, reasons: []evidence.Reason{evidence.SignerMismatch}},
		"Absent":       {ref: "reg.test/app:absent", want: policy.Undecided, reasons: []evidence.Reason{evidence.ImageNotFound}},
		"Unmatched":    {ref: "other.test/app:1", want: policy.Unmatched, reasons: []evidence.Reason{evidence.NoPolicy}},
		"Malformed":    {ref: "reg.test/App:1", want: policy.Denied, reasons: []evidence.Reason{evidence.MalformedReference}},
		"Empty":        {ref: "", want: policy.Denied, reasons: []evidence.Reason{evidence.MalformedReference}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			d := h.ask(t.Context(), c.ref)
			if d.Outcome != c.want {
				t.Errorf("outcome: want %s, got %s", c.want, d.Outcome)
			}
			if diff := cmp.Diff(c.reasons, reasons(d)); diff != "" {
				t.Errorf("reasons: -want +got:\n%s", diff)
			}
			if d.Pinned != c.pinned {
				t.Errorf("pinned: want %q, got %q", c.pinned, d.Pinned)
			}
		})
	}
}

func TestR8UnmatchedImagesAreNeverContacted(t *testing.T) {
	h := newHarness(t, engine.Options{}, enforce(t, &signer{name: "release"}))
	h.ask(t.Context(), "elsewhere.test/app:1")
	if n := h.registry.count(""); n != 0 {
		t.Errorf("registry requests: want 0, got %d", n)
	}
}

func TestR15EveryPolicyMustAllow(t *testing.T) {
	soft := func(m policy.Mode, s *signer) policy.Policy {
		p := enforce(t, s)
		p.Mode = m
		return p
	}
	release, other := &signer{name: "release"}, &signer{name: "other"}
	cases := map[string]struct {
		reason   string
		policies []policy.Policy
		want     policy.Outcome
		enforced bool
	}{
		"BothEnforceOneDenies":  {"each policy decides on its own", []policy.Policy{enforce(t, release), enforce(t, other)}, policy.Denied, false},
		"AuditCannotSatisfy":    {"an audit policy that allows does not outweigh", []policy.Policy{soft(policy.Audit, release), enforce(t, other)}, policy.Denied, false},
		"WarnCannotSatisfy":     {"a warn policy that allows does not outweigh", []policy.Policy{soft(policy.Warn, release), enforce(t, other)}, policy.Denied, false},
		"AuditDenialDoesNotBar": {"an audit policy that denies is reported only", []policy.Policy{enforce(t, release), soft(policy.Audit, other)}, policy.Allowed, true},
		"WarnAlone":             {"what only reports is not in place of what enforces", []policy.Policy{soft(policy.Warn, other)}, policy.Unmatched, false},
		"AuditAloneThatAllows":  {"not even if it allows", []policy.Policy{soft(policy.Audit, release)}, policy.Unmatched, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, engine.Options{}, c.policies...)
			h.registry.sign(t, "reg.test/app", h.registry.push(t, "reg.test/app:1", "a"), "release")
			d := h.ask(t.Context(), "reg.test/app:1")
			if d.Outcome != c.want || d.Enforced() != c.enforced {
				t.Errorf("%s: want %s (enforced %t), got %s (%t)", c.reason, c.want, c.enforced, d.Outcome, d.Enforced())
			}
		})
	}
}

func TestR16SelectionErrorMatchesAsUndecided(t *testing.T) {
	p := enforce(t, &signer{name: "release"})
	p.Match = policy.MatcherFunc(func(policy.Request) (bool, error) { return false, errBoom })
	h := newHarness(t, engine.Options{}, p)
	h.registry.sign(t, "reg.test/app", h.registry.push(t, "reg.test/app:1", "a"), "release")
	d := h.ask(t.Context(), "reg.test/app:1")
	if d.Outcome != policy.Undecided {
		t.Errorf("outcome: want undecided, got %s", d.Outcome)
	}
	if diff := cmp.Diff([]evidence.Reason{evidence.SelectionFailed}, reasons(d)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !errors.Is(d.Policies[0].Finding.Problems[0], errBoom) {
		t.Error("expected the cause to be kept")
	}
}

func TestR18NoSnapshotAndInvalidPolicies(t *testing.T) {
	registry, clock := newRegistry(), newClock()
	e, err := engine.New(registry, engine.Options{Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	if d := e.Decide(t.Context(), request("reg.test/app:1")); d.Outcome() != policy.Undecided || d.Images[0].Problem.Reason != evidence.PolicyNotReady {
		t.Errorf("before the first snapshot: want undecided PolicyNotReady, got %s %v", d.Outcome(), d.Images[0].Problem)
	}
	broken := policy.Policy{Origin: policy.Origin{Name: "broken"}, Include: []policy.ImagePattern{pattern(t, "**")}, Invalid: errBoom}
	e.Swap(engine.NewSnapshot([]policy.Policy{broken}))
	d := e.Decide(t.Context(), request("reg.test/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"))
	if d.Outcome() != policy.Undecided {
		t.Errorf("a policy that does not compile: want undecided, got %s", d.Outcome())
	}
}

func TestR39TagIsResolvedOnceAndPinned(t *testing.T) {
	one, two := enforce(t, &signer{name: "one"}), enforce(t, &signer{name: "two"})
	h := newHarness(t, engine.Options{TagTTL: -1}, one, two)
	good := h.registry.push(t, "reg.test/app:1", "good")
	h.registry.sign(t, "reg.test/app", good, "one", "two")
	moved := false
	h.registry.setFault(func(_ context.Context, what string) error {
		if what == "referrers reg.test/app@"+good.String() && !moved { // the tag moves while the evidence is gathered
			moved = true
			h.registry.push(t, "reg.test/app:1", "evil")
		}
		return nil
	})
	d := h.ask(t.Context(), "reg.test/app:1")
	if want := "reg.test/app:1@" + good.String(); d.Outcome != policy.Allowed || d.Pinned != want {
		t.Errorf("want allowed %s, got %s %s", want, d.Outcome, d.Pinned)
	}
	if n := h.registry.count("manifest reg.test/app:1"); n != 1 {
		t.Errorf("resolves: want 1, got %d", n)
	}
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Denied {
		t.Errorf("after the tag moved: want denied, got %s", d.Outcome)
	}
}

func TestR40TagCacheOnlyWhereTheDecisionPins(t *testing.T) {
	cases := map[string]struct {
		change func(*policy.Policy, *engine.Request)
		want   int
	}{
		"Pins":          {func(*policy.Policy, *engine.Request) {}, 1},
		"PinNone":       {func(p *policy.Policy, _ *engine.Request) { p.Pin = policy.PinNone }, 2},
		"Warn":          {func(p *policy.Policy, _ *engine.Request) { p.Mode = policy.Warn }, 2},
		"Audit":         {func(p *policy.Policy, _ *engine.Request) { p.Mode = policy.Audit }, 2},
		"OtherPinKinds": {func(p *policy.Policy, _ *engine.Request) { p.PinKinds = []string{"Job"} }, 2},
		"DoorCannotPin": {func(_ *policy.Policy, r *engine.Request) { r.CanPin = false }, 2},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p, r := enforce(t, &signer{name: "release"}), request("reg.test/app:1")
			c.change(&p, &r)
			h := newHarness(t, engine.Options{}, p)
			h.registry.sign(t, "reg.test/app", h.registry.push(t, "reg.test/app:1", "a"), "release")
			first, second := h.Decide(t.Context(), r), h.Decide(t.Context(), r)
			if a, b := first.Images[0].Policies[0].Outcome, second.Images[0].Policies[0].Outcome; a != policy.Allowed || b != policy.Allowed {
				t.Fatalf("want allowed twice, got %s and %s", a, b)
			}
			if n := h.registry.count("manifest reg.test/app:1"); n != c.want {
				t.Errorf("resolves of two decisions: want %d, got %d", c.want, n)
			}
			if pinned := first.Images[0].Pinned != ""; pinned && first.Images[0].Pins == false {
				t.Error("pinned although no policy pins")
			}
			if name == "Warn" || name == "Audit" || name == "PinNone" {
				if got := first.Images[0].Pinned; got != "" {
					t.Errorf("patch under %s: want none, got %q", name, got)
				}
			}
		})
	}
}

func TestR41AllowCoversOutagesOfNamedHostsOnly(t *testing.T) {
	named := func(host string) bool { return host == "reg.test" }
	cases := map[string]struct {
		problem evidence.Problem
		named   func(string) bool
		want    policy.Outcome
	}{
		"Timeout":      {evidence.Problem{Reason: evidence.RegistryTimeout, Host: "reg.test"}, named, policy.Allowed},
		"Unavailable":  {evidence.Problem{Reason: evidence.RegistryUnavailable, Host: "reg.test"}, named, policy.Allowed},
		"RateLimited":  {evidence.Problem{Reason: evidence.RegistryRateLimited, Host: "reg.test"}, named, policy.Allowed},
		"NotNamed":     {evidence.Problem{Reason: evidence.RegistryTimeout, Host: "reg.test"}, nil, policy.Undecided},
		"OtherHost":    {evidence.Problem{Reason: evidence.RegistryTimeout, Host: "token.test"}, named, policy.Undecided},
		"NoHost":       {evidence.Problem{Reason: evidence.RegistryTimeout}, named, policy.Undecided},
		"Unauthorized": {evidence.Problem{Reason: evidence.RegistryUnauthorized, Host: "reg.test"}, named, policy.Undecided},
		"NotFound":     {evidence.Problem{Reason: evidence.ImageNotFound, Host: "reg.test"}, named, policy.Undecided},
		"Malformed":    {evidence.Problem{Reason: evidence.MalformedManifest, Host: "reg.test"}, named, policy.Undecided},
		"Oversized":    {evidence.Problem{Reason: evidence.LimitExceeded, Host: "reg.test"}, named, policy.Undecided},
		"Unclassified": {evidence.Problem{Reason: "SomethingNew", Host: "reg.test"}, named, policy.Undecided},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := enforce(t, &signer{name: "release"})
			p.OnUndecided = policy.AllowUndecidedUnsafe
			h := newHarness(t, engine.Options{NamedHost: c.named}, p)
			h.registry.setFault(func(context.Context, string) error { return &c.problem })
			if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != c.want || d.Enforced() || d.Pinned != "" {
				t.Errorf("want %s, not enforced, not pinned; got %s, %t, %q", c.want, d.Outcome, d.Enforced(), d.Pinned)
			}
		})
	}
}

func TestR41AllowNeverExcusesADenial(t *testing.T) {
	p := enforce(t, &signer{name: "release"})
	p.OnUndecided = policy.AllowUndecidedUnsafe
	h := newHarness(t, engine.Options{NamedHost: func(string) bool { return true }}, p)
	h.registry.push(t, "reg.test/app:1", "a")
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Denied {
		t.Errorf("want denied, got %s", d.Outcome)
	}
}

func TestR48VerifierFaultsAreUndecided(t *testing.T) {
	cases := map[string]*signer{
		"Unclassified": {name: "release", err: errBoom},
		"Panic":        {name: "release", verified: func() { panic("boom") }},
	}
	for name, s := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, engine.Options{}, enforce(t, s))
			h.registry.sign(t, "reg.test/app", h.registry.push(t, "reg.test/app:1", "a"), "release")
			d := h.ask(t.Context(), "reg.test/app:1")
			if d.Outcome != policy.Undecided {
				t.Errorf("want undecided, got %s", d.Outcome)
			}
			if diff := cmp.Diff([]evidence.Reason{evidence.Internal}, reasons(d)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestR48PanickingMatcherIsUndecided(t *testing.T) {
	p := enforce(t, &signer{name: "release"})
	p.Match = policy.MatcherFunc(func(policy.Request) (bool, error) { panic("boom") })
	h := newHarness(t, engine.Options{}, p)
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Undecided {
		t.Errorf("want undecided, got %s", d.Outcome)
	}
}

func TestR48EmptyRequestIsNotAllowed(t *testing.T) {
	h := newHarness(t, engine.Options{}, enforce(t, &signer{name: "release"}))
	if o := h.Decide(t.Context(), request()).Outcome(); o != policy.Undecided {
		t.Errorf("want undecided, got %s", o)
	}
}

func TestOneFailingSourceLeavesItOpen(t *testing.T) {
	h := newHarness(t, engine.Options{}, enforce(t, &signer{name: "release"}))
	digest := h.registry.push(t, "reg.test/app:1", "a")
	outage := &evidence.Problem{Reason: evidence.RegistryUnavailable, Host: "reg.test"}
	h.registry.setFault(func(_ context.Context, what string) error {
		if what == "referrers reg.test/app@"+digest.String() {
			return outage
		}
		return nil
	})
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Undecided {
		t.Errorf("nothing found and one source failing: want undecided, got %s", d.Outcome)
	}
	h.registry.sign(t, "reg.test/app", digest, "release")
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
		t.Errorf("a positive proof stands whatever else fails: want allowed, got %s", d.Outcome)
	}
}

func TestR45DeadlineLeavesImagesUndecided(t *testing.T) {
	h := newHarness(t, engine.Options{}, enforce(t, &signer{name: "release"}))
	h.registry.setFault(func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	d := h.Decide(ctx, request("reg.test/app:1", "reg.test/app:2", "other.test/app:1"))
	for i, want := range []policy.Outcome{policy.Undecided, policy.Undecided, policy.Unmatched} {
		if d.Images[i].Outcome != want {
			t.Errorf("image %d: want %s, got %s", i, want, d.Images[i].Outcome)
		}
	}
	if diff := cmp.Diff([]evidence.Reason{evidence.DeadlineExceeded}, reasons(d.Images[0])); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
