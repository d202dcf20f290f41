package evidence_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/evidence"
)

func TestR4DecodeJSON(t *testing.T) {
	type target struct {
		Name  string          `json:"name"`
		Inner struct{ A int } `json:"inner"`
		Any   any             `json:"any"`
		Map   map[string]int  `json:"map"`
	}
	cases := map[string]struct {
		reason string
		data   string
		ok     bool
		want   target
	}{
		"Plain":                 {reason: "what it is for", data: `{"name":"x","any":{"n":1}}`, ok: true, want: target{Name: "x", Any: map[string]any{"n": int64(1)}}},
		"OtherCase":             {reason: "names are matched by case", data: `{"Name":"x","NAME":"y"}`, ok: true},
		"UnknownNames":          {reason: "are skipped", data: `{"other":[1,{"a":2}],"name":"x"}`, ok: true, want: target{Name: "x"}},
		"SameNameInTwoObjects":  {reason: "is no duplicate", data: `{"any":[{"a":1},{"a":1}],"map":{"any":1}}`, ok: true, want: target{Any: []any{map[string]any{"a": int64(1)}, map[string]any{"a": int64(1)}}, Map: map[string]int{"any": 1}}},
		"NameAsValue":           {reason: "a string that is no name may repeat", data: `{"name":"name","any":["name","name"]}`, ok: true, want: target{Name: "name", Any: []any{"name", "name"}}},
		"Twice":                 {reason: "a known name", data: `{"name":"x","name":"y"}`},
		"TwiceInStruct":         {reason: "a nested known name", data: `{"inner":{"A":1,"A":2}}`},
		"TwiceInMap":            {reason: "a name of a map", data: `{"map":{"a":1,"a":2}}`},
		"TwiceInAny":            {reason: "a name of a nested any", data: `{"any":[[{"b":{"a":1,"c":2,"a":1}}]]}`},
		"TwiceInSkipped":        {reason: "a name inside one that is skipped", data: `{"other":{"a":1,"a":2}}`},
		"TwiceUnknown":          {reason: "a name that is skipped", data: `{"other":1,"other":2}`},
		"TwiceEscaped":          {reason: "one name in two spellings", data: `{"name":"x","n\u0061me":"y"}`},
		"TwiceAmongMany":        {reason: "beyond where names are compared one by one", data: many(100, true)},
		"Many":                  {reason: "many names are fine", data: many(100, false), ok: true},
		"TwoValues":             {reason: "one value only", data: `{} {}`},
		"Trailing":              {reason: "nothing after the value", data: `{}x`},
		"Empty":                 {reason: "no value", data: ``},
		"Cut":                   {reason: "not JSON", data: `{"name":`},
		"Comment":               {reason: "not JSON", data: "{}//"},
		"ByteOrderMark":         {reason: "not JSON", data: "\ufeff{}"},
		"NotUTF8":               {reason: "two names that a reader takes for one", data: "{\"a\xff\":1}"},
		"WrongType":             {reason: "the decoder's own errors", data: `{"name":1}`},
		"DeepestNesting":        {reason: "the limit itself", data: nested(200), ok: true},
		"TooDeep":               {reason: "beyond the limit", data: nested(201)},
		"FarTooDeep":            {reason: "deep enough to spend a stack", data: nested(100_000)},
		"BracesInStrings":       {reason: "are text", data: `{"name":"{\"a\":1,\"a\":[","any":"\\"}`, ok: true, want: target{Name: `{"a":1,"a":[`, Any: `\`}},
		"EscapedQuoteEndsNames": {reason: "a quote in a name does not end it", data: `{"a\"":1,"a\\":2,"a":3}`, ok: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var got target
			err := evidence.DecodeJSON([]byte(tc.data), &got)
			if (err == nil) != tc.ok {
				t.Fatalf("%s: want ok %t, got %v", tc.reason, tc.ok, err)
			}
			if !strings.HasPrefix(name, "Deepest") && tc.ok {
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
				}
			}
		})
	}
}

func many(n int, twice bool) string {
	var b strings.Builder
	b.WriteString(`{"x":0`)
	for i := range n {
		fmt.Fprintf(&b, `,"n%d":0`, i)
	}
	if twice {
		b.WriteString(`,"n3":0`)
	}
	return b.String() + "}"
}

func nested(depth int) string {
	return `{"any":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + "}"
}

// FuzzDecodeJSON compares with the standard library's tokens: what is accepted
// is one valid value without a repeated name.
func FuzzDecodeJSON(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"a":1,"a":2}`, `{"a":{"b":[{"c":1,"\u0063":2}]}}`, `[1,"x",{"\\":1,"\\\"":null}]`, `{"a":1}{}`, nested(201), "\"\xff\"", many(20, true),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got any
		err := evidence.DecodeJSON(data, &got)
		if !json.Valid(data) {
			if err == nil {
				t.Fatalf("want %q refused", data)
			}
			return
		}
		if repeated := repeats(json.NewDecoder(strings.NewReader(string(data)))); repeated && err == nil {
			t.Fatalf("want a repeated name in %q refused", data)
		}
	})
}

// repeats walks one value by tokens and reports whether an object in it has a
// name twice.
func repeats(d *json.Decoder) bool {
	token, err := d.Token()
	if err != nil {
		return false
	}
	switch token {
	case json.Delim('['):
		for d.More() {
			if repeats(d) {
				return true
			}
		}
	case json.Delim('{'):
		seen := map[any]bool{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return false
			}
			if seen[name] {
				return true
			}
			seen[name] = true
			if repeats(d) {
				return true
			}
		}
	default:
		return false
	}
	_, err = d.Token()
	return err != nil
}

// Every name of an object is remembered while it is read: a document within its
// bytes must not hold a million.
func TestR1NamesOfAnObjectAreCapped(t *testing.T) {
	object := func(names int) []byte {
		b := []byte("{")
		for i := range names {
			if i > 0 {
				b = append(b, ',')
			}
			b = fmt.Appendf(b, "%q:0", fmt.Sprint(i))
		}
		return append(b, '}')
	}
	const most = 100_000
	if err := evidence.CheckJSON(object(most)); err != nil {
		t.Errorf("%d names: want none, got %v", most, err)
	}
	if err := evidence.CheckJSON(object(most + 1)); err == nil {
		t.Errorf("%d names: want an error, got none", most+1)
	}
}
