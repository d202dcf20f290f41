package attest

import (
	"context"
	"fmt"

	"github.com/bonafide-dev/bonafide/policy"
)

// MaxSteps bounds one evaluation.
const MaxSteps = maxSteps

// Steps returns how many steps it takes to evaluate a condition of CEL once, and
// to explain it if it does not hold.
func Steps(ctx context.Context, c policy.Condition, in policy.ConditionInput) (int, error) {
	e, is := c.(*expression)
	if !is {
		return 0, fmt.Errorf("expected a condition of CEL, got %T", c)
	}
	m := newMeter(ctx)
	err := e.check(ctx, m, in)
	return m.spent, err
}
