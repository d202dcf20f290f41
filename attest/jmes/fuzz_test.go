package jmes_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	jmespath "github.com/kyverno/go-jmespath"

	"github.com/bonafide-dev/bonafide/attest/jmes"
	"github.com/bonafide-dev/bonafide/evidence"
)

// seeds are the expressions of the samples.
func seeds() []string {
	var all []string
	for _, table := range []map[string][]sample{kyvernoFunctions, standardFunctions} {
		for _, samples := range table {
			for _, s := range samples {
				all = append(all, s.expression)
			}
		}
	}
	return append(all,
		"a.b", "a[0]", "a[-1]", "a[1:2]", "a[::-1]", "a[*].b", "a[].b[]", "a.*", "*.b", "a[?b == 'x'].c", "a || b", "a && b", "!a", "a | b", "[a, b]", "{a: b, c: d}", "@", "\"a b\".c", "`{\"a\":1}`.a", "a[?b > `1`]", "a.[b,c]", "a.{b:c}",
		"l[1:]", "l[::-1].n", "l[:-1]", "l[-2:9:2]", "n > `2`", "l[?v <= `2`].n", "l[?v >= n]", "n < `9`", "n == `7`", "a.c.d[1:3]", "l[].l[][]", "!l[0].x", "a.x || s", "t && a.b", "l[0].{k: n, v: v}", "a.c | d[-1]",
	)
}

func FuzzCompile(f *testing.F) {
	for _, expression := range seeds() {
		f.Add("{{ "+expression+" }}", "Equals", "x")
	}
	f.Add(`\{{ a }}{{- b }}{{ c.{{ d }} }}`, "allnotin", "1-5")
	f.Add("{{{a: b}}}", "In", `["a"]`)
	f.Fuzz(func(t *testing.T, key, operator, value string) {
		tests := []jmes.Test{{Key: key, Operator: operator, Value: value}}
		c, err := jmes.Compile([]jmes.Block{{All: tests}}, jmes.Options{})
		if err != nil {
			return
		}
		if len(c.String()) > 1000 {
			t.Errorf("String is %d bytes long", len(c.String()))
		}
		if _, err := jmes.Variables(key); err != nil {
			t.Errorf("%q compiles as a key, and its variables cannot be listed: %v", key, err)
		}
	})
}

func FuzzSubstitute(f *testing.F) {
	f.Add("{{ keys.data.org }}", `{"keys":{"data":{"org":"x"}}}`)
	f.Add("a{{ b }}{{- c }}", `{"b":1,"c":"{{ b }}"}`)
	f.Add("{{ a.{{ b }} }}", `{"b":"x","a":{"x":[null]}}`)
	f.Fuzz(func(t *testing.T, text, variables string) {
		var known map[string]any
		if evidence.DecodeJSON([]byte(variables), &known) != nil {
			return
		}
		before, err := json.Marshal(known)
		if err != nil {
			return
		}
		got, err := jmes.Substitute(text, known, now)
		if after, _ := json.Marshal(known); string(before) != string(after) {
			t.Errorf("variables were changed: %s", after)
		}
		switch {
		case err != nil && got != nil:
			t.Errorf("%q: a value beside error %v", text, err)
		case err == nil && got == nil:
			t.Errorf("%q: null without an error", text)
		}
		if again, errAgain := jmes.Substitute(text, known, now); !reflect.DeepEqual(got, again) || (err == nil) != (errAgain == nil) {
			t.Errorf("%q resolves to %v, then to %v", text, got, again)
		}
	})
}

func FuzzCheck(f *testing.F) {
	const document = `{"a":{"b":"x","n":5,"l":["p",1,null]},"components":[{"licenses":[{"expression":"MIT"}]}]}`
	for operator := range allOperators() {
		f.Add(document, "{{ a.l }}", operator, `["p"]`)
		f.Add(document, "{{ a.b }}", operator, `"1h"`)
		f.Add(document, "{{ components[].licenses[].expression }}", operator, `"{{ a.b }}"`)
	}
	for _, expression := range seeds() {
		f.Add(document, "{{ "+expression+" }}", "NotEquals", `"x"`)
	}
	f.Fuzz(func(t *testing.T, document, key, operator, value string) {
		var decoded any
		if evidence.DecodeJSON([]byte(value), &decoded) != nil {
			return
		}
		c, err := jmes.Compile([]jmes.Block{{All: []jmes.Test{{Key: key, Operator: operator, Value: decoded}}}}, jmes.Options{})
		if err != nil {
			return
		}
		err = c.Check(t.Context(), input(t, document))
		var p *evidence.Problem
		if err != nil && !errors.As(err, &p) {
			t.Fatalf("want a Problem, got %T: %v", err, err)
		}
		if p != nil && p.Undecided() {
			t.Errorf("want a decision, got %v", p)
		}
		if p != nil && len(p.Expected)+len(p.Got) > 4000 {
			t.Errorf("want a bounded message, got %d bytes", len(p.Error()))
		}
		if again := c.Check(t.Context(), input(t, document)); reasonOf(again) != reasonOf(err) {
			t.Errorf("decided %v, then %v", err, again)
		}
		if err == nil && negated(operator) != "" {
			n, err := jmes.Compile([]jmes.Block{{All: []jmes.Test{{Key: key, Operator: negated(operator), Value: decoded}}}}, jmes.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if n.Check(t.Context(), input(t, document)) == nil {
				t.Errorf("%s and %s hold both", operator, negated(operator))
			}
		}
	})
}

// negated returns the operator that holds exactly where this one is false.
func negated(operator string) string {
	for _, pair := range [][2]string{{"Equals", "NotEquals"}, {"AnyIn", "AllNotIn"}, {"AllIn", "AnyNotIn"}, {"In", "NotIn"}, {"GreaterThan", "LessThanOrEquals"}, {"LessThan", "GreaterThanOrEquals"}} {
		for i := range pair {
			if strings.EqualFold(pair[i], operator) {
				return pair[1-i]
			}
		}
	}
	return ""
}

// FuzzAgainstLibrary compares the interpreter with the library's, where that one
// has an answer that does not depend on chance or on a fault: it visits names in
// any order, adds nulls to projections of objects, passes over errors on the left
// of projections, and panics on some values.
func FuzzAgainstLibrary(f *testing.F) {
	const document = `{"a":{"b":"x","c":{"d":[1,2,3]}},"l":[{"n":"p","v":1},{"n":"q","v":2.5,"l":[[1],[2,[3]]]},null,"s"],"s":"text","n":7,"t":true,"z":null,"e":[]}`
	for _, expression := range seeds() {
		f.Add(expression, document)
	}
	f.Fuzz(func(t *testing.T, expression, document string) {
		if strings.Contains(expression, "*") || strings.Contains(expression, "(") || len(document) > 4096 || len(expression) > 512 {
			return // functions have their samples
		}
		var floats, ints any
		if evidence.DecodeJSON([]byte(document), &ints) != nil || json.Unmarshal([]byte(document), &floats) != nil {
			return
		}
		got, err := jmes.Search(expression, ints)
		if err != nil && strings.Contains(expression, "[") {
			return // it may have passed over the error
		}
		want, fault, wantErr := search(expression, floats)
		if fault || strings.TrimSpace(expression) == "@" || err != nil && strings.Contains(err.Error(), "&") || err != nil && strings.Contains(err.Error(), "incomplete") {
			return
		}
		if (err == nil) != (wantErr == nil) || err == nil && !reflect.DeepEqual(plainNumbers(got), want) {
			t.Errorf("%q on %s: want %v (%v), got %v (%v)", expression, document, want, wantErr, got, err)
		}
	})
}

func search(expression string, document any) (v any, fault bool, err error) {
	defer func() { fault = recover() != nil }()
	v, err = jmespath.Search(expression, document)
	return v, false, err
}

// FuzzAmounts looks for amounts that a calculation cannot stand.
func FuzzAmounts(f *testing.F) {
	for _, s := range [][2]string{{"1Gi", "1e-9"}, {"1e99", "-1e-99"}, {"1h", "2"}, {"0", "0.0"}, {"9223372036854775807", "-1m"}, {"1E", "1n"}, {"-0", "1.5Ki"}} {
		f.Add(s[0], s[1], 1.5)
	}
	f.Fuzz(func(t *testing.T, a, b string, n float64) {
		variables := map[string]any{"a": a, "b": b, "n": n}
		for _, expression := range []string{
			"add(a, b)", "subtract(a, b)", "multiply(a, n)", "multiply(n, b)", "divide(a, b)", "divide(a, n)", "modulo(a, b)", "modulo(n, n)", "sum([a, b, a])", "round(n, `3`)", "semver_compare(a, b)",
			"time_add(a, b)", "time_since(a, b, '')", "time_parse(a, b)", "regex_match(a, b)", "parse_yaml(a)", "image_normalize(a)", "is_external_url(a)", "x509_decode(a)", "truncate(a, n)", "replace(a, b, a, n)",
		} {
			if got, err := resolve(expression, variables); err == nil && got == nil && expression != "parse_yaml(a)" {
				t.Errorf("%s of %v: want a value or an error, got neither", expression, variables)
			}
		}
		for operator := range allOperators() {
			c := compile(t, jmes.Test{Key: "{{ a }}", Operator: operator, Value: "{{ b }}"})
			document, err := json.Marshal(variables)
			if err != nil {
				return
			}
			err = c.Check(t.Context(), input(t, string(document)))
			if p := evidence.ProblemOf(err); p != nil && p.Undecided() {
				t.Errorf("%q %s %q: want a decision, got %v", a, operator, b, err)
			}
		}
	})
}

func FuzzMatches(f *testing.F) {
	for _, s := range [][2]string{{"a*b?c", "axxbyc"}, {"*", ""}, {"?", "é"}, {"a*a*a*b", "aaaaaaaa"}, {"", ""}, {"**?", "x"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 20 || len(text) > 40 {
			return
		}
		if got, want := jmes.Matches(pattern, text), naive(pattern, text); got != want {
			t.Errorf("%q %q: want %t, got %t", pattern, text, want, got)
		}
	})
}

// naive matches by trying everything.
func naive(pattern, text string) bool {
	if pattern == "" {
		return text == ""
	}
	width := 0
	for i := range text {
		if i > 0 {
			width = i
			break
		}
	}
	if width == 0 {
		width = len(text)
	}
	switch {
	case pattern[0] == '*':
		return naive(pattern[1:], text) || text != "" && naive(pattern, text[width:])
	case text == "":
		return false
	case pattern[0] == '?':
		return naive(pattern[1:], text[width:])
	}
	return pattern[0] == text[0] && naive(pattern[1:], text[1:])
}
