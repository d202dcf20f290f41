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

// A list that names digests says nothing where none of them can be meant; one that
// nobody can read may name anything.
func TestR18BrokenDenyListHoldsForOtherDigestsToo(t *testing.T) {
	h, signed, _ := world(t)
	signed.Require, signed.Pin = policy.Static{Allow: true}, policy.PinNone
	broken := denyList("broken", policy.Images{})
	broken.Invalid = errBoom
	h.Swap(engine.NewSnapshotOf(engine.Rules{Policies: []policy.Policy{signed}, Denials: []policy.Denial{broken}}))
	d := h.ask(t.Context(), "reg.test/app@sha512:"+strings.Repeat("ab", 64))
	if d.Outcome != policy.Undecided || len(d.Policies) != 1 || d.Policies[0].Origin.Name != "broken" {
		t.Errorf("want undecided by the list, got %s %+v", d.Outcome, d.Policies)
	}
}

// A tag is only resolved for rulings that look a digest up.
func TestR8RulingsWithoutDigestsContactNoRegistry(t *testing.T) {
	h, signed, digest := world(t)
	signed.Require, signed.Pin = policy.Static{Allow: true}, policy.PinNone
	byName, ended, elsewhere := exception(h, "names", named(t, "reg.test/other")), exception(h, "ended", digested(digest)), exception(h, "elsewhere", digested(digest))
	ended.Expires = h.clock.Now()
	elsewhere.Namespaces = []string{"till"}
	h.Swap(engine.NewSnapshotOf(engine.Rules{
		Policies: []policy.Policy{signed}, Exceptions: []policy.Exception{byName, ended, elsewhere}, Denials: []policy.Denial{denyList("names", named(t, "reg.test/other"))},
	}))
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
		t.Errorf("want allowed, got %s", d.Outcome)
	}
	if len(h.registry.opened) != 0 || h.registry.count("") != 0 {
		t.Errorf("want no registry contacted, got %q", h.registry.opened)
	}
}

// An exception by digest that cannot be looked up lifts nothing, and the policy
// says so itself.
func TestR41OutageWithAnExceptionByDigestIsThePolicysToExcuse(t *testing.T) {
	for onUndecided, want := range map[policy.OnUndecided]policy.Outcome{policy.DenyUndecided: policy.Undecided, policy.AllowUndecidedUnsafe: policy.Allowed} {
		t.Run(onUndecided.String(), func(t *testing.T) {
			h := newHarness(t, engine.Options{NamedHost: func(string) bool { return true }})
			signed := object(enforce(t, &signer{name: "release"}), "", "signed")
			signed.OnUndecided = onUndecided
			h.registry.setFault(outage)
			h.Swap(engine.NewSnapshotOf(engine.Rules{
				Policies: []policy.Policy{signed}, Exceptions: []policy.Exception{exception(h, "x", digested(imageref.DigestOf(nil)))},
			}))
			d := h.ask(t.Context(), "reg.test/app:1")
			if d.Outcome != want || len(d.Policies) != 1 || d.Policies[0].Origin.Name != "signed" {
				t.Errorf("want %s by the policy, got %s %+v", want, d.Outcome, d.Policies)
			}
		})
	}
}

func TestStoppedImageSaysWhatWasDone(t *testing.T) {
	h, signed, digest := world(t)
	h.Swap(engine.NewSnapshotOf(engine.Rules{Policies: []policy.Policy{signed}, Denials: []policy.Denial{denyList("one", digested(digest)), denyList("two", digested(digest))}}))
	for ref, want := range map[string][]string{"reg.test/app:1": {"select", "resolve", "rule"}, "reg.test/app@" + digest.String(): {"rule"}} {
		d := h.ask(t.Context(), ref)
		var got []string
		for _, s := range d.Steps {
			got = append(got, s.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got:\n%s", ref, diff)
		}
		if last := d.Steps[len(d.Steps)-1].Detail; last != "2 deny lists: denied" {
			t.Errorf("%s: want the lists counted, got %q", ref, last)
		}
	}
}

func TestLiftedImageSaysWhatWasDone(t *testing.T) {
	h, signed, _ := world(t)
	other := object(enforce(t, &signer{name: "other"}), "", "other")
	x := exception(h, "x", named(t, "reg.test/app"))
	x.Policies = []string{"other"}
	h.Swap(engine.NewSnapshotOf(engine.Rules{Policies: []policy.Policy{signed, other}, Exceptions: []policy.Exception{x}}))
	for _, s := range h.ask(t.Context(), "reg.test/app:1").Steps {
		if s.Name == "rule" && s.Detail == "1 of 2 policies are lifted" {
			return
		}
	}
	t.Error("want a step that counts what is lifted")
}

// Whoever controls a registry and may create workloads writes an image's name in
// any way that a node takes. A deny list stops them all; an exception for one image
// does not take another's name for its own.
func TestR11SpellingsOfADeniedImage(t *testing.T) {
	const host, hub = "reg.test/acme/app", "docker.io/library/nginx"
	digest := imageref.DigestOf([]byte("x")).String()
	cases := map[string]struct {
		listed, ref      string
		denied, excepted bool
	}{
		"Case":                  {host, "REG.Test/acme/app:1", true, true},
		"DefaultPort":           {host, "reg.test:443/acme/app:1", true, true},
		"ListedWithPort":        {"REG.test:443/acme/app", host + ":1", true, true},
		"NoTag":                 {host, host, true, true},
		"Digest":                {host, host + "@" + digest, true, true},
		"R13TagAndDigest":       {host, host + ":1@" + digest, true, true},
		"Digest512":             {host, host + "@sha512:" + strings.Repeat("ab", 64), true, true},
		"HubShort":              {hub, "nginx", true, true},
		"HubLibrary":            {hub, "library/nginx:1", true, true},
		"HubHost":               {hub, "docker.io/nginx", true, true},
		"HubAlias":              {hub, "index.docker.io/library/nginx", true, true},
		"HubOtherAlias":         {hub, "registry-1.docker.io:443/nginx", true, true},
		"HubListedShort":        {"nginx", "registry.hub.docker.com/library/nginx", true, true},
		"HubListedAlias":        {"index.docker.io/nginx", "nginx", true, true},
		"HubCase":               {hub, "Docker.IO/nginx", true, true},
		"Address6":              {"[2001:db8::1]:5000/a/b", "[2001:DB8:0:0:0:0:0:1]:5000/a/b", true, true},
		"Address6Mapped":        {"192.0.2.1/a/b", "[::ffff:c000:201]/a/b", true, true},
		"Below":                 {host + "/**", host + "/x/y:1", true, true},
		"BelowOrItself":         {host + "/**", host + ":1", true, false},
		"OtherPort":             {host, "reg.test:5000/acme/app", false, false},
		"AnyPort":               {"reg.test:*/acme/app", "reg.test:5000/acme/app", true, true},
		"OtherPath":             {host, "reg.test/acme/app2", false, false},
		"PathBelowARepository":  {host, "reg.test/acme/app/x", false, false},
		"HostAsPath":            {host, "evil.test/reg.test/acme/app", false, false},
		"HostSuffix":            {host, "xreg.test/acme/app", false, false},
		"HostPrefix":            {host, "reg.test.evil.test/acme/app", false, false},
		"HubNamespaceElsewhere": {hub, "evil.test/library/nginx", false, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h, signed, _ := world(t)
			signed.Include = []policy.ImagePattern{pattern(t, "**")}
			rules := engine.Rules{Policies: []policy.Policy{signed}, Denials: []policy.Denial{denyList("stop", named(t, c.listed))}}
			h.Swap(engine.NewSnapshotOf(rules))
			d := h.ask(t.Context(), c.ref)
			if denied := d.Policies[0].Origin.Name == "stop"; denied != c.denied || denied && d.Outcome != policy.Denied {
				t.Errorf("deny list: want %t, got %t %s", c.denied, denied, d.Outcome)
			}
			rules.Denials, rules.Exceptions = nil, []policy.Exception{exception(h, "x", named(t, c.listed))}
			h.Swap(engine.NewSnapshotOf(rules))
			if d := h.ask(t.Context(), c.ref); len(d.Lifted) > 0 != c.excepted {
				t.Errorf("exception: want %t, got %+v", c.excepted, d.Lifted)
			}
		})
	}
}

// Spellings that a node and a registry could read differently name no image.
func TestR11SpellingsThatAreNoName(t *testing.T) {
	h, signed, _ := world(t)
	signed.Include, signed.Require, signed.Pin = []policy.ImagePattern{pattern(t, "**")}, policy.Static{Allow: true}, policy.PinNone
	h.Swap(engine.NewSnapshotOf(engine.Rules{Policies: []policy.Policy{signed}, Exceptions: []policy.Exception{exception(h, "x", named(t, "**"))}}))
	for _, ref := range []string{
		"reg.test./acme/app", "docker.io./nginx", "reg.test/acme%2Fapp", "reg%2etest/acme/app", "reg.test/acme//app", "reg.test/../app", "réG.test/acme/app",
		"reg.test/acme/app@sha256:" + strings.Repeat("AB", 32), "reg.test/acme/app@sha384:" + strings.Repeat("ab", 48), "reg.test/acme/app@sha256:ab",
		"[fe80::1%25eth0]/a/b", "[::1/a/b", "2130706433/a/b:1@", "0x7f.1/a/b", "127.1/a/b", "https://reg.test/acme/app", "user@reg.test/acme/app",
		"reg.test:0443/acme/app", "reg.test:/acme/app", " reg.test/acme/app", "reg.test/acme/app\n", "sha256:" + strings.Repeat("ab", 32),
	} {
		if d := h.ask(t.Context(), ref); d.Outcome != policy.Denied || len(d.Lifted) > 0 {
			t.Errorf("%q: want denied, got %s", ref, d.Outcome)
		}
	}
}
