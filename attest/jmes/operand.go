package jmes

import (
	"fmt"
	"maps"
	"slices"
)

// An operand is a key or a value of a test, or any tree of a policy, with its
// texts compiled.
type operand struct {
	constant any // if nothing in it is a template
	text     *template
	list     []*operand
	object   []entry // by name
}

type entry struct {
	name  *operand
	value *operand
}

// compileOperand compiles a normalised value.
func compileOperand(v any, b *Budget) (*operand, error) {
	switch x := v.(type) {
	case string:
		t, err := parseTemplate(x, b)
		if err != nil {
			return nil, err
		}
		return &operand{text: t}, nil
	case []any:
		o := &operand{list: make([]*operand, 0, len(x))}
		for i, element := range x {
			compiled, err := compileOperand(element, b)
			if err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
			o.list = append(o.list, compiled)
		}
		return o, nil
	case map[string]any:
		o := &operand{object: make([]entry, 0, len(x))}
		for _, name := range slices.Sorted(maps.Keys(x)) {
			key, err := compileOperand(name, b)
			if err != nil {
				return nil, fmt.Errorf("name %q: %w", clip(name, maxShown), err)
			}
			value, err := compileOperand(x[name], b)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", clip(name, maxShown), err)
			}
			o.object = append(o.object, entry{key, value})
		}
		return o, nil
	}
	return &operand{constant: v}, nil
}

// variables calls yield for each variable, those inside others included.
func (o *operand) variables(yield func(*variable)) {
	if o.text != nil {
		o.text.variables(yield)
	}
	for _, element := range o.list {
		element.variables(yield)
	}
	for _, e := range o.object {
		e.name.variables(yield)
		e.value.variables(yield)
	}
}

func (t *template) variables(yield func(*variable)) {
	for _, p := range t.parts {
		if p.variable == nil {
			continue
		}
		yield(p.variable)
		if p.variable.inner != nil {
			p.variable.inner.variables(yield)
		}
	}
}

// render resolves all texts.
func (o *operand) render(e *evaluator, root map[string]any, authored func(*variable) bool) (rendered, error) {
	switch {
	case o.text != nil && len(o.text.parts) == 0:
		return rendered{value: ""}, nil
	case o.text != nil:
		return o.text.render(e, root, authored)
	case o.list != nil:
		return o.renderList(e, root, authored)
	case o.object != nil:
		return o.renderObject(e, root, authored)
	}
	return rendered{value: o.constant}, nil
}

func (o *operand) renderList(e *evaluator, root map[string]any, authored func(*variable) bool) (rendered, error) {
	list, wild := make([]any, 0, len(o.list)), false
	for _, element := range o.list {
		r, err := element.render(e, root, authored)
		if err != nil {
			return rendered{}, err
		}
		list, wild = append(list, r.value), wild || r.wild
	}
	return rendered{list, wild}, nil
}

func (o *operand) renderObject(e *evaluator, root map[string]any, authored func(*variable) bool) (rendered, error) {
	object, wild := make(map[string]any, len(o.object)), false
	for _, entry := range o.object {
		name, err := entry.name.render(e, root, authored)
		if err != nil {
			return rendered{}, err
		}
		text, is := name.value.(string)
		if _, has := object[text]; !is || has {
			return rendered{}, fmt.Errorf("expected a name of its own, a string, got %s", shown(name.value))
		}
		r, err := entry.value.render(e, root, authored)
		if err != nil {
			return rendered{}, err
		}
		object[text], wild = r.value, wild || r.wild
	}
	return rendered{object, wild}, nil
}
