package kyverno

import (
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

const (
	maxFilters    = 100
	maxNamespaces = 1000
)

// workloadKinds are the kinds that Kyverno finds images in, with their group
// and version.
func workloadKinds() map[string]string {
	return map[string]string{
		podKind: "/v1", "ReplicationController": "/v1",
		"ReplicaSet": "apps/v1", "Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1",
		"Job": "batch/v1", cronJobKind: "batch/v1",
	}
}

// kindsOf returns the workloads that "Kind", "version/Kind" or
// "group/version/Kind" names, with wildcards, in order. Unless exact, the
// version does not matter: the API server converts objects to the version that
// is asked for.
func kindsOf(pattern string, exact bool) []string {
	group, version, kind := "*", "*", pattern
	switch parts := strings.Split(pattern, "/"); len(parts) {
	case 1:
	case 2:
		version, kind = parts[0], parts[1]
	case 3:
		group, version, kind = parts[0], parts[1], parts[2]
	default:
		return nil
	}
	var found []string
	for name, place := range workloadKinds() {
		ownGroup, ownVersion, _ := strings.Cut(place, "/")
		if wild(kind, name) && wild(group, ownGroup) && (!exact || wild(version, ownVersion)) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

// match reads a rule's match.
func (c *compiler) match(path string, m *matchResources) block {
	if m == nil {
		c.Missing(path, "expected the kinds that the rule is for, got none")
		return block{}
	}
	return c.block(path, m, false)
}

// exclusion reads a rule's exclude, which may be absent.
func (c *compiler) exclusion(path string, m *matchResources) block {
	if m == nil || reflect.DeepEqual(*m, matchResources{}) {
		return block{}
	}
	return c.block(path, m, true)
}

func (c *compiler) block(path string, m *matchResources, exact bool) block {
	if !c.ExactlyOne(path, dialect.Given("any", m.Any != nil), dialect.Given("all", m.All != nil), dialect.Given("resources", m.Resources != nil)) {
		return block{}
	}
	if m.Resources != nil {
		return block{filters: []filter{c.filter(path+".resources", m.Resources, exact)}}
	}
	list, b := m.Any, block{}
	path += ".any"
	if m.All != nil {
		list, b.all = m.All, true
		path = strings.TrimSuffix(path, ".any") + ".all"
	}
	if len(list) == 0 {
		c.Missing(path, "expected at least one filter, got none")
	}
	if !c.AtMost(path, len(list), maxFilters) {
		return block{}
	}
	for i := range list {
		here := dialect.At(path, i) + ".resources"
		if list[i].Resources == nil {
			c.Missing(here, "expected resources, got none")
			continue
		}
		b.filters = append(b.filters, c.filter(here, list[i].Resources, exact))
	}
	return b
}

func (c *compiler) filter(path string, r *resources, exact bool) filter {
	f := filter{path: path, kinds: c.kinds(path+".kinds", r.Kinds, exact)}
	if len(r.Kinds) == 0 && !exact {
		c.Missing(path+".kinds", "expected at least one kind, got none")
	}
	f.namespaces = c.namespaces(path, r)
	f.namespaceLabels = c.selector(path+".namespaceSelector", r.NamespaceSelector)
	f.objectLabels = c.selector(path+".selector", r.Selector)
	f.operations = c.operations(path+".operations", r.Operations, exact)
	switch {
	case r.NamespaceSelector != nil && c.namespaced:
		c.Errorf(path+".namespaceSelector", "expected none: a %s applies to its own namespace", namespacedKind)
	case r.NamespaceSelector != nil && !c.options.ClusterAvailable:
		c.refuse(path+".namespaceSelector", "there is no cluster that knows the labels of namespaces: name them in namespaces")
	}
	if exact && r.Kinds == nil && f.namespaces == nil && f.namespaceLabels == nil && f.objectLabels == nil && f.operations == nil {
		c.Missing(path, "expected what to exclude, got none: the rule would cover nothing")
	}
	return f
}

func (c *compiler) kinds(path string, list []string, exact bool) []string {
	if list == nil {
		return nil
	}
	kinds := []string{} // not nil: a list of which nothing can be read selects nothing
	for i, pattern := range list {
		found := kindsOf(pattern, exact)
		switch {
		case pattern == "" && c.Partial:
		case strings.Trim(pattern, "*/") == "" && !exact:
			c.refuse(dialect.At(path, i), "rules that verify images name their kinds")
		case pattern == "Pod/ephemeralcontainers" && slices.ContainsFunc(list, isPod): // covered with the Pod
		case len(found) == 0 && !exact:
			c.Near(dialect.At(path, i), pattern, slices.Concat([]string{podKind}, controllers()), "expected a kind that holds images: Pod, %s; got %q", dialect.Either(controllers()), dialect.Clip(pattern))
		}
		kinds = append(kinds, found...)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

func (c *compiler) namespaces(path string, r *resources) []string {
	list, here := r.Namespaces, path+".namespaces"
	if r.NameSpaces != nil {
		if list != nil {
			c.Errorf(path+".nameSpaces", "expected namespaces alone, got both spellings")
			return nil
		}
		list, here = r.NameSpaces, path+".nameSpaces"
		c.Note(here, "read as namespaces; an API server would drop the field, and the rule would apply to every namespace")
	}
	if list == nil {
		return nil
	}
	if c.namespaced {
		c.Errorf(here, "expected none: a %s applies to its own namespace", namespacedKind)
	}
	if len(list) == 0 {
		c.Missing(here, "expected at least one name, got none: leave the field out for every namespace")
	}
	if !c.AtMost(here, len(list), maxNamespaces) {
		return nil
	}
	for i, name := range list {
		if name == "" && c.Partial {
			continue
		}
		if len(name) > maxLabelName || !namespaceWild.MatchString(name) {
			c.Errorf(dialect.At(here, i), "expected the name of a namespace, or a pattern with '*' and '?', got %q", dialect.Clip(name))
		}
	}
	return list
}

func (c *compiler) selector(path string, s *metav1.LabelSelector) labels.Selector {
	if s == nil {
		return nil
	}
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		c.Errorf(path, "expected a label selector without wildcards: %w", err)
		return nil
	}
	return selector
}

// operations keeps what admission decides: nothing begins to run by the others.
func (c *compiler) operations(path string, list []string, exact bool) []string {
	if list == nil {
		return nil
	}
	kept := []string{}
	for i, word := range list {
		if c.choice(dialect.At(path, i), word, "CREATE", "UPDATE", "DELETE", "CONNECT") >= 0 {
			kept = append(kept, strings.ToUpper(word))
		}
	}
	creates, updates := slices.Contains(kept, "CREATE"), slices.Contains(kept, "UPDATE")
	switch {
	case !creates && !updates && !exact:
		c.Missing(path, "expected CREATE or UPDATE, got neither: the rule would decide nothing")
	case creates != updates && !exact, exact && (creates || updates):
		c.Weaker(path, "a rule for some operations leaves images that come by the others unverified")
	}
	return kept
}

// optOut applies TRUST R16: a workload's author chooses its labels and its
// kind, and so must not choose whether an enforcing cluster policy applies. A
// namespaced policy only adds to those.
func (c *compiler) optOut(path string, match, exclude block, modes []action) {
	enforces := slices.ContainsFunc(modes, func(a action) bool { return a.mode == policy.Enforce })
	if c.namespaced || !enforces {
		return
	}
	selecting := authorSelects(match, exclude)
	if selecting == "" {
		return
	}
	if c.annotated(annotationOptOut) {
		c.Weaker(selecting, "a workload's author can write it so that rule %s does not apply", path)
		return
	}
	c.refuse(selecting, "a workload's author can write it so that the rule does not apply: leave it out, or annotate the policy with "+annotationOptOut+`: "true"`)
}

// authorSelects returns the path of the first selection by what a workload's
// author writes, or "".
func authorSelects(match, exclude block) string {
	for _, f := range match.filters {
		switch {
		case f.objectLabels != nil:
			return f.path + ".selector"
		case !slices.Contains(f.kinds, podKind) && (match.all || !match.coversPods(f)):
			return f.path + ".kinds"
		}
	}
	for _, f := range exclude.filters {
		switch {
		case f.objectLabels != nil:
			return f.path + ".selector"
		case slices.Contains(f.kinds, podKind) && !exclude.inNamespaces(f):
			return f.path + ".kinds"
		}
	}
	return ""
}

// inNamespaces reports whether a filter, with the others where all must hold,
// selects some namespaces alone.
func (b block) inNamespaces(f filter) bool {
	return f.limited() || b.all && slices.ContainsFunc(b.filters, filter.limited)
}

// limited reports whether a filter leaves namespaces out. A pattern of nothing
// but wildcards and an empty selector leave out none.
func (f filter) limited() bool {
	return f.namespaces != nil && !slices.ContainsFunc(f.namespaces, everything) || selects(f.namespaceLabels)
}

func selects(s labels.Selector) bool { return s != nil && !s.Empty() }

// coversPods reports whether another filter selects the Pods of all that f
// selects by: its own kinds then only add.
func (b block) coversPods(f filter) bool {
	return slices.ContainsFunc(b.filters, func(other filter) bool {
		return slices.Contains(other.kinds, podKind) && (other.namespaces == nil || slices.Equal(other.namespaces, f.namespaces)) &&
			other.namespaceLabels == nil && other.objectLabels == nil && other.operations == nil
	})
}
