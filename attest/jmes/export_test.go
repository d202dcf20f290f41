package jmes

import (
	"context"
	"fmt"

	"github.com/bonafide-dev/bonafide/policy"
)

// FunctionNames returns the names of all functions.
func FunctionNames() []string {
	var names []string
	for _, f := range functionTable() {
		names = append(names, f.name)
	}
	return names
}

// Matches reports whether text matches pattern.
func Matches(pattern, text string) bool {
	e := &evaluator{alive: func() error { return nil }}
	matched, err := e.matches(pattern, text)
	return matched && err == nil
}

// Search evaluates one expression on a document.
func Search(expression string, document any) (any, error) {
	n, err := parseExpression(expression, &Budget{})
	if err != nil {
		return nil, err
	}
	e := &evaluator{alive: func() error { return nil }}
	return e.search(n, document)
}

// MaxSteps bounds one evaluation.
const MaxSteps = maxSteps

// Steps returns how many steps it takes to evaluate one expression on a document.
func Steps(expression string, document any) (int, error) {
	n, err := parseExpression(expression, &Budget{})
	if err != nil {
		return 0, err
	}
	e := &evaluator{alive: func() error { return nil }}
	_, err = e.search(n, document)
	return e.steps, err
}

// StepsOf returns how many steps it takes to check a condition.
func StepsOf(ctx context.Context, c policy.Condition, in policy.ConditionInput) (int, error) {
	compiled, is := c.(*condition)
	if !is {
		return 0, fmt.Errorf("expected a condition of this package, got %T", c)
	}
	e := newEvaluator(ctx, in.Now)
	err := compiled.checkWith(e, in)
	return e.steps, err
}
