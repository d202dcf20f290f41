package attest_test

import (
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/attest"
	"github.com/bonafide-dev/bonafide/evidence"
)

// The bound of what is fetched is the evidence's; whatever reaches a condition
// is bounded once more, before it is parsed.
func TestR1PredicatesOfFiftyMegabytesAreNotParsed(t *testing.T) {
	in := about(`{"a":"` + strings.Repeat("x", 50<<20) + `"}`)
	if got := verdict(t, `predicate.a != ""`, in); got != "errs" {
		t.Errorf("want an error, got %s", got)
	}
	if at, is := attest.SignedTime(in.Statement); is {
		t.Errorf("want no time, got %s", at)
	}
}

// Nesting is bounded while a statement is parsed, in the predicate as elsewhere.
func TestR1DeeplyNestedPredicatesAreRefused(t *testing.T) {
	for name, predicate := range map[string]string{
		"Lists":   strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000),
		"Objects": strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000),
		"Components": `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[` + strings.Repeat(`{"type":"library","name":"a","components":[`, 10_000) +
			strings.Repeat("]}", 10_000) + `]}`,
	} {
		for _, expression := range []string{`predicate != 1`, `sbom.packages(predicate) != []`, `openvex.notAffected(predicate, image) != []`} {
			if got := verdict(t, expression, about(predicate)); got != string(evidence.MalformedEvidence) {
				t.Errorf("%s: %s: want %s, got %s", name, expression, evidence.MalformedEvidence, got)
			}
		}
	}
	// What is just not too deep is read.
	deep := strings.Repeat(`{"type":"library","name":"a","components":[`, 90) + strings.Repeat("]}", 90)
	if got := verdict(t, `sbom.packages(predicate).size() == 90`, about(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[`+deep+`]}`)); got != "holds" {
		t.Errorf("want ninety levels of components to be read, got %s", got)
	}
}

// A function fits the bounds for a large document, and the condition that asks
// it again and again does not.
func TestR1FunctionsOverLargeDocumentsEnd(t *testing.T) {
	many := func(n int, element string) string { return strings.TrimSuffix(strings.Repeat(element+",", n), ",") }
	for name, tc := range map[string]struct{ document, expression string }{
		"OpenVEX":   {vexed(many(40_000, said("CVE-1", "not_affected", byPURL, ""))), `openvex.status(predicate, image, "CVE-1") == "not_affected"`},
		"Products":  {vexed(said("CVE-1", "not_affected", many(60_000, byPURL), "")), `openvex.status(predicate, image, "CVE-1") == "not_affected"`},
		"Materials": {`{"builder":{"id":"b"},"buildType":"t","materials":[` + many(90_000, `{"uri":"git+https://github.com/acme/app"}`) + `]}`, `provenance.inputs(predicate).size() == 1`},
		"Except":    {vuln(`{"SchemaVersion":2,"Results":[{"Class":"os-pkgs","Vulnerabilities":[`+many(50_000, `{"VulnerabilityID":"CVE-1","Severity":"HIGH"}`)+`]}]}`, "2026-02-28T12:00:00Z"), `scan.atMost(predicate, "LOW", ["CVE-1"])`},
	} {
		t.Run(name, func(t *testing.T) {
			in := stated(tc.document)
			if got := verdict(t, tc.expression, in); got != "holds" {
				t.Errorf("want it to hold once, got %s", got)
			}
			again := strings.TrimSuffix(strings.Repeat("1,", 1000), ",")
			if took, err := steps(t, "["+again+"].all(x, "+tc.expression+" || true)", in); outcome(err) != "errs" || took != attest.MaxSteps {
				t.Errorf("want an error a thousand times, got %v after %d steps", err, took)
			}
		})
	}
}
