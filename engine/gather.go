package engine

import (
	"context"
	"sync"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// maxParallelPlaces bounds how many places are looked at at once for one
// digest: each costs a decision its part of the bytes.
const maxParallelPlaces = 4

// gatherAll looks at several places at once.
func (s *subject) gatherAll(ctx context.Context, looks []*gathering, exhaustive bool) {
	details := make([]string, len(looks))
	if len(looks) == 1 {
		details[0] = s.gather(ctx, looks[0], exhaustive)
	} else {
		inParallel(len(looks), maxParallelPlaces, func(i int) {
			defer func() { // nobody else would catch it (TRUST R48)
				if p := recover(); p != nil {
					looks[i].failed = panicked(p)
				}
			}()
			details[i] = s.gather(ctx, looks[i], exhaustive)
		})
	}
	for i, g := range looks {
		s.index = s.index || g.set.Image.Manifest.IsIndex()
		name, where := "gather", ""
		if exhaustive || g.lists {
			name = "extend"
		}
		if !g.place.Repository.IsZero() {
			where = g.place.Repository.String() + ": "
		}
		s.step(name, where+details[i])
	}
}

// inParallel calls do for each index below n, at most so many at once.
func inParallel(n, most int, do func(i int)) {
	slots := make(chan struct{}, most)
	var running sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			do(i)
		})
	}
	running.Wait()
}

// gather finds the evidence of one place, or remembers it for seconds, and says
// what it found. An exhaustive look goes on from the first. What decides over a
// whole list wants all of it at once.
func (s *subject) gather(ctx context.Context, g *gathering, exhaustive bool) string {
	var first *evidence.Set
	if exhaustive {
		before := g.set
		first = &before
	}
	g.key = s.setKey(g, s.need(g, exhaustive || g.lists))
	set, remembered, err := s.look(ctx, g.eyes, g.key, first)
	if err != nil {
		g.failed, g.whole = evidence.ProblemOf(err), false
		return g.failed.Sentence()
	}
	g.set = set
	g.whole = !set.Cut && (g.key.need.Exhaustive || !set.Partial) && !leavesOpen(set.Problems)
	if remembered {
		return describe(set) + " (remembered)"
	}
	return describe(set)
}

// need is the union of the formats in which what is not proven yet may be.
func (s *subject) need(g *gathering, exhaustive bool) evidence.Need {
	need := evidence.Need{Place: g.place, Exhaustive: exhaustive, Artifact: g.artifacts}
	for _, signer := range g.signers {
		// Beside claims one need serves all requests, whatever is remembered of
		// signatures: the list that it finds is remembered under it.
		if g.claims() || s.known[signer.ID()].Outcome != policy.Allowed {
			need = need.Union(signer.Need())
		}
	}
	for _, task := range g.statements {
		need = need.Union(s.tasks.attestors[task].StatementNeed())
	}
	return need
}

func (s *subject) setKey(g *gathering, need evidence.Need) setKey {
	return setKey{
		repository: s.repository(), credentials: g.eyes.image.credentials, reader: g.eyes.place.credentials,
		digest: s.digest, need: need, extent: s.extent(),
	}
}

// extent is how much each look may read.
func (s *subject) extent() extent {
	if s.platforms != nil || len(s.looks) > 1 {
		return partLook
	}
	return wholeLook
}

// look finds evidence or remembers it, within the decision's bytes.
func (w *work) look(ctx context.Context, e eyes, key setKey, first *evidence.Set) (set evidence.Set, known bool, err error) {
	var before int64
	if first != nil {
		before = first.Read()
	}
	reserved := key.extent.bytes(before)
	if problem := w.budget.reserve(ctx, reserved); problem != nil {
		return evidence.Set{}, false, problem
	}
	spent := int64(0)
	defer func() { w.budget.settle(reserved, spent) }()
	set, known, err = w.engine.evidenceOf(ctx, e, key, first)
	if err == nil && !known {
		spent = set.Read() - before
	}
	return set, known, err
}

// evidenceOf finds evidence or remembers it, and reports which. A set that may
// be incomplete is not remembered: it could not be told (TRUST R37).
func (e *Engine) evidenceOf(ctx context.Context, with eyes, key setKey, first *evidence.Set) (set evidence.Set, known bool, err error) {
	set, known = e.sets.get(key, e.options.Now())
	e.options.Observer.CacheLooked("evidence", known)
	if known {
		return set, true, nil
	}
	set, err = e.gathering.do(ctx, key, func(ctx context.Context) (evidence.Set, error) {
		if set, found := e.sets.get(key, e.options.Now()); found { // a flight has just landed
			return set, nil
		}
		asked := e.options.Now()
		set, err := e.find(ctx, with, key, first)
		if err == nil && !leavesOpen(set.Problems) {
			e.sets.put(key, set, set.Size(), asked, asked.Add(evidenceTTL))
		}
		return set, err
	})
	return set, false, err
}

func (e *Engine) find(ctx context.Context, with eyes, key setKey, first *evidence.Set) (evidence.Set, error) {
	finder := evidence.Finder{Limits: key.extent.limits()}
	switch {
	case !key.within.IsZero():
		return finder.EmbeddedStatements(ctx, with.image.source, *with.read, key.digest)
	case with.read != nil && first == nil:
		return finder.Discover(ctx, with.place.source, *with.read, key.need)
	case first != nil:
		return finder.Extend(ctx, with.place.source, *first, key.need)
	}
	return e.discover(ctx, with, key, finder)
}

// discover reads the image's manifest and looks for evidence at the same time:
// neither needs the other's answer.
func (e *Engine) discover(ctx context.Context, with eyes, key setKey, finder evidence.Finder) (evidence.Set, error) {
	ref := key.repository.WithDigest(key.digest)
	type resolved struct {
		image evidence.Image
		err   error
	}
	reading := make(chan resolved, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		image, err := caught(ctx, func(ctx context.Context) (evidence.Image, error) {
			return evidence.Resolve(ctx, with.image.source, ref)
		})
		if err != nil {
			cancel() // without the image nothing that is found counts
		}
		reading <- resolved{image, err}
	}()
	bare := evidence.Image{Reference: ref, Repository: key.repository, Manifest: evidence.Manifest{Descriptor: evidence.Descriptor{Digest: key.digest}}}
	set, err := finder.Discover(ctx, with.place.source, bare, key.need)
	image := <-reading
	if image.err != nil {
		return evidence.Set{}, image.err
	}
	set.Image = image.image
	return set, err
}

// resolve turns the tag into a digest, once per decision (TRUST R39). The
// memory of tags is used only where the decision pins (TRUST R40).
func (w *work) resolve(ctx context.Context) {
	if w.failed != nil || !w.decision.Digest.IsZero() {
		return
	}
	a, failed := w.open(ctx, w.repository())
	if failed != nil {
		w.failed = failed
		return
	}
	e, ref := w.engine, w.decision.Reference
	key := tagKey{repository: ref.Repository(), credentials: a.credentials, tag: ref.Tag()}
	remember := w.decision.Pins && w.request.CanPin && e.options.TagTTL > 0
	if remember {
		digest, found := e.tags.get(key, e.options.Now())
		e.options.Observer.CacheLooked("tag", found)
		if found {
			w.decision.Digest = digest
			w.step("resolve", digest.String()+" (remembered)")
			return
		}
	}
	digest, err := e.resolving.do(ctx, key, func(ctx context.Context) (imageref.Digest, error) {
		if digest, found := e.tags.get(key, e.options.Now()); found && remember { // a flight has just landed
			return digest, nil
		}
		return e.fetchTag(ctx, a, key, ref)
	})
	if err != nil {
		w.failed = evidence.ProblemOf(err)
		w.step("resolve", w.failed.Sentence())
		return
	}
	w.decision.Digest = digest
	w.step("resolve", digest.String())
}

// fetchTag asks the registry what a tag names. What it learns is remembered
// before its flight ends, so that whoever comes next finds it.
func (e *Engine) fetchTag(ctx context.Context, a *access, key tagKey, ref imageref.Reference) (imageref.Digest, error) {
	asked := e.options.Now()
	image, err := evidence.Resolve(ctx, a.source, ref)
	if err != nil {
		return imageref.Digest{}, err
	}
	e.rememberManifest(contentKey{key.repository, key.credentials, image.Digest(), manifestContent}, image.Manifest)
	if e.options.TagTTL > 0 {
		e.tags.put(key, image.Digest(), 0, asked, asked.Add(e.options.TagTTL))
	}
	return image.Digest(), nil
}
