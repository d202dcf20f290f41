package attest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The severities, from the least. Unknown is what some scanners say of a
// vulnerability that nobody has rated: it compares with nothing.
const (
	severityNone     = "NONE"
	severityLow      = "LOW"
	severityMedium   = "MEDIUM"
	severityHigh     = "HIGH"
	severityCritical = "CRITICAL"
	severityUnknown  = "UNKNOWN"
)

// severities returns those that compare, in order.
func severities() []string {
	return []string{severityNone, severityLow, severityMedium, severityHigh, severityCritical}
}

// finding is what a scanner found.
type finding struct {
	id       string
	severity string
}

// report is what a scan report says.
type report struct {
	findings []finding
	// scanned is when, by the report itself; zero if it does not say.
	scanned time.Time
}

// readReport reads a report of Trivy or Grype, SARIF 2.1.0, or the predicate of
// cosign's attestation type vuln with one of them inside. A report of another
// schema is an error, and so is one that says of nothing that it was scanned
// (TRUST R32).
func readReport(document any) (report, error) {
	c := &cursor{}
	doc := c.object(document, "the scan report")
	if c.err != nil {
		return report{}, c.err
	}
	var kinds []string
	for kind, field := range map[string]string{"vuln": "scanner", "trivy": "SchemaVersion", "grype": "matches", "sarif": "runs"} {
		if _, has := doc[field]; has {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) != 1 {
		return report{}, errors.New("expected a report of Trivy or Grype, SARIF, or a predicate of type vuln, got " + describeKinds(kinds))
	}
	var r report
	switch kinds[0] {
	case "vuln":
		return c.vuln(doc)
	case "trivy":
		r = c.trivy(doc)
	case "grype":
		r = c.grype(doc)
	case "sarif":
		r = c.sarif(doc)
	}
	switch {
	case c.err != nil:
		return report{}, c.err
	case len(r.findings) > maxResults:
		return report{}, errResults
	}
	return r, nil
}

func describeKinds(kinds []string) string {
	if len(kinds) == 0 {
		return "none of them"
	}
	slices.Sort(kinds)
	return "what could be " + strings.Join(kinds, " or ")
}

// vuln reads the predicate https://cosign.sigstore.dev/attestation/vuln/v1: its
// scanner.result is the scanner's own report.
func (c *cursor) vuln(doc map[string]any) (report, error) {
	scanner := c.part(doc, "scanner")
	result := c.part(scanner, "result")
	metadata := c.part(doc, "metadata")
	finished := c.moment(metadata, "scanFinishedOn")
	switch _, nested := result["scanner"]; {
	case c.err != nil:
		return report{}, c.err
	case result == nil:
		return report{}, errors.New("expected scanner.result to hold the scanner's report, got none")
	case nested:
		return report{}, errors.New("expected scanner.result to hold the scanner's report, got another predicate of type vuln")
	}
	inner, err := readReport(result)
	if err != nil {
		return report{}, fmt.Errorf("scanner.result: %w", err)
	}
	inner.scanned = earliest(inner.scanned, finished)
	return inner, nil
}

// earliest returns the earlier of two times of which each may be unknown.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// trivy reads a report of Trivy, schema 2. Trivy leaves out what it finds
// nothing of, so at least one result must say that packages were looked at.
func (c *cursor) trivy(doc map[string]any) report {
	if version, is := doc["SchemaVersion"].(int64); !is || version != 2 {
		c.fail("expected SchemaVersion 2, got %s", shortly(doc["SchemaVersion"]))
	}
	r := report{scanned: c.moment(doc, "CreatedAt")}
	packages := false
	for _, v := range c.list(doc, "Results") {
		result := c.object(v, "Results[]")
		class := c.text(result, "Class")
		packages = packages || class == "os-pkgs" || class == "lang-pkgs"
		for _, v := range c.list(result, "Vulnerabilities") {
			vulnerability := c.object(v, "Vulnerabilities[]")
			id := c.need(vulnerability, "VulnerabilityID")
			r.findings = append(r.findings, finding{id, c.word(id, c.need(vulnerability, "Severity"))})
			if c.err != nil || len(r.findings) > maxResults {
				return r
			}
		}
	}
	if !packages {
		c.fail("expected a report about packages, got one that scanned none")
	}
	return r
}

// grype reads a report of Grype. It lists matches, and none if it found none;
// what was scanned is its source.
func (c *cursor) grype(doc map[string]any) report {
	descriptor := c.part(doc, "descriptor")
	if name := c.need(descriptor, "name"); c.err == nil && name != "grype" {
		c.fail("expected descriptor.name grype, got %q", clip(name, maxQuoted))
	}
	if len(c.part(doc, "source")) == 0 {
		c.fail("expected source to say what was scanned, got none")
	}
	r := report{scanned: c.moment(descriptor, "timestamp")}
	for _, v := range c.given(doc, "matches") {
		vulnerability := c.part(c.object(v, "matches[]"), "vulnerability")
		id := c.need(vulnerability, "id")
		r.findings = append(r.findings, finding{id, c.word(id, c.need(vulnerability, "severity"))})
		if c.err != nil || len(r.findings) > maxResults {
			return r
		}
	}
	return r
}

// word returns the severity that a scanner's word stands for.
func (c *cursor) word(id, word string) string {
	switch strings.ToUpper(word) {
	case "NEGLIGIBLE":
		return severityLow
	case severityNone, severityLow, severityMedium, severityHigh, severityCritical, severityUnknown:
		return strings.ToUpper(word)
	}
	c.fail("expected a severity of %s, got %q", clip(id, maxQuoted), clip(word, maxQuoted))
	return ""
}

// shortly writes a scalar for a message.
func shortly(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%q", clip(v, maxQuoted))
	case int64, float64, bool:
		return fmt.Sprint(v)
	}
	return kindOf(v)
}

// scanSeverities implements scan.severities.
func scanSeverities(document any) (any, error) {
	r, err := readReport(document)
	if err != nil {
		return nil, err
	}
	all := make([]any, len(r.findings))
	for i, f := range r.findings {
		all[i] = f.severity
	}
	return all, nil
}

// scanHighest implements scan.highest.
func scanHighest(document any, except []string) (any, error) {
	highest, err := highest(document, except)
	return severities()[highest], err
}

// highest returns the worst severity of the findings that are not excepted, by
// the names of scan.cves.
func highest(document any, except []string) (int, error) {
	r, err := readReport(document)
	if err != nil {
		return 0, err
	}
	var excepted distinct
	for _, name := range except {
		excepted.add(name)
	}
	most := 0
	for _, f := range r.findings {
		if excepted.seen[f.id] {
			continue
		}
		rank := slices.Index(severities(), f.severity)
		if rank < 0 {
			return 0, fmt.Errorf("expected a severity that compares, got %s of %q", f.severity, clip(f.id, maxQuoted))
		}
		most = max(most, rank)
	}
	return most, nil
}

// scanAtMost implements scan.atMost.
func scanAtMost(document any, severity string, except []string) (any, error) {
	limit := slices.Index(severities(), severity)
	if limit < 0 {
		return nil, fmt.Errorf("expected one of %s, got %q", strings.Join(severities(), ", "), clip(severity, maxQuoted))
	}
	found, err := highest(document, except)
	if err != nil {
		return nil, err
	}
	return found <= limit, nil
}

// scanCVEs implements scan.cves.
func scanCVEs(document any) (any, error) {
	r, err := readReport(document)
	if err != nil {
		return nil, err
	}
	var all distinct
	for _, f := range r.findings {
		all.add(f.id)
	}
	return anyOf(all.all), nil
}

// maxSkew is how far a scanner's clock may be ahead of ours: what clocks that
// are set by NTP never are.
const maxSkew = 5 * time.Minute

// scanAge implements scan.age: how long before now the scan was made, by what
// the signed document says.
func scanAge(document any, now time.Time) (any, error) {
	r, err := readReport(document)
	if err != nil {
		return nil, err
	}
	switch {
	case r.scanned.IsZero():
		return nil, errors.New("expected a report that says when it was made, got one that does not")
	case r.scanned.After(now.Add(maxSkew)):
		return nil, fmt.Errorf("expected a report of the past, got one of %s", r.scanned.UTC().Format(time.RFC3339))
	}
	return max(now.Sub(r.scanned), 0), nil
}
