package jmes

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/bonafide-dev/bonafide/internal/spelling"
)

// A function of the language.
type function struct {
	name     string
	args     []kinds
	variadic bool // the last argument may repeat
	pattern  bool // the first argument is a regular expression
	run      func(c call) (any, error)
}

// A call is one application of a function: its arguments, of the kinds that it
// asks for.
type call struct {
	*evaluator
	node *node
	args []any
}

func (c call) string(i int) string {
	s, _ := c.args[i].(string)
	return s
}

func (c call) number(i int) float64 {
	f, _ := float(c.args[i])
	return f
}

func (c call) list(i int) []any {
	list, _ := c.args[i].([]any)
	return list
}

func (c call) object(i int) map[string]any {
	object, _ := c.args[i].(map[string]any)
	return object
}

// kinds is a set of kinds of values.
type kinds uint8

const (
	aString kinds = 1 << iota
	aNumber
	aBoolean
	aNull
	anArray
	anObject
	anExpression
)

const anything = aString | aNumber | aBoolean | aNull | anArray | anObject

func (k kinds) admits(v any) bool {
	switch v.(type) {
	case nil:
		return k&aNull != 0
	case bool:
		return k&aBoolean != 0
	case string:
		return k&aString != 0
	case int64, float64:
		return k&aNumber != 0
	case []any:
		return k&anArray != 0
	case map[string]any:
		return k&anObject != 0
	}
	return false
}

func (k kinds) String() string {
	names := [...]struct {
		kind kinds
		name string
	}{
		{aString, "a string"}, {aNumber, "a number"}, {aBoolean, "a boolean"}, {aNull, "null"},
		{anArray, "an array"}, {anObject, "an object"}, {anExpression, "an expression"},
	}
	var of []string
	for _, n := range names {
		if k&n.kind != 0 {
			of = append(of, n.name)
		}
	}
	return strings.Join(of, " or ")
}

func (f *function) kindOf(i int) kinds {
	return f.args[min(i, len(f.args)-1)]
}

func (f *function) arity(got int) error {
	want := len(f.args)
	if got == want || f.variadic && got > want {
		return nil
	}
	atLeast := ""
	if f.variadic {
		atLeast = "at least "
	}
	return fmt.Errorf("%s: expected %s%d arguments, got %d", f.name, atLeast, want, got)
}

// lookupFunction finds a function by its name.
func lookupFunction(name string) (*function, error) {
	if name == "random" {
		return nil, fmt.Errorf("function %q is refused: the same request must be decided the same way each time", name)
	}
	table := functionTable()
	i := slices.IndexFunc(table, func(f function) bool { return f.name == name })
	if i < 0 {
		names := make([]string, len(table))
		for i, f := range table {
			names[i] = f.name
		}
		return nil, fmt.Errorf("expected a function, got %q%s", clip(name, maxShown), meant(name, names))
	}
	return &table[i], nil
}

// functionTable lists all functions, by what they are about.
// It is made once: an expression can hold a thousand calls.
var functionTable = sync.OnceValue(func() []function {
	return slices.Concat(standardFunctions(), expressionFunctions(), textFunctions(), numberFunctions(), timeFunctions(), dataFunctions(), digestFunctions(), nameFunctions())
})

// meant says which of the candidates a name was probably meant to be.
func meant(name string, candidates []string) string {
	if nearest := spelling.Nearest(name, candidates); nearest != "" {
		return fmt.Sprintf("; the nearest is %q", nearest)
	}
	return ""
}
