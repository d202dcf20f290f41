package jmes_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/attest/jmes"
)

// held returns conditions of one test each.
func held(expressions ...string) []jmes.Block {
	tests := make([]jmes.Test, len(expressions))
	for i, e := range expressions {
		tests[i] = jmes.Test{Key: "{{ " + e + " }}", Operator: "Equals", Value: true}
	}
	return []jmes.Block{{All: tests}}
}

func TestR1RegularExpressionsOfOneConditionAreBounded(t *testing.T) {
	one := "regex_match('a{600}', x)"
	for name, blocks := range map[string][]jmes.Block{
		"OneExpression": held(strings.TrimSuffix(strings.Repeat(one+"||", 260), "||")),
		"ManyTests":     held(strings.Split(strings.TrimSuffix(strings.Repeat(one+";", 40), ";"), ";")...),
		"Nested":        held(strings.TrimSuffix(strings.Repeat("regex_match('a{600}', '{{ x }}')||", 40), "||")),
	} {
		if _, err := jmes.Compile(blocks, jmes.Options{}); err == nil || !strings.Contains(err.Error(), "together") {
			t.Errorf("%s: want an error, got %v", name, err)
		}
	}
	if _, err := jmes.Compile(held(one, one, one, one), jmes.Options{}); err != nil {
		t.Errorf("four: want none, got %v", err)
	}
}

func TestR1ConditionsOfOneRequestShareABudget(t *testing.T) {
	for name, blocks := range map[string][]jmes.Block{
		"Tests":        held(strings.Split(strings.TrimSuffix(strings.Repeat("x;", 100), ";"), ";")...),
		"Expressions":  held(strings.Repeat("a||", 2500)+"a", strings.Repeat("b||", 2500)+"b", strings.Repeat("c||", 2500)+"c"),
		"Instructions": held("regex_match('a{600}', x)", "regex_match('b{600}', x)", "regex_match('c{600}', x)", "regex_match('d{600}', x)"),
	} {
		t.Run(name, func(t *testing.T) {
			budget := &jmes.Budget{}
			var errs []error
			for range 6 {
				if _, err := jmes.Compile(blocks, jmes.Options{}); err != nil {
					t.Fatalf("alone: want none, got %v", err)
				}
				_, err := jmes.Compile(blocks, jmes.Options{Budget: budget})
				errs = append(errs, err)
			}
			if errs[0] != nil || errs[5] == nil {
				t.Errorf("want the first to compile and the last to be refused, got %v", errs)
			}
		})
	}
}

// A pattern of a document is compiled in each evaluation, and so is an
// expression that holds variables.
func TestR1CompilingWhileEvaluatingIsPaid(t *testing.T) {
	took, err := jmes.Steps("regex_match(p, 'x')", map[string]any{"p": "a{600}"})
	if err != nil || took < 4096 {
		t.Errorf("want at least 4096 steps, got %d, %v", took, err)
	}
	c := compile(t, jmes.Test{Key: "{{ regex_match('{{ p }}', s) }}", Operator: "Equals", Value: false})
	if got := reasonOf(c.Check(t.Context(), input(t, `{"p":"abc","s":"x"}`))); got != holds {
		t.Errorf("want it to hold, got %q", got)
	}
}

// What is kept of a path is short, however long it is.
func TestR1PathsAreBounded(t *testing.T) {
	paths, err := jmes.Variables("{{ " + strings.Repeat("a.", 2000) + "[b, c, d] }}")
	if err != nil || len(paths) == 0 {
		t.Fatalf("want paths, got %v, %v", paths, err)
	}
	for _, p := range paths {
		if len(p) > 16 || p[0] != "a" {
			t.Errorf("want at most 16 names from the root on, got %d: %s", len(p), fmt.Sprint(p[:min(len(p), 20)]))
		}
	}
}
