package jmes_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/attest/jmes"
)

// What a function reads at once is paid by its size.
func TestR1TextsArePaid(t *testing.T) {
	const size, least = 64_000, 64_000 / 64
	text := strings.Repeat("a", size)
	named := map[string]any{}
	for i := range 4 {
		named[text+fmt.Sprint(i)] = text
	}
	document := map[string]any{"a": text + "a", "b": text + "b", "l": []any{text + "c", text + "d", text + "e"}, "o": named, "p": named, "n": int64(size)}
	for name, tc := range map[string]struct {
		expression string
		least      int
	}{
		"Compare":    {"compare(a, b)", 2 * least},
		"Fold":       {"equal_fold(a, b)", 2 * least},
		"Prefix":     {"starts_with(a, b)", 2 * least},
		"Suffix":     {"ends_with(a, b)", 2 * least},
		"TrimPrefix": {"trim_prefix(a, b)", 2 * least},
		"Trim":       {"trim(a, 'x')", 2 * least},
		"Truncate":   {"truncate(a, n)", least},
		"Contains":   {"contains(a, 'b')", least},
		"Length":     {"length(a)", least},
		"Split":      {"split(a, 'b')", 2 * least},
		"Upper":      {"to_upper(a)", least},
		"Equal":      {"a == b", least},
		"Wildcards":  {"pattern_match('*b', a)", 2 * least},
		"Sort":       {"sort(l)", 2 * 3 * least},
		"SortBy":     {"sort_by(l, &@)", 2 * 3 * least},
		"Least":      {"min(l)", 3 * least},
		"Greatest":   {"max_by(l, &@)", 3 * least},
		"Keys":       {"keys(o)", 4 * least},
		"Values":     {"values(o)", 4 * least},
		"Projection": {"o.*", 4 * least},
		"Names":      {"object_from_lists(l, l)", 3 * least},
		"Merge":      {"merge(o, p)", 8 * least},
		"Items":      {"items(o, 'k', 'v')", 4 * least},
		"LongItems":  {"items(l, a, b)", 3 * 2 * least},
		"Lookup":     {"lookup(o, a)", least},
		"Labels":     {"label_match(o, p)", 8 * least},
		"Objects":    {"o == p", 8 * least},
		"Match":      {"regex_match('^b', a)", least},
		"Digest":     {"sha256(a)", least},
		"Field":      {`"` + strings.Repeat("x", 6400) + `" || a`, 100},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := jmes.Steps(tc.expression, document); err != nil || got < tc.least {
				t.Errorf("want at least %d steps, got %d, %v", tc.least, got, err)
			}
		})
	}
}

func TestR1ComparedTextsArePaid(t *testing.T) {
	const size, least = 64_000, 64_000 / 64
	text := strings.Repeat("a", size)
	in := input(t, `{"a":"`+text+`","l":["`+text+`b","`+text+`c"],"m":["`+text+`d"],"w":["`+text+`*x"]}`)
	for name, tc := range map[string]struct {
		test  jmes.Test
		least int
	}{
		"Equals":    {jmes.Test{Key: "{{ a }}", Operator: "NotEquals", Value: text + "x"}, least},
		"Lists":     {jmes.Test{Key: "{{ l }}", Operator: "AllNotIn", Value: "{{ m }}"}, 3 * least},
		"Wildcards": {jmes.Test{Key: "{{ l }}", Operator: "AllNotIn", Value: "{{ w }}"}, 6 * least},
		"OneMember": {jmes.Test{Key: "{{ l }}", Operator: "AllNotIn", Value: text}, 5 * least},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := jmes.StepsOf(t.Context(), compile(t, tc.test), in); err != nil || got < tc.least {
				t.Errorf("want it to hold after at least %d steps, got %d, %v", tc.least, got, err)
			}
		})
	}
}

// Work on texts of megabytes that are there thousands of times is refused, not
// done.
func TestR1TextsThatMultiplyEnd(t *testing.T) {
	big := strings.Repeat("a", 1<<20)
	in := input(t, `{"a":"`+big+`a","b":"`+big+`b"}`)
	doubled := strings.Repeat("|[@,@][]", 13)
	for name, expression := range map[string]string{
		"Sort":   "[a,b]" + doubled + "|sort(@)|length(@)",
		"SortBy": "[a,b]" + doubled + "|sort_by(@, &@)|length(@)",
		"Max":    "[a,b]" + doubled + "|max(@)|length(@)",
		"Min":    "[a,b]" + doubled + "|min_by(@, &@)|length(@)",
		"Fold":   "[@,@]" + doubled + "|[?equal_fold(a, b)]|length(@)",
		"Prefix": "[@,@]" + doubled + "|[?starts_with(a, b)]|length(@)",
		"Order":  "[@,@]" + doubled + "|[?compare(a, b) == `0`]|length(@)",
		"Cut":    "[@,@]" + doubled + "|[?truncate(a, `1000000`) == b]|length(@)",
		"Names":  "[a,b]" + doubled + "|object_from_lists(@, @)|length(@)",
	} {
		t.Run(name, func(t *testing.T) {
			c := compile(t, jmes.Test{Key: "{{ " + expression + " }}", Operator: "Equals", Value: "x"})
			took, err := jmes.StepsOf(t.Context(), c, in)
			if reasonOf(err) != fails || took <= jmes.MaxSteps {
				t.Errorf("want an error once the steps are spent, got %v after %d", err, took)
			}
		})
	}
}
