package attest

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

const (
	// maxStates bounds the instructions of a regular expression: matching takes
	// their number times the text's length.
	maxStates = 2000
	// maxAllStates bounds those of all regular expressions of a condition: each
	// takes some hundred nanoseconds and bytes to compile.
	maxAllStates = 4 * maxStates
	// statesPerStep is how many instructions are tried on a byte in the time of a
	// step.
	statesPerStep = 16
)

var errPattern = errors.New("expected a regular expression that is written out, got one that is computed")

// pattern is a regular expression and the number of its instructions.
type pattern struct {
	*regexp.Regexp

	states int
}

// match makes a call of matches.
func (p *pattern) match(m *meter, args []ref.Val) ref.Val {
	text, is := args[0].(types.String)
	switch {
	case !is:
		return types.MaybeNoSuchOverloadErr(args[0])
	case len(text) > maxMatched:
		return types.NewErr("expected at most %d bytes to match with a regular expression, got %d", int64(maxMatched), int64(len(text)))
	}
	m.spend((1 + len(text)) * p.states / statesPerStep)
	return types.Bool(p.MatchString(string(text)))
}

// patterns are the regular expressions of a condition, by their text.
type patterns map[string]*pattern

func (p patterns) of(e interpreter.InterpretableV2) (*pattern, error) {
	if constant, is := e.(interpreter.InterpretableConst); is {
		if text, is := constant.Value().(types.String); is && p[string(text)] != nil {
			return p[string(text)], nil
		}
	}
	return nil, errPattern
}

// add compiles a regular expression.
func (p patterns) add(text string) error {
	if p[text] != nil {
		return nil
	}
	compiled, err := compilePattern(text)
	if err != nil {
		return err
	}
	all := compiled.states
	for _, other := range p {
		all += other.states
	}
	if all > maxAllStates {
		return fmt.Errorf("expected regular expressions of at most %d steps together, got %d", maxAllStates, all)
	}
	p[text] = compiled
	return nil
}

// compilePattern applies TRUST R14 to a regular expression: it is known when the
// policy is loaded, and says where it begins and ends, for one that does not
// would match anywhere in an identity.
func compilePattern(text string) (*pattern, error) {
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("expected a regular expression (RE2): %w", err)
	}
	last := len(parsed.Sub) - 1
	if parsed.Op != syntax.OpConcat || parsed.Sub[0].Op != syntax.OpBeginText || parsed.Sub[last].Op != syntax.OpEndText {
		return nil, fmt.Errorf("expected a regular expression that says where it begins and ends, ^(?:…)$, got %q", clip(text, maxQuoted))
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, fmt.Errorf("expected a regular expression (RE2): %w", err)
	}
	states := len(program.Inst)
	if states > maxStates {
		return nil, fmt.Errorf("expected a regular expression of at most %d steps, got %d", maxStates, states)
	}
	compiled, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("expected a regular expression (RE2): %w", err)
	}
	return &pattern{compiled, states}, nil
}
