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

// Functions returns the functions of this package, in the order of their
// declaration, each with the number of its arguments: "sbom.packages/1".
func Functions() []string {
	var all []string
	for _, h := range allHelpers() {
		all = append(all, fmt.Sprintf("%s/%d", h.name, 1+len(h.args)))
	}
	return all
}

// Cleared returns the vulnerabilities that an OpenVEX document says do not
// affect the image.
func Cleared(document any, digest, repository string) ([]string, error) {
	states, err := readStates(document, vexImage{digest: digest, repository: repository})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range states.names {
		if vexStatuses()[states.of[name].worst()] == vexNotAffected {
			names = append(names, name)
		}
	}
	return names, nil
}
