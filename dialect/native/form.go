package native

import (
	"maps"
	"slices"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

// Form says what is wrong with an object of the native kinds, status aside, as
// far as the object itself shows it: whether it is created now or found later,
// nothing around it can put it right. It asks nobody. Secrets, ConfigMaps and
// files that the object names are not looked at, nor is the operator's trusted
// root, so that whoever may write policies learns nothing about what they may
// not read, and a policy may come before its key. Where these are missing or
// wrong, [Dialect.Policies] says so later.
//
// The notes are what the object's author should know: where a policy is weak,
// and whatever there is to say about a ruling. The error is [dialect.Errors].
//
// The dialect's signers must ask nobody either.
func (d *Dialect) Form(object map[string]any) ([]policy.Note, error) {
	document, err := dialect.FromObject(written(object))
	if err != nil {
		return nil, err
	}
	c := compiler{Dialect: d, Report: dialect.Report{Document: document}, formal: true}
	switch {
	case slices.Contains(d.Kinds(), document.Kind):
		c.compile()
		c.Notes = slices.DeleteFunc(c.Notes, func(n policy.Note) bool { return !n.Weakening })
	case slices.Contains(d.RulingKinds(), document.Kind):
		c.rulings()
	default:
		var names []string
		for _, kind := range dialect.KindsOf(d) {
			names = append(names, kind.String())
		}
		c.Errorf("kind", "expected %s, got %q", dialect.Either(names), dialect.Clip(document.String()))
	}
	if err := c.Errors.Err(); err != nil {
		return nil, err
	}
	return c.Notes, nil
}

// written is the part of an object that its author has written, and when it was
// created: the API server's own additions are not the author's to mend.
func written(object map[string]any) map[string]any {
	all, kept := make(map[string]any), make(map[string]any)
	maps.Copy(all, object)
	delete(all, "status")
	metadata, _ := object["metadata"].(map[string]any)
	for _, name := range []string{"name", "namespace", "creationTimestamp"} {
		if value, set := metadata[name]; set && value != nil {
			kept[name] = value
		}
	}
	all["metadata"] = kept
	return all
}
