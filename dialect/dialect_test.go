package dialect_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

// sampleKind is the kind that these tests' dialect reads.
const sampleKind = "apiVersion: example.com/v1\nkind: Sample\nmetadata: {name: s}\n"

type sample struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   any    `json:"metadata"`
	Spec       struct {
		inlined `json:",inline"`

		Text    string            `json:"text"`
		Flag    bool              `json:"flag"`
		Count   int8              `json:"count"`
		Ratio   float64           `json:"ratio"`
		List    []string          `json:"list"`
		Names   map[string]string `json:"names"`
		Bytes   []byte            `json:"bytes"`
		Any     any               `json:"any"`
		Pointer *sampleItem       `json:"pointer"`
		Items   []sampleItem      `json:"items"`
		Custom  upper             `json:"custom"`
		Ignored string            `json:"-"`
	} `json:"spec"`
}

type inlined struct {
	Inner string `json:"inner"`
}

type sampleItem struct {
	Name string `json:"name"`
}

// upper reads itself.
type upper string

func (u *upper) UnmarshalJSON(raw []byte) error {
	if string(raw) == `"refuse"` {
		return errBoom
	}
	*u = upper(strings.ToUpper(string(raw)))
	return nil
}

var errBoom = errors.New("boom")

// sampleDialect makes one policy of each document.
type sampleDialect struct {
	policies func(dialect.Document, dialect.Material) ([]policy.Policy, error)
}

func (sampleDialect) Kinds() []dialect.Kind {
	return []dialect.Kind{{APIVersion: "example.com/v1", Kind: "Sample"}}
}

func (s sampleDialect) Policies(d dialect.Document, m dialect.Material) ([]policy.Policy, error) {
	if s.policies != nil {
		return s.policies(d, m)
	}
	return []policy.Policy{{Origin: policy.Origin{Name: d.Name, File: d.Place()}, Require: policy.All{}}}, nil
}

func parseOne(t *testing.T, text string) dialect.Document {
	t.Helper()
	documents, err := dialect.Parse("f.yaml", []byte(text))
	if err != nil || len(documents) != 1 {
		t.Fatalf("expected one document, got %d, %v", len(documents), err)
	}
	return documents[0]
}

func TestDecode(t *testing.T) {
	d := parseOne(t, sampleKind+`spec:
  inner: within
  text: "1"
  flag: true
  count: 0x10
  ratio: 2
  list: [a, 2020-01-01, 'null']
  names: {a.b/c: d}
  bytes: aGk=
  any: {a: [1, true, null, x], b: 1.5}
  pointer: {name: p}
  items: [{name: i}]
  custom: null
`)
	var got sample
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	var want sample
	want.APIVersion, want.Kind, want.Metadata = "example.com/v1", "Sample", map[string]any{"name": "s"}
	s := &want.Spec
	s.Inner, s.Text, s.Flag, s.Count, s.Ratio = "within", "1", true, 16, 2
	s.List, s.Names, s.Bytes = []string{"a", "2020-01-01", "null"}, map[string]string{"a.b/c": "d"}, []byte("hi")
	s.Any = map[string]any{"a": []any{1, true, nil, "x"}, "b": 1.5}
	s.Pointer, s.Items, s.Custom = &sampleItem{"p"}, []sampleItem{{"i"}}, "NULL"
	if diff := cmp.Diff(want, got, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecodeReportsEverything(t *testing.T) {
	d := parseOne(t, sampleKind+`spec:
  inner: [within]
  text: 1
  Flag: true
  flag: "true"
  count: 300
  ratio: .nan
  list: {a: b}
  names: {a.b/c: 1}
  bytes: "***"
  pointer:
  items: [{name: i, nmae: j}, k]
  custom: refuse
  hidden: x
  "-": y
`)
	var got sample
	err := d.Decode(&got)
	want := strings.TrimPrefix(`
f.yaml:5: spec.inner: expected a string, got a list
f.yaml:6: spec.text: expected a string, got a number; put it in quotes
f.yaml:7: spec.Flag: unknown field; did you mean "flag"?
f.yaml:8: spec.flag: expected true or false, got a string
f.yaml:9: spec.count: expected a whole number of 8 bits, got one that does not fit
f.yaml:10: spec.ratio: expected a finite number, got a number
f.yaml:11: spec.list: expected a list, got an object
f.yaml:12: spec.names["a.b/c"]: expected a string, got a number; put it in quotes
f.yaml:13: spec.bytes: expected base64: illegal base64 data at input byte 0
f.yaml:14: spec.pointer: expected an object, got nothing
f.yaml:15: spec.items[0].nmae: unknown field; did you mean "name"?
f.yaml:15: spec.items[1]: expected an object, got a string
f.yaml:16: spec.custom: expected a value of another form: boom
f.yaml:17: spec.hidden: unknown field
f.yaml:18: spec.-: unknown field`, "\n")
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !errors.Is(err, errBoom) {
		t.Error("expected the cause to be wrapped")
	}
	var one *dialect.Error
	if !errors.As(err, &one) {
		t.Errorf("expected to find a *dialect.Error, got %T", err)
	}
}

func TestDecodeIntoWhatCannotBe(t *testing.T) {
	d := parseOne(t, sampleKind+"a: {}\n")
	var bad struct {
		sample
		A map[int]string `json:"a"`
	}
	for name, into := range map[string]any{"NotPointer": sample{}, "Nil": (*sample)(nil), "IntKeys": &bad} {
		t.Run(name, func(t *testing.T) {
			if err := d.Decode(into); err == nil {
				t.Error("expected an error, got none")
			}
		})
	}
	if err := (dialect.Document{}).Decode(&sample{}); err == nil {
		t.Error("expected an error of the zero document, got none")
	}
}

func TestParse(t *testing.T) {
	cases := map[string]struct {
		reason string
		text   string
		want   []string // kind namespace/name place
	}{
		"Several": {
			"each with its own line", sampleKind + "---\n# comment\n---\n\n" + sampleKind,
			[]string{"example.com/v1 Sample /s f.yaml:1", "example.com/v1 Sample /s f.yaml:8"},
		},
		"JSON": {
			"JSON is YAML", `{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "b"}}`,
			[]string{"v1 Secret b/a f.yaml:1"},
		},
		"List": {
			"as kubectl prints it", "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: a, kind: b, metadata: {name: c}}\n- {apiVersion: a, kind: b, metadata: {name: d}}\n",
			[]string{"a b /c f.yaml:4", "a b /d f.yaml:5"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			documents, err := dialect.Parse("f.yaml", []byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range documents {
				got = append(got, fmt.Sprintf("%s %s/%s %s", d.Kind, d.Namespace, d.Name, d.Place()))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	cases := map[string]struct{ text, want string }{
		"Empty":     {"", "f.yaml: expected at least one document, got none"},
		"Comments":  {"# nothing\n---\n# here\n", "f.yaml: expected at least one document, got none"},
		"Duplicate": {sampleKind + "a: 1\nb: {c: 1, c: 2}\na: 2\n", "f.yaml:5: b.c: expected each field once, got it again; it was first set in line 5\nf.yaml:6: a: expected each field once, got it again; it was first set in line 4"},
		"Merge":     {sampleKind + "a: &a {b: c}\nd: {<<: *a}\n", "f.yaml:5: d: expected a field, got the merge key \"<<\", which is not read: write the fields out"},
		"EmptyList": {"apiVersion: v1\nkind: List\nitems: []\n", "f.yaml: expected at least one document, got none"},
		"ListField": {"apiVersion: v1\nkind: List\nitem: []\n", "f.yaml:3: item: expected a List to hold a list of items, got this"},
		"ListItem":  {"apiVersion: v1\nkind: List\nitems:\n- x\n", "f.yaml:4: items[0]: expected an object with apiVersion and kind, got a string"},
		"Anchor":    {"a: *b\n", "f.yaml: expected YAML: unknown anchor 'b' referenced"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := dialect.Parse("f.yaml", []byte(tc.text))
			if diff := cmp.Diff(tc.want, fmt.Sprint(err)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestR1DocumentsAreBounded(t *testing.T) {
	laughs := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 12; i++ {
		laughs += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	cases := map[string]string{
		"Bytes":     sampleKind + "a: " + strings.Repeat("x", 5<<20),
		"Documents": strings.Repeat("---\n"+sampleKind, 1001),
		"Depth":     sampleKind + "a: " + strings.Repeat("[", 200) + strings.Repeat("]", 200),
		"Values":    sampleKind + "a: [" + strings.Repeat("1,", 200_000) + "]",
		"Aliases":   sampleKind + laughs,
		"Cycle":     sampleKind + "a: &a {b: *a}",
		"Files":     "apiVersion: v1\nkind: List\nitems: [" + strings.Repeat("1,", 200_000) + "]",
		"Errors":    sampleKind + strings.Repeat("1: x\n", 50_000),
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := dialect.Parse("f.yaml", []byte(text))
			if err == nil {
				t.Fatal("expected an error, got none")
			}
			if all := dialect.ErrorsOf(err, ""); len(all) > 101 {
				t.Errorf("expected at most 101 errors, got %d", len(all))
			}
			if len(err.Error()) > 64<<10 {
				t.Errorf("expected a message of at most 64 KiB, got %d bytes", len(err.Error()))
			}
		})
	}
}

func TestLine(t *testing.T) {
	d := parseOne(t, sampleKind+`spec:
  items:
  - name: a
  - labels:
      a.b/c: |
        text
`)
	for path, want := range map[string]int{
		"": 1, "spec": 4, "spec.items[0]": 6, "spec.items[0].name": 6, "spec.items[1].labels": 7,
		`spec.items[1].labels["a.b/c"]`: 8, "spec.items[1].labels.absent.more": 7, "spec.items[10]": 5, "spe": 1, "specs": 1,
	} {
		if got := d.Line(path); got != want {
			t.Errorf("Line(%q): expected %d, got %d", path, want, got)
		}
	}
}

// FuzzParse reads anything twice: without panic, and alike.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		sampleKind, sampleKind + "---\n" + sampleKind, `{"apiVersion": "v1", "kind": "List", "items": [{}]}`,
		"a: &a [*a]", "<<: {a: b}", "? [a]\n: b", "!!binary x", "%YAML 1.1\n---\na: b", "\xff\xfea\x00", "a: 'b", "- - - -", "a: 0o17\nb: .inf",
		"apiVersion: example.com/v1\nkind: Sample\nmetadata: {name: s}\nspec: {any: {a: 1e999, b: 99999999999999999999}, count: 1, bytes: aGk=}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		documents, err := dialect.Parse("f.yaml", content)
		again, errAgain := dialect.Parse("f.yaml", content)
		if len(documents) != len(again) || fmt.Sprint(err) != fmt.Sprint(errAgain) {
			t.Errorf("expected the same twice, got %d, %v and %d, %v", len(documents), err, len(again), errAgain)
		}
		for _, d := range documents {
			var s sample
			_ = d.Decode(&s) // it may be wrong, and must not panic
			if d.Name == "" || d.APIVersion == "" || d.Kind.Kind == "" {
				t.Errorf("expected a document with a kind and a name, got %v %q", d.Kind, d.Name)
			}
		}
	})
}

func TestR1ErrorsOfDecodeAreBounded(t *testing.T) {
	var text strings.Builder
	text.WriteString(sampleKind + "spec:\n")
	for i := range 40_000 {
		fmt.Fprintf(&text, "  unknown%d: 1\n", i)
	}
	err := parseOne(t, text.String()).Decode(&sample{})
	if all := dialect.ErrorsOf(err, ""); len(all) != 101 {
		t.Errorf("expected 100 errors and one that says so, got %d", len(all))
	}
}
