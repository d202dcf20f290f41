package jmes

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Values are those of decoded JSON: nil, bool, string, int64, float64, []any,
// map[string]any. Whole numbers stay int64 as long as nothing calculates with
// them, so that large ones compare exactly.

func isNumber(v any) bool {
	switch v.(type) {
	case int64, float64:
		return true
	}
	return false
}

// float returns a number as JMESPath calculates with it.
func float(v any) (float64, bool) {
	switch n := v.(type) {
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}

// compareNumbers compares whole numbers exactly.
func compareNumbers(a, b any) int {
	x, whole := a.(int64)
	y, also := b.(int64)
	if whole && also {
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	f, _ := float(a)
	g, _ := float(b)
	switch {
	case f < g:
		return -1
	case f > g:
		return 1
	}
	return 0
}

// whole returns a number that has no fraction as an int.
func whole(v any) (int, error) {
	f, is := float(v)
	const most = 1 << 53 // up to where float64 holds each whole number
	if !is || f != math.Trunc(f) || math.Abs(f) > most {
		return 0, fmt.Errorf("expected a whole number, got %s", shown(v))
	}
	return int(f), nil
}

// equal compares as JMESPath does: by value, deeply.
func (e *evaluator) equal(a, b any) (bool, error) {
	if err := e.step(1); err != nil {
		return false, err
	}
	switch x := a.(type) {
	case nil:
		return b == nil, nil
	case string:
		y, is := b.(string)
		if err := e.step(len(x) / bytesPerStep); err != nil {
			return false, err
		}
		return is && x == y, nil
	case bool:
		y, is := b.(bool)
		return is && x == y, nil
	case int64, float64:
		return isNumber(b) && compareNumbers(a, b) == 0, nil
	case []any:
		y, is := b.([]any)
		if !is || len(x) != len(y) {
			return false, nil
		}
		for i := range x {
			if same, err := e.equal(x[i], y[i]); err != nil || !same {
				return false, err
			}
		}
		return true, nil
	case map[string]any:
		y, is := b.(map[string]any)
		if !is || len(x) != len(y) {
			return false, nil
		}
		for name, value := range x {
			if err := e.step(len(name) / bytesPerStep); err != nil {
				return false, err
			}
			other, has := y[name]
			if same, err := e.equal(value, other); err != nil || !same || !has {
				return false, err
			}
		}
		return true, nil
	}
	return false, fmt.Errorf("expected a JSON value, got %T", a)
}

// falsy reports what JMESPath counts as false: null, false, and what is empty.
func falsy(v any) bool {
	switch x := v.(type) {
	case nil:
		return true
	case bool:
		return !x
	case string:
		return x == ""
	case []any:
		return len(x) == 0
	case map[string]any:
		return len(x) == 0
	}
	return false
}

// typeOf returns JMESPath's name of the value's type.
func typeOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case int64, float64:
		return "number"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return fmt.Sprintf("%T", v)
}

// plain returns a scalar as text, numbers in digits rather than with an
// exponent.
func plain(v any) (string, bool) {
	switch x := v.(type) {
	case string:
		return x, true
	case bool:
		return strconv.FormatBool(x), true
	case int64:
		return strconv.FormatInt(x, 10), true
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64), true
	}
	return "", false
}

// text returns a value as it is put into a text: a string as it is, others as
// JSON.
func (e *evaluator) text(v any) (string, error) {
	if s, is := v.(string); is {
		return s, e.produce(len(s))
	}
	return e.json(v)
}

// json returns a value as JSON, names sorted.
func (e *evaluator) json(v any) (string, error) {
	if err := e.weigh(v); err != nil {
		return "", err
	}
	data, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("write JSON: %w", err)
	}
	return string(data), nil
}

// weigh charges a value's JSON before it is made.
func (e *evaluator) weigh(v any) error {
	const scalar, escaped = 24, 6 // the longest number; "\u0000" of one byte
	switch x := v.(type) {
	case string:
		return e.produce(2 + escaped*len(x))
	case []any:
		for _, element := range x {
			if err := e.weigh(element); err != nil {
				return err
			}
		}
	case map[string]any:
		for name, value := range x {
			if err := e.weigh(name); err != nil {
				return err
			}
			if err := e.weigh(value); err != nil {
				return err
			}
		}
	}
	return e.produce(scalar)
}

// shown returns a value for a message, bounded.
func shown(v any) string {
	var b []byte
	b = appendShown(b, v)
	if len(b) > maxShown {
		return clip(string(b), maxShown)
	}
	return string(b)
}

// appendShown stops soon after the bound: a value may be as large as a
// document.
func appendShown(b []byte, v any) []byte {
	if len(b) > maxShown {
		return b
	}
	switch x := v.(type) {
	case nil:
		return append(b, "null"...)
	case string:
		return strconv.AppendQuote(b, clip(x, maxShown))
	case []any:
		b = append(b, '[')
		for i, element := range x {
			if i > 0 {
				b = append(b, ", "...)
			}
			if b = appendShown(b, element); len(b) > maxShown {
				return b
			}
		}
		return append(b, ']')
	case map[string]any:
		const most = 1024 // to sort more names for a message is a waste
		if len(x) > most {
			return fmt.Appendf(b, "an object of %d names", len(x))
		}
		b = append(b, '{')
		for i, name := range slices.Sorted(maps.Keys(x)) {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = append(strconv.AppendQuote(b, clip(name, maxShown)), ": "...)
			if b = appendShown(b, x[name]); len(b) > maxShown {
				return b
			}
		}
		return append(b, '}')
	}
	if s, is := plain(v); is {
		return append(b, s...)
	}
	return fmt.Appendf(b, "%v", v) // an int, before it is normalised
}

// clip shortens a text to about n bytes, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// A census normalises what a policy holds to the types above, counting.
type census struct {
	values  int
	longest int // bytes of one text; zero is maxText
}

func (c *census) normal(v any, depth int) (any, error) {
	if c.values++; c.values > maxValues {
		return nil, fmt.Errorf("expected at most %d values, got more", maxValues)
	}
	if depth > maxNesting {
		return nil, fmt.Errorf("expected at most %d levels of nesting, got more", maxNesting)
	}
	switch x := v.(type) {
	case nil, bool, int64:
		return x, nil
	case string:
		if longest := max(c.longest, maxText); len(x) > longest {
			return nil, fmt.Errorf("expected a text of at most %d bytes, got %d", longest, len(x))
		}
		return x, nil
	case int:
		return int64(x), nil
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("expected a finite number, got %v", x)
		}
		return x, nil
	case []string: // as ConfigMaps and lists of names are held
		list := make([]any, len(x))
		for i, s := range x {
			list[i] = s
		}
		return c.normal(list, depth)
	case map[string]string:
		object := make(map[string]any, len(x))
		for name, s := range x {
			object[name] = s
		}
		return c.normal(object, depth)
	case []any:
		list := make([]any, len(x))
		for i, element := range x {
			normal, err := c.normal(element, depth+1)
			if err != nil {
				return nil, err
			}
			list[i] = normal
		}
		return list, nil
	case map[string]any:
		object := make(map[string]any, len(x))
		for name, value := range x {
			normal, err := c.normal(value, depth+1)
			if err != nil {
				return nil, err
			}
			object[name] = normal
		}
		return object, nil
	}
	return nil, fmt.Errorf("expected a JSON value, got %T", v)
}
