package attest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

const (
	// maxExpression bounds an expression, in bytes: the longest conditions in use
	// have some hundred, and who needs more has a second condition.
	maxExpression = 4096
	// maxMessage bounds an author's message, in bytes.
	maxMessage = 1024
)

// expression is a compiled CEL condition.
type expression struct {
	text    string
	message string
	reads   bool // it looks at the statement, not only at image and request
	program cel.Program
	// explained is the same program, which remembers the values that it met. It
	// runs to say why a condition does not hold.
	explained cel.Program
	shown     []shown
}

var _ policy.Condition = (*expression)(nil)

// CEL compiles a condition that holds if the expression is true. A message, if
// it is not empty, is what a refusal says was expected; otherwise that is the
// expression.
//
// The expression sees:
//
//	predicate  the predicate of an attestation, the content of an artifact
//	statement  the whole in-toto statement, the content of an artifact
//	subject    the statement's subjects; an empty list for an artifact
//	image      reference, registry, repository, tag, digest
//	request    namespace, kind, operation, user, serviceAccount, labels
//	signed     who, source, time
//	now        the time of the decision
//
// What is not known is not there: a door without an object has no request.kind,
// a statement without a proven time no signed.time, and an expression that
// reads it errs. docs/conditions.md lists the functions.
//
// The error says at which line and column of the expression it is.
func CEL(text, message string) (policy.Condition, error) {
	switch {
	case strings.TrimSpace(text) == "":
		return nil, errors.New("expected a CEL expression, got none")
	case len(text) > maxExpression:
		return nil, fmt.Errorf("expected a CEL expression of at most %d bytes, got %d", maxExpression, len(text))
	case len(message) > maxMessage:
		return nil, fmt.Errorf("expected a message of at most %d bytes, got %d", maxMessage, len(message))
	}
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("make the CEL environment: %w", err)
	}
	ast, issues := env.Compile(text)
	if err := issuesError(issues); err != nil {
		return nil, err
	}
	if out := ast.OutputType(); !out.IsExactType(cel.BoolType) && !out.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("1:1: expected an expression that is true or false, got one of type %s", out)
	}
	found, err := inspect(ast)
	if err != nil {
		return nil, err
	}
	e := &expression{text: text, message: message, reads: found.reads, shown: found.shown}
	metered := cel.CustomDecoratorV2(meterSteps(found.patterns))
	if e.program, err = env.Program(ast, metered); err != nil {
		return nil, fmt.Errorf("plan the CEL expression: %w", err)
	}
	if e.explained, err = env.Program(ast, metered, cel.EvalOptions(cel.OptTrackState)); err != nil {
		return nil, fmt.Errorf("plan the CEL expression: %w", err)
	}
	return e, nil
}

// environment is made once: it is immutable, and dear to make.
var environment = sync.OnceValues(newEnvironment)

// issuesError returns what is wrong with an expression, each with its place.
func issuesError(issues *cel.Issues) error {
	if issues.Err() == nil {
		return nil
	}
	const most = 5 // one mistake can bring many complaints
	var lines []string
	for _, e := range issues.Errors() {
		if len(lines) == most {
			break
		}
		line, column := max(e.Location.Line(), 1), max(e.Location.Column()+1, 1)
		lines = append(lines, fmt.Sprintf("%d:%d: %s", line, column, clip(strings.TrimSuffix(e.Message, " (in container '')"), maxQuoted)))
	}
	return errors.New(strings.Join(lines, "; "))
}

// String implements [policy.Condition].
func (e *expression) String() string { return fmt.Sprintf("%q", clip(e.text, maxQuoted)) }

// Check implements [policy.Condition].
func (e *expression) Check(ctx context.Context, in policy.ConditionInput) error {
	return e.check(ctx, newMeter(ctx), in)
}

func (e *expression) check(ctx context.Context, m *meter, in policy.ConditionInput) error {
	facts, err := e.facts(in)
	if err != nil {
		return err
	}
	seen := &scope{facts: facts, meter: m}
	out, _, err := e.program.Eval(seen)
	if ctx.Err() != nil {
		return interrupted(ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("evaluate: %w", err)
	}
	switch out {
	case types.True:
		return nil
	case types.False:
		return e.notMet(seen)
	}
	return fmt.Errorf("evaluate: expected true or false, got a value of type %s", out.Type().TypeName())
}

// interrupted is the one error that decides nothing: the caller's time is over.
func interrupted(err error) error {
	reason := evidence.Cancelled
	if errors.Is(err, context.DeadlineExceeded) {
		reason = evidence.DeadlineExceeded
	}
	return &evidence.Problem{Reason: reason, Expected: "time to evaluate a condition", Err: err}
}

func (e *expression) notMet(seen *scope) error {
	expected := e.message
	if expected == "" {
		expected = clip(e.text, maxQuoted)
	}
	problem := &evidence.Problem{Reason: evidence.ConditionNotMet, Expected: expected, Got: "false"}
	// What is left of the steps is for the explanation: without one the condition
	// is as false.
	seen.meter.price = explaining
	_, details, err := e.explained.Eval(seen)
	if err == nil && details != nil {
		if values := explain(e.shown, details.State()); values != "" {
			problem.Got = values
		}
	}
	return problem
}
