package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// object gives a policy the origin of a cluster-scoped object.
func object(p policy.Policy, namespace, name string) policy.Policy {
	p.Origin = policy.Origin{Dialect: "native", Kind: "ClusterVerificationPolicy", Namespace: namespace, Name: name}
	return p
}

func denyList(name string, images policy.Images) policy.Denial {
	return policy.Denial{Origin: policy.Origin{Kind: "ImageDenyList", Name: name}, Images: images, Reason: "stolen key"}
}

func exception(h *harness, name string, images policy.Images) policy.Exception {
	return policy.Exception{
		Origin: policy.Origin{Kind: "VerificationException", Name: name}, Images: images, Reason: "ticket 7", Expires: h.clock.Now().Add(time.Hour),
	}
}

func named(t *testing.T, patterns ...string) policy.Images {
	t.Helper()
	var images policy.Images
	for _, p := range patterns {
		images.Patterns = append(images.Patterns, pattern(t, p))
	}
	return images
}

func digested(digests ...imageref.Digest) policy.Images { return policy.Images{Digests: digests} }

// world is an engine whose only policy nothing satisfies, and one image.
func world(t *testing.T) (*harness, policy.Policy, imageref.Digest) {
	t.Helper()
	h := newHarness(t, engine.Options{})
	return h, object(enforce(t, &signer{name: "release"}), "", "signed"), h.registry.push(t, "reg.test/app:1", "a")
}

func TestR48DenyListBeatsPolicyAndException(t *testing.T) {
	const static = "Static"
	cases := map[string]struct {
		reason  string
		images  func(imageref.Digest, *testing.T) policy.Images
		request func(*engine.Request)
		ref     string
	}{
		"ByRepository":     {"whatever the tag", func(_ imageref.Digest, t *testing.T) policy.Images { return named(t, "reg.test/app") }, nil, "reg.test/app:1"},
		"ByPattern":        {"and below", func(_ imageref.Digest, t *testing.T) policy.Images { return named(t, "reg.test/**") }, nil, "reg.test/app:1"},
		"R12DoubtStops":    {"what stands before /** may be meant", func(_ imageref.Digest, t *testing.T) policy.Images { return named(t, "reg.test/app/**") }, nil, "reg.test/app:1"},
		"ByWrittenDigest":  {"", func(d imageref.Digest, _ *testing.T) policy.Images { return digested(d) }, nil, "reg.test/app@"},
		"ByResolvedDigest": {"a tag is resolved to look its digest up", func(d imageref.Digest, _ *testing.T) policy.Images { return digested(d) }, nil, "reg.test/app:1"},
		"WithTagAndDigest": {"the digest counts", func(d imageref.Digest, _ *testing.T) policy.Images { return digested(d) }, nil, "reg.test/app:1@"},
		"Unmatched":        {"no policy covers it", func(_ imageref.Digest, t *testing.T) policy.Images { return named(t, "other.test/app") }, nil, "other.test/app:1"},
		"UnmatchedDigest":  {"no policy covers it", func(d imageref.Digest, _ *testing.T) policy.Images { return digested(d) }, nil, "other.test/app@"},
		"NamedPolicies": {"the request names its policies", func(_ imageref.Digest, t *testing.T) policy.Images { return named(t, "reg.test/app") }, func(r *engine.Request) {
			r.Policies = []string{"by-name"}
		}, "reg.test/app:1"},
		"NamedPoliciesDigest": {"the request names its policies", func(d imageref.Digest, _ *testing.T) policy.Images { return digested(d) }, func(r *engine.Request) {
			r.Policies = []string{"by-name"}
		}, "reg.test/app:1"},
		"NoNamedPolicy": {"the request names none that exists", func(_ imageref.Digest, t *testing.T) policy.Images { return named(t, "reg.test/app") }, func(r *engine.Request) {
			r.Policies = []string{"absent"}
		}, "reg.test/app:1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h, signed, digest := world(t)
			h.registry.sign(t, "reg.test/app", digest, "release")
			byName := object(enforce(t, &signer{name: "release"}), "", static)
			byName.ByName, byName.Require = "by-name", policy.Static{Allow: true}
			ref := c.ref
			if strings.HasSuffix(ref, "@") {
				ref += digest.String()
			}
			r := request(ref)
			if c.request != nil {
				c.request(&r)
			}
			h.Swap(engine.NewSnapshotOf(engine.Rules{
				Policies:   []policy.Policy{signed, byName},
				Exceptions: []policy.Exception{exception(h, "all", named(t, "**"))},
				Denials:    []policy.Denial{denyList("other", named(t, "nowhere.test/**")), denyList("stop", c.images(digest, t))},
			}))
			d := h.Decide(t.Context(), r).Images[0]
			if d.Outcome != policy.Denied || d.Pinned != "" || d.Enforced() || d.Excepted() {
				t.Fatalf("%s: want denied, got %+v", c.reason, d)
			}
			if len(d.Policies) != 1 || d.Policies[0].Origin.Kind != "ImageDenyList" || d.Policies[0].Origin.Name != "stop" || d.Policies[0].Effective != policy.Denied {
				t.Errorf("want the list named alone, got %+v", d.Policies)
			}
			if diff := cmp.Diff([]evidence.Reason{evidence.ImageDenied}, reasons(d)); diff != "" {
				t.Errorf("reasons: -want +got:\n%s", diff)
			}
			if why := d.Policies[0].Finding.Problems[0].Error(); !strings.Contains(why, "stolen key") {
				t.Errorf("want the reason of the list, got %q", why)
			}
		})
	}
}

func TestDenyListLeavesOthersAlone(t *testing.T) {
	h, signed, digest := world(t)
	h.registry.sign(t, "reg.test/app", digest, "release")
	h.Swap(engine.NewSnapshotOf(engine.Rules{Policies: []policy.Policy{signed}, Denials: []policy.Denial{
		denyList("names", named(t, "reg.test/other", "reg.test/app/below")), denyList("digests", digested(imageref.DigestOf([]byte("another")))),
	}}))
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed || d.Pinned == "" {
		t.Errorf("want allowed and pinned, got %s %v", d.Outcome, reasons(d))
	}
	if n := h.registry.count("manifest reg.test/app:1"); n != 1 {
		t.Errorf("want the tag resolved once, got %d times", n)
	}
}

func TestR8DenyListByDigestDoesNotContactUnmatchedImages(t *testing.T) {
	h, signed, digest := world(t)
	h.Swap(engine.NewSnapshotOf(engine.Rules{Policies: []policy.Policy{signed}, Denials: []policy.Denial{denyList("stop", digested(digest))}}))
	if d := h.ask(t.Context(), "elsewhere.test/app:1"); d.Outcome != policy.Unmatched {
		t.Errorf("want unmatched, got %s", d.Outcome)
	}
	if len(h.registry.opened) != 0 || h.registry.count("") != 0 {
		t.Errorf("want no registry contacted, got %q", h.registry.opened)
	}
}

func TestR48TagThatCannotBeLookedUpInADenyListIsUndecided(t *testing.T) {
	policies := map[string]func(p policy.Policy) policy.Policy{
		"Enforce": func(p policy.Policy) policy.Policy { return p },
		"Static": func(p policy.Policy) policy.Policy {
			p.Require, p.Pin = policy.Static{Allow: true}, policy.PinNone
			return p
		},
		"Audit":            func(p policy.Policy) policy.Policy { p.Mode = policy.Audit; return p },
		"OutagesAreFine":   func(p policy.Policy) policy.Policy { p.OnUndecided = policy.AllowUndecidedUnsafe; return p },
		"EverythingLifted": func(p policy.Policy) policy.Policy { p.Origin.Name = "lifted"; return p },
	}
	for name, change := range policies {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, engine.Options{NamedHost: func(string) bool { return true }})
			signed := change(object(enforce(t, &signer{name: "release"}), "", "signed"))
			digest := h.registry.push(t, "reg.test/app:1", "a")
			h.registry.setFault(outage)
			x := exception(h, "all", named(t, "reg.test/**"))
			x.Policies = []string{"lifted"}
			h.Swap(engine.NewSnapshotOf(engine.Rules{
				Policies: []policy.Policy{signed}, Exceptions: []policy.Exception{x}, Denials: []policy.Denial{denyList("stop", digested(imageref.DigestOf([]byte("other"))))},
			}))
			d := h.ask(t.Context(), "reg.test/app:1")
			if d.Outcome != policy.Undecided || d.Policies[0].Origin.Kind != "ImageDenyList" {
				t.Errorf("tag: want undecided by the list, got %s %+v", d.Outcome, d.Policies)
			}
			if diff := cmp.Diff([]evidence.Reason{evidence.RegistryUnavailable}, reasons(d)); diff != "" {
				t.Errorf("reasons: -want +got:\n%s", diff)
			}
			if d := h.ask(t.Context(), "reg.test/app@"+digest.String()); len(d.Policies) != 1 || d.Policies[0].Origin.Kind == "ImageDenyList" {
				t.Errorf("digest: want the list to have no say, got %+v", d.Policies)
			}
		})
	}
}

func TestR18DenyListThatDoesNotCompileLeavesEveryImageUndecided(t *testing.T) {
	h, signed, digest := world(t)
	h.registry.sign(t, "reg.test/app", digest, "release")
	broken := denyList("broken", named(t, "reg.test/app"))
	broken.Invalid = errBoom
	h.Swap(engine.NewSnapshotOf(engine.Rules{
		Policies: []policy.Policy{signed}, Exceptions: []policy.Exception{exception(h, "all", named(t, "**"))}, Denials: []policy.Denial{broken, denyList("stop", named(t, "reg.test/bad"))},
	}))
	for _, ref := range []string{"reg.test/app:1", "reg.test/app@" + digest.String(), "elsewhere.test/app:1"} {
		d := h.ask(t.Context(), ref)
		if d.Outcome != policy.Undecided || len(d.Policies) != 1 || d.Policies[0].Effective != policy.Undecided {
			t.Errorf("%s: want undecided by the list, got %s %+v", ref, d.Outcome, d.Policies)
		}
		if diff := cmp.Diff([]evidence.Reason{evidence.PolicyNotReady}, reasons(d)); diff != "" {
			t.Errorf("%s: reasons: -want +got:\n%s", ref, diff)
		}
	}
	if d := h.ask(t.Context(), "reg.test/bad:1"); d.Outcome != policy.Denied {
		t.Errorf("want the list that compiles to deny, got %s", d.Outcome)
	}
}

// A deny list knows content by its sha256. The same content under another digest
// may be on it, whether a policy covers the image or not.
func TestR48OtherDigestThanDenyListsNameIsUndecided(t *testing.T) {
	h, signed, digest := world(t)
	signed.Require, signed.Pin = policy.Static{Allow: true}, policy.PinNone
	h.Swap(engine.NewSnapshotOf(engine.Rules{Policies: []policy.Policy{signed}, Denials: []policy.Denial{denyList("stop", digested(digest))}}))
	for _, repository := range []string{"reg.test/app", "elsewhere.test/unmatched"} {
		d := h.ask(t.Context(), repository+"@sha512:"+strings.Repeat("ab", 64))
		if d.Outcome != policy.Undecided || d.Policies[0].Origin.Kind != "ImageDenyList" {
			t.Errorf("%s: want undecided by the list, got %s %+v", repository, d.Outcome, d.Policies)
		}
	}
}
