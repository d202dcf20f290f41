package engine

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// statementsOnce has statements verified, one flight for all who ask.
func (e *Engine) statementsOnce(ctx context.Context, from setKey, key proofKey, s policy.Attestor, set evidence.Set) stated {
	if p, valid, _ := e.recall(key); valid && p.over == among(set, s.StatementNeed()) {
		return stated{proofs: p.proofs, listed: true}
	}
	return e.stateOnce(ctx, statingKey{set: from, proof: key}, func(ctx context.Context) stated { return e.statements(ctx, key, s, set) })
}

func (e *Engine) stateOnce(ctx context.Context, key statingKey, state func(context.Context) stated) stated {
	found, err := e.stating.do(ctx, key, func(ctx context.Context) (stated, error) { return state(ctx), nil })
	if err != nil {
		return stated{problems: []*evidence.Problem{evidence.ProblemOf(err)}}
	}
	return found
}

// statements has one signer's statements of one type verified. All of them are:
// quantifiers decide over the list (TRUST R35). What was verified among the
// same evidence before is not verified again.
func (e *Engine) statements(ctx context.Context, key proofKey, s policy.Attestor, set evidence.Set) stated {
	over := among(set, s.StatementNeed())
	if p, valid, _ := e.recall(key); valid && p.over == over {
		return stated{proofs: p.proofs, listed: true}
	}
	found := e.verifyStatements(ctx, key.predicateType, s, set)
	e.options.Observer.Verified(found.outcome())
	revoked := slices.ContainsFunc(found.problems, func(p *evidence.Problem) bool { return p.Reason == evidence.CertificateRevoked })
	switch {
	case len(found.proofs) == 0 && revoked:
		e.proofs.remove(key) // whatever else could not be read (TRUST R35)
	case leavesOpen(found.problems), len(found.proofs) == 0 && leavesOpen(set.Problems):
		// It could not be told about some: nothing is learned, and what was proven
		// before stays so (TRUST R37).
	case len(found.proofs) > 0:
		e.learn(key, found.proofs, over)
	case !set.Partial:
		e.proofs.remove(key)
	}
	return found
}

func (s stated) outcome() policy.Outcome {
	switch {
	case len(s.proofs) > 0:
		return policy.Allowed
	case leavesOpen(s.problems):
		return policy.Undecided
	}
	return policy.Denied
}

func (e *Engine) verifyStatements(ctx context.Context, predicateType string, s policy.Attestor, set evidence.Set) stated {
	if u, is := s.(policy.Unavailable); is {
		return stated{problems: []*evidence.Problem{u.Unavailable()}, listed: true}
	}
	found := stated{listed: true}
	var why troubles
	need := s.StatementNeed()
	for _, item := range set.Items {
		if !need.Has(item.Format) {
			continue
		}
		if ctx.Err() != nil {
			why.note(gaveUp(ctx))
			break
		}
		proof, err := s.VerifyStatement(ctx, set.Image, item, predicateType)
		switch {
		case err != nil:
			why.note(evidence.ProblemOf(err))
		case notOf(proof, predicateType):
			why.note(otherProof(proof, predicateType))
		case ended(proof, e.options.Now()):
			why.note(overdue(proof))
		default:
			proof.Evidence = nameOf(item)
			found.proofs = append(found.proofs, proof)
		}
	}
	found.problems = why.list
	return found
}

// notOf reports that a proof is none of a statement of the type: a signer's
// fault, and nothing to decide by (TRUST R23).
func notOf(p policy.Proof, predicateType string) bool {
	return p.Statement == nil || p.Statement.Type != predicateType
}

func otherProof(p policy.Proof, predicateType string) *evidence.Problem {
	return &evidence.Problem{Reason: evidence.Internal, Path: p.Source, Expected: "a statement of type " + predicateType, Got: "another proof"}
}

// nameOf names a piece of evidence: whoever verifies it, it fills one slot of a
// threshold (TRUST R28).
func nameOf(item evidence.Item) string { return fmt.Sprintf("%s[%d]", item.Manifest, item.Layer) }

// among identifies the items in which statements were looked for.
func among(set evidence.Set, need evidence.Need) [sha256.Size]byte {
	h := sha256.New()
	for _, item := range set.Items {
		if need.Has(item.Format) {
			fmt.Fprintf(h, "%d %s ", item.Format, item.Manifest)
			h.Write(binary.BigEndian.AppendUint64(nil, uint64(item.Layer))) //nolint:gosec // an index
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}
