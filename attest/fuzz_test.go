package attest_test

import (
	"errors"
	"testing"

	"github.com/bonafide-dev/bonafide/attest"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

func documents() []string {
	return []string{
		spdxDocument, cycloneDXDocument, trivyReport, grypeReport, sarifLog, vuln(trivyReport, "2026-02-28T12:00:00Z"),
		slsa01, slsa02, slsa1, tekton, `null`, `[]`, `{}`, `"x"`, `{"a":{"b":[1,2.5,"c",null,true]}}`,
	}
}

// FuzzCEL evaluates any expression over any document: nothing panics, what a
// condition says of both is bounded, and the same comes of it twice. What holds
// was evaluated without an error: its negation is false.
func FuzzCEL(f *testing.F) {
	for _, document := range documents() {
		for _, expression := range []string{
			`predicate.a.b[0] == 1`, `scan.atMost(predicate, "HIGH") || sbom.hasPackage(predicate, "musl")`, `predicate.all(x, x == 1)`,
			`predicate.?a.orValue(1) == 1`, `image.tag.matches("^v.*$")`, `provenance.builder(predicate) in ["a"]`, `size(subject) > 0 && now > signed.time`,
			`[1, 2].map(x, x + 1).exists(x, x in predicate)`, `"a,b".split(",").slice(0, 1) == ["a"]`, `!has(predicate.a) || sets.contains(predicate.a.b, [1])`,
		} {
			f.Add(expression, document)
		}
	}
	f.Fuzz(func(t *testing.T, expression, document string) {
		condition, err := attest.CEL(expression, "")
		if err != nil {
			if err.Error() == "" {
				t.Error("expected an error that says something, got an empty one")
			}
			return
		}
		in := artifact(document)
		err = condition.Check(t.Context(), in)
		if again := condition.Check(t.Context(), in); outcome(err) != outcome(again) {
			t.Errorf("want the same twice, got %v and %v", err, again)
		}
		var problem *evidence.Problem
		if errors.As(err, &problem) && (len(problem.Got) > 4000 || len(problem.Expected) > 300) {
			t.Errorf("expected a short problem, got %d and %d bytes", len(problem.Got), len(problem.Expected))
		}
		if err != nil {
			return
		}
		negated, compileErr := attest.CEL("!dyn("+expression+")", "")
		if compileErr != nil {
			return // it is too long, or too deep, by that much
		}
		if got := outcome(negated.Check(t.Context(), in)); got != notMet {
			t.Errorf("%s holds: want its negation to be false, got %s", expression, got)
		}
	})
}

// FuzzHelpers asks every function about any document. Nothing panics, and a
// function that errs makes its condition and the opposite one err alike.
func FuzzHelpers(f *testing.F) {
	for _, document := range documents() {
		f.Add(document)
	}
	var pairs [][2]policy.Condition
	for _, expression := range []string{
		`sbom.packages(predicate).all(p, p.name != "")`, `sbom.licenses(predicate).size() > 0`, `sbom.hasPackage(predicate, "musl")`,
		`sbom.hasPackage(predicate, "musl", "1")`, `scan.severities(predicate).all(s, s in ["NONE", "LOW", "MEDIUM", "HIGH", "CRITICAL", "UNKNOWN"])`,
		`scan.highest(predicate) == "NONE"`, `scan.atMost(predicate, "MEDIUM")`, `scan.cves(predicate).all(c, c != "")`, `scan.age(predicate, now) >= duration("0s")`,
		`provenance.builder(predicate) != ""`, `provenance.buildType(predicate) != ""`, `provenance.source(predicate).contains("://")`,
	} {
		var pair [2]policy.Condition
		for i, text := range []string{expression, "!(" + expression + ")"} {
			condition, err := attest.CEL(text, "")
			if err != nil {
				f.Fatal(err)
			}
			pair[i] = condition
		}
		pairs = append(pairs, pair)
	}
	// What holds of every document that can be read at all.
	always := map[int]bool{0: true, 1: true, 4: true, 7: true, 8: true, 9: true, 10: true, 11: true}
	f.Fuzz(func(t *testing.T, document string) {
		in := artifact(document)
		for i, pair := range pairs {
			got, opposite := outcome(pair[0].Check(t.Context(), in)), outcome(pair[1].Check(t.Context(), in))
			switch {
			case got == "holds" && opposite == notMet:
			case got == notMet && opposite == "holds" && !always[i]:
			case got == opposite && got != "holds" && got != notMet:
			default:
				t.Errorf("%s: got %s, and %s for its negation", pair[0], got, opposite)
			}
		}
	})
}
