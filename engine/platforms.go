package engine

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// maxParallelPlatforms bounds how many platforms of an image are looked at at
// once: each has requests in flight, and its part of the decision's bytes.
const maxParallelPlatforms = 4

// platforms are what may run of an image index, for policies that ask for each.
type platforms struct {
	*work
	children []*platform
	failed   *evidence.Problem // why it is not known what may run
	rooted   chan struct{}     // closed when the index itself has been looked at

	mu      sync.Mutex
	holders map[imageref.Digest]*holder // nested indexes that hold statements
}

// platform is one child of an index that may run.
type platform struct {
	*subject
	child   evidence.Child
	refused *evidence.Problem // why it is not what the index says
}

// index reads what may run of the image, if it is an index; nil if it is none.
func (w *work) index(ctx context.Context, each []selected) *platforms {
	all := &platforms{work: w, rooted: make(chan struct{}), holders: map[imageref.Digest]*holder{}}
	if w.resolve(ctx); w.failed != nil {
		all.failed = w.failed
		return all
	}
	own, problem := w.open(ctx, w.repository())
	if problem != nil {
		all.failed = problem
		return all
	}
	image, err := evidence.Resolve(ctx, own.source, w.repository().WithDigest(w.decision.Digest))
	if err != nil {
		all.failed = evidence.ProblemOf(err)
		w.step("platforms", all.failed.Sentence())
		return all
	}
	w.image = &image
	if !image.Manifest.IsIndex() {
		return nil
	}
	k := walk{platforms: all, source: own.source, each: each, seen: map[imageref.Digest]bool{image.Digest(): true}}
	if all.failed = k.index(ctx, image, nil); all.failed != nil {
		all.children = nil
		w.step("platforms", all.failed.Sentence())
		return all
	}
	w.step("platforms", fmt.Sprintf("%d of %d in the index count", len(all.children), k.entries))
	return all
}

// walk goes through an index and those nested in it, within bounds: what an
// index names costs a decision of its own.
type walk struct {
	platforms *platforms
	source    evidence.Source
	each      []selected
	entries   int
	seen      map[imageref.Digest]bool // indexes
}

func (k *walk) index(ctx context.Context, index evidence.Image, above []evidence.Image) *evidence.Problem {
	within := append(above[:len(above):len(above)], index)
	if len(within) > evidence.MaxIndexDepth {
		return &evidence.Problem{Reason: evidence.LimitExceeded, Expected: fmt.Sprintf("at most %d nested indexes", evidence.MaxIndexDepth), Got: "more"}
	}
	children, err := evidence.Children(index.Manifest)
	if err != nil {
		return evidence.ProblemOf(err)
	}
	for _, c := range children {
		if k.entries++; k.entries > evidence.MaxChildren {
			return &evidence.Problem{Reason: evidence.LimitExceeded, Expected: fmt.Sprintf("an index of at most %d images", evidence.MaxChildren), Got: "more"}
		}
		if !c.IsIndex() && c.MediaType != "" {
			k.add(c, within)
			continue
		}
		if problem := k.nested(ctx, c, within); problem != nil {
			return problem
		}
	}
	return nil
}

// nested reads a child that is or may be an index itself.
func (k *walk) nested(ctx context.Context, c evidence.Child, within []evidence.Image) *evidence.Problem {
	w := k.platforms.work
	if problem := w.budget.spend(ctx, min(c.Size, evidence.MaxManifestBytes)); problem != nil {
		return problem
	}
	image, err := evidence.ResolveChild(ctx, k.source, within[len(within)-1], c)
	switch {
	case err != nil:
		return evidence.ProblemOf(err)
	case !image.Manifest.IsIndex():
		k.add(c, within)
		return nil
	case k.seen[c.Digest]:
		return nil
	}
	k.seen[c.Digest] = true
	return k.index(ctx, image, within)
}

// add notes a child that some policy asks for.
func (k *walk) add(c evidence.Child, within []evidence.Image) {
	var asking []selected
	for _, p := range k.each {
		if counts(p.Platforms, c.Platform) {
			asking = append(asking, p)
		}
	}
	if len(asking) == 0 {
		return
	}
	s := k.platforms.subject(c.Digest, asking)
	s.within, s.log.title = within, platformTitle(c)
	s.split()
	k.platforms.children = append(k.platforms.children, &platform{subject: s, child: c})
}

// prove finds out what can be found out about the index itself and about each
// platform.
func (p *platforms) prove(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() {
		defer close(p.rooted)
		defer func() { // nobody else would catch it (TRUST R48)
			if r := recover(); r != nil {
				p.root.known = map[policy.SignerID]policy.Leaf{}
				p.root.fail(panicked(r))
			}
		}()
		p.root.prove(ctx)
	})
	inParallel(len(p.children), maxParallelPlatforms, func(i int) {
		c := p.children[i]
		defer func() {
			if r := recover(); r != nil {
				c.refused = panicked(r)
			}
		}()
		c.prove(ctx)
	})
	running.Wait()
}

// prove finds out about one platform, and that it is what the index says.
func (c *platform) prove(ctx context.Context) {
	read := make(chan *evidence.Problem, 1)
	go func() {
		_, err := caught(ctx, func(ctx context.Context) (evidence.Image, error) { return c.read(ctx) })
		read <- evidence.ProblemOf(err)
	}()
	c.log.began = c.engine.options.Now()
	c.subject.prove(ctx)
	c.proveEmbedded(ctx)
	c.refused = <-read
}

func (c *platform) read(ctx context.Context) (evidence.Image, error) {
	own, problem := c.open(ctx, c.repository())
	if problem != nil {
		return evidence.Image{}, problem
	}
	if problem := c.budget.spend(ctx, min(c.child.Size, evidence.MaxManifestBytes)); problem != nil {
		return evidence.Image{}, problem
	}
	return evidence.ResolveChild(ctx, own.source, c.lister(), c.child)
}

// finding is what one policy finds: that of each platform that it asks for.
func (p *platforms) finding(ctx context.Context, asking selected) policy.Finding {
	title := indexTitle(p.decision.Digest)
	if p.failed != nil {
		f := undecided(p.failed)
		f.Expected = "each platform of the image"
		if !p.decision.Digest.IsZero() {
			f = titled(f, title)
		}
		return f
	}
	var found []policy.Finding
	for _, l := range asking.Platforms {
		if !p.present(l) {
			found = append(found, missing(l.String(), l.String()+" in the index"))
		}
	}
	for _, c := range p.children {
		if counts(asking.Platforms, c.child.Platform) {
			found = append(found, c.finding(ctx, asking))
		}
	}
	if len(found) == 0 { // nothing that runs is nothing that is proven (TRUST R48)
		return titled(missing("require", "a platform that may run in the index"), title)
	}
	f := policy.Together(title+": require", fmt.Sprintf("each of %d platforms", len(found)), found)
	f.Of = title
	return f
}

// present reports whether the index has a child for exactly the platform: a
// runtime passes over one of an invented variant and falls back to another
// architecture, such as 386 on amd64, that nobody looked at.
func (p *platforms) present(listed evidence.Platform) bool {
	for _, c := range p.children {
		if normal(listed) == normal(c.child.Platform) {
			return true
		}
	}
	return false
}

func missing(path, expected string) policy.Finding {
	return policy.Finding{Path: path, Outcome: policy.Denied, Expected: expected, Problems: []*evidence.Problem{{
		Reason: evidence.PlatformMissing, Expected: expected, Got: "none",
	}}}
}

func (c *platform) finding(ctx context.Context, p selected) policy.Finding {
	if c.refused != nil {
		f := undecided(c.refused)
		f.Expected = "a platform as the index lists it"
		return titled(f, c.log.title)
	}
	return titled(c.evaluate(ctx, p, true), c.log.title)
}

// steps are those of the platforms, in the index's order.
func (p *platforms) steps() []Step {
	if p == nil {
		return nil
	}
	var all []Step
	told := map[imageref.Digest]bool{}
	for _, c := range p.children {
		for _, index := range c.within {
			if h := p.holders[index.Digest()]; h != nil && !told[index.Digest()] {
				told[index.Digest()] = true
				all = append(all, h.log.steps...)
			}
		}
		all = append(all, c.log.steps...)
	}
	return all
}

func indexTitle(d imageref.Digest) string { return "index " + d.String() }

// platformTitle names a child of an index. What the index says is hostile.
func platformTitle(c evidence.Child) string {
	name := "no platform"
	if c.Platform != (evidence.Platform{}) {
		name = fmt.Sprintf("%.60q", c.Platform.String())
		name = strings.Trim(name, `"`)
	}
	return name + " " + c.Digest.String()
}
