package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/workload"
)

// scoped is a matcher of some namespaces that counts how often it is asked.
type scoped struct {
	names []string
	asked *int
}

func (s scoped) Namespaces() []string { return s.names }

func (s scoped) Match(r policy.Request) (bool, error) {
	if s.asked != nil {
		*s.asked++
	}
	switch {
	case len(s.names) == 0 || r.Namespace.State == policy.NamespaceNotCarried:
		return true, nil
	case r.Namespace.State == policy.NamespaceUnknown:
		return false, errBoom
	}
	return slices.Contains(s.names, r.Namespace.Name), nil
}

// plain hides what a pattern tells beside policy.ImagePattern.
type plain struct{ policy.ImagePattern }

// TestIndexFindsWhatEachPolicySays compares what is selected with what each policy
// says when it is asked, over random policies, images and requests.
func TestIndexFindsWhatEachPolicySays(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	patterns := []string{
		"**", "nginx", "busybox", "docker.io/**", "docker.io/library/*", "*.docker.io/nginx", "*.io/acme/app", "ghcr.io/acme/app", "ghcr.io/acme/**",
		"ghcr.io/ac*/app", "ghcr.io/**", "ghcr.io/**/app", "reg.test:5000/a", "reg.test:*/a/b", "reg.test/a/**", "localhost/a",
	}
	images := []string{
		"nginx", "docker.io/nginx:1", "index.docker.io/library/nginx", "ghcr.io/acme/app:1", "GHCR.IO:443/acme/app", "ghcr.io/acme", "ghcr.io/acme/a/b/app",
		"reg.test:5000/a", "reg.test/a/b", "reg.test:80/a/b", "localhost/a", "quay.io/x/y",
	}
	namespaces, names := []string{"a", "b", "c", ""}, []string{"", "", "one", "two"}
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf("n%d", i)
	}
	h := newHarness(t, engine.Options{})
	for range 300 {
		var policies []policy.Policy
		for i := range 40 {
			p := policy.Policy{Origin: policy.Origin{Name: fmt.Sprint(i)}, Require: policy.Static{Allow: true}, Pin: policy.PinNone, ByName: pick(names)}
			for range random.IntN(4) {
				p.Include = append(p.Include, pattern(t, pick(patterns)))
				if random.IntN(20) == 0 {
					p.Include = append(p.Include, plain{pattern(t, pick(patterns))})
				}
			}
			if random.IntN(20) == 0 { // more than an index keeps apart
				for j := range 100 {
					p.Include = append(p.Include, pattern(t, fmt.Sprintf("reg%d.test/**", j)))
				}
			}
			switch random.IntN(5) {
			case 0, 1:
				p.Match = scoped{names: []string{pick(namespaces[:3]), pick(namespaces[:3])}}
			case 2:
				p.Match = scoped{names: append([]string{pick(namespaces[:3])}, many...)}
			case 3:
				p.Match = policy.MatcherFunc(func(r policy.Request) (bool, error) { return r.Namespace.Name != "b", nil })
			}
			policies = append(policies, p)
		}
		h.Swap(engine.NewSnapshot(policies))
		r := engine.Request{Request: policy.Request{Namespace: policy.Namespace{State: policy.NamespaceState(random.IntN(3)), Name: pick(namespaces)}}}
		if random.IntN(3) == 0 {
			r.Policies = []string{pick(names[2:]), pick(names), "absent"}
		}
		for _, image := range images {
			r.Images = append(r.Images, workload.Image{Ref: image})
		}
		for i, d := range h.Decide(t.Context(), r).Images {
			var got []string
			for _, p := range d.Policies {
				got = append(got, p.Origin.Name)
			}
			if diff := cmp.Diff(asked(t, policies, r, images[i]), got); diff != "" {
				t.Fatalf("%s for %+v: -want +got:\n%s", images[i], r.Namespace, diff)
			}
		}
	}
}

// asked asks each policy.
func asked(t *testing.T, policies []policy.Policy, r engine.Request, image string) []string {
	t.Helper()
	ref, err := imageref.Parse(image)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, p := range policies {
		if p.ByName == "" && len(r.Policies) > 0 || p.ByName != "" && !slices.Contains(r.Policies, p.ByName) {
			continue
		}
		applies, err := true, error(nil)
		if p.Match != nil {
			applies, err = p.Match.Match(r.Request)
		}
		if (applies || err != nil) && p.Covers(ref) {
			found = append(found, p.Origin.Name)
		}
	}
	return found
}

// thousand are policies of a platform with many teams: each has its namespace and
// its registry path, and two are for everybody.
func thousand(t testing.TB, asked *int) []policy.Policy {
	t.Helper()
	policies := []policy.Policy{
		{Origin: policy.Origin{Name: "everything"}, Include: []policy.ImagePattern{pattern(t, "**")}, Match: scoped{asked: asked}},
		{Origin: policy.Origin{Name: "registry"}, Include: []policy.ImagePattern{pattern(t, "reg.test/**")}, Match: scoped{asked: asked}},
	}
	for i := range 499 {
		team := fmt.Sprintf("team-%d", i)
		policies = append(policies,
			policy.Policy{Origin: policy.Origin{Name: team}, Include: []policy.ImagePattern{pattern(t, "reg.test/"+team+"/**")}, Match: scoped{asked: asked}},
			policy.Policy{Origin: policy.Origin{Namespace: team, Name: "own"}, Include: []policy.ImagePattern{pattern(t, "**")}, Match: scoped{names: []string{team}, asked: asked}},
		)
	}
	for i := range policies {
		policies[i].Require, policies[i].Pin = policy.Static{Allow: true}, policy.PinNone
	}
	return policies
}

func teamRequest() engine.Request {
	r := request("reg.test/team-7/app:1")
	r.Namespace.Name = "team-7"
	return r
}

func TestAReviewTouchesOnlyThePoliciesThatCanMatch(t *testing.T) {
	var asked int
	policies := thousand(t, &asked)
	h := newHarness(t, engine.Options{}, policies...)
	d := h.Decide(t.Context(), teamRequest())
	if n := len(d.Images[0].Policies); n != 4 || asked != 4 {
		t.Errorf("want 4 of %d policies, each asked once, got %d, asked %d times", len(policies), n, asked)
	}
}

func BenchmarkSelectAmongThousandPolicies(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h := newHarness(b, engine.Options{}, thousand(b, nil)[:n]...)
			r := teamRequest()
			r.Policies = nil
			for b.Loop() {
				h.Decide(b.Context(), r)
			}
		})
	}
}

func BenchmarkDenyListOfThousandImages(b *testing.B) {
	h := newHarness(b, engine.Options{})
	var images policy.Images
	for i := range 500 {
		images.Patterns = append(images.Patterns, pattern(b, fmt.Sprintf("reg.test/bad-%d/**", i)))
		images.Digests = append(images.Digests, imageref.DigestOf(fmt.Append(nil, i)))
	}
	h.Swap(engine.NewSnapshotOf(engine.Rules{Denials: []policy.Denial{{Images: images}}}))
	r := request("reg.test/team-7/app@" + imageref.DigestOf([]byte("x")).String())
	for b.Loop() {
		h.Decide(b.Context(), r)
	}
}

// long is a pattern of this length that means every image.
type long int

func (long) Includes(imageref.Reference) bool { return true }
func (long) Excludes(imageref.Reference) bool { return true }
func (l long) String() string                 { return strings.Repeat("*", int(l)) }

// The author of a namespace's policies can make them ask for much, and the author of
// a Pod for many images. It costs their own namespace alone.
// TestR1PinnedImageCostsWhatItsTagDoes: what one door has allowed and pinned is
// not too much for the next.
func TestR1PinnedImageCostsWhatItsTagDoes(t *testing.T) {
	const ref = "reg.test/app:1"
	p := object(policy.Policy{
		Include: []policy.ImagePattern{long(1 << 26 / len(ref))}, Require: policy.Static{Allow: true}, Pin: policy.PinNone, Match: scoped{names: []string{"shop"}},
	}, "shop", "tenant")
	for _, name := range []string{ref, ref + "@sha256:" + strings.Repeat("ab", 32)} {
		r := request(name)
		r.Namespace.Name = "shop"
		if d := newHarness(t, engine.Options{}, p).Decide(t.Context(), r).Images[0]; d.Outcome != policy.Allowed {
			t.Errorf("%s: want it allowed, got %s %v", name, d.Outcome, reasons(d))
		}
	}
}

func TestR1MatchingOfNamespacedPoliciesIsBounded(t *testing.T) {
	const ref = "reg.test/app:1"
	const most = 1 << 26 / len(ref)
	tenants := func(lengths ...int) []policy.Policy {
		var all []policy.Policy
		for _, l := range lengths {
			p := object(policy.Policy{Include: []policy.ImagePattern{long(l)}, Require: policy.Static{Allow: true}, Pin: policy.PinNone, Match: scoped{names: []string{"shop"}}}, "shop", fmt.Sprint(l))
			all = append(all, p)
		}
		return all
	}
	cluster := object(policy.Policy{Include: []policy.ImagePattern{long(most + 1)}, Require: policy.Static{Allow: true}, Pin: policy.PinNone}, "", "cluster")
	excluded := tenants(most)
	excluded[0].Exclude = []policy.ImagePattern{long(1)}
	cases := map[string]struct {
		policies []policy.Policy
		images   int
		in       string
		want     policy.Outcome
	}{
		"Fits":           {tenants(most), 1, "shop", policy.Allowed},
		"TooMuch":        {tenants(most + 1), 1, "shop", policy.Undecided},
		"Together":       {tenants(most/2, most/2), 1, "shop", policy.Allowed},
		"TogetherMuch":   {tenants(most/2, most/2+1, 1), 1, "shop", policy.Undecided},
		"Exclusions":     {excluded, 1, "shop", policy.Undecided},
		"TwoImages":      {tenants(most / 2), 2, "shop", policy.Allowed},
		"TwoImagesMuch":  {tenants(most/2 + 1), 2, "shop", policy.Undecided},
		"OtherNamespace": {tenants(most + 1), 1, "till", policy.Unmatched},
		"ClusterPolicy":  {[]policy.Policy{cluster}, 2, "shop", policy.Allowed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, engine.Options{}, c.policies...)
			r := request(slices.Repeat([]string{ref}, c.images)...)
			r.Namespace.Name = c.in
			for _, d := range h.Decide(t.Context(), r).Images {
				if d.Outcome != c.want {
					t.Errorf("want %s, got %s %v", c.want, d.Outcome, reasons(d))
				}
				if c.want == policy.Undecided && !slices.Contains(reasons(d), evidence.SelectionFailed) {
					t.Errorf("want %s, got %v", evidence.SelectionFailed, reasons(d))
				}
			}
		})
	}
}
