package policy

import "slices"

// maxSteps bounds the search for distinct signers. A group of a hundred
// signers that each signed once needs a few hundred steps; only a policy whose
// groups nest and share keys comes near, and then the answer is Undecided.
const maxSteps = 10_000

// distinct returns the largest number of children that can be counted so that
// no identity and no signature fills two slots (TRUST R28), at most n.Count,
// and whether the search was complete.
func distinct(n AtLeast, f Finding) (reached int, whole bool) {
	s := search{left: maxSteps}
	s.best(n, f, func(count int, _ claims) bool {
		reached = max(reached, count)
		return reached >= n.Count
	})
	return reached, s.left > 0 || reached >= n.Count
}

// claims are the identities and signatures that fill slots.
type claims []string

func (c claims) disjoint(d claims) bool {
	return !slices.ContainsFunc(c, func(s string) bool { return slices.Contains(d, s) })
}

func (c claims) with(d claims) claims { return append(slices.Clone(c), d...) }

// claims are what the proof fills a slot with: whoever verified it, one piece of
// evidence is one signature.
func (p Proof) claims() claims {
	c := claims{"identity " + p.Identity, "signature " + p.Source}
	if p.Key != "" {
		c = append(c, "key "+p.Key)
	}
	if p.Evidence != "" {
		c = append(c, "evidence "+p.Evidence)
	}
	return c
}

type search struct{ left int }

// best enumerates ways to fill n, reporting the count of each, until yield
// returns true.
func (s *search) best(n AtLeast, f Finding, yield func(int, claims) bool) {
	var fill func(i, count int, used claims) bool
	fill = func(i, count int, used claims) bool {
		if s.left--; s.left <= 0 {
			return true
		}
		if count >= n.Count || i == len(n.Of) {
			return yield(count, used)
		}
		taken := s.ways(n.Of[i], f.Children[i], func(c claims) bool {
			return c.disjoint(used) && fill(i+1, count+1, used.with(c))
		})
		return taken || fill(i+1, count, used)
	}
	fill(0, 0, nil)
}

// ways enumerates the claims by which an allowed node holds, until yield
// returns true; it reports whether that happened or the search ran out.
func (s *search) ways(r Requirement, f Finding, yield func(claims) bool) bool {
	if f.Outcome != Allowed {
		return false
	}
	if s.left--; s.left <= 0 {
		return true
	}
	switch n := r.(type) {
	case Signature, Attestation, Artifact:
		return slices.ContainsFunc(f.Proofs, func(p Proof) bool {
			return yield(p.claims())
		})
	case AnyOf:
		for i, child := range n.Of {
			if s.ways(child, f.Children[i], yield) {
				return true
			}
		}
	case All:
		return s.all(n.Of, f.Children, nil, yield)
	case AtLeast:
		done := false
		s.best(n, f, func(count int, c claims) bool {
			done = done || (count >= n.Count && yield(c))
			return done
		})
		return done || s.left <= 0
	case Static: // a static rule is nobody's signature
	}
	return false
}

func (s *search) all(of []Requirement, found []Finding, used claims, yield func(claims) bool) bool {
	if len(of) == 0 {
		return yield(used)
	}
	return s.ways(of[0], found[0], func(c claims) bool {
		return s.all(of[1:], found[1:], used.with(c), yield)
	})
}
