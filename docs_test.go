package bonafide_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/evidence"
)

var update = flag.Bool("update", false, "rewrite the generated parts of docs/")

// rule is one of the trust rules.
type rule struct {
	number int
	text   string // the rule in a sentence
	source string // where the threat is known from
}

// rules are the trust rules that the project holds itself to. Each has a test.
var rules = []rule{
	{1, "Everything from a registry is hostile and bounded: bytes, entries, pages, depth, time.", "CVE-2023-33957, CVE-2024-29902, CVE-2024-45395"},
	{2, "Digests are parsed before use, content is hashed, response headers are not believed.", "CVE-2024-3727, CVE-2023-33959"},
	{3, "A manifest that can be read in two ways is refused.", "CVE-2021-41190"},
	{4, "JSON evidence is case-sensitive and without duplicate names.", "CVE-2026-39395"},
	{5, "A list that was cut decides only what was seen.", "CVE-2023-33957"},
	{6, "No credential follows a redirect or goes to a realm the operator has not named.", "CVE-2025-27403, CVE-2026-50151"},
	{7, "TLS is never weakened by an image's name or a policy.", "Kyverno allowInsecureRegistry"},
	{8, "The server refuses local and metadata addresses at dial time.", "CVE-2026-22039"},
	{9, "Nothing is fetched from a URL inside an unverified certificate.", "SSRF by OCSP and CRL URLs"},
	{10, "One slow registry does not eat the others' time.", "ratify#92"},
	{11, "Spellings of one image are one name.", "CVE-2023-47630"},
	{12, "Host and path of a pattern match apart.", "Portieris d305814"},
	{13, "A tag beside a digest excuses nothing.", "tag confusion"},
	{14, "Regular expressions are RE2, compiled at load and anchored.", "CVE-2023-7279"},
	{15, "Every matching policy must allow; Warn and Audit satisfy nothing.", "policy shadowing"},
	{16, "A policy whose selection fails applies, undecided; authors cannot select themselves out.", "CVE-2025-46342"},
	{17, "A namespaced policy names only its own namespace's material.", "policy-controller#307"},
	{18, "Before policies are loaded every door denies.", "readiness before policies"},
	{19, "Unknown fields are errors and weakenings show.", "CVE-2025-29778"},
	{20, "What happens to unmatched images is a choice that shows.", "policy-controller no-match"},
	{21, "A signature copied from another image never verifies.", "CVE-2022-47633"},
	{22, "A referrer counts only if its own manifest names the image.", "descriptor spoofing"},
	{23, "A signature requirement needs a signature, an attestation requirement a statement of its type; an empty set fails.", "CVE-2022-35929, -35930"},
	{24, "DSSE signatures are over the PAE.", "Tekton Chains' sigstore-bundle"},
	{25, "A log entry is bound to signature, key and digest.", "CVE-2022-23649, CVE-2026-22703"},
	{26, "Times count only when signed, and lie within every validity.", "CVE-2026-24122, CVE-2026-54787"},
	{27, "Keyless needs issuer, subject and one signed certificate timestamp.", "CVE-2025-29778"},
	{28, "Thresholds count distinct signers.", "CVE-2026-49834"},
	{29, "A Notation result is a proof only if it was enforced.", "CVE-2024-23332"},
	{30, "Plugins are pinned, bounded and add to our checks.", "plugin takeover"},
	{31, "A platform's proof counts for an index only if every platform has one.", "notation#1229"},
	{32, "A condition that errs is false.", "CVE-2026-39395"},
	{33, "The signed reference can be compared with the image's.", "signature replay across repositories"},
	{34, "A proof's key holds everything that its verdict depends on.", "cache poisoning"},
	{35, "A proof ends with the earliest of its limits.", "stale trust"},
	{36, "What a caller may see is keyed by its credentials.", "cross-tenant reads"},
	{37, "Nothing above a proof is remembered, undecided never.", "kyverno#9580"},
	{38, "One caller's deadline never fails another's flight.", "ratify singleflight"},
	{39, "The digest that was verified is the digest that runs.", "CVE-2022-47633"},
	{40, "Warn and Audit never patch; doors that cannot pin use no tag cache.", "kyverno#11167"},
	{41, "Outages are excused only where the operator said so.", "fail-open webhooks"},
	{42, "An update frees only images that did not change.", "annotation tampering"},
	{43, "Every place where a Pod can name an image is covered.", "connaisseur#1311"},
	{44, "Exclusions are by namespace name, and system namespaces are never locked out.", "label bypass"},
	{45, "Answers leave before the caller's deadline.", "gatekeeper#3415"},
	{46, "No user-writable mark is trusted.", "kyverno verify-images annotation"},
	{47, "No secret leaks and metrics are bounded.", "CVE-2026-49835"},
	{48, "No path leads from an error or an empty set to allowed.", "CVE-2022-35929"},
}

var (
	ruleTest = regexp.MustCompile(`^(?:Test|Fuzz)R(\d+)[A-Z]`)
	ruleCase = regexp.MustCompile(`^"(R(\d+)[A-Z][A-Za-z0-9]*)"$`)
)

// TestThreatModelListsEveryRule keeps docs/threat-model.md's table equal to the
// rules and the tests that carry their numbers. Run with -update to rewrite it.
func TestThreatModelListsEveryRule(t *testing.T) {
	tests := testsByRule(t)
	var b strings.Builder
	b.WriteString("| rule | in a sentence | known from | tests |\n|---|---|---|---|\n")
	for _, r := range rules {
		found := tests[r.number]
		if len(found) == 0 {
			t.Errorf("R%d (%s): no test carries its number", r.number, r.text)
		}
		var names []string
		for _, name := range found {
			names = append(names, "`"+name+"`")
		}
		fmt.Fprintf(&b, "| R%d | %s | %s | %s |\n", r.number, r.text, r.source, strings.Join(names, "<br>"))
	}
	checkGenerated(t, "docs/threat-model.md", "rules", b.String())
}

// TestReasonsAreDocumented keeps docs/reasons.md equal to the vocabulary.
func TestReasonsAreDocumented(t *testing.T) {
	var b strings.Builder
	for _, undecided := range []bool{false, true} {
		title := "Decided against"
		if undecided {
			title = "Could not be told"
		}
		fmt.Fprintf(&b, "### %s\n\n| reason | meaning | what to try |\n|---|---|---|\n", title)
		for _, r := range evidence.Reasons() {
			if r.Undecided != undecided {
				continue
			}
			if r.Meaning == "" {
				t.Errorf("%s has no meaning", r.Reason)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.Reason, r.Meaning, r.Remedy)
		}
		b.WriteString("\n")
	}
	checkGenerated(t, "docs/reasons.md", "reasons", b.String())
}

// TestConditionReasonsAreDocumented: docs/reasons.md says what to do about each
// reason that a condition may have beside the vocabulary's.
func TestConditionReasonsAreDocumented(t *testing.T) {
	raw, err := os.ReadFile("docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(raw), "\n## Reasons of a condition\n")
	named := 0
	for _, file := range []string{"api/v1alpha1/status_types.go", "internal/kube/policies/set.go"} {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range conditionReason.FindAllStringSubmatch(string(code), -1) {
			named++
			if row := regexp.MustCompile("(?m)^\\| `" + m[1] + "` \\| (True|False) \\| [^|]+ \\| [^|]+ \\|$"); !row.MatchString(section) {
				t.Errorf("%s: expected a row for %s in docs/reasons.md, with what to try", file, m[1])
			}
		}
	}
	if named < 5 {
		t.Errorf("expected the reasons' constants, got %d", named)
	}
}

var conditionReason = regexp.MustCompile(`(?m)^\tReason[A-Za-z]+ += "([A-Za-z]+)"$`)

// testsByRule finds the tests whose names begin with a rule's number.
func testsByRule(t *testing.T) map[int][]string {
	t.Helper()
	found := map[int][]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "hack") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv != nil {
				continue
			}
			for _, name := range ruleNames(f) {
				number, err := strconv.Atoi(name.rule)
				if err != nil {
					return err
				}
				found[number] = append(found[number], filepath.ToSlash(filepath.Dir(path))+"."+name.test)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, names := range found {
		slices.Sort(names)
	}
	return found
}

type ruleName struct{ rule, test string }

// ruleNames returns the rules that a test's name carries, or the names of the
// cases in its tables.
func ruleNames(f *ast.FuncDecl) []ruleName {
	if m := ruleTest.FindStringSubmatch(f.Name.Name); m != nil {
		return []ruleName{{m[1], f.Name.Name}}
	}
	if !strings.HasPrefix(f.Name.Name, "Test") {
		return nil
	}
	var names []ruleName
	ast.Inspect(f, func(n ast.Node) bool {
		pair, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		key, ok := pair.Key.(*ast.BasicLit)
		if !ok || key.Kind != token.STRING {
			return true
		}
		if m := ruleCase.FindStringSubmatch(key.Value); m != nil {
			names = append(names, ruleName{m[2], f.Name.Name + "/" + m[1]})
		}
		return true
	})
	return names
}

// checkGenerated compares the part of a document between two marks.
func checkGenerated(t *testing.T, path, name, want string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- begin generated: "+name+" -->\n", "<!-- end generated: "+name+" -->"
	before, rest, found := strings.Cut(string(raw), begin)
	got, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s: expected the marks %q and %q", path, begin, end)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s is out of date: run make generate. -want +got:\n%s", path, diff)
	}
}

// TestEveryReasonIsTested finds each reason of the vocabulary in a test, by its
// name: as a constant, or in what a program prints.
func TestEveryReasonIsTested(t *testing.T) {
	var tests strings.Builder
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		recorded := strings.Contains(path, "testdata") && strings.HasSuffix(path, ".txt")
		if !recorded && (!strings.HasSuffix(path, "_test.go") || path == "docs_test.go") {
			return nil
		}
		content, err := os.ReadFile(path)
		tests.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range evidence.Reasons() {
		if named := regexp.MustCompile(`\b` + string(info.Reason) + `\b`); !named.MatchString(tests.String()) {
			t.Errorf("%s: expected a test that names it, got none", info.Reason)
		}
	}
}
