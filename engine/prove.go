package engine

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// prove finds out what can be found out about a digest: from memory if it can,
// else from one gathering of evidence in each place for everything that is
// asked, and a second, exhaustive one only if the first did not satisfy.
func (s *subject) prove(ctx context.Context) {
	if s.tasks.empty() || s.digest.IsZero() {
		return
	}
	for _, g := range s.looks {
		// What statements say is remembered for each credential apart (TRUST R36).
		if g.claims() {
			s.prepare(ctx, g)
		}
	}
	if s.recallAll(ctx) {
		return
	}
	first := s.unfinished(ctx)
	s.gatherAll(ctx, first, false)
	s.verify(ctx, first)
	more := slices.DeleteFunc(first, func(g *gathering) bool { return g.failed != nil || g.lists || !g.set.Partial })
	if len(more) == 0 || s.satisfied(ctx) {
		return
	}
	s.gatherAll(ctx, more, true)
	s.verify(ctx, more)
}

// unfinished prepares the gatherings that something which is not proven yet needs.
func (s *subject) unfinished(ctx context.Context) []*gathering {
	var all []*gathering
	for _, g := range s.looks {
		if !g.claims() && !slices.ContainsFunc(g.signers, s.unknown) {
			continue
		}
		if s.prepare(ctx, g); g.failed != nil {
			s.failLook(g)
			continue
		}
		all = append(all, g)
	}
	return all
}

// unknown reports whether nothing is proven of a signer yet.
func (s *subject) unknown(signer policy.Signer) bool {
	return s.known[signer.ID()].Outcome != policy.Allowed
}

// failLook leaves what only a gathering that failed could prove undecided.
func (s *subject) failLook(g *gathering) {
	for _, signer := range g.signers {
		s.unproven(signer, g.failed)
	}
}

// recallAll fills in what is remembered, and reports whether it suffices.
func (s *subject) recallAll(ctx context.Context) bool {
	for _, signer := range s.tasks.signers {
		if p, valid := s.recall(signatureKey(s.repository(), s.digest, signer)); valid {
			s.known[signer.ID()] = policy.Leaf{Outcome: policy.Allowed, Proofs: p.proofs}
		}
	}
	for _, g := range s.looks {
		if !g.ready {
			continue
		}
		for _, task := range g.statements {
			if p, valid := s.recall(s.statementKey(task, g)); valid && !s.stated[task].listed {
				s.stated[task] = stated{proofs: p.proofs}
			}
		}
	}
	return s.satisfied(ctx)
}

func (w *work) recall(key proofKey) (proven, bool) {
	p, valid, _ := w.engine.recall(key)
	w.engine.options.Observer.CacheLooked("proof", valid)
	return p, valid
}

// verify looks at the evidence for everything that is not proven yet, until the
// policies are satisfied.
func (s *subject) verify(ctx context.Context, looks []*gathering) {
	for _, g := range looks {
		if g.failed != nil {
			s.failLook(g)
		}
	}
	looks = slices.DeleteFunc(slices.Clone(looks), func(g *gathering) bool { return g.failed != nil })
	if len(looks) == 0 || s.recallAll(ctx) { // another flight has proven it in the meantime
		return
	}
	for _, g := range looks {
		if s.verifySigners(ctx, g) {
			return
		}
	}
	stated := false
	for _, g := range looks {
		for _, task := range g.statements {
			attestor := s.tasks.attestors[task]
			s.stated[task] = s.engine.statementsOnce(ctx, g.key, s.statementKey(task, g), attestor, g.set)
			s.step("statements", fmt.Sprintf("%s: %d of type %s", attestor.Describe(), len(s.stated[task].proofs), task.predicateType))
			stated = true
		}
	}
	for _, g := range looks {
		if !g.artifacts || (stated && s.satisfied(ctx)) {
			continue
		}
		s.artifacts(ctx, g)
	}
}

// verifySigners has the signers of one place verify what was found there, and
// reports whether the policies are satisfied.
func (s *subject) verifySigners(ctx context.Context, g *gathering) bool {
	for _, signer := range g.signers {
		if !s.unknown(signer) {
			continue
		}
		leaf := s.engine.verifyOnce(ctx, g.key, signer, g.set)
		s.known[signer.ID()] = leaf
		s.step("verify", signer.Describe()+": "+leaf.Outcome.String())
		// Whoever may vouch for what an index holds is asked, as each fills a slot.
		if leaf.Outcome == policy.Allowed && len(s.tasks.covers) == 0 && s.satisfied(ctx) {
			return true
		}
	}
	return false
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
