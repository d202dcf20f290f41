package attest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/attest"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// decided is when the conditions of these tests are checked.
var decided = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// about returns what a condition looks at: an in-toto statement with the
// predicate.
func about(predicate string) policy.ConditionInput {
	const image = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	statement := `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"app","digest":{"sha256":"1111"}}],"predicateType":"t","predicate":` + predicate + `}`
	return policy.ConditionInput{
		Statement: policy.NewStatement("t", []byte(statement)),
		Proof:     policy.Proof{Identity: "key sha256:1f", Who: "CN=release", Source: "bundle sha256:ab[0]", Time: decided.Add(-48 * time.Hour)},
		Image:     imageref.MustParse("ghcr.io/acme/app:v1"),
		Digest:    imageref.MustParseDigest(image),
		Request: policy.Request{
			Namespace: policy.Namespace{State: policy.NamespaceKnown, Name: "prod"}, Kind: "Pod", Operation: "CREATE", User: "alice",
			ServiceAccount: "web", Labels: map[string]string{"app": "web"},
		},
		Now: decided,
	}
}

// artifact returns what a condition looks at: the content of an artifact.
func artifact(content string) policy.ConditionInput {
	in := about(`{}`)
	in.Statement = policy.NewArtifact("application/json", []byte(content))
	return in
}

// verdict is what came of a condition in one word: holds, a reason, or errs.
func verdict(tb testing.TB, expression string, in policy.ConditionInput) string {
	tb.Helper()
	condition, err := attest.CEL(expression, "")
	if err != nil {
		tb.Fatalf("compile %s: %v", expression, err)
	}
	return outcome(condition.Check(tb.Context(), in))
}

func outcome(err error) string {
	var problem *evidence.Problem
	switch {
	case err == nil:
		return "holds"
	case errors.As(err, &problem):
		return string(problem.Reason)
	}
	return "errs"
}

const notMet = string(evidence.ConditionNotMet)

func TestExpressionsSeeTheFacts(t *testing.T) {
	cases := map[string]struct {
		reason     string
		expression string
		in         policy.ConditionInput
		want       string
	}{
		"Predicate":       {"the predicate is what conditions are about", `predicate.builder.id == "b"`, about(`{"builder":{"id":"b"}}`), "holds"},
		"PredicateOther":  {"another value", `predicate.builder.id == "c"`, about(`{"builder":{"id":"b"}}`), notMet},
		"Statement":       {"all of the statement", `statement.predicateType == "t"`, about(`{}`), "holds"},
		"Subject":         {"its subjects", `subject.exists(s, s.digest.sha256 == "1111")`, about(`{}`), "holds"},
		"ArtifactContent": {"the content of an artifact", `predicate.a == 1 && statement.a == 1`, artifact(`{"a":1,"subject":[1]}`), "holds"},
		"ArtifactSubject": {"an artifact has no subjects, whatever it says", `size(subject) == 0`, artifact(`{"a":1,"subject":[1]}`), "holds"},
		"ArtifactList":    {"an artifact need not be an object", `predicate.all(x, x < 3)`, artifact(`[1,2]`), "holds"},
		"ArtifactText":    {"one that is no JSON cannot be looked at", `predicate.a == 1`, artifact(`a: 1`), string(evidence.MalformedEvidence)},
		"ArtifactUnread":  {"and need not be, if nothing looks at it", `image.tag == "v1"`, artifact(`a: 1`), "holds"},
		"Image":           {"the image", `image.reference == "ghcr.io/acme/app:v1" && image.registry == "ghcr.io" && image.repository == "ghcr.io/acme/app" && image.tag == "v1" && image.digest.startsWith("sha256:11")`, about(`{}`), "holds"},
		"Request":         {"the request", `request.namespace == "prod" && request.kind == "Pod" && request.operation == "CREATE" && request.user == "alice" && request.serviceAccount == "web" && request.labels.app == "web"`, about(`{}`), "holds"},
		"Signed":          {"how it was signed", `signed.who == "CN=release" && signed.source.startsWith("bundle") && now - signed.time == duration("48h")`, about(`{}`), "holds"},
		"Now":             {"the injected clock", `now == timestamp("2026-03-01T12:00:00Z")`, about(`{}`), "holds"},
		"Numbers":         {"whole numbers and others compare", `predicate.n > 1.5 && predicate.f > 1 && predicate.n == 2`, about(`{"n":2,"f":1.5}`), "holds"},
		"Optional":        {"what may be missing", `predicate.?a.?b.orValue("none") == "none"`, about(`{}`), "holds"},
		"Has":             {"what may be missing", `!has(predicate.a)`, about(`{}`), "holds"},
		"Strings":         {"functions of strings", `"a,B".lowerAscii().split(",") == ["a","b"] && " x ".trim() == "x" && "abc".substring(1) == "bc" && "abc".charAt(1) == "b" && "x".upperAscii() == "X"`, about(`{}`), "holds"},
		"Sets":            {"functions of sets", `sets.contains([1,2], [1]) && sets.intersects([1],[1,2]) && sets.equivalent([1,1],[1]) && !sets.contains([1],[2]) && !sets.intersects([1],[2])`, about(`{}`), "holds"},
		"Lists":           {"functions of lists", `[1,2,3].slice(1,3) == [2,3] && [1]+[2] == [1,2] && "a"+"b" == "ab" && 1+1 == 2 && 1 in [1] && !(2 in [1]) && 1 != 2 && "k" in {"k":1}`, about(`{}`), "holds"},
		"Math":            {"functions of numbers", `math.greatest([1,3,2]) == 3`, about(`{}`), "holds"},
		"Matches":         {"an anchored regular expression", `predicate.id.matches("^https://github\\.com/acme/.*$")`, about(`{"id":"https://github.com/acme/app"}`), "holds"},
		"MatchesOther":    {"an anchored regular expression", `predicate.id.matches("^https://github\\.com/acme/.*$")`, about(`{"id":"x https://github.com/acme/app"}`), notMet},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := verdict(t, tc.expression, tc.in); got != tc.want {
				t.Errorf("%s: want %s, got %s", tc.reason, tc.want, got)
			}
		})
	}
}

// What is not known is not there: comparing with an empty string would let an
// expression such as request.namespace != "prod" hold at a door without one.
func TestR48UnknownFactsErr(t *testing.T) {
	in := about(`{}`)
	in.Request, in.Proof.Time = policy.Request{Namespace: policy.Namespace{State: policy.NamespaceUnknown, Name: "guess"}}, time.Time{}
	for _, expression := range []string{
		`request.namespace != "prod"`, `request.kind != "Pod"`, `request.operation != "UPDATE"`, `request.user != "mallory"`,
		`request.serviceAccount != "root"`, `!("a" in request.labels)`, `signed.time < now`,
	} {
		if got := verdict(t, expression, in); got != "errs" {
			t.Errorf("%s: want an error, got %s", expression, got)
		}
	}
	if got := verdict(t, `!has(request.namespace) && !has(signed.time)`, in); got != "holds" {
		t.Errorf("has: want holds, got %s", got)
	}
}

func TestR32ConditionsThatErrDoNotHold(t *testing.T) {
	cases := map[string]struct {
		reason     string
		expression string
		predicate  string
		names      string // in the error
	}{
		"MissingKey":     {"no such key", `predicate.builder.id == "b"`, `{"builder":{}}`, "id"},
		"MissingNegated": {"a negation of what is missing is no truth", `predicate.builder.id != "b"`, `{"builder":{}}`, "id"},
		"MissingInNot":   {"nor is its logical negation", `!(predicate.bad)`, `{}`, "bad"},
		"OtherType":      {"a number is no list", `predicate.a.all(x, x > 1)`, `{"a":3}`, ""},
		"NoPredicate":    {"a null has no fields", `predicate.a != 1`, `null`, ""},
		"OneElement":     {"one element errs and no other decides", `predicate.a.all(x, x.v != 1)`, `{"a":[{"v":2},{}]}`, "v"},
		"Index":          {"out of range", `predicate.a[3] != 1`, `{"a":[]}`, "3"},
		"Conversion":     {"no number", `int(predicate.a) < 5`, `{"a":"x"}`, ""},
		"Division":       {"by zero", `1 / predicate.a != 5`, `{"a":0}`, ""},
		"AnyOfSome":      {"none of the elements decides and one errs", `predicate.a.exists(x, x.v == 1)`, `{"a":[{"v":2},{}]}`, "v"},
		"NotABool":       {"a dynamic value that is no truth value", `predicate.a`, `{"a":"true"}`, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			condition, err := attest.CEL(tc.expression, "")
			if err != nil {
				t.Fatal(err)
			}
			err = condition.Check(t.Context(), about(tc.predicate))
			if got := outcome(err); got != "errs" {
				t.Fatalf("%s: want an error, got %s", tc.reason, got)
			}
			if !strings.Contains(err.Error(), tc.names) {
				t.Errorf("%s: expected an error that names %q, got %v", tc.reason, tc.names, err)
			}
		})
	}
}

func TestCompileErrorsSayWhere(t *testing.T) {
	cases := map[string]struct {
		reason     string
		expression string
		want       string // the error's beginning
	}{
		"Empty":        {"nothing", " ", "expected"},
		"Syntax":       {"no expression", `predicate.a == `, "1:16: "},
		"Unknown":      {"no such variable", `predicat.a == 1`, "1:1: "},
		"Type":         {"types that do not compare", `image.tag == 1`, "1:11: "},
		"SecondLine":   {"where it is", "true &&\n  foo(1)", "2:6: "},
		"NotBool":      {"no truth value", `"x"`, "1:1: "},
		"Number":       {"no truth value", `size(subject)`, "1:1: "},
		"ImageField":   {"a field that there is not", `true && image.regstry == "x"`, "1:14: "},
		"RequestField": {"a field that there is not", `request.name == "x"`, "1:8: "},
		"SignedField":  {"a field that there is not", `has(signed.at)`, "1:"},
		"Long":         {"too long", strings.Repeat("true && ", 1000) + "true", "expected"},
		"Deep":         {"too deep", strings.Repeat("(", 500) + "true" + strings.Repeat(")", 500), ""},
		"Replace":      {"a function that multiplies", `"a".replace("a", "b") == "b"`, "1:12: "},
		"Range":        {"a function that makes lists of nothing", `lists.range(10) == []`, "1:"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := attest.CEL(tc.expression, "")
			if err == nil {
				t.Fatalf("%s: expected an error, got none", tc.reason)
			}
			if !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("%s: expected an error that begins with %q, got %v", tc.reason, tc.want, err)
			}
		})
	}
}

func TestR14RegularExpressionsAreAnchoredAndKnown(t *testing.T) {
	for name, expression := range map[string]string{
		"NoAnchors":   `image.tag.matches("v1")`,
		"NoBegin":     `image.tag.matches("v1$")`,
		"NoEnd":       `image.tag.matches("^v1")`,
		"Alternation": `image.tag.matches("^v1|v2$")`,
		"Computed":    `image.tag.matches("^" + image.tag + "$")`,
		"FromOutside": `image.tag.matches(predicate.pattern)`,
		"NotRE2":      `image.tag.matches("^(?=a)$")`,
		"Backtrack":   `image.tag.matches("^(a)\\1$")`,
		"TooLarge":    `image.tag.matches("^(?:a{1,900}b{1,900}c{1,900})$")`,
		"Dynamic":     `matches(image.tag, dyn("^a$"))`,
	} {
		if _, err := attest.CEL(expression, ""); err == nil {
			t.Errorf("%s: expected an error for %s, got none", name, expression)
		}
	}
	long := `{"id":"` + strings.Repeat("a", 100_000) + `"}`
	if got := verdict(t, `predicate.id.matches("^a*$")`, about(long)); got != "errs" {
		t.Errorf("a text too long to match: want an error, got %s", got)
	}
}

func TestRefusalsShowWhatWasFound(t *testing.T) {
	cases := map[string]struct {
		expression, message, predicate string
		want                           evidence.Problem
	}{
		"Path": {
			`predicate.builder.id == "b"`, "", `{"builder":{"id":"x"}}`,
			evidence.Problem{Expected: `predicate.builder.id == "b"`, Got: `predicate.builder.id = "x"`},
		},
		"Message": {
			`predicate.builder.id == "b"`, "the trusted builder", `{"builder":{"id":"x"}}`,
			evidence.Problem{Expected: "the trusted builder", Got: `predicate.builder.id = "x"`},
		},
		"Several": {
			`predicate.a > 1 || image.tag == "v2"`, "", `{"a":1}`,
			evidence.Problem{Expected: `predicate.a > 1 || image.tag == "v2"`, Got: `predicate.a = 1, image.tag = "v1"`},
		},
		"NotReached": {
			`predicate.a > 1 && predicate.b > 1`, "", `{"a":1,"b":1}`,
			evidence.Problem{Expected: `predicate.a > 1 && predicate.b > 1`, Got: `predicate.a = 1`},
		},
		"List": {
			`predicate.l == ["a"]`, "", `{"l":["a",1,{"k":1},[1,2],null,6,7]}`,
			evidence.Problem{Expected: `predicate.l == ["a"]`, Got: `predicate.l = ["a", 1, an object, a list of 2, null, 2 more]`},
		},
		"FirstThatFails": {
			`predicate.l.all(x, x.v < 3)`, "", `{"l":[{"v":1},{"v":4},{"v":9}]}`,
			evidence.Problem{Expected: `predicate.l.all(x, x.v < 3)`, Got: `predicate.l = [an object, an object, an object], x.v = 4`},
		},
		"Unordered": { // of the keys of an object none comes first
			`predicate.m.all(k, k == "x")`, "", `{"m":{"a":1,"b":2}}`,
			evidence.Problem{Expected: `predicate.m.all(k, k == "x")`, Got: `predicate.m = an object`},
		},
		"Function": {
			`sbom.licenses(predicate).all(l, l == "MIT")`, "", `{"spdxVersion":"SPDX-2.3","packages":[{"name":"a","licenseDeclared":"MIT"},{"name":"b","licenseDeclared":"Zlib"}]}`,
			evidence.Problem{Expected: `sbom.licenses(predicate).all(l, l == "MIT")`, Got: `sbom.licenses(predicate) = ["MIT", "Zlib"], l = "Zlib"`},
		},
		"Nothing": {`1 == 2`, "", `{}`, evidence.Problem{Expected: `1 == 2`, Got: "false"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			condition, err := attest.CEL(tc.expression, tc.message)
			if err != nil {
				t.Fatal(err)
			}
			got := evidence.ProblemOf(condition.Check(t.Context(), about(tc.predicate)))
			tc.want.Reason = evidence.ConditionNotMet
			if diff := cmp.Diff(&tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestR1RefusalsAreBounded(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	predicate := `{"a":"` + long + `","l":["` + long + `","` + long + `"]}`
	condition, err := attest.CEL(`predicate.a == predicate.l[0] + "y" || size(predicate.l) == 7 || predicate.l == [] || image.tag == "`+long[:3000]+`"`, "")
	if err != nil {
		t.Fatal(err)
	}
	problem := evidence.ProblemOf(condition.Check(t.Context(), about(predicate)))
	if problem.Reason != evidence.ConditionNotMet || len(problem.Got) > 2000 || len(problem.Expected) > 300 || len(condition.String()) > 300 {
		t.Errorf("expected a short refusal, got %s, %d and %d bytes, condition %d", problem.Reason, len(problem.Got), len(problem.Expected), len(condition.String()))
	}
	if _, err := attest.CEL("true", long); err == nil {
		t.Error("expected an error for a message of a megabyte, got none")
	}
}

// Each of these would run for longer than anybody waits, or take more memory
// than there is.
func TestR1ExpressionsThatMultiplyEnd(t *testing.T) {
	doubling := func(step string) string { return strings.Repeat(step, 40) }
	digits := strings.TrimSuffix(strings.Repeat("0,", 1000), ",")
	for name, expression := range map[string]string{
		"Lists":         `[[0]]` + doubling(`.map(a, a + a)`) + `.all(x, 1 in x)`,
		"DynamicLists":  `[dyn([0])]` + doubling(`.map(a, a + a)`) + `.all(x, x != [])`,
		"Strings":       `["aaaaaaaa"]` + doubling(`.map(a, a + a)`) + `.all(x, x != "")`,
		"Nested":        `[dyn([0])]` + doubling(`.map(a, [a, a])`) + `.all(x, x == x)`,
		"NestedNot":     `[dyn([0])]` + doubling(`.map(a, [a, a])`) + `.all(x, !(x != x))`,
		"NestedIn":      `[dyn([0])]` + doubling(`.map(a, [a, a])`) + `.all(x, x in [x])`,
		"NestedSets":    `[dyn([0])]` + doubling(`.map(a, [a, a])`) + `.all(x, sets.contains([x], [x]) || sets.intersects([x], [x]) || sets.equivalent([x], [x]))`,
		"NestedOption":  `[dyn([0])]` + doubling(`.map(a, [a, a])`) + `.all(x, optional.of(x) == optional.of(x))`,
		"OptionsNested": `[optional.of(dyn([0]))]` + strings.Repeat(`.map(a, optional.of(dyn([a, a])))`, 30) + `.all(x, x == x)`,
		"Maps":          `[dyn({1: 2})]` + doubling(`.map(a, {1: a, 2: a})`) + `.all(x, x == x)`,
		"Loops":         `[` + digits + `].all(a, [` + digits[:400] + `].all(b, [` + digits[:400] + `].all(c, [` + digits[:400] + `].all(d, true))))`,
		"CartesianSets": `sets.contains(predicate.l, predicate.l)`,
	} {
		t.Run(name, func(t *testing.T) {
			l := `{"l":[` + strings.TrimSuffix(strings.Repeat("0,", 50_000), ",") + `,1]}`
			if got := verdict(t, expression, about(l)); got != "errs" {
				t.Errorf("want an error, got %s", got)
			}
		})
	}
}

func TestConditionsEndWithTheirContext(t *testing.T) {
	condition, err := attest.CEL(`predicate.l.all(a, predicate.l.all(b, a != b + 2))`, "")
	if err != nil {
		t.Fatal(err)
	}
	in := about(`{"l":[` + strings.TrimSuffix(strings.Repeat("0,", 1000), ",") + `]}`)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if got := outcome(condition.Check(cancelled, in)); got != string(evidence.Cancelled) {
		t.Errorf("cancelled: want %s, got %s", evidence.Cancelled, got)
	}
	late, end := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer end()
	if got := outcome(condition.Check(late, in)); got != string(evidence.DeadlineExceeded) {
		t.Errorf("late: want %s, got %s", evidence.DeadlineExceeded, got)
	}
}

// One condition and one statement serve every request at once.
func TestConditionsAreSafeForConcurrentUse(t *testing.T) {
	condition, err := attest.CEL(`sbom.licenses(predicate).all(l, l in ["MIT"]) && predicate.packages.exists(p, p.name == "x")`, "")
	if err != nil {
		t.Fatal(err)
	}
	in := about(spdxDocument)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 20 {
				if got := outcome(condition.Check(t.Context(), in)); got != notMet {
					t.Errorf("want %s, got %s", notMet, got)
				}
			}
		})
	}
	group.Wait()
}

func TestR1DocumentsAreBounded(t *testing.T) {
	if got := verdict(t, `predicate != 1`, artifact(`"`+strings.Repeat("x", 10<<20)+`"`)); got != "errs" {
		t.Errorf("want an error, got %s", got)
	}
}

// A list of names over a large bill of materials is what people write: it must
// fit the bounds.
func TestLargeDocumentsFit(t *testing.T) {
	document := `{"spdxVersion":"SPDX-2.3","packages":[` + strings.TrimSuffix(strings.Repeat(`{"name":"a","versionInfo":"1.0","licenseDeclared":"MIT","description":"`+strings.Repeat("x", 500)+`"},`, 4_000), ",") + `]}`
	names := `["` + strings.Join(strings.Split(strings.Repeat("b", 20), ""), `","`) + `"]`
	for _, expression := range []string{
		names + `.all(n, !sbom.hasPackage(predicate, n))`,
		`sbom.packages(predicate).all(p, p.name != "c" && p.licenses.all(l, l in ["MIT", "Apache-2.0", "BSD-3-Clause", "ISC"]))`,
	} {
		if got := verdict(t, expression, about(document)); got != "holds" {
			t.Errorf("%s: want holds, got %s", expression, got)
		}
	}
}

// A document is shared between conditions: whatever they do, it stays as it is.
func TestConditionsChangeNothing(t *testing.T) {
	in := about(`{"l":[1,2],"m":{"k":"v"}}`)
	before, err := in.Statement.Predicate()
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprint(before)
	for _, expression := range []string{`predicate.l + [3] == [1,2,3]`, `predicate.l.map(x, x + 1) == [2,3]`, `predicate.l.filter(x, x > 1) == [2]`} {
		if got := verdict(t, expression, in); got != "holds" {
			t.Errorf("%s: want holds, got %s", expression, got)
		}
	}
	if got := fmt.Sprint(before); got != want {
		t.Errorf("want %s, got %s", want, got)
	}
}

func TestPredicateType(t *testing.T) {
	cases := map[string]struct {
		want    string
		refused bool
	}{
		"slsaprovenance":                {want: "https://slsa.dev/provenance/v0.2"},
		"slsaprovenance02":              {want: "https://slsa.dev/provenance/v0.2"},
		"slsaprovenance1":               {want: "https://slsa.dev/provenance/v1"},
		"spdx":                          {want: "https://spdx.dev/Document"},
		"spdxjson":                      {want: "https://spdx.dev/Document"},
		"cyclonedx":                     {want: "https://cyclonedx.org/bom"},
		"vuln":                          {want: "https://cosign.sigstore.dev/attestation/vuln/v1"},
		"openvex":                       {want: "https://openvex.dev/ns"},
		"link":                          {want: "https://in-toto.io/Link/v1"},
		"custom":                        {want: "https://cosign.sigstore.dev/attestation/v1"},
		"https://example.com/p/v1":      {want: "https://example.com/p/v1"},
		"example.com/p":                 {want: "example.com/p"},
		"urn:example:p":                 {want: "urn:example:p"},
		"":                              {refused: true},
		"SPDX":                          {refused: true},
		"slsa":                          {refused: true},
		"https://example.com/a b":       {refused: true},
		"https://" + string(rune(0x7f)): {refused: true},
	}
	for name, tc := range cases {
		got, err := attest.PredicateType(name)
		var refused *attest.PredicateTypeError
		if got != tc.want || errors.As(err, &refused) != tc.refused {
			t.Errorf("%q: want %q refused=%t, got %q, %v", name, tc.want, tc.refused, got, err)
		}
	}
	if names := attest.PredicateTypes(); !slices.IsSorted(names) || len(names) != 10 {
		t.Errorf("want ten sorted names, got %q", names)
	}
}
