package jmes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
)

// An evaluator carries one evaluation: what is left of its allowance, and the
// time that functions see.
type evaluator struct {
	alive    func() error // the context's end, as a Problem
	now      time.Time
	budget   Budget // for expressions that hold variables
	steps    int    // spent
	produced int    // bytes of text made
	looked   int    // at steps when alive was last asked
}

func newEvaluator(ctx context.Context, now time.Time) *evaluator {
	return &evaluator{now: now, alive: func() error { return ended(ctx) }}
}

// ended reports the context's end, the one thing that leaves a condition open.
func ended(ctx context.Context) error {
	err := ctx.Err()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return &evidence.Problem{Reason: evidence.DeadlineExceeded, Expected: "the conditions' result before the deadline", Got: "none yet", Err: err}
	}
	return &evidence.Problem{Reason: evidence.Cancelled, Expected: "the conditions' result", Got: "none yet", Err: err}
}

// step is called for every value visited, and with n for work as of n values.
func (e *evaluator) step(n int) error {
	const often = 4096 // some tens of microseconds
	e.steps += n
	if n < 0 || e.steps > maxSteps {
		return fmt.Errorf("expected at most %d steps of evaluation, got more", maxSteps)
	}
	if e.steps-e.looked < often {
		return nil
	}
	e.looked = e.steps
	return e.alive()
}

// produce is called before a text of n bytes is made.
func (e *evaluator) produce(n int) error {
	if n < 0 || n > maxProduced-e.produced {
		return fmt.Errorf("expected functions to make at most %d bytes of text, got more", maxProduced)
	}
	e.produced += n
	return e.step(1 + n/bytesPerStep)
}

// bytesPerStep is how many bytes of text are read or written in the time of one
// step.
const bytesPerStep = 64

// stepsPerName is what each name of a new object costs: it takes the memory of
// many values.
const stepsPerName = 8

// naming pays for a name of a new object.
func (e *evaluator) naming(name string) error {
	return e.step(stepsPerName + len(name)/bytesPerStep)
}
