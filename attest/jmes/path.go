package jmes

import (
	"slices"
	"strings"
)

// A path is a value that an expression reads, as the names from the root on;
// the empty path is the root itself.
type path []string

// pathsOf returns what of the root an expression reads, each once.
func pathsOf(n *node) []path {
	var r reads
	r.use(n, path{}, true)
	slices.SortFunc(r.paths, func(a, b path) int { return slices.Compare(a, b) })
	return slices.CompactFunc(r.paths, func(a, b path) bool { return slices.Equal(a, b) })
}

// reads follows names from the root on for as long as it is known where they
// lead.
type reads struct{ paths []path }

func (r *reads) use(n *node, at path, known bool) {
	if at, known = r.follow(n, at, known); known {
		r.paths = append(r.paths, at)
	}
}

// follow returns where n leads from at, if that is known, and notes what n
// reads on the way.
func (r *reads) follow(n *node, at path, known bool) (path, bool) {
	switch n.kind {
	case isCurrent:
		return at, known
	case isField:
		if len(at) >= maxPath {
			return at, known // more than what is read, which errs on the safe side
		}
		return append(slices.Clone(at), n.name), known
	case isSub, isPipe:
		for _, kid := range n.kids {
			at, known = r.follow(kid, at, known)
		}
		return at, known
	case isIndex, isSlice:
		if known {
			r.paths = append(r.paths, at)
		}
		return nil, false
	case isProjection, isValues, isFilter:
		r.use(n.kids[0], at, known)
		for _, kid := range n.kids[1:] {
			r.use(kid, nil, false)
		}
		return nil, false
	case isCall:
		for _, kid := range n.kids {
			if kid.kind == isExpression {
				r.use(kid.kids[0], nil, false)
				continue
			}
			r.use(kid, at, known)
		}
		return nil, false
	case isLiteral:
		return nil, false
	default:
		for _, kid := range n.kids {
			r.use(kid, at, known)
		}
		return nil, false
	}
}

// String writes the path as its author may have: "request.object".
func (p path) String() string { return strings.Join(p, ".") }
