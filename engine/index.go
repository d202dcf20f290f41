package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// anchored is what an image pattern may tell about the images that it means.
type anchored interface {
	// Anchor returns the host of every image that the pattern includes or excludes,
	// and the segments that all their paths begin with. Each is "" if there are none.
	Anchor() (host, segments string)
}

type anchor struct{ host, segments string }

// imageIndex finds which elements of a list may select an image by name: a
// superset, found without a look at the others. The zero imageIndex is empty.
type imageIndex struct {
	all []int // whatever the image
	at  map[anchor][]int
}

// maxAnchors is how many anchors an element is filed under, those of all namespaces
// together. One with more is filed under the first segments alone, and if those are too many as well it is
// looked at for every image: memory stays in proportion to the policies' text.
const maxAnchors = 64

// add files element i, which must be greater than all before, under what its
// patterns say.
// It is filed under so many anchors at most.
func (x *imageIndex) add(i int, patterns []policy.ImagePattern, most int) {
	anchors, few := anchorsOf(patterns, wholeSegments, most)
	if !few {
		anchors, few = anchorsOf(patterns, firstSegment, most)
	}
	if !few {
		x.all = append(x.all, i)
		return
	}
	if x.at == nil {
		x.at = map[anchor][]int{}
	}
	for _, a := range anchors {
		x.at[a] = append(x.at[a], i)
	}
}

// anchorsOf returns the anchors of the patterns, each once, as far as they are to
// be told apart; false if one has none or there are too many.
func anchorsOf(patterns []policy.ImagePattern, as func(segments string) string, most int) ([]anchor, bool) {
	var anchors []anchor
	for _, p := range patterns {
		tells, is := p.(anchored)
		if !is {
			return nil, false
		}
		host, segments := tells.Anchor()
		if host == "" {
			return nil, false
		}
		if a := (anchor{host, as(segments)}); !slices.Contains(anchors, a) {
			anchors = append(anchors, a)
		}
		if len(anchors) > most {
			return nil, false
		}
	}
	return anchors, true
}

func wholeSegments(segments string) string { return segments }

func firstSegment(segments string) string {
	first, _, _ := strings.Cut(segments, "/")
	return first
}

// candidates appends the elements that may select the image to found.
func (x *imageIndex) candidates(found []int, ref imageref.Reference) []int {
	if x == nil {
		return found
	}
	found = append(found, x.all...)
	if x.at == nil {
		return found
	}
	host, path := ref.Repository().Host(), ref.Repository().Path()
	found = append(found, x.at[anchor{host: host}]...)
	for i := range path { // each number of its segments but all
		if path[i] == '/' {
			found = append(found, x.at[anchor{host, path[:i]}]...)
		}
	}
	return append(found, x.at[anchor{host, path}]...)
}

// ordered sorts elements in place and returns them, each once.
func ordered[E cmp.Ordered](elements []E) []E {
	slices.Sort(elements)
	return slices.Compact(elements)
}

// policyIndex finds the policies that may apply to an image of a request.
type policyIndex struct {
	named map[string][]int // by ByName
	every imageIndex       // all others
	// Of all others, those that hold in any namespace and those that hold in some
	// alone.
	anywhere imageIndex
	within   map[string]*imageIndex

	bytes []int // of each policy's patterns
}

// maxNamespaces is how many namespaces a policy is filed under. One that names
// more is looked at in every namespace.
const maxNamespaces = 64

func indexPolicies(policies []policy.Policy) policyIndex {
	x := policyIndex{named: map[string][]int{}, within: map[string]*imageIndex{}}
	for i := range policies {
		p := &policies[i]
		x.bytes = append(x.bytes, bytesOf(p.Include)+bytesOf(p.Exclude))
		if p.ByName != "" {
			x.named[p.ByName] = append(x.named[p.ByName], i)
			continue
		}
		x.every.add(i, p.Include, maxAnchors)
		namespaces := namespacesOf(p.Match)
		if namespaces == nil {
			x.anywhere.add(i, p.Include, maxAnchors)
		}
		for _, namespace := range namespaces {
			if x.within[namespace] == nil {
				x.within[namespace] = &imageIndex{}
			}
			x.within[namespace].add(i, p.Include, maxAnchors/len(namespaces))
		}
	}
	return x
}

// namespacesOf returns the only namespaces in which a policy may match, each
// once, or nil if that is not known.
func namespacesOf(m policy.Matcher) []string {
	scoped, is := m.(policy.ScopedMatcher)
	if !is {
		return nil
	}
	namespaces := scoped.Namespaces()
	if len(namespaces) == 0 || len(namespaces) > maxNamespaces {
		return nil
	}
	return ordered(slices.Clone(namespaces))
}

func (x *policyIndex) candidates(ref imageref.Reference, r Request) []int {
	var found []int
	switch {
	case len(r.Policies) > 0:
		for _, name := range r.Policies {
			found = append(found, x.named[name]...)
		}
	case r.Namespace.State == policy.NamespaceKnown:
		found = x.anywhere.candidates(found, ref)
		found = x.within[r.Namespace.Name].candidates(found, ref)
	default: // a policy of any namespace may match, or fail to tell
		found = x.every.candidates(found, ref)
	}
	return ordered(found)
}

// maxMatching bounds the work that namespaced policies make of one request, in
// pairs of bytes of their patterns and of the images' names: tens of milliseconds.
// Twenty images and a hundred policies of ten patterns are some fifty million.
// Matching does not end with a deadline, and a tenant's thousand patterns in each of
// a hundred policies would take the processors from everybody.
const maxMatching = 1 << 26

// matching is what is left of an image's share of that.
type matching int

func shareOf(images int) matching { return matching(maxMatching / max(1, images)) }

// cover reports whether policy i covers the image. An error says that a tenant's
// policies ask for too much: it could then not be told.
func (m *matching) cover(x *policyIndex, i int, p *policy.Policy, ref imageref.Reference) (bool, error) {
	if p.Origin.Namespace != "" {
		// Without the digest, which is compared at once: what a door pins, the next
		// one must be able to decide.
		*m -= matching(x.bytes[i] * (len(ref.Repository().String()) + len(":") + len(ref.Tag())))
		if *m < 0 {
			return true, fmt.Errorf("expected at most %d pairs of bytes of namespaced policies' patterns and a request's images, got more", maxMatching)
		}
	}
	return p.Covers(ref), nil
}

func bytesOf(patterns []policy.ImagePattern) int {
	n := 0
	for _, p := range patterns {
		n += len(p.String())
	}
	return n
}
