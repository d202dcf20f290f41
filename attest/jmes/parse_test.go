package jmes_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/attest/jmes"
	"github.com/bonafide-dev/bonafide/evidence"
)

func TestParseBlocks(t *testing.T) {
	one := jmes.Test{Key: "{{ a }}", Operator: "Equals", Value: int64(1), Message: "m"}
	const test = `{"key":"{{ a }}","operator":"Equals","value":1,"message":"m"}`
	for name, c := range map[string]struct {
		raw  string
		want []jmes.Block
	}{
		"Absent": {`null`, nil},
		"Block":  {`{"any":[` + test + `],"all":[` + test + `]}`, []jmes.Block{{Any: []jmes.Test{one}, All: []jmes.Test{one}}}},
		"Blocks": {`[{"all":[` + test + `]},{"any":[` + test + `]}]`, []jmes.Block{{All: []jmes.Test{one}}, {Any: []jmes.Test{one}}}},
		"List":   {`[` + test + `,` + test + `]`, []jmes.Block{{All: []jmes.Test{one, one}}}},
		"Empty":  {`{"any":[]}`, []jmes.Block{{Any: []jmes.Test{}}}},
		"Types":  {`[{"key":["x"],"operator":"In","value":{"a":true}}]`, []jmes.Block{{All: []jmes.Test{{Key: []any{"x"}, Operator: "In", Value: map[string]any{"a": true}}}}}},
	} {
		got, err := jmes.ParseBlocks(decoded(t, c.raw))
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: -want +got\n%s%v", name, diff, err)
		}
	}
	for _, raw := range []string{
		`"x"`, `[1]`, `{"any":1}`, `{"any":[1]}`, `{"all":"x"}`, `{"one":[]}`, `{"Any":[` + test + `]}`, `[` + test + `,{"all":[]}]`,
		`[{"key":"a","operator":"Equals"}]`, `[{"key":"a","value":1}]`, `[{"operator":"Equals","value":1}]`, `[{"key":"a","operator":1,"value":1}]`,
		`[{"key":"a","operator":"Equals","value":1,"message":2}]`, `[{"key":"a","operater":"Equals","value":1}]`,
		`[` + strings.Repeat(test+",", 256) + test + `]`, `{"all":[` + strings.Repeat(test+",", 256) + test + `]}`,
	} {
		if got, err := jmes.ParseBlocks(decoded(t, raw)); err == nil {
			t.Errorf("%s: want an error, got %v", raw, got)
		}
	}
}

// TestRecordedRequest runs the conditions of a request that Kyverno 1.19.1 made:
// they come with the policy's escapes resolved.
func TestRecordedRequest(t *testing.T) {
	const (
		license  = `{"all":[{"key":"{{creationInfo.licenseListVersion}}","message":"invalid license version","operator":"Equals","value":"3.17"}]}`
		licenses = `{"all":[{"key":"{{ element.components[].licenses[].expression }}","operator":"AllNotIn","value":["GPL-2.0","GPL-3.0"]}]}`
	)
	for name, c := range map[string]struct {
		conditions, document string
		want                 evidence.Reason
	}{
		"Version":      {license, `{"creationInfo":{"licenseListVersion":"3.17"}}`, holds},
		"OtherVersion": {license, `{"creationInfo":{"licenseListVersion":"3.18"}}`, isFalse},
		"NoVersion":    {license, `{"creationInfo":{}}`, fails},
		"Licenses":     {licenses, `{"components":[{"licenses":[{"expression":"MIT"}]}]}`, holds},
		"Forbidden":    {licenses, `{"components":[{"licenses":[{"expression":"GPL-2.0"}]}]}`, isFalse},
		"R48Nothing":   {licenses, `{"components":[]}`, fails},
	} {
		for _, o := range []jmes.Options{{}, {Escaped: true}} {
			conditions := c.conditions
			if o.Escaped {
				conditions = strings.ReplaceAll(conditions, "{{", `\\{{`)
			}
			blocks, err := jmes.ParseBlocks(decoded(t, conditions))
			if err != nil {
				t.Fatal(err)
			}
			condition, err := jmes.Compile(blocks, o)
			if err != nil {
				t.Fatal(err)
			}
			if got := reasonOf(condition.Check(t.Context(), input(t, c.document))); got != c.want {
				t.Errorf("%s (escaped: %t): want %q, got %q", name, o.Escaped, c.want, got)
			}
		}
	}
}

func TestSubstitute(t *testing.T) {
	variables := map[string]any{"keys": map[string]any{"data": map[string]string{"org": "-----BEGIN…", "star": "*", "braces": "{{ keys.data.org }}"}}, "n": 5, "l": []string{"a"}, "z": nil}
	for given, want := range map[string]any{
		"{{ keys.data.org }}":              "-----BEGIN…",
		"x{{keys.data.star}}{{n}}":         "x*5",
		"{{ n }}":                          int64(5),
		"{{ l }}":                          []any{"a"},
		"plain":                            "plain",
		`\{{ request.object }} {{ n }}`:    "{{ request.object }} 5",
		"{{ keys.data.braces }}":           "{{ keys.data.org }}",
		"{{- keys.data.braces }}!":         "{{ keys.data.org }}!",
		"{{ time_now_utc() }}":             "2026-09-01T10:00:00Z",
		"{{ keys.data.{{ 'org' }} }}":      "-----BEGIN…",
		"{{ keys.data.missing || 'none'}}": "none",
	} {
		got, err := jmes.Substitute(given, variables, now)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: -want +got\n%s%v", given, diff, err)
		}
	}
	tree := map[string]any{"{{ l[0] }}": []any{"{{ n }}", true, map[string]any{"k": "{{ keys.data.star }}"}}}
	got, err := jmes.Substitute(tree, variables, now)
	if diff := cmp.Diff(map[string]any{"a": []any{int64(5), true, map[string]any{"k": "*"}}}, got); diff != "" || err != nil {
		t.Errorf("tree: -want +got\n%s%v", diff, err)
	}
	for _, given := range []any{
		"{{ request.namespace }}", "{{ keys.data.missing }}", "{{ keys.data.missing }} ", "{{ z }}", []any{map[string]any{"a": "{{ z }}"}}, "{{ l[3] }}", "x{{ keys.data.braces }}",
		"{{ n", map[string]any{"{{ n }}": 1}, map[string]any{"{{ l[0] }}": 1, "a": 2}, strings.Repeat("x", 1<<17), make(chan int),
	} {
		if got, err := jmes.Substitute(given, variables, now); err == nil {
			t.Errorf("%v: want an error, got %v", given, got)
		}
	}
	if _, err := jmes.Substitute("{{ time_now() }}", nil, time.Time{}); err == nil {
		t.Error("want no time without one")
	}
}
