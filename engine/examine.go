package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// maxProofs bounds how many proofs of one signer are kept: thresholds need
// distinct ones, and nobody's group is larger.
const maxProofs = 32

// examined is a signer's verdict over a set: allowed by any proof, else
// undecided if anything could not be told, else denied.
func examined(ctx context.Context, s policy.Signer, set evidence.Set, now func() time.Time) policy.Leaf {
	if u, is := s.(policy.Unavailable); is {
		return policy.Leaf{Problems: []*evidence.Problem{u.Unavailable()}}
	}
	need := s.Need()
	var proofs []policy.Proof
	var why troubles
	var looked int
	for _, item := range set.Items {
		if !need.Has(item.Format) {
			continue
		}
		if ctx.Err() != nil {
			why.note(gaveUp(ctx))
			break
		}
		looked++
		proof, err := s.Verify(ctx, set.Image, item)
		switch {
		case err != nil:
			why.note(evidence.ProblemOf(err))
		case ended(proof, now()):
			why.note(overdue(proof))
		case len(proofs) < maxProofs:
			proof.Evidence = nameOf(item)
			proofs = append(proofs, proof)
		}
	}
	if len(proofs) > 0 {
		return policy.Leaf{Outcome: policy.Allowed, Proofs: proofs}
	}
	why.note(set.Problems...)
	leaf := policy.Leaf{Outcome: policy.Denied}
	if why.open() {
		leaf.Outcome = policy.Undecided
	}
	if looked == 0 && leaf.Outcome == policy.Denied {
		why.note(&evidence.Problem{Reason: evidence.NotSigned, Expected: "a signature by " + s.Describe(), Got: describe(set)})
	}
	leaf.Problems = why.ranked()
	return leaf
}

// ended reports that a proof is none any more.
func ended(p policy.Proof, now time.Time) bool { return !p.Expires.IsZero() && !now.Before(p.Expires) }

func overdue(p policy.Proof) *evidence.Problem {
	return &evidence.Problem{
		Reason: evidence.SignatureExpired, Path: p.Source, Expected: "a proof that is still valid", Got: "one that ended at " + p.Expires.UTC().Format(time.RFC3339),
	}
}

// describe says what a set holds: "1 cosign signature, 2 Sigstore bundles".
func describe(set evidence.Set) string {
	counts := map[evidence.Format]int{}
	for _, item := range set.Items {
		counts[item.Format]++
	}
	var parts []string
	for _, f := range []evidence.Format{evidence.SimpleSigning, evidence.Bundle, evidence.Notation, evidence.Envelope, evidence.Artifact, evidence.Embedded} {
		switch n := counts[f]; {
		case n == 1:
			parts = append(parts, "1 "+f.String())
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", n, f))
		}
	}
	if len(parts) == 0 {
		parts = []string{"no signature"}
	}
	if set.Cut { // decided on what was seen (TRUST R5), and said
		parts = append(parts, "and a list longer than is read")
	}
	return strings.Join(parts, ", ")
}
