package attest_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/attest"
)

// documentation is docs/conditions.md.
func documentation(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/conditions.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rows returns the rows of tables whose first cells the expression matches, cut
// into cells.
func rows(text, first string) [][]string {
	begins := regexp.MustCompile(`^\| ` + first)
	var all [][]string
	for line := range strings.Lines(text) {
		if !begins.MatchString(line) {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		all = append(all, cells)
	}
	return all
}

// Every function is documented with the arguments that it takes, and its example
// holds for the document that the page shows.
func TestEveryFunctionIsDocumented(t *testing.T) {
	text := documentation(t)
	documents := make(map[string]string)
	for _, found := range regexp.MustCompile("(?s)For `([a-z]+)`:\n\n```json\n(.*?)```").FindAllStringSubmatch(text, -1) {
		documents[found[1]] = found[2]
	}
	var documented []string
	for _, row := range rows(text, "`[a-z]+\\.[a-zA-Z]+\\(") {
		function, example := row[0], row[len(row)-1]
		documented = append(documented, function)
		name, _, _ := strings.Cut(function, "(")
		library, _, _ := strings.Cut(name, ".")
		if len(row) != 3 || !strings.Contains(example, name+"(") {
			t.Errorf("%s: want a result and an example of it, got %q", function, row)
			continue
		}
		if got := verdict(t, example, stated(documents[library])); got != "holds" {
			condition, _ := attest.CEL(example, "")
			t.Errorf("%s: want the example to hold, got %v", example, condition.Check(t.Context(), stated(documents[library])))
		}
		// Each example says something: it does not hold for every document.
		if got := verdict(t, example, stated(`{}`)); got == "holds" {
			t.Errorf("%s: want the example not to hold for nothing", example)
		}
	}
	arity := func(function string) string {
		name, args, _ := strings.Cut(function, "(")
		return name + "/" + string(rune('0'+len(strings.Split(args, ","))))
	}
	var got []string
	for _, function := range documented {
		got = append(got, arity(function))
	}
	if diff := cmp.Diff(attest.Functions(), got); diff != "" {
		t.Errorf("functions and their documentation, in order (-want +got):\n%s", diff)
	}
}

// Every variable is documented, and the fields that are named exist; others do
// not compile.
func TestEveryVariableIsDocumented(t *testing.T) {
	text := documentation(t)
	var names []string
	for _, row := range rows(text, "`[a-z]+` \\|") {
		if len(row) != 2 || strings.Contains(row[1], "://") { // of another table
			continue
		}
		names = append(names, row[0])
		if got := verdict(t, "dyn("+row[0]+") != 0", about(`{}`)); got != "holds" {
			t.Errorf("%s: want a variable, got %s", row[0], got)
		}
		if !slices.Contains([]string{"image", "request", "signed"}, row[0]) {
			continue
		}
		for _, field := range regexp.MustCompile("`([a-zA-Z]+)`").FindAllStringSubmatch(strings.ReplaceAll("`"+row[1]+"`", "``", "`"), -1) {
			if got := verdict(t, "has("+row[0]+"."+field[1]+")", about(`{}`)); got != "holds" {
				t.Errorf("%s.%s: want it to be there, got %s", row[0], field[1], got)
			}
		}
	}
	if diff := cmp.Diff([]string{"predicate", "statement", "subject", "image", "request", "signed", "now"}, names); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
}

// The short names of predicate types are those that the page lists.
func TestEveryShortNameIsDocumented(t *testing.T) {
	var names []string
	for _, row := range rows(documentation(t), "`[a-z0-9]+`[^|]*\\| `[a-z]+://") {
		for name := range strings.SplitSeq(row[0], ", ") {
			name = strings.Trim(name, "`")
			names = append(names, name)
			if got, err := attest.PredicateType(name); err != nil || got != row[1] {
				t.Errorf("%s: want %s, got %s, %v", name, row[1], got, err)
			}
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff(attest.PredicateTypes(), names); diff != "" {
		t.Errorf("short names (-want +got):\n%s", diff)
	}
}

// The conditions of the page's policies compile.
func TestDocumentedConditionsCompile(t *testing.T) {
	found := regexp.MustCompile(`(?m)^ *- cel: (.*)$`).FindAllStringSubmatch(documentation(t), -1)
	if len(found) < 5 {
		t.Errorf("want at least five conditions, got %d", len(found))
	}
	for _, f := range found {
		if _, err := attest.CEL(f[1], ""); err != nil {
			t.Errorf("%s: %v", f[1], err)
		}
	}
}
