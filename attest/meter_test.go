package attest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/attest"
	"github.com/bonafide-dev/bonafide/policy"
)

// steps evaluates an expression and returns the steps that it took.
func steps(tb testing.TB, expression string, in policy.ConditionInput) (int, error) {
	tb.Helper()
	condition, err := attest.CEL(expression, "")
	if err != nil {
		tb.Fatalf("compile %s: %v", expression, err)
	}
	return attest.Steps(tb.Context(), condition, in)
}

func inventoryOf(packages int) string {
	var b strings.Builder
	for i := range packages {
		fmt.Fprintf(&b, `{"name":"package-%d","versionInfo":"1.2.%d","licenseDeclared":"MIT","supplier":"acme"},`, i, i)
	}
	return `{"spdxVersion":"SPDX-2.3","packages":[` + strings.TrimSuffix(b.String(), ",") + `]}`
}

// What people write about an inventory takes steps in proportion to its size,
// and fits for the largest.
func TestR1HonestConditionsTakeLinearSteps(t *testing.T) {
	const few, many = 5_000, 60_000
	small, large := about(inventoryOf(few)), about(inventoryOf(many))
	for _, expression := range []string{
		`predicate.packages.all(p, p.licenseDeclared != "GPL")`,
		`predicate.packages.filter(p, p.licenseDeclared == "MIT" && p.supplier in ["acme", "x"] && has(p.name)).map(p, p.name).size() > 4`,
		`predicate.packages.all(p, p.licenseDeclared.matches("^(MIT|Apache-2[.]0|BSD-.*)$"))`,
		`sbom.packages(predicate).all(p, p.name != "c" && p.licenses.all(l, l in ["MIT", "Apache-2.0", "BSD-3-Clause", "ISC"]))`,
		`["a", "b", "c", "d", "e"].all(n, !sbom.hasPackage(predicate, n))`,
	} {
		a, err := steps(t, expression, small)
		if err != nil {
			t.Fatalf("%s: of %d packages: %v", expression, few, err)
		}
		b, err := steps(t, expression, large)
		if err != nil {
			t.Fatalf("%s: of %d packages: %v", expression, many, err)
		}
		if a < few || b > a*many/few+1000 || b > attest.MaxSteps {
			t.Errorf("%s: %d packages take %d steps, %d take %d: want them in proportion", expression, few, a, many, b)
		}
	}
}

// What one step of the interpreter does at once is paid by its size.
func TestR1StepsPayForTheirWork(t *testing.T) {
	const size = 64_000
	text, numbers := strings.Repeat("a", size), strings.TrimSuffix(strings.Repeat("0,", size), ",")
	in := about(`{"a":"` + text + `a","b":"` + text + `b","l":[` + numbers + `],"m":[` + numbers + `]}`)
	for name, tc := range map[string]struct {
		expression string
		least      int
	}{
		"Compare":     {`predicate.a != predicate.b`, size / 32},
		"Order":       {`predicate.a < predicate.b`, size / 32},
		"Lower":       {`predicate.a.lowerAscii() != ""`, size / 32},
		"Character":   {`predicate.a.charAt(1) == "a"`, size / 32},
		"Constant":    {`"` + strings.Repeat("a", 3200) + `".charAt(1) == "a"`, 100},
		"Contains":    {`!predicate.a.contains("b")`, size / 32},
		"Prefix":      {`!predicate.a.startsWith(predicate.b)`, size / 32},
		"Split":       {`predicate.a.split("") != []`, size / 2},
		"Concatenate": {`predicate.a + "x" != ""`, size / 16},
		"Match":       {`predicate.a.matches("^a*$")`, size / 16},
		"Lists":       {`predicate.l == predicate.m`, size},
		"In":          {`!(1 in predicate.l)`, size},
		"Append":      {`predicate.l + predicate.m != []`, 2 * size},
		"Slice":       {`predicate.l.slice(0, 64000) != []`, size},
		"Greatest":    {`math.greatest(predicate.l) == 0`, size / 2},
		"Sets":        {`!sets.contains(predicate.l, [1])`, size},
		"Zone":        {`now.getHours("Europe/Berlin") >= 0`, 200},
		"Optional":    {`optional.of(predicate.a) != optional.of(predicate.b)`, size / 32},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := steps(t, tc.expression, in); err != nil || got < tc.least {
				t.Errorf("want it to hold in at least %d steps, got %d, %v", tc.least, got, err)
			}
		})
	}
}

// A condition that is false is false, also if no steps are left to say why.
func TestR1ExplanationsShareTheSteps(t *testing.T) {
	in := about(inventoryOf(60_000))
	dear := strings.Repeat(`predicate.packages.all(p, p.name != "" && p.supplier != "") && `, 4)
	for expression, want := range map[string]string{
		`image.tag == "v2"`: `image.tag = "v1"`, dear + `image.tag == "v2"`: "false",
	} {
		took, err := steps(t, expression, in)
		if outcome(err) != notMet || !strings.HasSuffix(err.Error(), "got "+want) || took > attest.MaxSteps {
			t.Errorf("%s: want it not to be met because of %s, got %v in %d steps", expression, want, err, took)
		}
	}
}

// Errors are values, which `||` and loops pass over; the bound is not.
func TestR1SpentStepsAreNotPassedOver(t *testing.T) {
	in := about(inventoryOf(1_000))
	for _, expression := range []string{
		`predicate.packages.all(a, predicate.packages.all(b, predicate.packages.all(c, a.name != c.versionInfo))) || true`,
		`predicate.packages.exists(a, predicate.packages.exists(b, predicate.packages.exists(c, c.nothing == 1))) || true`,
	} {
		if took, err := steps(t, expression, in); outcome(err) != "errs" || took != attest.MaxSteps {
			t.Errorf("%s: want an error after all steps, got %v after %d", expression, err, took)
		}
	}
	if _, err := steps(t, `true || predicate.packages.all(a, predicate.packages.all(b, predicate.packages.all(c, c.name != "")))`, in); err != nil {
		t.Errorf("want what is not evaluated to take no steps, got %v", err)
	}
}

// The context is asked again and again, not only before and after.
func TestR1ConditionsAskTheirContext(t *testing.T) {
	condition, err := attest.CEL(`predicate.packages.all(p, p.name != "")`, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx := &countdown{Context: t.Context(), left: 3}
	took, err := attest.Steps(ctx, condition, about(inventoryOf(60_000)))
	if outcome(err) != "Cancelled" || took > 100_000 {
		t.Errorf("want it cancelled soon, got %v after %d steps", err, took)
	}
}

// countdown is cancelled after it was asked so often.
type countdown struct {
	context.Context //nolint:containedctx // it is a context

	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestR1RegularExpressionsOfOneConditionAreBounded(t *testing.T) {
	parts := make([]string, 12)
	for i := range parts {
		parts[i] = fmt.Sprintf(`image.tag.matches("^a{%d}$")`, 900+i)
	}
	if _, err := attest.CEL(strings.Join(parts[:6], " || "), ""); err != nil {
		t.Errorf("six large ones: want none, got %v", err)
	}
	if _, err := attest.CEL(strings.Join(parts, " || "), ""); err == nil || !strings.Contains(err.Error(), "together") {
		t.Errorf("twelve large ones: want an error, got %v", err)
	}
	same := strings.Join([]string{parts[0], parts[0], parts[0], parts[0], parts[0], parts[0], parts[0], parts[0], parts[0], parts[0]}, " || ")
	if _, err := attest.CEL(same, ""); err != nil {
		t.Errorf("one ten times, which is compiled once: want none, got %v", err)
	}
}

// Texts that are no moments are not tried at length: the error would repeat them.
func TestR1LongTextsAreNoMoments(t *testing.T) {
	in := about(`{"a":"` + strings.Repeat("a", 1<<20) + `"}`)
	for _, expression := range []string{`timestamp(predicate.a) == now`, `duration(predicate.a) == duration("1h")`} {
		_, err := steps(t, expression, in)
		if err == nil || len(err.Error()) > 1000 {
			t.Errorf("%s: want a short error, got one of %d bytes", expression, len(fmt.Sprint(err)))
		}
	}
	if took, err := steps(t, `timestamp("2026-01-01T00:00:00Z") < timestamp("2026-01-01T00:00:00Z") + duration("1h")`, in); err != nil || took == 0 {
		t.Errorf("want moments to be read, got %v", err)
	}
	if _, err := steps(t, `timestamp("x") == now`, in); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("want an error, got %v", err)
	}
}
