package attest

import (
	"context"
	"fmt"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"
)

// CEL's own cost limit is not used. Its tracker keeps the values of a loop's
// steps on a stack until the loop ends, and looks through all of them at each
// step: twice the elements take four times as long. Here each step of the
// interpreter pays to a meter for what it yields.
const (
	// maxSteps bounds one evaluation, the one that explains it included: a
	// condition can look at each of sixty thousand packages, as many as the largest
	// bills of materials list, in eighty steps. It takes some half a second, a
	// whole one at the worst.
	maxSteps = 5_000_000
	// bytesPerStep and elementsPerStep are how much of a text, a list or an object
	// is looked through in the time of a step, madePerStep is how much of a text is
	// made: it takes memory.
	bytesPerStep    = 32
	elementsPerStep = 2
	madePerStep     = 16
	// askEvery is after how many steps the context is asked: some hundred
	// microseconds.
	askEvery = 4096
	// explaining is how many times longer a step takes that remembers its values.
	explaining = 3
)

// meter counts the work of one evaluation.
type meter struct {
	alive func() error // the context's end
	spent int
	asked int // at what was spent when the context was last asked
	price int // of a step
}

func newMeter(ctx context.Context) *meter { return &meter{alive: ctx.Err, price: 1} }

// spend pays for n steps' work before it is done, or right after a bounded
// piece of it. If that is more than is left, or the context has ended, the
// evaluation ends by the panic that the interpreter has for this: what a step
// returns is a value, which `||` and loops can pass over.
func (m *meter) spend(n int) {
	if n > m.left() {
		m.spent = maxSteps
		panic(interpreter.EvalCancelledError{
			Message: fmt.Sprintf("expected a condition that takes at most %d steps, got one that takes more", maxSteps),
			Cause:   interpreter.CostLimitExceeded,
		})
	}
	if m.spent += n * m.price; m.spent-m.asked < askEvery {
		return
	}
	m.asked = m.spent
	if err := m.alive(); err != nil {
		panic(interpreter.EvalCancelledError{Message: err.Error(), Cause: interpreter.ContextCancelled})
	}
}

// left is how many steps can still be paid.
func (m *meter) left() int { return (maxSteps - m.spent) / m.price }

// weight is that of a value, up to more than can still be paid with so much for
// a step.
func (m *meter) weight(v ref.Val, perStep int) int { return weight(v, (m.left()+1)*perStep) }

// spendOn pays for a value that a step yields, which another one looks through.
func (m *meter) spendOn(v ref.Val) { m.spend(1 + sizeOf(v, bytesPerStep, elementsPerStep)) }

// spendMaking pays for a value that a call has put together.
func (m *meter) spendMaking(v ref.Val) { m.spend(1 + sizeOf(v, madePerStep, 1)) }

func sizeOf(v ref.Val, bytes, elements int) int {
	switch v := v.(type) {
	case types.String:
		return len(v) / bytes
	case types.Bytes:
		return len(v) / bytes
	case *types.Optional:
		if v.HasValue() {
			return sizeOf(v.GetValue(), bytes, elements)
		}
	case traits.MutableLister: // what a loop collects, which it adds to in place
	case traits.Lister:
		return int(size(v)) / elements
	case traits.Mapper:
		return int(size(v)) / elements
	}
	return 0
}

// scope is what an evaluation sees: the variables, and the meter under a name
// that no expression can write.
type scope struct {
	facts map[string]any
	meter *meter
}

const meterName = "\x00meter"

// ResolveName implements [interpreter.Activation].
func (s *scope) ResolveName(name string) (any, bool) {
	if name == meterName {
		return s.meter, true
	}
	v, known := s.facts[name]
	return v, known
}

// Parent implements [interpreter.Activation].
func (s *scope) Parent() interpreter.Activation { return nil }

func meterOf(frame *interpreter.ExecutionFrame) *meter {
	found, _ := frame.ResolveName(meterName)
	m, is := found.(*meter)
	if !is {
		panic(interpreter.EvalCancelledError{Message: "expected an evaluation with a meter, got none"})
	}
	return m
}

// meterSteps makes each step of a plan pay.
func meterSteps(p patterns) interpreter.InterpretableDecoratorV2 {
	all := guards()
	return func(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		switch step := i.(type) {
		case *metered, *meteredAttribute, *meteredConst, *guarded:
			return i, nil
		case interpreter.InterpretableConst:
			return &meteredConst{step}, nil
		case interpreter.InterpretableAttribute:
			return &meteredAttribute{step}, nil
		case interpreter.InterpretableConstructor:
			return &metered{i, 1 + len(step.InitVals())}, nil
		case interpreter.InterpretableCall:
			return meterCall(step, all, p)
		}
		return &metered{i, 1}, nil
	}
}

// metered is a step that pays for its value.
type metered struct {
	interpreter.InterpretableV2

	steps int
}

// Exec implements [interpreter.InterpretableV2].
func (s *metered) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	m := meterOf(frame)
	m.spend(s.steps)
	v := s.InterpretableV2.Exec(frame)
	m.spendOn(v)
	return v
}

// Eval implements [interpreter.Interpretable].
func (s *metered) Eval(vars interpreter.Activation) ref.Val {
	return s.Exec(interpreter.AsFrame(vars))
}

// meteredAttribute is a step that reads a variable, or a path from one. The
// planner asks for its type, to lengthen the path.
type meteredAttribute struct {
	interpreter.InterpretableAttribute
}

// Exec implements [interpreter.InterpretableV2].
func (s *meteredAttribute) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	v := s.InterpretableAttribute.Exec(frame)
	meterOf(frame).spendOn(v)
	return v
}

// Eval implements [interpreter.Interpretable].
func (s *meteredAttribute) Eval(vars interpreter.Activation) ref.Val {
	return s.Exec(interpreter.AsFrame(vars))
}

// meteredConst is a value that is written out. The planner asks for its type.
type meteredConst struct {
	interpreter.InterpretableConst
}

// Exec implements [interpreter.InterpretableV2].
func (s *meteredConst) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	if text, is := s.Value().(types.String); is && len(text) >= bytesPerStep {
		meterOf(frame).spendOn(text)
	}
	return s.Value()
}

// Eval implements [interpreter.Interpretable].
func (s *meteredConst) Eval(vars interpreter.Activation) ref.Val {
	return s.Exec(interpreter.AsFrame(vars))
}
