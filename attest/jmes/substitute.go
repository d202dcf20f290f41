package jmes

import (
	"fmt"
	"time"
)

// Substitute resolves the variables in v, a text or any decoded JSON, that are
// known when a policy is read, and returns a copy. Names of objects are resolved
// too. A text that is one variable takes that one's value and type; what does
// not resolve is an error, and so is null. `\{{` becomes `{{`. The time is what
// time_now returns; with the zero time it is an error.
func Substitute(v any, variables map[string]any, now time.Time) (any, error) {
	context := census{longest: maxContext}
	known, err := context.normal(variables, 0)
	if err != nil {
		return nil, fmt.Errorf("variables: %w", err)
	}
	var c census
	normal, err := c.normal(v, 0)
	if err != nil {
		return nil, err
	}
	o, err := compileOperand(normal, &Budget{})
	if err != nil {
		return nil, err
	}
	root, _ := known.(map[string]any)
	o.variables(func(v *variable) {
		for _, p := range v.paths {
			if _, has := root[first(p)]; !has && len(p) > 0 && err == nil {
				err = fmt.Errorf("variable %q is not known when the policy is read", clip(p.String(), maxShown))
			}
		}
	})
	if err != nil {
		return nil, err
	}
	e := &evaluator{now: now, alive: func() error { return nil }}
	r, err := o.render(e, root, func(*variable) bool { return true })
	if err != nil {
		return nil, err
	}
	if err := e.whole(r.value, normal); err != nil {
		return nil, err
	}
	return r.value, nil
}

func first(p path) string {
	if len(p) == 0 {
		return ""
	}
	return p[0]
}

// whole refuses a null that a variable resolved to: it would be a field left
// out.
func (e *evaluator) whole(resolved, written any) error {
	if err := e.step(1); err != nil {
		return err
	}
	switch x := written.(type) {
	case string:
		if resolved == nil {
			return fmt.Errorf("expected %q to resolve to a value, got null", clip(x, maxShown))
		}
	case []any:
		list, _ := resolved.([]any)
		for i := range x {
			if err := e.whole(list[i], x[i]); err != nil {
				return err
			}
		}
	case map[string]any:
		object, _ := resolved.(map[string]any)
		for name := range x {
			if value, has := object[name]; has { // else its name is a variable
				if err := e.whole(value, x[name]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
