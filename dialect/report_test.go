package dialect_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

func TestReport(t *testing.T) {
	const text = "apiVersion: v1\nkind: K\nmetadata: {name: n}\na: 1\nb: 2\n"
	at := func(line int, path, message, nearest string) dialect.Errors {
		return dialect.Errors{{File: "f.yaml", Line: line, Path: path, Message: message, Nearest: nearest}}
	}
	given := func(a, b, c bool) []dialect.Field {
		return []dialect.Field{dialect.Given("a", a), dialect.Given("b", b), dialect.Given("c", c)}
	}
	paths := map[string]string{dialect.FieldKey: "b"}
	cases := map[string]struct {
		reason string
		find   func(*dialect.Report)
		want   dialect.Errors
	}{
		"Error":          {"with file, line and field", func(r *dialect.Report) { r.Errorf("b", "got %d", 2) }, at(5, "b", "got 2", "")},
		"Missing":        {"an error", func(r *dialect.Report) { r.Missing("a", "got none") }, at(4, "a", "got none", "")},
		"MissingPartial": {"it may be there", func(r *dialect.Report) { r.Partial = true; r.Missing("a", "got none") }, nil},
		"Near": {"the word that was meant",
			func(r *dialect.Report) { r.Near("a", "Stric", []string{"audit", "strict"}, "got %q", "Stric") }, at(4, "a", `got "Stric"`, "strict")},
		"RefusedField": {"where that field was written", func(r *dialect.Report) {
			r.Refused(&dialect.SpecError{Field: dialect.FieldKey, Err: errBoom}, paths, "a")
		}, at(5, "b", "boom", "")},
		"RefusedOtherField": {"the field is not among the paths", func(r *dialect.Report) {
			r.Refused(&dialect.SpecError{Field: dialect.FieldHash, Err: errBoom}, paths, "a")
		}, at(4, "a", "boom", "")},
		"Refused":    {"no field is to blame", func(r *dialect.Report) { r.Refused(errBoom, paths, "a") }, at(4, "a", "boom", "")},
		"AtMost":     {"the bound itself is kept", func(r *dialect.Report) { wantHolds(t, true, r.AtMost("a", 2, 2)) }, nil},
		"More":       {"than the bound", func(r *dialect.Report) { wantHolds(t, false, r.AtMost("a", 3, 2)) }, at(4, "a", "expected at most 2, got 3", "")},
		"ExactlyOne": {"as it should be", func(r *dialect.Report) { wantHolds(t, true, r.ExactlyOne("a", given(false, true, false)...)) }, nil},
		"NoneOfThem": {"one is missing", func(r *dialect.Report) { wantHolds(t, false, r.ExactlyOne("a", given(false, false, false)...)) }, at(4, "a", "expected exactly one of a, b or c, got none", "")},
		"TwoOfThem":  {"one too many", func(r *dialect.Report) { wantHolds(t, false, r.ExactlyOne("a", given(true, false, true)...)) }, at(4, "a", "expected exactly one of a, b or c, got 2: a, c", "")},
		"NonePartial": {"reported already", func(r *dialect.Report) {
			r.Partial = true
			wantHolds(t, false, r.ExactlyOne("a", given(false, false, false)...))
		}, nil},
		"NotesAreNoFlaw": {"they go with the policy", func(r *dialect.Report) { r.Note("a", "this"); r.Weaker("a", "that") }, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			documents, err := dialect.Parse("f.yaml", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			r := dialect.Report{Document: documents[0]}
			tc.find(&r)
			if diff := cmp.Diff(tc.want, r.Errors, cmpopts.IgnoreFields(dialect.Error{}, "Err")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func wantHolds(t *testing.T, want, got bool) {
	t.Helper()
	if got != want {
		t.Errorf("want %t, got %t", want, got)
	}
}

// TestReportKeepsTheCause: what a document's errors are of, callers can tell.
func TestReportKeepsTheCause(t *testing.T) {
	var r dialect.Report
	r.Refused(errBoom, nil, "a")
	r.Errorf("a", "first: %w", errBoom)
	for _, err := range r.Errors {
		if !errors.Is(err, errBoom) {
			t.Errorf("want an error that wraps the cause, got %v", err)
		}
	}
}

func TestReportNotes(t *testing.T) {
	var r dialect.Report
	r.Note("a", "%d of them", 2)
	r.Weaker("b", "less %s", "safe")
	want := []policy.Note{{Path: "a", Text: "2 of them"}, {Path: "b", Text: "less safe", Weakening: true}}
	if diff := cmp.Diff(want, r.Notes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestReportDecode: after an error the document is partial, and the fields
// around it are set.
func TestReportDecode(t *testing.T) {
	for name, text := range map[string]string{"Whole": "2", "Partial": "two"} {
		t.Run(name, func(t *testing.T) {
			documents, err := dialect.Parse("f.yaml", []byte("apiVersion: v1\nkind: K\nmetadata: {name: n}\na: "+text+"\nb: 3\n"))
			if err != nil {
				t.Fatal(err)
			}
			var read struct {
				APIVersion string `json:"apiVersion"`
				Kind       string `json:"kind"`
				Metadata   any    `json:"metadata"`
				A          int    `json:"a"`
				B          int    `json:"b"`
			}
			r := dialect.Report{Document: documents[0]}
			whole := r.Decode(&read)
			if want := name == "Whole"; whole != want || r.Partial == want || (len(r.Errors) == 0) != want {
				t.Errorf("got %t with partial %t and the errors %v", whole, r.Partial, r.Errors)
			}
			if read.B != 3 {
				t.Errorf("want the field that could be read, got %+v", read)
			}
		})
	}
}

func TestEither(t *testing.T) {
	for want, words := range map[string][]string{"": nil, "a": {"a"}, "a or b": {"a", "b"}, "a, b or c": {"a", "b", "c"}} {
		if got := dialect.Either(words); got != want {
			t.Errorf("%q: want %q, got %q", words, want, got)
		}
	}
}

func TestClip(t *testing.T) {
	whole := strings.Repeat("x", 200)
	for s, want := range map[string]string{"": "", whole: whole, whole + "y": whole + "…", "xx" + strings.Repeat("ü", 100): "xx" + strings.Repeat("ü", 99) + "…", "x" + strings.Repeat("ü", 100): "x" + strings.Repeat("ü", 99) + "…"} {
		if got := dialect.Clip(s); got != want || !utf8.ValidString(got) {
			t.Errorf("%q: want %q, got %q", s, want, got)
		}
	}
}
