package native

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// maxNamespaces bounds match.namespaces.
const maxNamespaces = 1000

// match returns the policy's matcher, or nil if it selects every request.
func (c *compiler) match() policy.Matcher {
	m := &matcher{}
	if c.namespaced {
		m.names = map[string]bool{c.Document.Namespace: true}
	}
	spec := c.spec.Match
	if spec == nil {
		return m.orNil()
	}
	if spec.Conditions != nil {
		c.unsupported("spec.match.conditions")
	}
	if c.namespaced {
		c.foreignNamespaces()
	} else {
		c.namespaces(m, spec.Namespaces)
		m.namespaceLabels = c.selector("spec.match.namespaceSelector", spec.NamespaceSelector)
	}
	if spec.NamespaceSelector != nil && !c.options.ClusterAvailable && !c.namespaced {
		c.Errorf("spec.match.namespaceSelector", "expected a cluster that knows the labels of namespaces, got none: name the namespaces in spec.match.namespaces")
	}
	m.objectLabels = c.selector("spec.match.objectSelector", spec.ObjectSelector)
	m.kinds = c.kinds("spec.match.kinds", spec.Kinds)
	return m.orNil()
}

// foreignNamespaces refuses in a namespaced policy what could reach beyond its
// namespace (TRUST R17), or could only seem to.
func (c *compiler) foreignNamespaces() {
	const only = "expected none: a VerificationPolicy applies to its own namespace"
	if c.spec.Match.Namespaces != nil {
		c.Errorf("spec.match.namespaces", only)
	}
	if c.spec.Match.NamespaceSelector != nil {
		c.Errorf("spec.match.namespaceSelector", only)
	}
}

var namespacePattern = regexp.MustCompile(`^[a-z0-9*]([a-z0-9*-]*[a-z0-9*])?$`)

func (c *compiler) namespaces(m *matcher, list []string) {
	const path = "spec.match.namespaces"
	if list != nil && len(list) == 0 {
		c.Errorf(path, "expected at least one name, got none: leave the field out for every namespace")
	}
	if !c.AtMost(path, len(list), maxNamespaces) {
		return
	}
	c.unique(path, list)
	for i, name := range list {
		switch {
		case len(name) > maxLabelName || !namespacePattern.MatchString(name):
			c.Errorf(dialect.At(path, i), "expected the name of a namespace, or a pattern with '*', got %q", dialect.Clip(name))
		case strings.Contains(name, "*"):
			m.patterns = append(m.patterns, strings.Split(name, "*"))
		default:
			if m.names == nil {
				m.names = make(map[string]bool)
			}
			m.names[name] = true
		}
	}
}

func (c *compiler) selector(path string, s *metav1.LabelSelector) labels.Selector {
	if s == nil {
		return nil
	}
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		c.Errorf(path, "expected a label selector: %w", err)
		return nil
	}
	return selector
}

// matcher selects requests. Each part that is nil selects all. It is immutable
// and asked for every image that is decided.
type matcher struct {
	names           map[string]bool
	patterns        [][]string // what stands between the stars
	namespaceLabels labels.Selector
	objectLabels    labels.Selector
	kinds           []string
}

// orNil returns nil for a matcher that selects all, which costs nothing to ask.
func (m *matcher) orNil() policy.Matcher {
	if m.names == nil && m.patterns == nil && m.namespaceLabels == nil && m.objectLabels == nil && m.kinds == nil {
		return nil
	}
	return m
}

// Namespaces implements [policy.ScopedMatcher]: a name that is not among them is
// refused whatever the other parts say.
func (m *matcher) Namespaces() []string {
	if m.patterns != nil {
		return nil
	}
	return slices.Collect(maps.Keys(m.names))
}

// Match implements [policy.Matcher]. Where a door carries no namespace, or no
// object, the parts that would look at it select: doubt includes. Where it
// carries a namespace that could not be found out, that is an error, unless
// another part already says no (TRUST R16).
func (m *matcher) Match(r policy.Request) (bool, error) {
	if r.Kind != "" {
		if m.kinds != nil && !slices.Contains(m.kinds, r.Kind) {
			return false, nil
		}
		if m.objectLabels != nil && !m.objectLabels.Matches(labels.Set(r.Labels)) {
			return false, nil
		}
	}
	return m.matchNamespace(r.Namespace)
}

func (m *matcher) matchNamespace(n policy.Namespace) (bool, error) {
	byName := m.names != nil || m.patterns != nil
	if !byName && m.namespaceLabels == nil {
		return true, nil
	}
	switch n.State {
	case policy.NamespaceNotCarried:
		return true, nil
	case policy.NamespaceKnown:
	default: // what is not known to be known is unknown
		return false, n.NotKnown("match")
	}
	if byName && !m.named(n.Name) {
		return false, nil
	}
	if m.namespaceLabels == nil {
		return true, nil
	}
	if n.Labels == nil {
		return false, &evidence.Problem{Reason: evidence.SelectionFailed, Path: "match.namespaceSelector", Expected: "the labels of namespace " + n.Name, Got: "none"}
	}
	return m.namespaceLabels.Matches(labels.Set(n.Labels)), nil
}

func (m *matcher) named(name string) bool {
	if m.names[name] {
		return true
	}
	for _, parts := range m.patterns {
		if glob(parts, name) {
			return true
		}
	}
	return false
}

// glob reports whether name begins with the first part, ends with the last and
// has the others between them, in order. There are at least two parts.
func glob(parts []string, name string) bool {
	last := len(parts) - 1
	rest, begins := strings.CutPrefix(name, parts[0])
	if !begins {
		return false
	}
	rest, ends := strings.CutSuffix(rest, parts[last])
	if !ends {
		return false
	}
	for _, part := range parts[1:last] {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = after
	}
	return true
}
