package attest

import (
	"strings"

	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// One step can run for ever: lists that hold each other twice, sixty times over,
// are made in sixty steps and compared in 2^60. So the calls whose work is more
// than to look once through their arguments pay for it first.
const (
	// maxText bounds a text that an expression puts together, in bytes: as long as
	// a whole document.
	maxText = 10 << 20
	// maxSplit bounds a text that is split, in bytes: each piece takes memory.
	maxSplit = 1 << 20
	// maxMoment bounds a text that is to be a moment or a duration, in bytes.
	maxMoment = 128
	// maxMatched bounds the text that a regular expression is matched with, in
	// bytes. Identities and URIs have some hundred.
	maxMatched = 64 << 10
)

// guard makes a call, its work paid beforehand.
type guard func(m *meter, args []ref.Val) ref.Val

func guards() map[string]guard {
	all := map[string]guard{
		operators.Equals:    equal,
		operators.NotEquals: func(m *meter, args []ref.Val) ref.Val { return not(equal(m, args)) },
		operators.In:        contains,
		operators.Add:       add,
		"sets.contains":     holdsAll,
		"sets.equivalent":   equivalent,
		"sets.intersects":   intersects,
		"split":             split,
		"duration":          convert(types.DurationType),
		"timestamp":         convert(types.TimestampType),
	}
	for _, h := range allHelpers() {
		all[h.name] = help(h.name)
	}
	return all
}

// meterCall makes a call pay for its result, and for its work if that is more.
func meterCall(call interpreter.InterpretableCall, all map[string]guard, p patterns) (interpreter.InterpretableV2, error) {
	if call.Function() == "matches" {
		compiled, err := p.of(call.Args()[len(call.Args())-1])
		if err != nil {
			return nil, err
		}
		return &guarded{call, compiled.match}, nil
	}
	if g, is := all[call.Function()]; is {
		return &guarded{call, g}, nil
	}
	return &meteredCall{call, stepsOf(call)}, nil
}

// stepsOf is what a call takes beside its arguments and result.
func stepsOf(call interpreter.InterpretableCall) int {
	const zone = 200 // a time zone is read from a file
	if strings.HasPrefix(call.Function(), "get") && len(call.Args()) > 1 {
		return zone
	}
	return 1
}

// meteredCall is a call whose work is to look once through its arguments, which
// are paid.
type meteredCall struct {
	interpreter.InterpretableCall

	steps int
}

// Exec implements [interpreter.InterpretableV2].
func (s *meteredCall) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	m := meterOf(frame)
	m.spend(s.steps)
	v := s.InterpretableCall.Exec(frame)
	m.spendMaking(v)
	return v
}

// Eval implements [interpreter.Interpretable].
func (s *meteredCall) Eval(vars interpreter.Activation) ref.Val {
	return s.Exec(interpreter.AsFrame(vars))
}

// guarded is a call in whose place a guard runs.
type guarded struct {
	interpreter.InterpretableCall

	guard guard
}

// Exec implements [interpreter.InterpretableV2].
func (g *guarded) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	var both [2]ref.Val
	args := both[:0]
	for _, argument := range g.Args() {
		v := argument.Exec(frame)
		if types.IsUnknownOrError(v) {
			return v
		}
		args = append(args, v)
	}
	m := meterOf(frame)
	m.spend(1)
	return g.guard(m, args)
}

// Eval implements [interpreter.Interpretable].
func (g *guarded) Eval(vars interpreter.Activation) ref.Val {
	return g.Exec(interpreter.AsFrame(vars))
}

// equal compares as many values as the smaller of the two consists of.
func equal(m *meter, args []ref.Val) ref.Val {
	a, b := args[0], args[1]
	if heavy(a) && heavy(b) {
		m.spend(lesser(a, b, m.left()+1))
	}
	return types.Equal(a, b)
}

func not(v ref.Val) ref.Val {
	if b, is := v.(types.Bool); is {
		return !b
	}
	return v
}

// contains is the operator in. Of a list each element is compared, of an object
// a name is looked up.
func contains(m *meter, args []ref.Val) ref.Val {
	container, is := args[1].(traits.Container)
	if !is {
		return types.MaybeNoSuchOverloadErr(args[1])
	}
	m.spendOnEach(args[1], m.weight(args[0], 1))
	return container.Contains(args[0])
}

// spendOnEach pays for comparing each element of a list with something of the
// weight.
func (m *meter) spendOnEach(list ref.Val, each int) {
	lister, is := list.(traits.Lister)
	if !is {
		return
	}
	n := int(size(lister))
	if n > 0 && each > m.left()/n {
		n, each = 1, maxSteps+1 // more than is left
	}
	m.spend(n * each)
}

// add is the operator +. Lists are copied: CEL would keep their parts, and pass
// through all of those for each element.
func add(m *meter, args []ref.Val) ref.Val {
	switch a := args[0].(type) {
	case types.String:
		if b, is := args[1].(types.String); is && len(a)+len(b) > maxText {
			return types.NewErr("expected at most %d bytes of text, got more", int64(maxText))
		}
	case types.Bytes:
		if b, is := args[1].(types.Bytes); is && len(a)+len(b) > maxText {
			return types.NewErr("expected at most %d bytes, got more", int64(maxText))
		}
	case traits.MutableLister: // a loop's step, in place
		m.spend(sizeOf(args[1], 1, 1))
		return a.Add(args[1])
	case traits.Lister:
		if b, is := args[1].(traits.Lister); is {
			return concatenate(m, a, b)
		}
	}
	adder, is := args[0].(traits.Adder)
	if !is {
		return types.MaybeNoSuchOverloadErr(args[0])
	}
	sum := adder.Add(args[1])
	m.spendMaking(sum)
	return sum
}

func concatenate(m *meter, a, b traits.Lister) ref.Val {
	n := int(size(a) + size(b))
	m.spend(n)
	all := make([]ref.Val, 0, n)
	for _, list := range [...]traits.Lister{a, b} {
		for it := list.Iterator(); it.HasNext() == types.True; {
			all = append(all, it.Next())
		}
	}
	return types.NewRefValList(types.DefaultTypeAdapter, all)
}

// split is the function of CEL's strings extension, with and without a number of
// pieces.
func split(m *meter, args []ref.Val) ref.Val {
	text, is := args[0].(types.String)
	separator, also := args[1].(types.String)
	if !is || !also {
		return types.MaybeNoSuchOverloadErr(args[0])
	}
	pieces := types.Int(-1)
	if len(args) > 2 {
		if pieces, is = args[2].(types.Int); !is {
			return types.MaybeNoSuchOverloadErr(args[2])
		}
	}
	if len(text) > maxSplit {
		return types.NewErr("expected at most %d bytes to split, got %d", int64(maxSplit), int64(len(text)))
	}
	m.spend(len(text) / elementsPerStep)
	return types.DefaultTypeAdapter.NativeToValue(strings.SplitN(string(text), string(separator), int(min(pieces, maxSplit))))
}

// convert makes a moment or a duration. The error about a text that is none
// repeats it, so that only short texts are tried.
func convert(to ref.Type) guard {
	return func(_ *meter, args []ref.Val) ref.Val {
		if text, is := args[0].(types.String); is && len(text) > maxMoment {
			return types.NewErr("expected a text of at most %d bytes as %s, got %d", int64(maxMoment), to.TypeName(), int64(len(text)))
		}
		return args[0].ConvertToType(to)
	}
}

func size(v traits.Sizer) types.Int {
	if n, is := v.Size().(types.Int); is {
		return n
	}
	return 0
}

// holdsAll is sets.contains: it reports whether a list holds all elements of
// another.
func holdsAll(m *meter, args []ref.Val) ref.Val {
	return eachIn(m, args[0], args[1], types.True)
}

func equivalent(m *meter, args []ref.Val) ref.Val {
	if forth := eachIn(m, args[0], args[1], types.True); forth != types.True {
		return forth
	}
	return eachIn(m, args[1], args[0], types.True)
}

func intersects(m *meter, args []ref.Val) ref.Val {
	return eachIn(m, args[0], args[1], types.False)
}

// eachIn looks for each element in the list, for as long as the answer is as
// expected.
func eachIn(m *meter, list, elements ref.Val, expected types.Bool) ref.Val {
	of, is := elements.(traits.Lister)
	container, isList := list.(traits.Lister)
	if !is || !isList {
		return types.MaybeNoSuchOverloadErr(list)
	}
	for it := of.Iterator(); it.HasNext() == types.True; {
		element := it.Next()
		m.spendOnEach(list, m.weight(element, 1))
		if found := container.Contains(element); found != expected {
			return found
		}
	}
	return expected
}
