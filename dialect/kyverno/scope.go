package kyverno

import "github.com/bonafide-dev/bonafide/dialect"

var _ dialect.Scoper = (*Dialect)(nil)

// Scope implements [dialect.Scoper]. A cluster holds many policies that are not
// about the signatures of images; they are Kyverno's alone.
func (*Dialect) Scope(document dialect.Document) dialect.Scope {
	var loose map[string]any
	if document.Decode(&loose) != nil {
		return dialect.Scope{}
	}
	spec, _ := loose["spec"].(map[string]any)
	rules, listed := spec["rules"].([]any)
	if !listed {
		return dialect.Scope{}
	}
	for _, r := range rules {
		rule, is := r.(map[string]any)
		if _, verifies := rule["verifyImages"]; !is || verifies {
			return dialect.Scope{}
		}
	}
	return dialect.Scope{OtherMatter: len(rules) > 0}
}
