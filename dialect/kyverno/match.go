package kyverno

import (
	"slices"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// truth is an answer of three values, ordered so that the least of several is
// their conjunction and the greatest their disjunction.
type truth uint8

const (
	no truth = iota
	unknown
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// filter selects requests by all of its parts; one that is nil selects all.
type filter struct {
	path            string
	kinds           []string // of workloads
	namespaces      []string // names, with "*" and "?"
	namespaceLabels labels.Selector
	objectLabels    labels.Selector
	operations      []string
}

// block is match or exclude: one of the filters, or all of them.
type block struct {
	filters []filter
	all     bool
}

// namesPod reports whether a filter selects Pods.
func (b block) namesPod() bool {
	return slices.ContainsFunc(b.filters, func(f filter) bool { return slices.Contains(f.kinds, podKind) })
}

// onlyPods reports whether no filter selects anything but Pods.
func (b block) onlyPods() bool {
	return !slices.ContainsFunc(b.filters, func(f filter) bool { return !slices.Equal(f.kinds, []string{podKind}) })
}

// matcher selects the requests of a rule's variant. It is immutable and asked
// for every image that is decided.
type matcher struct {
	variant        variant
	match, exclude block
	// namespace confines the rule; empty confines to none.
	namespace string
	// applies selects the namespaces of one of several modes; nil selects all.
	applies func(policy.Namespace) truth
}

var _ policy.Matcher = matcher{}

// Match implements [policy.Matcher]. Where a door carries no kind, namespace or
// operation, what would look at it selects in match and not in exclude: doubt
// includes. Where it carries a namespace that could not be found out, that is
// an error, unless something else decides (TRUST R16).
func (m matcher) Match(r policy.Request) (bool, error) {
	if m.variant.generated() && r.Kind == "" {
		return false, nil // the rule itself covers what may be a Pod
	}
	selected := m.block(m.match, r, yes)
	if m.namespace != "" {
		selected = min(selected, named([]string{m.namespace}, r.Namespace, yes))
	}
	if m.applies != nil {
		selected = min(selected, m.applies(r.Namespace))
	}
	selected = min(selected, yes-m.block(m.exclude, r, no))
	if selected != unknown {
		return selected == yes, nil
	}
	return false, &evidence.Problem{Reason: evidence.SelectionFailed, Path: "match", Expected: "the namespace of the request, with its labels", Got: "less"}
}

// block evaluates match or exclude; absent is what a part that the door does
// not carry counts as.
func (m matcher) block(b block, r policy.Request, absent truth) truth {
	if len(b.filters) == 0 {
		return no
	}
	every, one := yes, no
	for _, f := range b.filters {
		t := min(m.kind(f, r, absent), f.namespace(r.Namespace, absent), f.operation(r, absent), f.object(r, absent))
		every, one = min(every, t), max(one, t)
	}
	if b.all {
		return every
	}
	return one
}

func (m matcher) kind(f filter, r policy.Request, absent truth) truth {
	switch {
	case f.kinds == nil:
		return yes
	case r.Kind == "" && absent == no:
		// All that the rule can mean is a Pod, or nobody knows.
		return truthOf(m.match.onlyPods() && slices.Contains(f.kinds, podKind))
	case r.Kind == "":
		return absent
	case m.variant.generated() && slices.Contains(f.kinds, podKind):
		return truthOf(slices.Contains(m.variant.stands, r.Kind))
	}
	return truthOf(slices.Contains(f.kinds, r.Kind))
}

func (f filter) operation(r policy.Request, absent truth) truth {
	switch {
	case f.operations == nil:
		return yes
	case r.Operation == "":
		return absent
	}
	return truthOf(slices.Contains(f.operations, r.Operation))
}

// object looks at labels that are written in the object; a door that carries no
// kind carries none.
func (f filter) object(r policy.Request, absent truth) truth {
	switch {
	case f.objectLabels == nil:
		return yes
	case r.Kind == "":
		return absent
	}
	return truthOf(f.objectLabels.Matches(labels.Set(r.Labels)))
}

func (f filter) namespace(n policy.Namespace, absent truth) truth {
	t := yes
	if f.namespaces != nil {
		t = named(f.namespaces, n, absent)
	}
	if f.namespaceLabels == nil || t == no {
		return t
	}
	switch {
	case n.State == policy.NamespaceNotCarried:
		return min(t, absent)
	case n.State != policy.NamespaceKnown || n.Labels == nil:
		return unknown
	}
	return min(t, truthOf(f.namespaceLabels.Matches(labels.Set(n.Labels))))
}

// named reports whether the namespace is one of those that patterns mean.
func named(patterns []string, n policy.Namespace, absent truth) truth {
	switch n.State {
	case policy.NamespaceNotCarried:
		return absent
	case policy.NamespaceKnown:
		return truthOf(slices.ContainsFunc(patterns, func(p string) bool { return wild(p, n.Name) }))
	case policy.NamespaceUnknown:
	}
	return unknown // what is not known to be known is unknown
}
