package engine

import (
	"context"
	"crypto/sha256"
	"slices"
	"sync"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// Statements that an index holds about a child are signed by nobody. They count
// by a signature of the index, or of one above it, which covers them by digest
// (TRUST R31): by a proof of whoever the claim names, and for that claim alone.

// holder is a nested index, of which a signature may cover what it holds.
type holder struct {
	once sync.Once
	*subject
}

// cover adds to what is asked of an index who may have signed it for what it
// holds about its platforms.
func (t *tasks) cover(p *platforms) {
	if p == nil {
		return
	}
	for _, c := range p.children {
		for _, asking := range c.policies {
			for _, a := range policy.LeavesOf(asking.require).Attestations {
				t.coverClaim(a)
			}
		}
	}
}

func (t *tasks) coverClaim(a policy.Attestation) {
	if !a.Embedded {
		return
	}
	var covering []policy.SignerID
	for _, s := range a.Signers {
		if _, reads := s.Signer.(policy.CoveredReader); reads {
			t.signers = withSigner(t.signers, s.Signer)
			covering = append(covering, s.Signer.ID())
		}
	}
	if len(covering) > 0 && !slices.ContainsFunc(t.covers, func(o []policy.SignerID) bool { return slices.Equal(o, covering) }) {
		t.covers = append(t.covers, covering)
	}
}

// covered reports whether what an index holds is covered for each claim.
func (t *tasks) covered(known map[policy.SignerID]policy.Leaf) bool {
	signed := func(id policy.SignerID) bool { return known[id].Outcome == policy.Allowed }
	return !slices.ContainsFunc(t.covers, func(of []policy.SignerID) bool { return !slices.ContainsFunc(of, signed) })
}

// proveEmbedded looks at what the indexes hold about a platform, if its own
// statements do not suffice.
func (s *subject) proveEmbedded(ctx context.Context) {
	if len(s.tasks.embedded) == 0 || s.satisfied(ctx) {
		return
	}
	index := s.lister()
	own, problem := s.open(ctx, s.repository())
	if problem != nil {
		s.failEmbedded(problem)
		return
	}
	var unread []statementTask
	by := map[statementTask]policy.Proof{}
	for _, task := range s.tasks.embedded {
		proof, problems := s.covering(ctx, task.signer)
		if len(problems) > 0 {
			s.embedded[task] = stated{problems: problems, listed: true}
			continue
		}
		by[task] = proof
		if p, valid := s.recall(s.embeddedKey(task, index.Digest(), own)); valid && slices.ContainsFunc(p.proofs, func(o policy.Proof) bool { return o.Identity == proof.Identity }) {
			s.embedded[task] = stated{proofs: p.proofs, listed: true}
			continue
		}
		unread = append(unread, task)
	}
	if len(unread) == 0 {
		return
	}
	key := setKey{
		repository: s.repository(), credentials: own.credentials, reader: own.credentials,
		digest: s.digest, within: index.Digest(), extent: partLook,
	}
	set, _, err := s.look(ctx, eyes{image: own, place: own, read: &index}, key, nil)
	if err != nil {
		s.failEmbedded(evidence.ProblemOf(err))
		return
	}
	s.step("embedded", describe(set))
	for _, task := range unread {
		reader, cover := s.tasks.attestors[task].(policy.CoveredReader), by[task]
		proofs := s.embeddedKey(task, index.Digest(), own)
		s.embedded[task] = s.engine.stateOnce(ctx, statingKey{set: key, proof: proofs, by: cover.Identity + " " + cover.Evidence}, func(ctx context.Context) stated {
			return s.engine.embedded(ctx, proofs, reader, set, cover)
		})
	}
}

func (s *subject) failEmbedded(why *evidence.Problem) {
	for _, task := range s.tasks.embedded {
		s.embedded[task] = stated{problems: []*evidence.Problem{why}}
	}
}

func (s *subject) embeddedKey(task statementTask, index imageref.Digest, own *access) proofKey {
	return proofKey{
		digest: s.digest, repository: s.repository(), signer: task.signer, predicateType: task.predicateType,
		credentials: own.credentials, reader: own.credentials, within: index,
	}
}

// covering returns a signer's proof of an index that leads to the digest, or why
// there is none.
func (s *subject) covering(ctx context.Context, signer policy.SignerID) (policy.Proof, []*evidence.Problem) {
	var why troubles
	for i := range s.within {
		index := s.platforms.indexSubject(ctx, s.within[i], i == 0)
		leaf := index.known[signer]
		if leaf.Outcome == policy.Allowed && len(leaf.Proofs) > 0 {
			return leaf.Proofs[0], nil
		}
		why.note(uncovered(s.within[i].Digest(), leaf)...)
	}
	return policy.Proof{}, why.list
}

// uncovered says why what an index holds does not count.
func uncovered(index imageref.Digest, leaf policy.Leaf) []*evidence.Problem {
	problem := &evidence.Problem{Reason: evidence.Internal, Expected: "to know who signed the index", Got: "nothing"}
	if len(leaf.Problems) > 0 {
		problem = leaf.Problems[0]
	}
	at := *problem
	at.Path = indexTitle(index)
	if problem.Path != "" {
		at.Path += ": " + problem.Path
	}
	if !problem.Undecided() { // that nobody signed the index decides nothing but this
		at = evidence.Problem{
			Reason: evidence.NotAttested, Path: at.Path, Expected: "a signature of the index, which would cover what it holds", Got: problem.Got, Err: problem.Err,
		}
	}
	return []*evidence.Problem{&at}
}

// indexSubject returns what is known of an index that leads to a platform: of
// the image's own, or of a nested one, which is looked at once.
func (p *platforms) indexSubject(ctx context.Context, index evidence.Image, outermost bool) *subject {
	if outermost {
		<-p.rooted
		return p.root
	}
	p.mu.Lock()
	h, known := p.holders[index.Digest()]
	if !known {
		h = &holder{subject: p.subject(index.Digest(), nil)}
		p.holders[index.Digest()] = h
	}
	p.mu.Unlock()
	h.once.Do(func() {
		h.log.title = indexTitle(index.Digest())
		h.tasks.signers, h.tasks.covers = p.root.tasks.coverSigners(), p.root.tasks.covers
		h.split()
		h.prove(ctx)
	})
	return h.subject
}

// coverSigners are the signers of an index who may vouch for what it holds.
func (t *tasks) coverSigners() []policy.Signer {
	return slices.DeleteFunc(slices.Clone(t.signers), func(s policy.Signer) bool {
		return !slices.ContainsFunc(t.covers, func(of []policy.SignerID) bool { return slices.Contains(of, s.ID()) })
	})
}

// embedded has a signer read the statements that an index holds, which a proof
// of the index covers. What it reads is remembered apart from what is signed
// itself, and ends with that proof.
func (e *Engine) embedded(ctx context.Context, key proofKey, reader policy.CoveredReader, set evidence.Set, by policy.Proof) stated {
	found := stated{listed: !set.Cut && !leavesOpen(set.Problems)}
	var why troubles
	why.note(set.Problems...)
	for _, item := range set.Items {
		if item.Format != evidence.Embedded {
			continue
		}
		if ctx.Err() != nil {
			why.note(gaveUp(ctx))
			break
		}
		proof, err := reader.ReadCovered(set.Image, item, key.predicateType, by)
		if err != nil {
			why.note(evidence.ProblemOf(err))
			continue
		}
		// The signature is the index's, for thresholds and for people.
		proof.Evidence, proof.Source = by.Evidence, proof.Source+" under "+by.Source
		if proof.Expires.IsZero() || (!by.Expires.IsZero() && by.Expires.Before(proof.Expires)) {
			proof.Expires = by.Expires
		}
		switch {
		case notOf(proof, key.predicateType):
			why.note(otherProof(proof, key.predicateType))
		case proof.Identity != by.Identity: // nobody else vouches for it
			why.note(&evidence.Problem{Reason: evidence.Internal, Path: proof.Source, Expected: "a statement under the signature of " + by.Identity, Got: "another's"})
		case ended(proof, e.options.Now()):
			why.note(overdue(proof))
		default:
			found.proofs = append(found.proofs, proof)
		}
	}
	found.problems = why.list
	e.options.Observer.Verified(found.outcome())
	if len(found.proofs) > 0 && found.listed && !leavesOpen(found.problems) {
		e.learn(key, found.proofs, [sha256.Size]byte{})
	}
	return found
}

// held is what counts of the statements that an index holds about the digest.
func (f facts) held(task statementTask) stated {
	held, g := f.embedded[task], f.statementsAt(task)
	if !f.before || len(held.proofs) > 0 || !leavesOpen(held.problems) || !g.ready {
		return held
	}
	// Proven before are both what was read and that it was covered.
	signer, index := f.tasks.attestors[task], f.lister().Digest()
	if slices.ContainsFunc(f.within, func(i evidence.Image) bool {
		return f.provenBefore(signatureKey(f.repository(), i.Digest(), signer)) != nil
	}) {
		held.proofs = f.provenBefore(f.embeddedKey(task, index, g.eyes.image))
	}
	return held
}
