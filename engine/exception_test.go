package engine_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

func outage(context.Context, string) error {
	return &evidence.Problem{Reason: evidence.RegistryUnavailable, Got: "503", Host: "reg.test"}
}

func TestExceptionLiftsAPolicy(t *testing.T) {
	h, signed, digest := world(t)
	x := exception(h, "urgent", named(t, "reg.test/app"))
	h.Swap(engine.NewSnapshotOf(engine.Rules{Policies: []policy.Policy{signed}, Exceptions: []policy.Exception{x}}))
	d := h.ask(t.Context(), "reg.test/app:1")
	if d.Outcome != policy.Allowed || d.Enforced() || !d.Excepted() {
		t.Errorf("want allowed by exception, got %s enforced=%t excepted=%t", d.Outcome, d.Enforced(), d.Excepted())
	}
	if want := "reg.test/app:1@" + digest.String(); d.Pinned != want {
		t.Errorf("pinned: want %q, got %q", want, d.Pinned)
	}
	want := []engine.Lift{{Exception: x.Origin, Policy: signed.Origin, Reason: "ticket 7", Expires: x.Expires}}
	if diff := cmp.Diff(want, d.Lifted); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(d.Policies) != 1 || len(d.Policies[0].Finding.Proofs) != 0 {
		t.Fatalf("want the policy without a proof, got %+v", d.Policies)
	}
	for _, part := range []string{"VerificationException urgent", "ticket 7", "2026-01-02T04:04:05Z"} {
		if said := d.Policies[0].Finding.Expected; !strings.Contains(said, part) {
			t.Errorf("want %q in %q", part, said)
		}
	}
	if n := h.registry.count("referrers") + h.registry.count(".sig"); n != 0 {
		t.Errorf("want no look for evidence that nobody asks for, got %d", n)
	}
}

// Which exceptions lift the policy "signed" from reg.test/app, asked for as
// Pod "shop/web-1".
func TestExceptionSelection(t *testing.T) {
	other := imageref.DigestOf([]byte("other"))
	type change func(*policy.Exception, imageref.Digest)
	cases := map[string]struct {
		reason string
		change change
		ref    string
		want   bool
	}{
		"Repository":             {"", func(*policy.Exception, imageref.Digest) {}, "reg.test/app:1", true},
		"ExactDigest":            {"", func(x *policy.Exception, d imageref.Digest) { x.Images = digested(other, d) }, "reg.test/app@", true},
		"ResolvedDigest":         {"the digest is what is pinned", func(x *policy.Exception, d imageref.Digest) { x.Images = digested(d) }, "reg.test/app:1", true},
		"OtherDigest":            {"", func(x *policy.Exception, _ imageref.Digest) { x.Images = digested(other) }, "reg.test/app:1", false},
		"R17NamespacedException": {"whoever may write in a namespace lifts nothing", func(x *policy.Exception, _ imageref.Digest) { x.Origin.Namespace = "shop" }, "reg.test/app:1", false},
		"NoImages":               {"an empty set means nothing", func(x *policy.Exception, _ imageref.Digest) { x.Images = policy.Images{} }, "reg.test/app:1", false},
		"OtherRepository":        {"", func(x *policy.Exception, _ imageref.Digest) { x.Images = named(t, "reg.test/ap") }, "reg.test/app:1", false},
		"R12DoubtNeverLifts":     {"what stands before /** is included and not excluded", func(x *policy.Exception, _ imageref.Digest) { x.Images = named(t, "reg.test/app/**") }, "reg.test/app:1", false},
		"R13TagBesideDigest":     {"a tag beside a digest satisfies no exception", func(x *policy.Exception, _ imageref.Digest) { x.Images = named(t, "reg.test/app:1") }, "reg.test/app:1@", false},
		"PolicyByName":           {"", func(x *policy.Exception, _ imageref.Digest) { x.Policies = []string{"other", "signed"} }, "reg.test/app:1", true},
		"OtherPolicy":            {"", func(x *policy.Exception, _ imageref.Digest) { x.Policies = []string{"sign"} }, "reg.test/app:1", false},
		"Namespace":              {"", func(x *policy.Exception, _ imageref.Digest) { x.Namespaces = []string{"a", "shop"} }, "reg.test/app:1", true},
		"OtherNamespace":         {"", func(x *policy.Exception, _ imageref.Digest) { x.Namespaces = []string{"a", "sho"} }, "reg.test/app:1", false},
		"Workload": {"", func(x *policy.Exception, _ imageref.Digest) {
			x.Workloads = []policy.Workload{{Kind: "Pod", Name: "web-1"}}
		}, "reg.test/app:1", true},
		"WorkloadPrefix": {"", func(x *policy.Exception, _ imageref.Digest) {
			x.Workloads = []policy.Workload{{Kind: "Pod", Name: "web-*"}}
		}, "reg.test/app:1", true},
		"OtherWorkload": {"", func(x *policy.Exception, _ imageref.Digest) {
			x.Workloads = []policy.Workload{{Kind: "Pod", Name: "web"}}
		}, "reg.test/app:1", false},
		"OtherKind": {"", func(x *policy.Exception, _ imageref.Digest) {
			x.Workloads = []policy.Workload{{Kind: "Job", Name: "web-1"}}
		}, "reg.test/app:1", false},
		"NamespaceOrWorkload": {"each part that is set must hold", func(x *policy.Exception, _ imageref.Digest) {
			x.Namespaces, x.Workloads = []string{"shop"}, []policy.Workload{{Kind: "Pod", Name: "db"}}
		}, "reg.test/app:1", false},
		"R48InvalidLiftsNone": {"", func(x *policy.Exception, _ imageref.Digest) { x.Invalid = errBoom }, "reg.test/app:1", false},
		"R48WithoutEnd":       {"a missing field excepts nothing", func(x *policy.Exception, _ imageref.Digest) { x.Expires = time.Time{} }, "reg.test/app:1", false},
		"WholeLife": {"", func(x *policy.Exception, _ imageref.Digest) {
			x.Expires = newClock().Now().Add(policy.MaxExceptionLife)
		}, "reg.test/app:1", true},
		"TooLong": {"", func(x *policy.Exception, _ imageref.Digest) {
			x.Expires = newClock().Now().Add(policy.MaxExceptionLife + time.Hour)
		}, "reg.test/app:1", false},
		"BreakGlass": {"", func(x *policy.Exception, _ imageref.Digest) {
			x.BreakGlass, x.Expires = true, newClock().Now().Add(policy.MaxBreakGlassLife)
		}, "reg.test/app:1", true},
		"BreakGlassTooLong": {"", func(x *policy.Exception, _ imageref.Digest) {
			x.BreakGlass, x.Expires = true, newClock().Now().Add(policy.MaxBreakGlassLife+time.Hour)
		}, "reg.test/app:1", false},
		"R11OtherSpellingOfHost": {"", func(*policy.Exception, imageref.Digest) {}, "REG.test:443/app:1", true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h, signed, digest := world(t)
			x := exception(h, "x", named(t, "reg.test/app"))
			c.change(&x, digest)
			h.Swap(engine.NewSnapshotOf(engine.Rules{Policies: []policy.Policy{signed}, Exceptions: []policy.Exception{x}}))
			ref := c.ref
			if strings.HasSuffix(ref, "@") {
				ref += digest.String()
			}
			r := request(ref)
			r.Name = "web-1"
			d := h.Decide(t.Context(), r).Images[0]
			want := policy.Denied
			if c.want {
				want = policy.Allowed
			}
			if d.Outcome != want || d.Excepted() != c.want || (len(d.Lifted) > 0) != c.want {
				t.Errorf("%s: want %s, got %s, lifted by %v", c.reason, want, d.Outcome, d.Lifted)
			}
		})
	}
}

// What is not known of a request satisfies nothing.
func TestR48DoubtAboutTheRequestNeverLifts(t *testing.T) {
	cases := map[string]struct {
		change  func(*policy.Exception)
		request policy.Request
	}{
		"NamespaceNotCarried": {func(x *policy.Exception) { x.Namespaces = []string{"shop", ""} }, policy.Request{Kind: "Pod", Name: "web"}},
		"NamespaceUnknown":    {func(x *policy.Exception) { x.Namespaces = []string{"shop"} }, policy.Request{Kind: "Pod", Namespace: policy.Namespace{State: policy.NamespaceUnknown, Name: "shop"}}},
		"NoKind":              {func(x *policy.Exception) { x.Workloads = []policy.Workload{{Name: "web"}} }, policy.Request{Name: "web"}},
		"NoName":              {func(x *policy.Exception) { x.Workloads = []policy.Workload{{Kind: "Pod"}, {Kind: "Pod", Name: "*"}} }, policy.Request{Kind: "Pod"}},
		"EveryName":           {func(x *policy.Exception) { x.Workloads = []policy.Workload{{Kind: "Pod", Name: "*"}} }, policy.Request{Kind: "Pod", Name: "web"}},
		"NameToBeGenerated":   {func(x *policy.Exception) { x.Workloads = []policy.Workload{{Kind: "Pod", Name: "web-1*"}} }, policy.Request{Kind: "Pod", Name: "web-*"}},
		"R46Owner":            {func(x *policy.Exception) { x.Workloads = []policy.Workload{{Kind: "Deployment", Name: "web"}} }, policy.Request{Kind: "Pod", Name: "web-5d9f-*"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h, signed, _ := world(t)
			x := exception(h, "x", named(t, "reg.test/app"))
			c.change(&x)
			h.Swap(engine.NewSnapshotOf(engine.Rules{Policies: []policy.Policy{signed}, Exceptions: []policy.Exception{x}}))
			r := request("reg.test/app:1")
			r.Request = c.request
			if d := h.Decide(t.Context(), r).Images[0]; d.Outcome != policy.Denied || len(d.Lifted) > 0 {
				t.Errorf("want denied, got %s, lifted by %v", d.Outcome, d.Lifted)
			}
		})
	}
}

func TestR17WhichPoliciesAnExceptionLifts(t *testing.T) {
	cases := map[string]struct {
		reason   string
		policies []string // of the exception
		origin   policy.Origin
		want     policy.Outcome
	}{
		"ClusterPolicy":         {"all cluster policies", nil, policy.Origin{Kind: "ClusterVerificationPolicy", Name: "a"}, policy.Allowed},
		"ForeignClusterPolicy":  {"of any dialect", nil, policy.Origin{Kind: "ClusterPolicy", Name: "a", Rule: "r"}, policy.Allowed},
		"NamespacedStays":       {"a namespace's own are not meant by all", nil, policy.Origin{Kind: "VerificationPolicy", Namespace: "shop", Name: "a"}, policy.Denied},
		"NamespacedByName":      {"unless they are named", []string{"shop/a"}, policy.Origin{Kind: "VerificationPolicy", Namespace: "shop", Name: "a"}, policy.Allowed},
		"NameOfAnotherScope":    {"a cluster policy's name is not a namespaced one's", []string{"a"}, policy.Origin{Kind: "VerificationPolicy", Namespace: "shop", Name: "a"}, policy.Denied},
		"OtherNamespace":        {"", []string{"till/a"}, policy.Origin{Kind: "VerificationPolicy", Namespace: "shop", Name: "a"}, policy.Denied},
		"CommandLineByDefault":  {"what a command line asks for is no object", nil, policy.Origin{Dialect: "flags", Name: "command-line"}, policy.Denied},
		"CommandLineByItsName":  {"what a command line asks for is no object", []string{"command-line"}, policy.Origin{Dialect: "flags", Name: "command-line"}, policy.Denied},
		"AllRulesOfThePolicy":   {"a name is the object's", []string{"a"}, policy.Origin{Kind: "ClusterPolicy", Name: "a", Rule: "r"}, policy.Allowed},
		"RuleIsNotTheNamespace": {"", []string{"a/r"}, policy.Origin{Kind: "ClusterPolicy", Name: "a", Rule: "r"}, policy.Denied},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h, signed, _ := world(t)
			signed.Origin = c.origin
			x := exception(h, "x", named(t, "reg.test/app"))
			x.Policies = c.policies
			h.Swap(engine.NewSnapshotOf(engine.Rules{Policies: []policy.Policy{signed}, Exceptions: []policy.Exception{x}}))
			if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != c.want {
				t.Errorf("%s: want %s, got %s", c.reason, c.want, d.Outcome)
			}
		})
	}
}

func TestR37ExceptionEndsAtItsTime(t *testing.T) {
	h, signed, _ := world(t)
	x := exception(h, "x", named(t, "reg.test/app"))
	h.Swap(engine.NewSnapshotOf(engine.Rules{Policies: []policy.Policy{signed}, Exceptions: []policy.Exception{x}}))
	h.clock.advance(time.Hour - time.Nanosecond)
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
		t.Errorf("just before: want allowed, got %s", d.Outcome)
	}
	h.clock.advance(time.Nanosecond)
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Denied || len(d.Lifted) > 0 {
		t.Errorf("at its end: want denied, got %s", d.Outcome)
	}
	h.clock.advance(-time.Hour) // nothing of it is remembered
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
		t.Errorf("before again: want allowed, got %s", d.Outcome)
	}
}

func TestOverlappingExceptionsAddUp(t *testing.T) {
	h, signed, _ := world(t)
	other := object(enforce(t, &signer{name: "other"}), "", "other")
	first, second, ended := exception(h, "first", named(t, "reg.test/*")), exception(h, "second", named(t, "reg.test/app")), exception(h, "ended", named(t, "reg.test/app"))
	first.Policies, second.BreakGlass, ended.Expires = []string{"signed"}, true, h.clock.Now()
	h.Swap(engine.NewSnapshotOf(engine.Rules{Policies: []policy.Policy{signed, other}, Exceptions: []policy.Exception{first, second, ended}}))
	d := h.ask(t.Context(), "reg.test/app:1")
	var got []string
	for _, l := range d.Lifted {
		word := l.Exception.Name + " lifts " + l.Policy.Name
		if l.BreakGlass {
			word += ", breaking glass"
		}
		got = append(got, word)
	}
	want := []string{"first lifts signed", "second lifts signed, breaking glass", "second lifts other, breaking glass"}
	if diff := cmp.Diff(want, got); diff != "" || d.Outcome != policy.Allowed {
		t.Errorf("%s, -want +got:\n%s", d.Outcome, diff)
	}
	if said := d.Policies[0].Finding.Expected; !strings.Contains(said, "first") || !strings.Contains(said, "second") {
		t.Errorf("want both exceptions named, got %q", said)
	}
}

// A lifted policy says neither yes nor no: the others decide.
func TestR15LiftedPolicySatisfiesNoOther(t *testing.T) {
	cases := map[string]struct {
		sign               []string
		mode               policy.Mode // of the policy that is lifted
		want               policy.Outcome
		excepted, enforced bool
	}{
		"OtherDenies":    {nil, policy.Enforce, policy.Denied, false, false},
		"OtherAllows":    {[]string{"other"}, policy.Enforce, policy.Allowed, true, false},
		"AuditLifted":    {[]string{"other"}, policy.Audit, policy.Allowed, false, true},
		"AuditNotEnough": {nil, policy.Audit, policy.Denied, false, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h, signed, digest := world(t)
			signed.Mode = c.mode
			h.registry.sign(t, "reg.test/app", digest, c.sign...)
			x := exception(h, "x", named(t, "reg.test/app"))
			x.Policies = []string{"signed"}
			h.Swap(engine.NewSnapshotOf(engine.Rules{
				Policies: []policy.Policy{signed, object(enforce(t, &signer{name: "other"}), "", "other")}, Exceptions: []policy.Exception{x},
			}))
			d := h.ask(t.Context(), "reg.test/app:1")
			if d.Outcome != c.want || d.Excepted() != c.excepted || d.Enforced() != c.enforced || len(d.Lifted) != 1 {
				t.Errorf("want %s excepted=%t enforced=%t, got %s %t %t %v", c.want, c.excepted, c.enforced, d.Outcome, d.Excepted(), d.Enforced(), d.Lifted)
			}
		})
	}
	t.Run("OnlyAuditLifted", func(t *testing.T) {
		h, signed, _ := world(t)
		signed.Mode = policy.Audit
		h.Swap(engine.NewSnapshotOf(engine.Rules{Policies: []policy.Policy{signed}, Exceptions: []policy.Exception{exception(h, "x", named(t, "reg.test/app"))}}))
		if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Unmatched || d.Excepted() {
			t.Errorf("want unmatched, as without the exception, got %s", d.Outcome)
		}
	})
}

// An exception is for a bad day: it holds while the registry is down, and where a
// policy does not compile. A tag is pinned where it can be.
func TestExceptionHoldsInAnOutage(t *testing.T) {
	h, signed, digest := world(t)
	broken := object(policy.Policy{Include: signed.Include, Invalid: errBoom}, "", "broken")
	rules := engine.Rules{Policies: []policy.Policy{signed, broken}, Exceptions: []policy.Exception{exception(h, "x", named(t, "reg.test/app"))}}
	h.registry.setFault(outage)
	h.Swap(engine.NewSnapshotOf(rules))
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed || d.Pins || d.Pinned != "" {
		t.Errorf("tag: want allowed and no pin asked for, got %s %t %q", d.Outcome, d.Pins, d.Pinned)
	}
	if d := h.ask(t.Context(), "reg.test/app@"+digest.String()); d.Outcome != policy.Allowed || !d.Pins {
		t.Errorf("digest: want allowed, got %s %t", d.Outcome, d.Pins)
	}
	rules.Exceptions[0].Policies = []string{"broken"}
	h.Swap(engine.NewSnapshotOf(rules))
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Undecided || !d.Pins {
		t.Errorf("one lifted: want undecided, got %s %t", d.Outcome, d.Pins)
	}
	rules.Exceptions[0].Policies, rules.Exceptions[0].Images = nil, digested(digest)
	h.Swap(engine.NewSnapshotOf(rules))
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Undecided || len(d.Lifted) > 0 {
		t.Errorf("R48 by digest: want undecided, as nobody knows what the tag names, got %s", d.Outcome)
	}
	rules.Exceptions[0].Images = digested(imageref.Digest{})
	h.Swap(engine.NewSnapshotOf(rules))
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Undecided || len(d.Lifted) > 0 {
		t.Errorf("R48 by no digest: want undecided, as a digest that is missing is not that of a tag, got %s", d.Outcome)
	}
	rules.Exceptions[0].Images = digested(digest)
	h.Swap(engine.NewSnapshotOf(rules))
	h.registry.setFault(nil)
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed || d.Pinned == "" {
		t.Errorf("after the outage: want allowed and pinned, got %s %q", d.Outcome, d.Pinned)
	}
}
