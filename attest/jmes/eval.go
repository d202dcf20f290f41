package jmes

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"
)

// missing is what a field resolves to that its object does not have. It differs
// from null: an expression whose result is missing is an error, as in the
// language that this is. Inside an expression it becomes null wherever anything
// but a field looks at it.
type missing struct{ name string }

// search evaluates a whole expression.
func (e *evaluator) search(n *node, root any) (any, error) {
	v, err := e.eval(n, root)
	if err != nil {
		return nil, err
	}
	if m, is := v.(missing); is {
		return nil, fmt.Errorf("expected a value, got none: there is no %q", clip(m.name, maxShown))
	}
	return v, nil
}

// value evaluates n where what is missing counts as null.
func (e *evaluator) value(n *node, current any) (any, error) {
	v, err := e.eval(n, current)
	if _, is := v.(missing); is {
		v = nil
	}
	return v, err
}

func (e *evaluator) eval(n *node, current any) (any, error) {
	if err := e.step(1); err != nil {
		return nil, err
	}
	switch n.kind {
	case isCurrent:
		return current, nil
	case isLiteral:
		return n.value, nil
	case isField:
		return field(n.name, current), e.step(len(n.name) / bytesPerStep)
	case isSub:
		left, err := e.eval(n.kids[0], current)
		if _, is := left.(missing); is || err != nil {
			return left, err
		}
		return e.eval(n.kids[1], left)
	case isPipe:
		var err error
		for _, kid := range n.kids {
			if current, err = e.value(kid, current); err != nil {
				return nil, err
			}
		}
		return current, nil
	case isIndex:
		return index(n.index, current), nil
	case isSlice:
		return e.cut(n.slice, current)
	case isCall:
		return e.apply(n, current)
	case isComparison:
		return e.compare(n, current)
	case isFilter, isFlatten, isProjection, isValues:
		return e.project(n, current)
	case isHash, isList:
		return e.build(n, current)
	case isOr, isAnd, isNot:
		return e.logic(n, current)
	default:
		return nil, errors.New("expected a value, got an expression")
	}
}

func field(name string, current any) any {
	object, is := current.(map[string]any)
	if !is {
		return nil
	}
	v, has := object[name]
	if !has {
		return missing{name}
	}
	return v
}

func index(i int, current any) any {
	list, _ := current.([]any)
	if i < 0 {
		i += len(list)
	}
	if i < 0 || i >= len(list) {
		return nil
	}
	return list[i]
}

// cut is a slice, with the bounds and directions of Python's.
func (e *evaluator) cut(parts [3]*int, current any) (any, error) {
	list, is := current.([]any)
	if !is {
		return nil, nil
	}
	step := 1
	if parts[2] != nil {
		step = *parts[2]
	}
	from, to := 0, len(list)
	if step < 0 {
		from, to = len(list)-1, -1
	}
	if parts[0] != nil {
		from = within(*parts[0], len(list), step)
	}
	if parts[1] != nil {
		to = within(*parts[1], len(list), step)
	}
	if err := e.step(len(list)); err != nil {
		return nil, err
	}
	cut := []any{}
	for i := from; step > 0 && i < to || step < 0 && i > to; {
		cut = append(cut, list[i])
		if step > 0 && i > math.MaxInt-step || step < 0 && i < math.MinInt-step {
			break
		}
		i += step
	}
	return cut, nil
}

func within(i, length, step int) int {
	last := length // one beyond the end in the slice's direction
	first := 0
	if step < 0 {
		first, last = -1, length-1
	}
	if i < 0 {
		if i < -length {
			return first
		}
		return i + length
	}
	return min(i, last)
}

func (e *evaluator) apply(n *node, current any) (any, error) {
	c := call{evaluator: e, node: n, args: make([]any, len(n.kids))}
	for i, kid := range n.kids {
		if kid.kind == isExpression {
			continue // the function evaluates it, on what it likes
		}
		v, err := e.value(kid, current)
		if err != nil {
			return nil, err
		}
		if wants := n.call.kindOf(i); !wants.admits(v) {
			return nil, fmt.Errorf("%s: argument %d: expected %s, got %s", n.call.name, i+1, wants, typeOf(v))
		}
		if s, is := v.(string); is { // functions look through their texts at least once
			if err := e.step(len(s) / bytesPerStep); err != nil {
				return nil, err
			}
		}
		c.args[i] = v
	}
	result, err := n.call.run(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.call.name, err)
	}
	if f, is := result.(float64); is && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return nil, fmt.Errorf("%s: expected a finite number, got %v", n.call.name, f)
	}
	return result, nil
}

func (e *evaluator) compare(n *node, current any) (any, error) {
	left, err := e.value(n.kids[0], current)
	if err != nil {
		return nil, err
	}
	right, err := e.value(n.kids[1], current)
	if err != nil {
		return nil, err
	}
	if n.compare == isEqual || n.compare == isNotEqual {
		same, err := e.equal(left, right)
		return same == (n.compare == isEqual), err
	}
	if !isNumber(left) || !isNumber(right) {
		return nil, nil
	}
	order := compareNumbers(left, right)
	switch n.compare {
	case isLess:
		return order < 0, nil
	case isLessOrEqual:
		return order <= 0, nil
	case isGreater:
		return order > 0, nil
	default:
		return order >= 0, nil
	}
}

func (e *evaluator) logic(n *node, current any) (any, error) {
	left, err := e.value(n.kids[0], current)
	if err != nil {
		return nil, err
	}
	switch {
	case n.kind == isNot:
		return falsy(left), nil
	case n.kind == isOr && falsy(left):
		return e.value(n.kids[1], current)
	case n.kind == isAnd && !falsy(left):
		return e.eval(n.kids[1], current)
	}
	return left, nil
}

// build makes a list or an object; of null it makes null.
func (e *evaluator) build(n *node, current any) (any, error) {
	if current == nil {
		return nil, nil
	}
	if n.kind == isHash {
		if err := e.step(stepsPerName * len(n.kids)); err != nil {
			return nil, err
		}
	}
	list, object := make([]any, 0, len(n.kids)), map[string]any{}
	for _, kid := range n.kids {
		v, err := e.value(kid, current)
		if err != nil {
			return nil, err
		}
		if n.kind == isHash {
			object[kid.name] = v
			continue
		}
		list = append(list, v)
	}
	if n.kind == isHash {
		return object, nil
	}
	return list, nil
}

// project evaluates what makes a list of a list; of anything else it makes
// null. Elements that resolve to null are left out.
func (e *evaluator) project(n *node, current any) (any, error) {
	left, err := e.value(n.kids[0], current)
	if err != nil {
		return nil, err
	}
	list, is := left.([]any)
	if n.kind == isValues {
		if list, is, err = e.ordered(left); err != nil {
			return nil, err
		}
	}
	switch {
	case !is:
		return nil, nil
	case n.kind == isFlatten:
		return e.flatten(list)
	}
	collected := []any{}
	for _, element := range list {
		if n.kind == isFilter {
			holds, err := e.value(n.kids[2], element)
			if err != nil {
				return nil, err
			}
			if falsy(holds) {
				continue
			}
		}
		v, err := e.value(n.kids[1], element)
		if err != nil {
			return nil, err
		}
		if v != nil {
			collected = append(collected, v)
		}
	}
	return collected, nil
}

func (e *evaluator) flatten(list []any) (any, error) {
	flat := make([]any, 0, len(list))
	for _, element := range list {
		inner, is := element.([]any)
		if !is {
			flat = append(flat, element)
			continue
		}
		if err := e.step(len(inner)); err != nil {
			return nil, err
		}
		flat = append(flat, inner...)
	}
	return flat, e.step(len(list))
}

// ordered returns an object's values in the order of their names: a decision
// does not depend on chance.
func (e *evaluator) ordered(v any) ([]any, bool, error) {
	object, is := v.(map[string]any)
	if !is {
		return nil, false, nil
	}
	names, err := e.names(object)
	if err != nil {
		return nil, false, err
	}
	values := make([]any, 0, len(object))
	for _, name := range names {
		values = append(values, object[name])
	}
	return values, true, nil
}

// names returns an object's names in order.
func (e *evaluator) names(object map[string]any) ([]string, error) {
	if err := e.step(len(object)); err != nil {
		return nil, err
	}
	size := 0
	for name := range object {
		size += len(name)
	}
	if err := e.step(comparisons(len(object)) * (len(object) + size/bytesPerStep)); err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(object)), nil
}

// comparisons is how often each of n elements is compared when they are sorted.
func comparisons(n int) int { return bits.Len(uint(n)) }
