package kyverno

import "slices"

// coversSomething refuses a rule that could apply to nothing: its author thinks
// that it protects (TRUST R48). It sees what the document says outright: names
// without wildcards that differ, and wildcards that mean all.
func (c *compiler) coversSomething(path string, match, exclude block) {
	if len(c.Errors) > 0 {
		return // filters may lack what could not be read
	}
	if field := match.contradiction(); field != "" {
		c.Errorf(path+".match.all", "expected filters that one request can meet together, got %s of which none meets all: the rule would cover nothing", field)
		return
	}
	if !exclude.takesAll(match) {
		return
	}
	here := path + ".exclude"
	if len(exclude.filters) == 1 {
		here = exclude.filters[0].path
	}
	c.Errorf(here, "expected a part of what match selects, got all of it: the rule would cover nothing")
}

// contradiction returns the field in which the filters exclude one another,
// where all must hold, or "".
func (b block) contradiction() string {
	if !b.all {
		return ""
	}
	kinds, operations := b.filters[0].kinds, b.filters[0].admitted()
	var names []string // the shortest list of names without wildcards
	for _, f := range b.filters {
		kinds, operations = common(kinds, f.kinds), common(operations, f.admitted())
		if f.namespaces != nil && !slices.ContainsFunc(f.namespaces, hasWildcard) && (names == nil || len(f.namespaces) < len(names)) {
			names = f.namespaces
		}
	}
	switch {
	case len(kinds) == 0:
		return "kinds"
	case len(operations) == 0:
		return "operations"
	case names != nil && !slices.ContainsFunc(names, b.meansNamespace):
		return "namespaces"
	}
	return ""
}

// meansNamespace reports whether each filter's names mean a namespace.
func (b block) meansNamespace(name string) bool {
	return !slices.ContainsFunc(b.filters, func(f filter) bool { return f.namespaces != nil && !f.meansNamespace(name) })
}

func (f filter) meansNamespace(name string) bool {
	return slices.ContainsFunc(f.namespaces, func(p string) bool { return wild(p, name) })
}

func common(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return !slices.Contains(b, s) })
}

// admitted are the operations that a filter selects, of those that admission
// decides.
func (f filter) admitted() []string {
	admission := []string{"CREATE", "UPDATE"}
	if f.operations == nil {
		return admission
	}
	return common(admission, f.operations)
}

// takesAll reports whether the block, as exclude, leaves nothing of match.
func (b block) takesAll(match block) bool {
	if len(b.filters) == 0 {
		return false
	}
	left := func(f filter) bool { return !b.takes(f) }
	if match.all { // nothing of one filter is nothing of all
		return slices.ContainsFunc(match.filters, func(f filter) bool { return !left(f) })
	}
	return !slices.ContainsFunc(match.filters, left)
}

// takes reports whether the block leaves nothing of what a filter of match
// selects: each kind, by each operation.
func (b block) takes(selected filter) bool {
	var whole []filter // those that take all namespaces and objects of the filter
	for _, f := range b.filters {
		if f.takesNamespaces(selected) && !selects(f.objectLabels) {
			whole = append(whole, f)
		}
	}
	if len(whole) == 0 || b.all && len(whole) < len(b.filters) {
		return false
	}
	for _, kind := range selected.kinds {
		for _, operation := range selected.admitted() {
			if !b.takesEach(whole, kind, operation) {
				return false
			}
		}
	}
	return true
}

func (b block) takesEach(whole []filter, kind, operation string) bool {
	takes := func(f filter) bool {
		return (f.kinds == nil || slices.Contains(f.kinds, kind)) && slices.Contains(f.admitted(), operation)
	}
	if b.all {
		return !slices.ContainsFunc(whole, func(f filter) bool { return !takes(f) })
	}
	return slices.ContainsFunc(whole, takes)
}

func (f filter) takesNamespaces(selected filter) bool {
	switch {
	case f.namespaces == nil && f.namespaceLabels == nil:
		return true
	case selects(f.namespaceLabels):
		return false
	case !f.limited():
		return true
	case selected.namespaces == nil:
		return false
	}
	return !slices.ContainsFunc(selected.namespaces, func(name string) bool {
		return !slices.Contains(f.namespaces, name) && (hasWildcard(name) || !f.meansNamespace(name))
	})
}
