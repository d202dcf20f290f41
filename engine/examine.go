package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// maxProofs bounds how many proofs of one signer are kept: thresholds need
// distinct ones, and nobody's group is larger.
const maxProofs = 32

// maxProblems bounds what is said about one signer; more would be the same. One
// that leaves it open is always kept, since it decides the outcome.
const maxProblems = 64

// examined is a signer's verdict over a set: allowed by any proof, else
// undecided if anything could not be told, else denied.
func examined(ctx context.Context, s policy.Signer, set evidence.Set, now func() time.Time) policy.Leaf {
	need := s.Need()
	var leaf policy.Leaf
	var looked int
	for _, item := range set.Items {
		if !need.Has(item.Format) {
			continue
		}
		if ctx.Err() != nil {
			leaf.Problems = note(leaf.Problems, gaveUp(ctx))
			break
		}
		looked++
		proof, err := s.Verify(ctx, set.Image, item)
		switch {
		case err != nil:
			leaf.Problems = note(leaf.Problems, evidence.ProblemOf(err))
		case !proof.Expires.IsZero() && !now().Before(proof.Expires):
			leaf.Problems = note(leaf.Problems, &evidence.Problem{
				Reason: evidence.SignatureExpired, Path: proof.Source, Expected: "a proof that is still valid", Got: "one that ended at " + proof.Expires.UTC().Format(time.RFC3339),
			})
		case len(leaf.Proofs) < maxProofs:
			leaf.Proofs = append(leaf.Proofs, proof)
		}
	}
	if len(leaf.Proofs) > 0 {
		return policy.Leaf{Outcome: policy.Allowed, Proofs: leaf.Proofs}
	}
	for _, p := range set.Problems {
		leaf.Problems = note(leaf.Problems, p)
	}
	leaf.Outcome = policy.Denied
	if slices.ContainsFunc(leaf.Problems, (*evidence.Problem).Undecided) {
		leaf.Outcome = policy.Undecided
	}
	if looked == 0 && leaf.Outcome == policy.Denied {
		leaf.Problems = note(leaf.Problems, &evidence.Problem{Reason: evidence.NotSigned, Expected: "a signature by " + s.Describe(), Got: describe(set)})
	}
	slices.SortStableFunc(leaf.Problems, func(a, b *evidence.Problem) int { return telling(a) - telling(b) })
	return leaf
}

// note appends p unless the same sentence is there: a hundred layers by the
// same stranger are one problem.
func note(problems []*evidence.Problem, p *evidence.Problem) []*evidence.Problem {
	same := func(q *evidence.Problem) bool { return q.Reason == p.Reason && q.Sentence() == p.Sentence() }
	if len(problems) >= maxProblems && !p.Undecided() || slices.ContainsFunc(problems, same) {
		return problems
	}
	return append(problems, p)
}

// telling ranks problems: what could not be told first, since it decides the
// outcome, then what came closest to a proof.
func telling(p *evidence.Problem) int {
	if p.Undecided() {
		return 0
	}
	switch p.Reason {
	case evidence.NotSigned:
		return 4
	case evidence.SignerMismatch:
		return 2
	case evidence.UnsupportedEvidence, evidence.MalformedEvidence:
		return 3
	default:
		return 1
	}
}

// describe says what a set holds: "1 cosign signature, 2 Sigstore bundles".
func describe(set evidence.Set) string {
	counts := map[evidence.Format]int{}
	for _, item := range set.Items {
		counts[item.Format]++
	}
	var parts []string
	for _, f := range []evidence.Format{evidence.SimpleSigning, evidence.Bundle, evidence.Notation} {
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
