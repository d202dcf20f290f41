package jmes

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/policy"
)

// A Block holds if Any holds, that is one of its tests, and All holds, that is
// each of its tests. A nil Any holds; an empty one that is not nil does not. A
// nil All holds.
type Block struct{ Any, All []Test }

// A Test compares a key with a value. Both are decoded JSON: nil, bool, string,
// int, int64, float64, []any, map[string]any; their texts may hold variables.
type Test struct {
	Key      any
	Operator string // in any case of letters
	Value    any
	Message  string // shown if the test does not hold; plain text
}

// Options are what conditions may look at beside the statement. The zero Options
// give them nothing.
type Options struct {
	// Context holds variables that are known when the policy is read, such as
	// ConfigMaps: {"keys": {"data": {"org": "…"}}}. It is copied. Its names may
	// not be those of [Reserved].
	Context map[string]any
	// Escaped says that the dialect has variables written `\{{ }}`, to carry them
	// past a policy engine that would resolve them.
	Escaped bool
	// Budget is what compiling may take, for callers that compile several
	// conditions of one request: they pass the same to each call. With nil each
	// call has a whole one for itself.
	Budget *Budget
}

// Compile compiles blocks that must all hold. At least one test must be there,
// and each must look at something: a condition that is always true is a
// mistake. An unknown operator or function is an error that names the nearest.
//
// The condition's Check returns, beside nil, a problem with one of three kinds
// of reasons. [evidence.ConditionNotMet]: all tests that decide were compared
// and do not hold. [evidence.ConditionFailed]: one of them could not be
// compared, so that neither the condition nor its negation may count. And what
// the context's end gives, which is undecided.
func Compile(blocks []Block, o Options) (policy.Condition, error) {
	c := &condition{}
	if o.Budget == nil {
		o.Budget = &Budget{}
	}
	var err error
	if c.context, err = contextOf(o.Context); err != nil {
		return nil, err
	}
	if len(blocks) > maxBlocks {
		return nil, fmt.Errorf("expected at most %d blocks of conditions, got %d", maxBlocks, len(blocks))
	}
	tests := 0
	for i, b := range blocks {
		tests += len(b.Any) + len(b.All)
		if err := o.Budget.spendTests(len(b.Any) + len(b.All)); err != nil {
			return nil, err
		}
		if b.Any != nil && len(b.Any) == 0 {
			return nil, fmt.Errorf("[%d].any: expected a condition, got none", i)
		}
		compiled := block{}
		if compiled.any, err = c.compileTests(b.Any, o); err != nil {
			return nil, fmt.Errorf("[%d].any%w", i, err)
		}
		if compiled.all, err = c.compileTests(b.All, o); err != nil {
			return nil, fmt.Errorf("[%d].all%w", i, err)
		}
		c.blocks = append(c.blocks, compiled)
	}
	if tests == 0 {
		return nil, errors.New("expected a condition, got none")
	}
	return c, nil
}

// contextOf checks and copies the variables that are known when the policy is
// read.
func contextOf(context map[string]any) (map[string]any, error) {
	copied := make(map[string]any, len(context))
	c := census{longest: maxContext}
	for _, name := range slices.Sorted(maps.Keys(context)) {
		if slices.Contains(Reserved(), name) {
			return nil, fmt.Errorf("context variable %q: expected another name, got a reserved one", name)
		}
		v, err := c.normal(context[name], 0)
		if err != nil {
			return nil, fmt.Errorf("context variable %q: %w", clip(name, maxShown), err)
		}
		copied[name] = v
	}
	return copied, nil
}

func (c *condition) compileTests(tests []Test, o Options) ([]*test, error) {
	var compiled []*test
	for i, t := range tests {
		one, err := c.compileTest(t, o)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		compiled = append(compiled, one)
	}
	return compiled, nil
}

func (c *condition) compileTest(t Test, o Options) (*test, error) {
	op, err := lookupOperator(t.Operator)
	if err != nil {
		return nil, err
	}
	compiled := &test{operator: op, message: clip(strings.TrimSpace(t.Message), maxShown)}
	if compiled.key, err = c.compileSide(t.Key, o); err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	if compiled.value, err = c.compileSide(t.Value, o); err != nil {
		return nil, fmt.Errorf("value: %w", err)
	}
	variables := 0
	compiled.key.variables(func(*variable) { variables++ })
	compiled.value.variables(func(*variable) { variables++ })
	if variables == 0 {
		return nil, errors.New("expected a variable such as `{{ name }}` in key or value, got a comparison of constants")
	}
	compiled.source = clip(shown(t.Key)+" "+op.name+" "+shown(t.Value), maxShown)
	return compiled, nil
}

// compileSide compiles a key or a value and refuses variables that no statement
// can give.
func (c *condition) compileSide(v any, opts Options) (*operand, error) {
	normal, err := c.census.normal(v, 0)
	if err != nil {
		return nil, err
	}
	if opts.Escaped {
		normal = unescape(normal)
	}
	o, err := compileOperand(normal, opts.Budget)
	if err != nil {
		return nil, err
	}
	o.variables(func(v *variable) {
		for _, p := range v.paths {
			if refused := c.refuse(p); refused != nil && err == nil {
				err = refused
			}
		}
	})
	return o, err
}

// unescape turns `\{{` into `{{` everywhere.
func unescape(v any) any {
	switch x := v.(type) {
	case string:
		return strings.ReplaceAll(x, `\`+opening, opening)
	case []any:
		for i := range x { // a copy of ours, since it was normalised
			x[i] = unescape(x[i])
		}
	case map[string]any:
		object := make(map[string]any, len(x))
		for name, value := range x {
			object[strings.ReplaceAll(name, `\`+opening, opening)] = unescape(value)
		}
		return object
	}
	return v
}

// Variables returns what the variables in v, a text or any decoded JSON, read,
// as the first names from the root on: `{{ keys.data.org }}` reads {"keys",
// "data", "org"}. Where it cannot be told, because a variable's expression holds
// variables, or it reads all there is, an empty list of names is among the
// result. The error is that of text that does not compile.
func Variables(v any) ([][]string, error) {
	var c census
	normal, err := c.normal(v, 0)
	if err != nil {
		return nil, err
	}
	o, err := compileOperand(normal, &Budget{})
	if err != nil {
		return nil, err
	}
	var paths [][]string
	o.variables(func(v *variable) {
		for _, p := range v.paths {
			paths = append(paths, p)
		}
	})
	slices.SortFunc(paths, slices.Compare)
	return slices.CompactFunc(paths, slices.Equal), nil
}
