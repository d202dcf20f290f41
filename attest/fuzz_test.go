package attest_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/attest"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

func documents() []string {
	return []string{
		spdxDocument, cycloneDXDocument, trivyReport, grypeReport, sarifLog, vuln(trivyReport, "2026-02-28T12:00:00Z"),
		slsa01, slsa02, slsa1, tekton, githubV1, generatorV1, tektonV02, tektonV1,
		vexed(said("CVE-1", "not_affected", byPURL, ""), said("CVE-2", "affected", parts("pkg:apk/a"), march)), `null`, `[]`, `{}`, `"x"`, `{"a":{"b":[1,2.5,"c",null,true]}}`,
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
		`provenance.sourceRef(predicate) != ""`, `provenance.sourceDigest(predicate).size() in [40, 64]`, `provenance.inputs(predicate).size() > 0`,
		`openvex.statements(predicate, image).size() > 0`, `openvex.notAffected(predicate, image).all(n, openvex.status(predicate, image, n) == "not_affected")`,
		`openvex.fixed(predicate, image).all(n, !(n in openvex.notAffected(predicate, image)))`, `scan.atMost(predicate, "CRITICAL", scan.cves(predicate))`,
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
	always := map[int]bool{0: true, 1: true, 4: true, 7: true, 8: true, 9: true, 10: true, 11: true, 12: true, 13: true, 14: true, 15: true, 16: true, 17: true, 18: true}
	f.Fuzz(func(t *testing.T, document string) {
		in := artifact(document)
		stated, is := attest.SignedTime(in.Statement)
		if again, also := attest.SignedTime(in.Statement); is == stated.IsZero() || is != also || !again.Equal(stated) {
			t.Errorf("want one time or none, got %s, %t and %s, %t", stated, is, again, also)
		}
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

// FuzzOpenVEX reads any document as OpenVEX. The order of its statements does not
// matter, whoever says in the end that the image is affected is heard, and
// another image is cleared of nothing.
func FuzzOpenVEX(f *testing.F) {
	for _, document := range []string{
		vexed(said("CVE-1", "not_affected", byPURL, ""), said("CVE-2", "affected", parts("pkg:apk/a"), march)),
		vexed(said("CVE-1", "fixed", byHash, january), said("CVE-1", "not_affected", parts("pkg:apk/a", "pkg:apk/b"), "")),
		vexed(said("CVE-1", "under_investigation", `{"@id":"pkg:oci/app"}`, january), said("CVE-1", "not_affected", byPURL+","+otherImage, march)),
		`{"@context":"https://openvex.dev/ns","timestamp":"2026-02-01T00:00:00Z","statements":[{"vulnerability":"CVE-1","products":["pkg:oci/app@sha256:` + ones + `"],"subcomponents":["pkg:apk/a"],"status":"not_affected","impact_statement":"x"}]}`,
		vexed(`{"vulnerability":{"name":"GHSA-1","aliases":["CVE-1"]},"status":"fixed","products":[{"identifiers":{"purl":"pkg:docker/app@sha256%3A` + ones + `"}}]}`),
		`{}`, `null`, `[]`,
	} {
		f.Add(document)
	}
	const digest, repository = "sha256:" + ones, "ghcr.io/acme/app"
	f.Fuzz(func(t *testing.T, text string) {
		var document map[string]any
		if err := evidence.DecodeJSON([]byte(text), &document); err != nil {
			return
		}
		cleared, err := attest.Cleared(document, digest, repository)
		if err != nil {
			return
		}
		statements, is := document["statements"].([]any)
		if !is {
			t.Fatalf("expected a document with statements, got %s", text)
		}
		slices.Reverse(statements)
		reversed, err := attest.Cleared(document, digest, repository)
		slices.Sort(cleared)
		slices.Sort(reversed)
		if err != nil || !slices.Equal(cleared, reversed) {
			t.Errorf("want the same in reverse order, got %q and %q, %v", cleared, reversed, err)
		}
		for _, name := range cleared {
			last := map[string]any{"vulnerability": name, "status": "affected", "timestamp": "9999-12-31T23:59:59Z", "products": []any{"pkg:oci/app@" + digest}}
			document["statements"] = append(slices.Clone(statements), last)
			if left, err := attest.Cleared(document, digest, repository); err != nil || slices.Contains(left, name) {
				t.Errorf("%q: want the last word to count, got %q, %v", name, left, err)
			}
		}
		document["statements"] = statements
		if !strings.Contains(text, strings.Repeat("3", 64)) && !strings.ContainsAny(text, "\\%") {
			if other, _ := attest.Cleared(document, "sha256:"+strings.Repeat("3", 64), repository); len(other) > 0 {
				t.Errorf("want nothing cleared in another image, got %q", other)
			}
		}
	})
}
