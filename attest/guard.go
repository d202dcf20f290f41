package attest

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"

	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// CEL's cost limit and the context are looked at between steps. One step can
// run for ever: lists that hold each other twice, sixty times over, are made in
// sixty steps and compared in 2^60. So the steps whose work is not bounded by a
// document's size check it first.
const (
	// maxStep bounds the values that one step looks at: some ten milliseconds.
	maxStep = 1_000_000
	// maxList bounds the elements of a list that an expression puts together.
	maxList = 1_000_000
	// maxText bounds a string that an expression puts together, in bytes: as long
	// as a whole document.
	maxText = 10 << 20
	// maxMatched bounds the text that a regular expression is matched with, in
	// bytes. Identities and URIs have some hundred.
	maxMatched = 64 << 10
	// maxStates bounds the instructions of a regular expression: matching takes
	// their number times the text's length.
	maxStates = 2000
)

var errTooMuch = errors.New("expected values that can be compared in one step, got more")

// guard is a step of the interpreter with its work checked beforehand.
type guard func(args []ref.Val) ref.Val

func guards() map[string]guard {
	return map[string]guard{
		operators.Equals:    func(args []ref.Val) ref.Val { return equal(args[0], args[1]) },
		operators.NotEquals: func(args []ref.Val) ref.Val { return not(equal(args[0], args[1])) },
		operators.In:        contains,
		operators.Add:       add,
		"sets.contains":     func(args []ref.Val) ref.Val { return holdsAll(args[0], args[1]) },
		"sets.equivalent":   equivalent,
		"sets.intersects":   intersects,
	}
}

// guardCalls replaces the steps that have a guard.
func guardCalls() interpreter.InterpretableDecoratorV2 {
	all := guards()
	return func(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		call, is := i.(interpreter.InterpretableCall)
		if !is {
			return i, nil
		}
		if call.Function() == "matches" {
			return matching(call)
		}
		checked, guarded := all[call.Function()]
		if !guarded {
			return i, nil
		}
		return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), func(args ...ref.Val) ref.Val {
			return checked(args)
		}), nil
	}
}

func equal(a, b ref.Val) ref.Val {
	if heavy(a) && heavy(b) && weight(a, maxStep) >= maxStep && weight(b, maxStep) >= maxStep {
		return types.WrapErr(errTooMuch)
	}
	return types.Equal(a, b)
}

func not(v ref.Val) ref.Val {
	if b, is := v.(types.Bool); is {
		return !b
	}
	return v
}

// contains is the operator in.
func contains(args []ref.Val) ref.Val {
	container, is := args[1].(traits.Container)
	if !is {
		return types.MaybeNoSuchOverloadErr(args[1])
	}
	if !within(args[1], weight(args[0], maxStep)) {
		return types.WrapErr(errTooMuch)
	}
	return container.Contains(args[0])
}

// within reports whether each element of a list can be compared with something
// of the weight in one step.
func within(list ref.Val, each int) bool {
	lister, is := list.(traits.Lister)
	if !is {
		return true // a key of a map is looked up
	}
	size, is := lister.Size().(types.Int)
	return is && each < maxStep && size*types.Int(each) <= maxStep
}

func add(args []ref.Val) ref.Val {
	adder, is := args[0].(traits.Adder)
	if !is {
		return types.MaybeNoSuchOverloadErr(args[0])
	}
	most := types.Int(maxList)
	switch args[0].(type) {
	case types.String, types.Bytes:
		most = maxText
	}
	a, aSized := args[0].(traits.Sizer)
	b, bSized := args[1].(traits.Sizer)
	if aSized && bSized {
		if size(a)+size(b) > most {
			return types.NewErr("expected at most %d elements or characters, got more", int64(most))
		}
	}
	return adder.Add(args[1])
}

func size(v traits.Sizer) types.Int {
	if n, is := v.Size().(types.Int); is {
		return n
	}
	return 0
}

// holdsAll reports whether a list holds all elements of another.
func holdsAll(list, elements ref.Val) ref.Val {
	of, is := elements.(traits.Lister)
	container, isList := list.(traits.Lister)
	if !is || !isList {
		return types.MaybeNoSuchOverloadErr(list)
	}
	if !within(list, weight(elements, maxStep)) {
		return types.WrapErr(errTooMuch)
	}
	for it := of.Iterator(); it.HasNext() == types.True; {
		if found := container.Contains(it.Next()); found != types.True {
			return found
		}
	}
	return types.True
}

func equivalent(args []ref.Val) ref.Val {
	if forth := holdsAll(args[0], args[1]); forth != types.True {
		return forth
	}
	return holdsAll(args[1], args[0])
}

func intersects(args []ref.Val) ref.Val {
	of, is := args[1].(traits.Lister)
	container, isList := args[0].(traits.Lister)
	if !is || !isList {
		return types.MaybeNoSuchOverloadErr(args[0])
	}
	if !within(args[0], weight(args[1], maxStep)) {
		return types.WrapErr(errTooMuch)
	}
	for it := of.Iterator(); it.HasNext() == types.True; {
		if found := container.Contains(it.Next()); found != types.False {
			return found
		}
	}
	return types.False
}

// matching compiles the regular expression of a call of matches once. inspect
// has checked it.
func matching(call interpreter.InterpretableCall) (interpreter.InterpretableV2, error) {
	args := call.Args()
	pattern, is := args[len(args)-1].(interpreter.InterpretableConst)
	if !is {
		return nil, errPattern
	}
	text, is := pattern.Value().(types.String)
	if !is {
		return nil, errPattern
	}
	compiled, err := regexp.Compile(string(text))
	if err != nil {
		return nil, fmt.Errorf("compile a regular expression: %w", err)
	}
	return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), args, func(args ...ref.Val) ref.Val {
		matched, is := args[0].(types.String)
		switch {
		case !is:
			return types.MaybeNoSuchOverloadErr(args[0])
		case len(matched) > maxMatched:
			return types.NewErr("expected at most %d bytes to match with a regular expression, got %d", int64(maxMatched), int64(len(matched)))
		}
		return types.Bool(compiled.MatchString(string(matched)))
	}), nil
}

var errPattern = errors.New("expected a regular expression that is written out, got one that is computed")

// checkPattern applies TRUST R14 to a regular expression: it is known when the
// policy is loaded, and says where it begins and ends, for one that does not
// would match anywhere in an identity.
func checkPattern(pattern string) error {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return fmt.Errorf("expected a regular expression (RE2): %w", err)
	}
	last := len(parsed.Sub) - 1
	if parsed.Op != syntax.OpConcat || parsed.Sub[0].Op != syntax.OpBeginText || parsed.Sub[last].Op != syntax.OpEndText {
		return fmt.Errorf("expected a regular expression that says where it begins and ends, ^(?:…)$, got %q", clip(pattern, maxQuoted))
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return fmt.Errorf("expected a regular expression (RE2): %w", err)
	}
	if len(program.Inst) > maxStates {
		return fmt.Errorf("expected a regular expression of at most %d steps, got %d", maxStates, len(program.Inst))
	}
	return nil
}

// heavy reports whether a value can hold others.
func heavy(v ref.Val) bool {
	switch v.(type) {
	case traits.Lister, traits.Mapper:
		return true
	}
	return false
}

// weight counts the values that v consists of, up to a bound. A value that is
// there twice counts twice: comparing walks it twice.
func weight(v ref.Val, most int) int {
	left := most
	weigh(v, &left)
	return most - max(left, 0)
}

func weigh(v any, left *int) {
	if *left--; *left <= 0 {
		return
	}
	switch v := v.(type) {
	case []any:
		for i := 0; i < len(v) && *left > 0; i++ {
			weigh(v[i], left)
		}
	case map[string]any:
		for _, element := range v {
			if weigh(element, left); *left <= 0 {
				return
			}
		}
	case string:
		*left -= len(v) / compared
	case types.String:
		*left -= len(v) / compared
	case traits.Lister:
		if native, is := v.Value().([]any); is {
			weigh(native, left)
			return
		}
		for it := v.Iterator(); *left > 0 && it.HasNext() == types.True; {
			weigh(it.Next(), left)
		}
	case traits.Mapper:
		if native, is := v.Value().(map[string]any); is {
			weigh(native, left)
			return
		}
		for it := v.Iterator(); *left > 0 && it.HasNext() == types.True; {
			key := it.Next()
			weigh(key, left)
			weigh(v.Get(key), left)
		}
	}
}

// compared is how many bytes of a string compare as fast as one value.
const compared = 64
