package jmes

import (
	"cmp"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// standardFunctions are those of the JMESPath specification that take values:
// https://jmespath.org/specification.html#built-in-functions. sum is Kyverno's.
func standardFunctions() []function {
	return []function{
		{name: "abs", args: []kinds{aNumber}, run: func(c call) (any, error) { return math.Abs(c.number(0)), nil }},
		{name: "avg", args: []kinds{anArray}, run: avg},
		{name: "ceil", args: []kinds{aNumber}, run: func(c call) (any, error) { return math.Ceil(c.number(0)), nil }},
		{name: "contains", args: []kinds{anArray | aString, anything}, run: contains},
		{name: "ends_with", args: []kinds{aString, aString}, run: func(c call) (any, error) { return strings.HasSuffix(c.string(0), c.string(1)), nil }},
		{name: "floor", args: []kinds{aNumber}, run: func(c call) (any, error) { return math.Floor(c.number(0)), nil }},
		{name: "join", args: []kinds{aString, anArray}, run: join},
		{name: "keys", args: []kinds{anObject}, run: keys},
		{name: "length", args: []kinds{aString | anArray | anObject}, run: length},
		{name: "max", args: []kinds{anArray}, run: func(c call) (any, error) { return c.extreme(1) }},
		{name: "merge", args: []kinds{anObject}, variadic: true, run: merge},
		{name: "min", args: []kinds{anArray}, run: func(c call) (any, error) { return c.extreme(-1) }},
		{name: "not_null", args: []kinds{anything}, variadic: true, run: notNull},
		{name: "reverse", args: []kinds{anArray | aString}, run: reverse},
		{name: "sort", args: []kinds{anArray}, run: func(c call) (any, error) { return c.sorted(c.list(0), c.list(0)) }},
		{name: "starts_with", args: []kinds{aString, aString}, run: func(c call) (any, error) { return strings.HasPrefix(c.string(0), c.string(1)), nil }},
		{name: "to_array", args: []kinds{anything}, run: toArray},
		{name: "to_number", args: []kinds{anything}, run: toNumber},
		{name: "to_string", args: []kinds{anything}, run: func(c call) (any, error) { return c.text(c.args[0]) }},
		{name: "type", args: []kinds{anything}, run: func(c call) (any, error) { return typeOf(c.args[0]), nil }},
		{name: "values", args: []kinds{anObject}, run: values},
	}
}

// expressionFunctions are those of the specification that take an expression.
func expressionFunctions() []function {
	return []function{
		{name: "map", args: []kinds{anExpression, anArray}, run: mapped},
		{name: "max_by", args: []kinds{anArray, anExpression}, run: func(c call) (any, error) { return c.extremeBy(1) }},
		{name: "min_by", args: []kinds{anArray, anExpression}, run: func(c call) (any, error) { return c.extremeBy(-1) }},
		{name: "sort_by", args: []kinds{anArray, anExpression}, run: sortBy},
	}
}

var (
	errNumbers   = errors.New("expected an array of numbers")
	errOneKind   = errors.New("expected an array of numbers or of strings alone")
	errEmptyList = errors.New("expected an array with an element, got an empty one")
)

func avg(c call) (any, error) {
	sum, list := 0.0, c.list(0)
	for _, element := range list {
		f, is := float(element)
		if !is {
			return nil, errNumbers
		}
		sum += f
	}
	if len(list) == 0 {
		return nil, errEmptyList
	}
	return sum / float64(len(list)), c.step(len(list))
}

func contains(c call) (any, error) {
	if s, is := c.args[0].(string); is {
		part, is := c.args[1].(string)
		return is && strings.Contains(s, part), c.step(1 + len(s)/bytesPerStep)
	}
	for _, element := range c.list(0) {
		if same, err := c.equal(element, c.args[1]); same || err != nil {
			return same, err
		}
	}
	return false, nil
}

func join(c call) (any, error) {
	list := c.list(1)
	texts := make([]string, 0, len(list))
	for _, element := range list {
		s, is := element.(string)
		if !is {
			return nil, errors.New("expected an array of strings")
		}
		if err := c.produce(len(s) + len(c.string(0))); err != nil {
			return nil, err
		}
		texts = append(texts, s)
	}
	return strings.Join(texts, c.string(0)), nil
}

func keys(c call) (any, error) {
	names, err := c.names(c.object(0))
	return list(names), err
}

func list(texts []string) []any {
	l := make([]any, 0, len(texts))
	for _, s := range texts {
		l = append(l, s)
	}
	return l
}

func values(c call) (any, error) {
	l, _, err := c.ordered(c.args[0])
	return l, err
}

func length(c call) (any, error) {
	switch v := c.args[0].(type) {
	case string:
		return int64(utf8.RuneCountInString(v)), c.step(len(v) / bytesPerStep)
	case []any:
		return int64(len(v)), nil
	}
	return int64(len(c.object(0))), nil
}

func merge(c call) (any, error) {
	merged := map[string]any{}
	for i := range c.args {
		for name := range c.object(i) {
			if err := c.naming(name); err != nil {
				return nil, err
			}
		}
		maps.Copy(merged, c.object(i))
	}
	return merged, nil
}

func notNull(c call) (any, error) {
	for _, v := range c.args {
		if v != nil {
			return v, nil
		}
	}
	return nil, nil
}

func reverse(c call) (any, error) {
	if s, is := c.args[0].(string); is {
		runes := []rune(s)
		slices.Reverse(runes)
		return string(runes), c.produce(len(s))
	}
	l := slices.Clone(c.list(0))
	slices.Reverse(l)
	return l, c.step(len(l))
}

func toArray(c call) (any, error) {
	if l, is := c.args[0].([]any); is {
		return l, nil
	}
	return []any{c.args[0]}, nil
}

func toNumber(c call) (any, error) {
	switch v := c.args[0].(type) {
	case int64, float64:
		return v, nil
	case string:
		n, _ := parseNumber(strings.TrimSpace(v))
		return n, nil
	}
	return nil, nil
}

// ranks checks that elements can be ordered, all numbers or all strings, and pays
// for comparing each so many times.
func (c call) ranks(elements []any, times int) error {
	for _, element := range elements {
		s, text := element.(string)
		_, first := elements[0].(string)
		if text != first || !text && !isNumber(element) {
			return errOneKind
		}
		if err := c.step(times * (1 + len(s)/bytesPerStep)); err != nil {
			return err
		}
	}
	return nil
}

func order(a, b any) int {
	if s, is := a.(string); is {
		t, _ := b.(string)
		return strings.Compare(s, t)
	}
	return compareNumbers(a, b)
}

// sorted returns the elements in the order of their ranks, which are as many.
func (c call) sorted(elements, ranks []any) (any, error) {
	if err := c.ranks(ranks, comparisons(len(ranks))); err != nil {
		return nil, err
	}
	at := make([]int, len(elements))
	for i := range at {
		at[i] = i
	}
	// By index where ranks are the same, which keeps their order in fewer steps
	// than a stable sort.
	slices.SortFunc(at, func(i, j int) int { return cmp.Or(order(ranks[i], ranks[j]), i-j) })
	result := make([]any, 0, len(elements))
	for _, i := range at {
		result = append(result, elements[i])
	}
	return result, nil
}

func (c call) extreme(sign int) (any, error) { return c.pick(c.list(0), c.list(0), sign) }

// pick returns the first element with the greatest or smallest rank, null of
// none.
func (c call) pick(elements, ranks []any, sign int) (any, error) {
	if err := c.ranks(ranks, 1); err != nil || len(elements) == 0 {
		return nil, err
	}
	best := 0
	for i := range elements {
		if sign*order(ranks[i], ranks[best]) > 0 {
			best = i
		}
	}
	return elements[best], nil
}

// each evaluates the expression that is argument i on each element.
func (c call) each(i int, elements []any) ([]any, error) {
	results := make([]any, 0, len(elements))
	for _, element := range elements {
		v, err := c.value(c.node.kids[i].kids[0], element)
		if err != nil {
			return nil, err
		}
		results = append(results, v)
	}
	return results, nil
}

func mapped(c call) (any, error) { return c.each(0, c.list(1)) }

func sortBy(c call) (any, error) {
	ranks, err := c.each(1, c.list(0))
	if err != nil {
		return nil, err
	}
	return c.sorted(c.list(0), ranks)
}

func (c call) extremeBy(sign int) (any, error) {
	ranks, err := c.each(1, c.list(0))
	if err != nil {
		return nil, err
	}
	return c.pick(c.list(0), ranks, sign)
}

// digits writes a number as Kyverno's functions do that take text or number.
func digits(v any) (string, bool) {
	if f, is := v.(float64); is {
		return strconv.FormatFloat(f, 'f', -1, 64), true
	}
	if _, is := v.(bool); is {
		return "", false
	}
	return plain(v)
}
