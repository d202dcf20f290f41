package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/workload"
)

// chooser makes choices by bytes, and the first of each when they are used up.
type chooser struct{ data []byte }

func (c *chooser) below(n int) int {
	if len(c.data) == 0 {
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return int(b) % n
}

func (c *chooser) oneIn(n int) bool { return c.below(n) == n-1 }

func (c *chooser) of(all ...string) string { return all[c.below(len(all))] }

// drawn are rules and a request that were drawn, and what the registry holds.
type drawn struct {
	rules   engine.Rules
	request engine.Request
	refs    []imageref.Reference
	content map[string]imageref.Digest // of each "repository:tag"
}

var aliased = map[string]string{"mirror.test": "reg.test", "hub.test:5000": "docker.io"}

// draw draws rules in which few things are named by many of them, in many ways.
func draw(t *testing.T, c *chooser, h *harness, parser imageref.Parser) drawn {
	t.Helper()
	d := drawn{content: map[string]imageref.Digest{}}
	var digests []imageref.Digest
	for range 1 + c.below(6) {
		ref, err := parser.Parse(c.image())
		if err != nil {
			t.Fatal(err)
		}
		if tag := ref.Tag(); ref.Digest().IsZero() {
			name := ref.Repository().String() + ":" + tag
			d.content[name] = h.registry.push(t, name, ref.Repository().Path())
			digests = append(digests, d.content[name])
		} else {
			digests = append(digests, ref.Digest())
		}
		d.refs = append(d.refs, ref)
		d.request.Images = append(d.request.Images, workload.Image{Ref: ref.Original()})
	}
	images := func() policy.Images {
		images := policy.Images{Patterns: c.patterns(parser, 3)}
		for range c.below(4) - 1 {
			images.Digests = append(images.Digests, digests[c.below(len(digests))])
		}
		if c.oneIn(8) {
			images.Digests = append(images.Digests, imageref.Digest{})
		}
		return images
	}
	for i := range c.below(12) {
		p := policy.Policy{Include: c.patterns(parser, 4), Exclude: c.patterns(parser, 2), Require: policy.Static{Allow: true}, Pin: policy.Pin(c.below(2)), Match: c.matcher()}
		p = object(p, c.of("", "", "a", "b"), fmt.Sprintf("p%d", i))
		p.ByName = c.of("", "", "", "one")
		d.rules.Policies = append(d.rules.Policies, p)
	}
	for i := range c.below(6) {
		x := exception(h, fmt.Sprintf("x%d", i), images())
		x.Expires = h.clock.Now().Add(time.Duration(c.below(4)) * time.Hour) // the first has ended
		x.Policies = [][]string{nil, {"p0", "a/p1"}, {"p2", "b/p3", "p1"}}[c.below(3)]
		x.Namespaces = [][]string{nil, {"a"}, {"b", "c"}}[c.below(3)]
		x.Workloads = [][]policy.Workload{nil, {{Kind: "Pod", Name: "web-*"}}, {{Kind: "Pod", Name: "web"}, {Kind: "Job", Name: "*"}}}[c.below(3)]
		d.rules.Exceptions = append(d.rules.Exceptions, x)
	}
	for i := range c.below(6) - 2 {
		d.rules.Denials = append(d.rules.Denials, denyList(fmt.Sprintf("d%d", i), images()))
	}
	d.request.Kind, d.request.Name, d.request.CanPin = "Pod", c.of("web", "web-1", "web-*", "other", ""), true
	d.request.Namespace = policy.Namespace{State: policy.NamespaceState(c.below(3)), Name: c.of("a", "b", "c", "")}
	if c.oneIn(4) {
		d.request.Policies = []string{"one", "absent"}
	}
	return d
}

func (c *chooser) image() string {
	s := c.of("", "docker.io/", "index.docker.io/", "reg.test/", "REG.test:443/", "reg.test:5000/", "mirror.test/", "hub.test:5000/", "localhost/", "ghcr.io/", "[2001:DB8:0::1]:5000/", "192.0.2.1/", "[::ffff:c000:201]/", "Corp/", "corp:443/")
	s += c.of("app", "nginx", "library/nginx", "a/app", "a/b/app", "a/b", "b/a", "library/a/app")
	switch c.below(6) {
	case 0:
		s += ":1"
	case 1:
		s += ":v2"
	case 2:
		s += "@" + imageref.DigestOf([]byte(s)).String()
	case 3:
		s += ":1@" + imageref.DigestOf([]byte("shared")).String()
	case 4:
		s += "@sha512:" + strings.Repeat("ab", 64)
	}
	return s
}

func (c *chooser) patterns(parser imageref.Parser, most int) []policy.ImagePattern {
	var all []policy.ImagePattern
	if c.oneIn(24) { // more than an index keeps apart
		for i := range 70 {
			all = append(all, mustPattern(parser, fmt.Sprintf("reg%d.test/**", i)))
		}
	}
	for range c.below(most + 1) {
		s := c.of("**", "", "docker.io/", "registry-1.docker.io/", "reg.test/", "REG.test:443/", "reg.test:5000/", "reg.test:*/", "*.test/", "m*.test/", "hub.*:*/", "*.io/", "*.docker.io/", "localhost/", "ghcr.io/", "mirror.test/", "[2001:db8::1]:5000/", "192.0.2.1/", "corp:443/")
		if s != "**" {
			s += c.of("**", "app", "nginx", "library/nginx", "library/*", "a/**", "a/*", "*/app", "**/app", "a/**/app", "*", "a*/b", "a/b/app/**") + c.of("", "", "", ":1", ":v*", "@"+imageref.DigestOf([]byte("shared")).String())
		}
		p, err := parser.ParsePattern(s)
		switch {
		case err != nil: // such as "*/app", which is refused
		case c.oneIn(16):
			all = append(all, plain{p})
		default:
			all = append(all, p)
		}
	}
	return all
}

func mustPattern(parser imageref.Parser, s string) policy.ImagePattern {
	p, err := parser.ParsePattern(s)
	if err != nil {
		panic(err)
	}
	return p
}

func (c *chooser) matcher() policy.Matcher {
	switch c.below(5) {
	case 0:
		return scoped{names: []string{c.of("a", "b", "c"), c.of("a", "b", "c")}}
	case 1: // more than an index keeps apart
		names := make([]string, 70)
		for i := range names {
			names[i] = fmt.Sprintf("n%d", i)
		}
		return scoped{names: append(names, c.of("a", "b"))}
	case 2:
		return scoped{}
	case 3:
		return policy.MatcherFunc(func(r policy.Request) (bool, error) { return r.Namespace.Name != "b", nil })
	}
	return nil
}

// verdict is what is compared: who decides, and what is lifted.
type verdict struct {
	Outcome policy.Outcome
	By      []string
	Lifts   []string
}

// scan decides as the words of policies, exceptions and deny lists say, by asking
// each of them.
func (d drawn) scan(i int, now time.Time) verdict {
	ref, digest := d.refs[i], d.refs[i].Digest()
	if by := d.denied(ref, digest); len(by) > 0 {
		return verdict{Outcome: policy.Denied, By: by}
	}
	if digest.Algorithm() == "sha512" {
		if by := d.listing(); len(by) > 0 {
			return verdict{Outcome: policy.Undecided, By: by}
		}
	}
	var applied []policy.Policy
	doubted := map[string]bool{}
	for _, p := range d.rules.Policies {
		named := slices.Contains(d.request.Policies, p.ByName)
		if p.ByName == "" && len(d.request.Policies) > 0 || p.ByName != "" && !named {
			continue
		}
		applies, err := true, error(nil)
		if p.Match != nil {
			applies, err = p.Match.Match(d.request.Request)
		}
		if (applies || err != nil) && p.Covers(ref) {
			applied = append(applied, p)
			doubted[p.Origin.Name] = err != nil
		}
	}
	if len(applied) == 0 {
		return verdict{Outcome: policy.Unmatched}
	}
	if digest.IsZero() {
		digest = d.content[ref.Repository().String()+":"+ref.Tag()]
	}
	if by := d.denied(ref, digest); len(by) > 0 {
		return verdict{Outcome: policy.Denied, By: by}
	}
	v := verdict{Outcome: policy.Allowed}
	for _, p := range applied {
		v.By = append(v.By, p.Origin.Name)
		lifts := len(v.Lifts)
		for _, x := range d.rules.Exceptions {
			if x.Active(now) && x.HoldsFor(d.request.Request) && x.Lifts(p.Origin) && means(x.Images, digest, func(i policy.ImagePattern) bool { return i.Excludes(ref) }) {
				v.Lifts = append(v.Lifts, x.Origin.Name+" "+p.Origin.Name)
			}
		}
		if doubted[p.Origin.Name] && lifts == len(v.Lifts) {
			v.Outcome = policy.Undecided
		}
	}
	return v
}

func means(images policy.Images, digest imageref.Digest, by func(policy.ImagePattern) bool) bool {
	return !digest.IsZero() && slices.Contains(images.Digests, digest) || slices.ContainsFunc(images.Patterns, by)
}

func (d drawn) denied(ref imageref.Reference, digest imageref.Digest) []string {
	var by []string
	for _, l := range d.rules.Denials {
		if means(l.Images, digest, func(i policy.ImagePattern) bool { return i.Includes(ref) }) {
			by = append(by, l.Origin.Name)
		}
	}
	return by
}

func (d drawn) listing() []string {
	var by []string
	for _, l := range d.rules.Denials {
		if len(l.Images.Digests) > 0 {
			by = append(by, l.Origin.Name)
		}
	}
	return by
}

func decidedAs(d engine.ImageDecision) verdict {
	v := verdict{Outcome: d.Outcome}
	for _, p := range d.Policies {
		v.By = append(v.By, p.Origin.Name)
	}
	for _, l := range d.Lifted {
		v.Lifts = append(v.Lifts, l.Exception.Name+" "+l.Policy.Name)
	}
	return v
}

// FuzzR12IndexMissesNothing compares the engine, which looks policies, exceptions
// and deny lists up, with a scan of all of them.
func FuzzR12IndexMissesNothing(f *testing.F) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 7))
		data := make([]byte, 100+random.IntN(900))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		f.Add(data)
	}
	parser, err := imageref.NewParser(aliased)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h := newHarness(t, engine.Options{Parser: parser})
		d := draw(t, &chooser{data}, h, parser)
		h.Swap(engine.NewSnapshotOf(d.rules))
		for i, got := range h.Decide(t.Context(), d.request).Images {
			if diff := cmp.Diff(d.scan(i, h.clock.Now()), decidedAs(got)); diff != "" {
				t.Errorf("%s for %+v: scan -, engine +:\n%s", d.refs[i].Original(), d.request.Request, diff)
			}
		}
	})
}
