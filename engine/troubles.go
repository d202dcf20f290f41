package engine

import (
	"slices"

	"github.com/bonafide-dev/bonafide/evidence"
)

// maxProblems bounds what is said about one signer or claim; more would be the
// same.
const maxProblems = 64

// troubles collects why something was not proven: each sentence once, at most
// maxProblems of them, and beyond that the first of each kind, since kinds
// decide the outcome and what excuses it (TRUST R41). A hostile repository can
// make thousands; each costs the same. The zero troubles is empty.
type troubles struct {
	list  []*evidence.Problem
	seen  map[string]struct{} // sentences
	kinds map[troubleKind]struct{}
}

// troubleKind is what an outcome depends on.
type troubleKind struct {
	reason evidence.Reason
	host   string
}

func (t *troubles) note(problems ...*evidence.Problem) {
	for _, p := range problems {
		t.add(p)
	}
}

func (t *troubles) add(p *evidence.Problem) {
	kind := troubleKind{p.Reason, p.Host}
	_, known := t.kinds[kind]
	if known && len(t.list) >= maxProblems {
		return
	}
	sentence := string(p.Reason) + " " + p.Path + " " + p.Sentence()
	if _, said := t.seen[sentence]; said {
		return
	}
	if t.seen == nil {
		t.seen, t.kinds = map[string]struct{}{}, map[troubleKind]struct{}{}
	}
	t.seen[sentence], t.kinds[kind] = struct{}{}, struct{}{}
	t.list = append(t.list, p)
}

// open reports that something could not be told.
func (t *troubles) open() bool { return leavesOpen(t.list) }

// ranked returns the problems, the most telling first.
func (t *troubles) ranked() []*evidence.Problem {
	slices.SortStableFunc(t.list, func(a, b *evidence.Problem) int { return telling(a) - telling(b) })
	return t.list
}

// leavesOpen reports that one of the problems is that something could not be
// told.
func leavesOpen(problems []*evidence.Problem) bool {
	return slices.ContainsFunc(problems, (*evidence.Problem).Undecided)
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
