package engine

import (
	"cmp"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// anchored is what an image pattern may tell about the images that it means.
type anchored interface {
	// Anchor returns the host of every image that the pattern includes or excludes,
	// and the first segment of their paths. Each is "" if there is more than one.
	Anchor() (host, segment string)
}

type anchor struct{ host, segment string }

// imageIndex finds which elements of a list may select an image by name: a
// superset, found without a look at the others. The zero imageIndex is empty.
type imageIndex struct {
	all []int // whatever the image
	at  map[anchor][]int
}

// maxAnchors is how many anchors an element is filed under. One with more is
// looked at for every image: memory stays in proportion to the policies' text.
const maxAnchors = 64

// add files element i, which must be greater than all before, under what its
// patterns say.
func (x *imageIndex) add(i int, patterns []policy.ImagePattern) {
	anchors := anchorsOf(patterns)
	if anchors == nil {
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

// anchorsOf returns the anchors of the patterns, each once, or nil if one has
// none or there are too many.
func anchorsOf(patterns []policy.ImagePattern) []anchor {
	anchors := []anchor{}
	for _, p := range patterns {
		tells, is := p.(anchored)
		if !is {
			return nil
		}
		host, segment := tells.Anchor()
		if host == "" {
			return nil
		}
		if a := (anchor{host, segment}); !slices.Contains(anchors, a) {
			anchors = append(anchors, a)
		}
		if len(anchors) > maxAnchors {
			return nil
		}
	}
	return anchors
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
	segment, _, _ := strings.Cut(path, "/")
	found = append(found, x.at[anchor{host: host}]...)
	return append(found, x.at[anchor{host, segment}]...)
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
}

// maxNamespaces is how many namespaces a policy is filed under. One that names
// more is looked at in every namespace.
const maxNamespaces = 64

func indexPolicies(policies []policy.Policy) policyIndex {
	x := policyIndex{named: map[string][]int{}, within: map[string]*imageIndex{}}
	for i := range policies {
		p := &policies[i]
		if p.ByName != "" {
			x.named[p.ByName] = append(x.named[p.ByName], i)
			continue
		}
		x.every.add(i, p.Include)
		namespaces := namespacesOf(p.Match)
		if namespaces == nil {
			x.anywhere.add(i, p.Include)
		}
		for _, namespace := range namespaces {
			if x.within[namespace] == nil {
				x.within[namespace] = &imageIndex{}
			}
			x.within[namespace].add(i, p.Include)
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
