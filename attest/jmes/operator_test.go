package jmes_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/attest/jmes"
	"github.com/bonafide-dev/bonafide/evidence"
)

// operators are names of operators, each with what it comes to for the keys
// below, one column each, and for the values below, one row each: h holds, f is
// false, . fails.
var operators = map[string]string{
	"Equals": `
		h . . . . . . . . f
		. h . . . . . . . f
		. . h . . . . . . .
		. . . . h f . . . .
		. . . . f f . . . .
		. . . . f f . h . .
		. . . . . . . . h .
		. . . . . . . . . .`,
	"NotEquals": `
		f . . . . . . . . h
		. f . . . . . . . h
		. . f . . . . . . .
		. . . . f h . . . .
		. . . . h h . . . .
		. . . . h h . f . .
		. . . . . . . . f .
		. . . . . . . . . .`,
	"In": `
		h . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .
		h f f . h . . . . f
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .`,
	"NotIn": `
		f . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .
		f h h . f . . . . h
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .`,
	"AnyIn": `
		h f f . h f . . . f
		. . . . f h . . . .
		. . . . f f . . . .
		h f f . h f . . . f
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .`,
	"AllIn": `
		h f f . f f . . . f
		. . . . . . . . . .
		. . . . . . . . . .
		h f f . h f . . . f
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .`,
	"AnyNotIn": `
		f h h . h h . . . h
		. . . . h h . . . .
		. . . . h h . . . .
		f h h . f h . . . h
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .`,
	"AllNotIn": `
		f h h . f h . . . h
		. . . . . . . . . .
		. . . . . . . . . .
		f h h . f h . . . h
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .`,
	"GreaterThan": `
		. . . . . . . . . .
		. f . . . . . . . h
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .`,
	"LessThan": `
		. . . . . . . . . .
		. f . . . . . . . f
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .`,
	"GreaterThanOrEquals": `
		. . . . . . . . . .
		. h . . . . . . . h
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .`,
	"LessThanOrEquals": `
		. . . . . . . . . .
		. h . . . . . . . f
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .
		. . . . . . . . . .`,
}

// Equal and NotEqual are the others' short names; the Duration operators compare
// numbers, as seconds, and durations as the others do.
func allOperators() map[string]string {
	all := maps.Clone(operators)
	all["Equal"], all["NotEqual"] = operators["Equals"], operators["NotEquals"]
	for _, name := range []string{"GreaterThan", "GreaterThanOrEquals", "LessThan", "LessThanOrEquals"} {
		all["Duration"+name] = operators[name]
	}
	return all
}

// The keys are of each type that a document can hold, the values of each that a
// policy can.
var (
	keyTypes   = []string{`"a"`, `1`, `true`, `null`, `["a","b"]`, `[1,2]`, `["a",null]`, `[]`, `{"a":1}`, `"1h"`}
	valueTypes = []string{`"a"`, `1`, `true`, `["a","b"]`, `["a",null]`, `[]`, `{"a":1}`, `null`}
)

func decoded(t testing.TB, text string) any {
	t.Helper()
	var v any
	if err := evidence.DecodeJSON([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestOperatorsByType(t *testing.T) {
	marks := map[evidence.Reason]string{holds: "h", isFalse: "f", fails: "."}
	for name, table := range allOperators() {
		t.Run(name, func(t *testing.T) {
			rows := strings.Split(strings.TrimSpace(table), "\n")
			for i, value := range valueTypes {
				var got []string
				for _, key := range keyTypes {
					c := compile(t, jmes.Test{Key: "{{ k }}", Operator: strings.ToLower(name), Value: decoded(t, value)})
					got = append(got, marks[reasonOf(c.Check(t.Context(), input(t, `{"k":`+key+`}`)))])
				}
				if want := strings.TrimSpace(rows[i]); want != strings.Join(got, " ") {
					t.Errorf("%s %s for keys %s:\nwant %s\ngot  %s", name, value, strings.Join(keyTypes, " "), want, strings.Join(got, " "))
				}
			}
		})
	}
}

// TestOperatorsByValue holds the meaning of values: durations, quantities,
// versions, wildcards, ranges.
func TestOperatorsByValue(t *testing.T) {
	cases := map[string]struct {
		key      string // as JSON in the document
		operator string
		value    any
		want     evidence.Reason
	}{
		"TextEqual":                  {`"x"`, "Equals", "x", holds},
		"CaseOfTheOperator":          {`5`, "gREATERTHAN", int64(4), holds},
		"WildcardInValue":            {`"ghcr.io/acme/app"`, "Equals", "ghcr.io/*", holds},
		"WildcardNotEqual":           {`"ghcr.io/acme/app"`, "NotEquals", "ghcr.io/*", isFalse},
		"QuestionMark":               {`"v1"`, "Equals", "v?", holds},
		"VersionByWildcard":          {`"3.17"`, "Equals", "3.*", holds},
		"VersionNotByWildcard":       {`"3.17"`, "NotEquals", "3.*", isFalse},
		"DurationsEqual":             {`"1h"`, "Equals", "60m", holds},
		"DurationAndSeconds":         {`"1h"`, "Equals", int64(3600), holds},
		"ZeroIsNoDuration":           {`"0"`, "Equals", "0s", isFalse},
		"QuantitiesEqual":            {`"1Gi"`, "Equals", "1024Mi", holds},
		"QuantityExponentIsBounded":  {`"1e999999999"`, "Equals", "1e999999998", isFalse},
		"R48QuantityOverflow":        {`"1e2147483647"`, "GreaterThan", "1e-9", fails},
		"QuantitiesAreNotCapped":     {`"1e200"`, "Equals", "1e201", isFalse},
		"NumberAndText":              {`5`, "Equals", "5", holds},
		"NumberAndFraction":          {`5`, "Equals", 5.0, holds},
		"NumberAndOtherText":         {`5`, "Equals", "five", fails},
		"NumberAndNaN":               {`5`, "NotEquals", "NaN", fails},
		"NumberAndHex":               {`5`, "NotEquals", "0x6", fails},
		"LargeNumbersExactly":        {`9007199254740993`, "Equals", int64(9007199254740992), isFalse},
		"TextAndNumber":              {`"5"`, "NotEquals", int64(6), fails},
		"ObjectsEqual":               {`{"a":[1,{"b":2}]}`, "Equals", map[string]any{"a": []any{1, map[string]any{"b": 2}}}, holds},
		"EmptyObject":                {`{}`, "NotEquals", map[string]any{"a": 1}, fails},
		"EmptyListIsAskedFor":        {`[]`, "Equals", []any{}, holds},
		"AnyInWildcard":              {`["GPL-3.0-only","MIT"]`, "AnyIn", []any{"GPL-*"}, holds},
		"AllInWildcard":              {`["MIT","MIT-0"]`, "AllIn", []any{"MIT*"}, holds},
		"AllNotInWildcard":           {`["Apache-2.0","GPL-3.0-only"]`, "AllNotIn", []any{"GPL-*"}, isFalse},
		"AnyNotIn":                   {`["MIT","GPL"]`, "AnyNotIn", []any{"MIT"}, holds},
		"AnyNotInNone":               {`["MIT","MIT"]`, "AnyNotIn", []any{"MIT"}, isFalse},
		"NumbersAreText":             {`[1000000]`, "AllIn", []any{"1000000"}, holds},
		"JSONArray":                  {`"b"`, "AnyIn", `["a","b"]`, holds},
		"JSONArrayNotIn":             {`["c"]`, "AllNotIn", `["a","b"]`, holds},
		"JSONArrayOfNumbers":         {`"c"`, "AllNotIn", `[1,2]`, fails},
		"JSONOther":                  {`"c"`, "AllNotIn", `5`, fails},
		"InOfText":                   {`"a"`, "In", `["a","b"]`, holds},
		"NotInOfText":                {`"a"`, "NotIn", `xyz`, fails},
		"NotInOfItself":              {`["a"]`, "NotIn", `a`, isFalse},
		"InIsExact":                  {`["ab"]`, "In", []any{"a*"}, fails},
		"NotInIsExact":               {`["ab"]`, "NotIn", []any{"a*"}, fails},
		"Range":                      {`["5","10"]`, "AllIn", "5-10", holds},
		"RangeNumber":                {`7`, "AnyIn", "5-10", holds},
		"RangeOutside":               {`[5,11]`, "AllIn", "5-10", isFalse},
		"RangeAnyNotIn":              {`[5,11]`, "AnyNotIn", "5-10", holds},
		"RangeAllNotIn":              {`[5,11]`, "AllNotIn", "5-10", isFalse},
		"RangeNegative":              {`-7`, "AnyNotIn", "-10--5", isFalse},
		"RangeOfQuantities":          {`"512Mi"`, "AnyIn", "1Mi-1Gi", holds},
		"RangeOfDurations":           {`"30s"`, "AnyIn", "10s-1m", holds},
		"RangeOfOtherText":           {`"abc"`, "AllNotIn", "5-10", fails},
		"GreaterDurations":           {`"2h"`, "GreaterThan", "90m", holds},
		"DurationAgainstNumber":      {`1.5`, "GreaterThan", "1s", holds},
		"ZeroAgainstDuration":        {`"0"`, "LessThan", "1h", holds},
		"LessQuantities":             {`"1Mi"`, "LessThan", "1Gi", holds},
		"NumbersInText":              {`"7.5"`, "LessThanOrEquals", 7.5, holds},
		"NumberAgainstTextOfANumber": {`7`, "LessThan", "7.5", holds},
		"Versions":                   {`"1.10.0"`, "GreaterThan", "1.9.0", holds},
		"VersionsEqual":              {`"1.10.0"`, "LessThanOrEquals", "1.10.0", holds},
		"PrereleaseIsLess":           {`"1.0.0-rc.1"`, "LessThan", "1.0.0", holds},
		"VersionAgainstOther":        {`"1.10.0"`, "GreaterThan", "old", fails},
		"InfinityIsNoNumber":         {`"Inf"`, "GreaterThan", int64(1), fails},
		"DurationOperator":           {`"1h"`, "DurationGreaterThan", int64(3599), holds},
		"DurationOperatorSeconds":    {`10`, "durationlessthanorequals", "10s", holds},
		"DurationOperatorOther":      {`"1Gi"`, "DurationLessThan", "1h", fails},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			condition := compile(t, jmes.Test{Key: "{{ k }}", Operator: c.operator, Value: c.value})
			err := condition.Check(t.Context(), input(t, `{"k":`+c.key+`}`))
			if got := reasonOf(err); got != c.want {
				t.Errorf("%s %s %v: want %q, got %q: %v", c.key, c.operator, c.value, c.want, got, err)
			}
		})
	}
}

// TestR32WildcardOfADocument shows that a document cannot say "any".
func TestR32WildcardOfADocument(t *testing.T) {
	for name, c := range map[string]struct {
		document string
		test     jmes.Test
		want     evidence.Reason
	}{
		"KeyPretendsToBeAllowed":     {`{"k":"*"}`, jmes.Test{Key: "{{ k }}", Operator: "AnyIn", Value: []any{"good"}}, fails},
		"KeysPretendToBeAllowed":     {`{"k":["*"]}`, jmes.Test{Key: "{{ k }}", Operator: "AllIn", Value: []any{"good"}}, fails},
		"KeyPretendsToBeForbidden":   {`{"k":"*"}`, jmes.Test{Key: "{{ k }}", Operator: "AnyNotIn", Value: []any{"bad"}}, fails},
		"ValueAdmitsEverything":      {`{"k":"*"}`, jmes.Test{Key: "{{ request.namespace }}", Operator: "Equals", Value: "{{ k }}"}, fails},
		"ValueInAText":               {`{"k":"*"}`, jmes.Test{Key: "{{ request.namespace }}", Operator: "Equals", Value: "sh{{ k }}"}, fails},
		"ValueOfAList":               {`{"k":"*"}`, jmes.Test{Key: "{{ request.namespace }}", Operator: "AnyIn", Value: []any{"a", "{{ k }}"}}, fails},
		"WildcardThatDecidesNothing": {`{"k":"a*"}`, jmes.Test{Key: "{{ k }}", Operator: "AnyIn", Value: []any{"a*", "b"}}, holds},
		"ValueOfAnything":            {`{"k":"*"}`, jmes.Test{Key: "{{ request.namespace }}", Operator: "Equals", Value: "{{ not_null(@).k }}"}, fails},
		"PolicysOwnInTheKey":         {`{"k":["shop","bar"]}`, jmes.Test{Key: "sh*", Operator: "AnyIn", Value: "{{ k }}"}, holds},
	} {
		t.Run(name, func(t *testing.T) {
			err := compile(t, c.test).Check(t.Context(), input(t, c.document))
			if got := reasonOf(err); got != c.want {
				t.Errorf("want %q, got %q: %v", c.want, got, err)
			}
		})
	}
}

// TestR48NothingFound is the documented sample: no forbidden license was found
// because nothing was.
func TestR48NothingFound(t *testing.T) {
	const key = "{{ element.components[].licenses[].expression }}"
	for document, want := range map[string]evidence.Reason{
		`{"components":[{"licenses":[{"expression":"MIT"}]},{"licenses":[{"expression":"BSD-3-Clause"}]}]}`: holds,
		`{"components":[{"licenses":[{"expression":"MIT"}]},{"licenses":[{"expression":"GPL-3.0"}]}]}`:      isFalse,
		`{"components":[{"licenses":[]}]}`: fails,
		`{"components":[{"name":"x"}]}`:    fails,
		`{"components":[]}`:                fails,
		`{"components":null}`:              fails,
		`{}`:                               fails,
		`{"components":[{"licenses":[{"expression":["MIT",null]}]}]}`:   fails,
		`{"components":[{"licenses":[{"expression":{"not":"text"}}]}]}`: fails,
	} {
		for _, operator := range []string{"AllNotIn", "AnyNotIn"} {
			c := compile(t, jmes.Test{Key: key, Operator: operator, Value: []any{"GPL-2.0", "GPL-3.0"}})
			err := c.Check(t.Context(), input(t, document))
			got := reasonOf(err)
			if operator == "AnyNotIn" && want == isFalse {
				want = holds // one that is allowed suffices
			}
			if got != want {
				t.Errorf("%s over %s: want %q, got %q: %v", operator, document, want, got, err)
			}
		}
	}
	for _, operator := range []string{"In", "NotIn", "AnyIn", "AllIn", "Equals", "NotEquals"} {
		c := compile(t, jmes.Test{Key: key, Operator: operator, Value: []any{"GPL-2.0"}})
		if got := reasonOf(c.Check(t.Context(), input(t, `{"components":[]}`))); got != fails {
			t.Errorf("%s over nothing: want %q, got %q", operator, fails, got)
		}
	}
}
