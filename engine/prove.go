package engine

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// operators is what a source may tell about the credentials that it reads with:
// that they are the operator's, rather than the puller's own. Until one of them
// was accepted it may say so to be safe.
type operators interface{ OperatorCredentials() bool }

// access is a registry as one puller sees it.
type access struct {
	source      evidence.Source
	credentials string
}

// prove finds out what can be found out: from memory if it can, else from one
// gathering of evidence for everything that is asked, and a second, exhaustive
// one only if the first did not satisfy.
func (w *work) prove(ctx context.Context) {
	if w.tasks.empty() && (!w.decision.Pins || !w.decision.Digest.IsZero()) {
		return
	}
	var a *access
	// What statements say is remembered for each credential apart (TRUST R36).
	if w.decision.Digest.IsZero() || w.tasks.claims() {
		var ok bool
		if a, ok = w.open(ctx); !ok || (w.decision.Digest.IsZero() && !w.resolve(ctx, *a)) {
			w.fail()
			return
		}
	}
	if w.recallAll(ctx, a) {
		return
	}
	if a == nil {
		var ok bool
		if a, ok = w.open(ctx); !ok {
			w.fail()
			return
		}
	}
	// What decides over a whole list wants all of it at once.
	set, err := w.gather(ctx, *a, w.need(w.tasks.lists), nil)
	if err != nil {
		w.failed = evidence.ProblemOf(err)
		w.fail()
		return
	}
	w.verify(ctx, *a, set, w.tasks.lists)
	if w.tasks.lists || !set.Partial || w.satisfied(ctx) {
		return
	}
	more, err := w.gather(ctx, *a, w.need(true), &set)
	if err != nil {
		w.failed = evidence.ProblemOf(err)
		w.fail()
		return
	}
	w.verify(ctx, *a, more, true)
}

// fail leaves everything that is not proven undecided for one reason.
func (w *work) fail() {
	w.whole = false
	for _, s := range w.tasks.signers {
		if w.known[s.ID()].Outcome != policy.Allowed {
			w.known[s.ID()] = policy.Leaf{Problems: []*evidence.Problem{w.failed}}
		}
	}
}

// recallAll fills in what is remembered, and reports whether it suffices.
func (w *work) recallAll(ctx context.Context, a *access) bool {
	for _, s := range w.tasks.signers {
		if p, valid := w.recall(signatureKey(w.repository(), w.decision.Digest, s)); valid {
			w.known[s.ID()] = policy.Leaf{Outcome: policy.Allowed, Proofs: p.proofs}
		}
	}
	if a != nil {
		for _, task := range w.tasks.statements {
			if p, valid := w.recall(w.statementKey(task)); valid && !w.stated[task].listed {
				w.stated[task] = stated{proofs: p.proofs}
			}
		}
	}
	return w.satisfied(ctx)
}

func (w *work) recall(key proofKey) (proven, bool) {
	p, valid, _ := w.engine.recall(key)
	w.engine.options.Observer.CacheLooked("proof", valid)
	return p, valid
}

// open gets the registry with the puller's credentials.
func (w *work) open(ctx context.Context) (*access, bool) {
	source, credentials, err := w.engine.sources.Source(ctx, w.request.Puller, w.repository())
	if err != nil {
		w.failed = evidence.ProblemOf(err)
		return nil, false
	}
	w.credentials = credentials
	w.operators, _ = source.(operators)
	return &access{source: remembered{Source: source, engine: w.engine, credentials: credentials}, credentials: credentials}, true
}

// resolve turns the tag into a digest, once per decision (TRUST R39). The
// memory of tags is used only where the decision pins (TRUST R40).
func (w *work) resolve(ctx context.Context, a access) bool {
	e, ref := w.engine, w.decision.Reference
	key := tagKey{repository: ref.Repository(), credentials: a.credentials, tag: ref.Tag()}
	remember := w.decision.Pins && w.request.CanPin && e.options.TagTTL > 0
	if remember {
		digest, found := e.tags.get(key, e.options.Now())
		e.options.Observer.CacheLooked("tag", found)
		if found {
			w.decision.Digest = digest
			w.step("resolve", digest.String()+" (remembered)")
			return true
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
		return false
	}
	w.decision.Digest = digest
	w.step("resolve", digest.String())
	return true
}

// fetchTag asks the registry what a tag names. What it learns is remembered
// before its flight ends, so that whoever comes next finds it.
func (e *Engine) fetchTag(ctx context.Context, a access, key tagKey, ref imageref.Reference) (imageref.Digest, error) {
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

// need is the union of the formats in which what is not proven yet may be.
func (w *work) need(exhaustive bool) evidence.Need {
	need := evidence.Need{Exhaustive: exhaustive}
	for _, s := range w.tasks.signers {
		// Beside claims one need serves all requests, whatever is remembered of
		// signatures: the list that it finds is remembered under it.
		if w.tasks.claims() || w.known[s.ID()].Outcome != policy.Allowed {
			need = need.Union(s.Need())
		}
	}
	for _, attestor := range w.tasks.attestors {
		need = need.Union(attestor.StatementNeed())
	}
	need.Artifact = need.Artifact || len(w.tasks.artifacts) > 0
	return need
}

func (w *work) setKey(a access, need evidence.Need) setKey {
	return setKey{repository: w.repository(), credentials: a.credentials, digest: w.decision.Digest, need: need}
}

// gather finds the image's evidence, or remembers it for seconds. An exhaustive
// look goes on from the first.
func (w *work) gather(ctx context.Context, a access, need evidence.Need, first *evidence.Set) (evidence.Set, error) {
	name := "gather"
	if need.Exhaustive {
		name = "extend"
	}
	set, remembered, err := w.engine.evidenceOf(ctx, a, w.setKey(a, need), first)
	switch {
	case err != nil:
		w.step(name, evidence.ProblemOf(err).Sentence())
	case remembered:
		w.step(name, describe(set)+" (remembered)")
	default:
		w.step(name, describe(set))
	}
	return set, err
}

// evidenceOf finds evidence or remembers it, and reports which. A set that may
// be incomplete is not remembered: it could not be told (TRUST R37).
func (e *Engine) evidenceOf(ctx context.Context, a access, key setKey, first *evidence.Set) (set evidence.Set, known bool, err error) {
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
		set, err := e.look(ctx, a, key, first)
		if err == nil && !open(set.Problems) {
			e.sets.put(key, set, set.Size(), asked, asked.Add(evidenceTTL))
		}
		return set, err
	})
	return set, false, err
}

func (e *Engine) look(ctx context.Context, a access, key setKey, first *evidence.Set) (evidence.Set, error) {
	finder := evidence.Finder{}
	if key.artifact {
		finder.Limits = artifactLimits()
	}
	if first != nil {
		return finder.Extend(ctx, a.source, *first, key.need)
	}
	return e.discover(ctx, a, key, finder)
}

// discover reads the image's manifest and looks for evidence at the same time:
// neither needs the other's answer.
func (e *Engine) discover(ctx context.Context, a access, key setKey, finder evidence.Finder) (evidence.Set, error) {
	ref := key.repository.WithDigest(key.digest)
	type resolved struct {
		image evidence.Image
		err   error
	}
	reading := make(chan resolved, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		image, err := caught(ctx, func(ctx context.Context) (evidence.Image, error) { return evidence.Resolve(ctx, a.source, ref) })
		if err != nil {
			cancel() // without the image nothing that is found counts
		}
		reading <- resolved{image, err}
	}()
	bare := evidence.Image{Reference: ref, Repository: key.repository, Manifest: evidence.Manifest{Descriptor: evidence.Descriptor{Digest: key.digest}}}
	set, err := finder.Discover(ctx, a.source, bare, key.need)
	image := <-reading
	if image.err != nil {
		return evidence.Set{}, image.err
	}
	set.Image = image.image
	return set, err
}

// verify looks at the evidence for everything that is not proven yet, until the
// policies are satisfied. final says that no more will be found.
func (w *work) verify(ctx context.Context, a access, set evidence.Set, final bool) {
	w.problems = set.Problems
	if w.budget == nil {
		w.budget = newBudget(evidence.MaxDecisionBytes - set.Read())
	}
	w.whole = !set.Cut && (final || !set.Partial) && !open(set.Problems)
	if w.recallAll(ctx, &a) { // another flight has proven it in the meantime
		return
	}
	for _, s := range w.tasks.signers {
		if w.known[s.ID()].Outcome == policy.Allowed {
			continue
		}
		leaf := w.engine.verifyOnce(ctx, w.setKey(a, w.need(final)), s, set)
		w.known[s.ID()] = leaf
		w.step("verify", s.Describe()+": "+leaf.Outcome.String())
		if leaf.Outcome == policy.Allowed && w.satisfied(ctx) {
			return
		}
	}
	for _, task := range w.tasks.statements {
		w.stated[task] = w.engine.statements(ctx, w.statementKey(task), w.tasks.attestors[task], set)
		w.step("statements", fmt.Sprintf("%s: %d of type %s", w.tasks.attestors[task].Describe(), len(w.stated[task].proofs), task.predicateType))
	}
	if len(w.tasks.artifacts) > 0 {
		if len(w.tasks.statements) > 0 && w.satisfied(ctx) {
			return
		}
		w.artifacts(ctx, a, set)
	}
}

// verifyOnce has a signer look at evidence, one flight for all who ask.
func (e *Engine) verifyOnce(ctx context.Context, key setKey, s policy.Signer, set evidence.Set) policy.Leaf {
	leaf, err := e.verifying.do(ctx, verifyKey{set: key, signer: s.ID()}, func(ctx context.Context) (policy.Leaf, error) {
		return e.examine(ctx, s, set), nil
	})
	if err != nil {
		return policy.Leaf{Problems: []*evidence.Problem{evidence.ProblemOf(err)}}
	}
	return leaf
}

// examine has one signer verify the items that it can, learns what it proves
// and forgets what it no longer does.
func (e *Engine) examine(ctx context.Context, s policy.Signer, set evidence.Set) policy.Leaf {
	key := signatureKey(set.Image.Repository, set.Image.Digest(), s)
	if p, valid, _ := e.recall(key); valid {
		return policy.Leaf{Outcome: policy.Allowed, Proofs: p.proofs}
	}
	leaf := examined(ctx, s, set, e.options.Now)
	revoked := slices.ContainsFunc(leaf.Problems, func(p *evidence.Problem) bool { return p.Reason == evidence.CertificateRevoked })
	switch {
	case leaf.Outcome == policy.Allowed:
		e.learn(key, leaf.Proofs, [sha256.Size]byte{})
	case revoked, leaf.Outcome == policy.Denied && !set.Partial:
		// What was proven before no longer is: found revoked, whatever else could
		// not be read (TRUST R35), or denied by everything that there is.
		e.proofs.remove(key)
	}
	e.options.Observer.Verified(leaf.Outcome)
	return leaf
}
