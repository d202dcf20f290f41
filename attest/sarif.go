package attest

import (
	"math"
	"regexp"
	"time"
)

// sarif reads a log of SARIF 2.1.0. A log without runs, and a run without tool
// or results, says of nothing that it was scanned.
func (c *cursor) sarif(doc map[string]any) report {
	if version := c.need(doc, "version"); c.err == nil && version != "2.1.0" {
		c.fail("expected SARIF version 2.1.0, got %q", clip(version, maxQuoted))
	}
	runs := c.given(doc, "runs")
	if len(runs) == 0 {
		c.fail("expected a SARIF log with runs, got none")
	}
	var r report
	for i, v := range runs {
		run := c.object(v, "runs[]")
		scanned := c.sarifRun(run, &r)
		if c.err != nil || len(r.findings) > maxResults {
			return r
		}
		switch {
		case i == 0:
			r.scanned = scanned
		case scanned.IsZero(): // the log is as old as nobody knows
			r.scanned = time.Time{}
		case !r.scanned.IsZero():
			r.scanned = earliest(r.scanned, scanned)
		}
	}
	return r
}

// sarifRun collects the results of a run and returns when it ended, if it says
// so. A run whose results are null or missing did not scan (SARIF §3.14.23), and
// one with an invocation that did not succeed may have scanned in part
// (§3.20.14).
func (c *cursor) sarifRun(run map[string]any, r *report) time.Time {
	tool := c.part(run, "tool")
	driver := c.part(tool, "driver")
	if c.text(driver, "name") == "" {
		c.fail("expected tool.driver.name to name the scanner, got none")
	}
	var ended time.Time
	for _, v := range c.list(run, "invocations") {
		invocation := c.object(v, "invocations[]")
		if succeeded, said := invocation["executionSuccessful"]; said && succeeded != true {
			c.fail("expected a scan that succeeded, got executionSuccessful %s", shortly(succeeded))
		}
		ended = earliest(ended, c.moment(invocation, "endTimeUtc"))
	}
	rules := c.sarifRules(tool, driver)
	for _, v := range c.given(run, "results") {
		if c.err != nil || len(r.findings) > maxResults {
			break
		}
		result := c.object(v, "results[]")
		r.findings = append(r.findings, c.sarifResult(result, rules))
	}
	return ended
}

// sarifRules are the rules of a run's tool by name, and those of its driver by
// index.
type sarifRules struct {
	byID    map[string]map[string]any
	byIndex []any
}

func (c *cursor) sarifRules(tool, driver map[string]any) sarifRules {
	rules := sarifRules{byID: make(map[string]map[string]any), byIndex: c.list(driver, "rules")}
	parts := append([]any{driver}, c.list(tool, "extensions")...)
	for _, part := range parts {
		for _, v := range c.list(c.object(part, "extensions[]"), "rules") {
			rule := c.object(v, "rules[]")
			id := c.need(rule, "id")
			if _, twice := rules.byID[id]; !twice {
				rules.byID[id] = rule
			}
		}
	}
	return rules
}

// sarifResult rates a result: by the number that its rule gives it, or by its
// level (§3.27.10: its own, its rule's default, else warning). What is
// suppressed counts: to suppress is the author's opinion, not the scanner's.
func (c *cursor) sarifResult(result map[string]any, rules sarifRules) finding {
	rule, id := c.sarifRule(result, rules)
	f := finding{id: cveOf(id)}
	switch kind := c.text(result, "kind"); kind {
	case "", "fail", "open", "review", "informational":
	case "pass", "notApplicable": // §3.27.9
		f.severity = severityNone
		return f
	default:
		c.fail("expected a kind of SARIF result, got %q", clip(kind, maxQuoted))
	}
	level := c.text(result, "level")
	if level == "" {
		level = c.text(c.part(rule, "defaultConfiguration"), "level")
	}
	f.severity = c.sarifLevel(level)
	score, rated := c.part(result, "properties")["security-severity"]
	if !rated {
		score, rated = c.part(rule, "properties")["security-severity"]
	}
	if !rated {
		return f
	}
	// Scanners write 0.0 for what nobody has rated; the level then tells more.
	if band := c.band(c.number(score, "security-severity")); band != severityNone {
		f.severity = band
	}
	return f
}

// sarifRule finds a result's rule (§3.27.5 to §3.27.7).
func (c *cursor) sarifRule(result map[string]any, rules sarifRules) (rule map[string]any, id string) {
	reference := c.part(result, "rule")
	if id = c.text(result, "ruleId"); id == "" {
		id = c.text(reference, "id")
	}
	if id == "" {
		index, is := result["ruleIndex"].(int64)
		if !is {
			index, is = reference["index"].(int64)
		}
		if !is || index < 0 || index >= int64(len(rules.byIndex)) || reference["toolComponent"] != nil {
			c.fail("expected a result that names its rule, got none")
			return nil, ""
		}
		rule = c.object(rules.byIndex[index], "rules[]")
		return rule, c.need(rule, "id")
	}
	return rules.byID[id], id
}

// sarifLevel returns the severity of a level.
func (c *cursor) sarifLevel(level string) string {
	switch level {
	case "error":
		return severityHigh
	case "", "warning":
		return severityMedium
	case "note":
		return severityLow
	case "none":
		return severityNone
	}
	c.fail("expected a SARIF level, got %q", clip(level, maxQuoted))
	return ""
}

// band returns the qualitative rating of a score (CVSS v3.1 §5, v4.0 §6).
func (c *cursor) band(score float64) string {
	switch {
	case math.IsNaN(score) || score < 0 || score > 10:
		c.fail("expected a score from 0 to 10, got %g", score)
		return ""
	case score == 0:
		return severityNone
	case score < 4:
		return severityLow
	case score < 7:
		return severityMedium
	case score < 9:
		return severityHigh
	}
	return severityCritical
}

var cve = regexp.MustCompile(`^CVE-[0-9]{4}-[0-9]{4,}`)

// cveOf returns the CVE that a rule's name begins with, for Grype appends the
// package, or all of the name.
func cveOf(id string) string {
	if found := cve.FindString(id); found != "" {
		return found
	}
	return id
}
