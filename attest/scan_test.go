package attest_test

import (
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/attest"
)

// A report of Trivy (--format json), shortened.
const trivyReport = `{
  "SchemaVersion": 2, "CreatedAt": "2026-02-28T12:00:00.123456789Z", "ArtifactName": "ghcr.io/acme/app", "ArtifactType": "container_image",
  "Results": [
    {"Target": "ghcr.io/acme/app (alpine 3.21.2)", "Class": "os-pkgs", "Type": "alpine", "Vulnerabilities": [
      {"VulnerabilityID": "CVE-2025-26519", "PkgName": "musl", "InstalledVersion": "1.2.5-r8", "FixedVersion": "1.2.5-r9", "Severity": "HIGH"},
      {"VulnerabilityID": "CVE-2024-58251", "PkgName": "busybox", "InstalledVersion": "1.37.0-r9", "Severity": "LOW"},
      {"VulnerabilityID": "CVE-2024-58251", "PkgName": "busybox-binsh", "InstalledVersion": "1.37.0-r9", "Severity": "LOW"}]},
    {"Target": "app/go.mod", "Class": "lang-pkgs", "Type": "gomod"}
  ]}`

// A report of Grype (-o json), shortened.
const grypeReport = `{
  "matches": [{"vulnerability": {"id": "CVE-2025-26519", "severity": "Medium", "namespace": "alpine:distro:alpine:3.21"}, "artifact": {"name": "musl", "version": "1.2.5-r8"}},
    {"vulnerability": {"id": "GHSA-aaaa-bbbb-cccc", "severity": "Negligible"}, "artifact": {"name": "x"}}],
  "source": {"type": "image", "target": {"userInput": "ghcr.io/acme/app"}}, "distro": {"name": "alpine"},
  "descriptor": {"name": "grype", "version": "0.87.0", "timestamp": "2026-02-28T12:00:00Z"}}`

// A SARIF log as Trivy writes it, shortened.
const sarifLog = `{
  "version": "2.1.0", "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
  "runs": [{
    "tool": {"driver": {"name": "Trivy", "version": "0.58.0", "rules": [
      {"id": "CVE-2025-26519", "defaultConfiguration": {"level": "error"}, "properties": {"security-severity": "9.8", "tags": ["vulnerability", "CRITICAL"]}},
      {"id": "CVE-2024-58251", "defaultConfiguration": {"level": "note"}}]}},
    "invocations": [{"executionSuccessful": true, "endTimeUtc": "2026-02-28T12:00:00Z"}],
    "results": [
      {"ruleId": "CVE-2025-26519", "ruleIndex": 0, "level": "error", "message": {"text": "musl"}},
      {"ruleIndex": 1, "message": {"text": "busybox"}}]
  }]}`

// vuln wraps a report as cosign's predicate vuln does.
func vuln(report, finished string) string {
	return `{"invocation": {"uri": "", "event_id": ""}, "scanner": {"uri": "pkg:github/aquasecurity/trivy", "version": "0.58.0", "db": {"uri": "", "version": ""}, "result": ` +
		report + `}, "metadata": {"scanStartedOn": "2026-02-28T11:00:00Z", "scanFinishedOn": "` + finished + `"}}`
}

// sarif returns a SARIF log of one run with the results, and rules.
func sarif(results, rules string) string {
	return `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"scanner","rules":[` + rules + `]}},"results":` + results + `}]}`
}

func TestScans(t *testing.T) {
	trivy := func(severity string) string {
		return `{"SchemaVersion":2,"Results":[{"Class":"os-pkgs","Vulnerabilities":[{"VulnerabilityID":"CVE-1","Severity":"` + severity + `"}]}]}`
	}
	const any = `scan.highest(predicate) != "never"`
	cases := map[string]struct {
		reason     string
		document   string
		expression string
		want       string
	}{
		"TrivySeverities": {"one for each finding", trivyReport, `scan.severities(predicate) == ["HIGH", "LOW", "LOW"]`, "holds"},
		"TrivyHighest":    {"the worst", trivyReport, `scan.highest(predicate) == "HIGH"`, "holds"},
		"TrivyAtMost":     {"not worse than", trivyReport, `scan.atMost(predicate, "HIGH") && scan.atMost(predicate, "CRITICAL")`, "holds"},
		"TrivyWorse":      {"worse than", trivyReport, `scan.atMost(predicate, "MEDIUM")`, notMet},
		"Except":          {"the others", trivyReport, `scan.highest(predicate, ["CVE-2025-26519"]) == "LOW" && scan.atMost(predicate, "LOW", ["CVE-2025-26519", "x"])`, "holds"},
		"ExceptOther":     {"a name that is not there", trivyReport, `scan.atMost(predicate, "LOW", ["CVE-2025-26518"])`, notMet},
		"ExceptNone":      {"nothing", trivyReport, `scan.highest(predicate, []) == "HIGH"`, "holds"},
		"ExceptAll":       {"everything", trivyReport, `scan.highest(predicate, scan.cves(predicate)) == "NONE"`, "holds"},
		"ExceptUnrated":   {"what nobody has rated, by name", trivy("UNKNOWN"), `scan.atMost(predicate, "NONE", ["CVE-1"])`, "holds"},
		"R32ExceptRating": {"another that nobody has rated", trivy("UNKNOWN"), `scan.atMost(predicate, "CRITICAL", ["CVE-2"])`, "errs"},
		"R32ExceptEmpty":  {"exceptions from nothing", `{"SchemaVersion":2,"Results":[]}`, `scan.atMost(predicate, "CRITICAL", ["CVE-2"])`, "errs"},
		"R32ExceptKind":   {"a name that is none", trivyReport, `scan.atMost(predicate, "HIGH", [dyn(1)])`, "errs"},
		"R32ExceptList":   {"no list", trivyReport, `scan.atMost(predicate, "HIGH", predicate.SchemaVersion)`, "errs"},
		"TrivyCVEs":       {"each once", trivyReport, `scan.cves(predicate) == ["CVE-2025-26519", "CVE-2024-58251"]`, "holds"},
		"TrivyAge":        {"by its own time", trivyReport, `scan.age(predicate, now) < duration("24h") && scan.age(predicate, now) > duration("23h")`, "holds"},
		"TrivyOld":        {"too old", trivyReport, `scan.age(predicate, now) < duration("12h")`, notMet},
		"TrivyClean":      {"packages were scanned, and nothing found", `{"SchemaVersion":2,"Results":[{"Class":"os-pkgs"}]}`, `scan.highest(predicate) == "NONE" && scan.cves(predicate) == [] && scan.atMost(predicate, "NONE")`, "holds"},
		"TrivyUnrated":    {"what nobody has rated can be seen", trivy("UNKNOWN"), `scan.severities(predicate) == ["UNKNOWN"]`, "holds"},
		"GrypeSeverities": {"its words", grypeReport, `scan.severities(predicate) == ["MEDIUM", "LOW"]`, "holds"},
		"GrypeCVEs":       {"its ids", grypeReport, `scan.cves(predicate) == ["CVE-2025-26519", "GHSA-aaaa-bbbb-cccc"]`, "holds"},
		"GrypeAge":        {"its time", grypeReport, `scan.age(predicate, now) == duration("24h")`, "holds"},
		"GrypeClean":      {"nothing found", `{"matches":[],"source":{"type":"image"},"descriptor":{"name":"grype"}}`, `scan.atMost(predicate, "NONE")`, "holds"},
		"SARIFSeverities": {"a score before a level, and a rule's default", sarifLog, `scan.severities(predicate) == ["CRITICAL", "LOW"]`, "holds"},
		"SARIFCVEs":       {"the rules' names", sarifLog, `scan.cves(predicate) == ["CVE-2025-26519", "CVE-2024-58251"]`, "holds"},
		"SARIFAge":        {"when its run ended", sarifLog, `scan.age(predicate, now) == duration("24h")`, "holds"},
		"SARIFClean":      {"a run of a tool that found nothing", sarif(`[]`, ``), `scan.atMost(predicate, "NONE")`, "holds"},
		"SARIFLevels": {
			"levels, the default among them", sarif(`[{"ruleId":"a","level":"error"},{"ruleId":"a","level":"warning"},{"ruleId":"a"},{"ruleId":"a","level":"note"},{"ruleId":"a","level":"none"}]`, ``),
			`scan.severities(predicate) == ["HIGH", "MEDIUM", "MEDIUM", "LOW", "NONE"]`, "holds",
		},
		"SARIFBands": {
			"bands of CVSS", sarif(`[{"ruleId":"a"},{"ruleId":"b"},{"ruleId":"c"},{"ruleId":"d"},{"ruleId":"e"}]`,
				`{"id":"a","properties":{"security-severity":"9.0"}},{"id":"b","properties":{"security-severity":8.9}},{"id":"c","properties":{"security-severity":"6.9"}},{"id":"d","properties":{"security-severity":3.9}},{"id":"e","properties":{"security-severity":"0.0"},"defaultConfiguration":{"level":"error"}}`),
			`scan.severities(predicate) == ["CRITICAL", "HIGH", "MEDIUM", "LOW", "HIGH"]`, "holds",
		},
		"SARIFKinds": {"what passed is no finding", sarif(`[{"ruleId":"a","kind":"pass"},{"ruleId":"a","kind":"notApplicable"},{"ruleId":"a","kind":"open"}]`, ``), `scan.severities(predicate) == ["NONE", "NONE", "MEDIUM"]`, "holds"},
		"SARIFSuppressed": {
			"what its author suppressed counts", sarif(`[{"ruleId":"a","level":"error","suppressions":[{"kind":"external"}]}]`, ``), `scan.atMost(predicate, "MEDIUM")`, notMet,
		},
		"SARIFGrypeRule":      {"the package that Grype appends", sarif(`[{"ruleId":"CVE-2025-26519-musl"}]`, ``), `scan.cves(predicate) == ["CVE-2025-26519"]`, "holds"},
		"VulnTrivy":           {"a report inside", vuln(trivyReport, "2026-02-28T12:00:00Z"), `scan.highest(predicate) == "HIGH"`, "holds"},
		"VulnGrype":           {"a report inside", vuln(grypeReport, "2026-02-28T12:00:00Z"), `scan.highest(predicate) == "MEDIUM"`, "holds"},
		"VulnSARIF":           {"a report inside", vuln(sarifLog, "2026-02-28T12:00:00Z"), `scan.highest(predicate) == "CRITICAL"`, "holds"},
		"VulnAge":             {"the older of two times", vuln(trivyReport, "2026-02-27T12:00:00Z"), `scan.age(predicate, now) == duration("48h")`, "holds"},
		"Skew":                {"a clock that is a little ahead", vuln(trivy("LOW"), "2026-03-01T12:04:00Z"), `scan.age(predicate, now) == duration("0s")`, "holds"},
		"R32Nothing":          {"no report", `{}`, any, "errs"},
		"R32Null":             {"no report", `null`, any, "errs"},
		"R32Ambiguous":        {"two reports in one", `{"SchemaVersion":2,"runs":[],"Results":[{"Class":"os-pkgs"}]}`, any, "errs"},
		"R32TrivySchema":      {"another schema", strings.Replace(trivyReport, `"SchemaVersion": 2`, `"SchemaVersion": 3`, 1), any, "errs"},
		"R32TrivyEmpty":       {"nothing was scanned", `{"SchemaVersion":2,"Results":[]}`, any, "errs"},
		"R32TrivyAbsent":      {"nothing was scanned", `{"SchemaVersion":2}`, any, "errs"},
		"R32TrivySecretsOnly": {"no packages were scanned", `{"SchemaVersion":2,"Results":[{"Class":"secret"},{"Class":"config"}]}`, any, "errs"},
		"R32TrivyWord":        {"no severity", trivy("SERIOUS"), any, "errs"},
		"R32TrivyMissing":     {"no severity", trivy(""), `scan.severities(predicate) != []`, "errs"},
		"R32TrivyUnrated":     {"what nobody has rated does not compare", trivy("UNKNOWN"), `scan.atMost(predicate, "CRITICAL")`, "errs"},
		"R32TrivyNameless":    {"a finding without name", `{"SchemaVersion":2,"Results":[{"Class":"os-pkgs","Vulnerabilities":[{"Severity":"LOW"}]}]}`, any, "errs"},
		"R32GrypeNull":        {"matches that are not there", `{"matches":null,"source":{"type":"image"},"descriptor":{"name":"grype"}}`, any, "errs"},
		"R32GrypeOther":       {"another tool", `{"matches":[],"source":{"type":"image"},"descriptor":{"name":"grope"}}`, any, "errs"},
		"R32GrypeSource":      {"nothing was scanned", `{"matches":[],"descriptor":{"name":"grype"}}`, any, "errs"},
		"R32GrypeSeverity":    {"no severity", strings.Replace(grypeReport, `"severity": "Medium", `, ``, 1), any, "errs"},
		"R32SARIFZeroRuns":    {"zero runs", `{"version":"2.1.0","runs":[]}`, any, "errs"},
		"R32SARIFNullRuns":    {"no runs", `{"version":"2.1.0","runs":null}`, any, "errs"},
		"R32SARIFVersion":     {"another version", `{"version":"2.2","runs":[{"tool":{"driver":{"name":"x"}},"results":[]}]}`, any, "errs"},
		"R32SARIFNoTool":      {"a run of nobody", `{"version":"2.1.0","runs":[{"results":[]}]}`, any, "errs"},
		"R32SARIFNoResults":   {"a run that did not scan", `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x"}}}]}`, any, "errs"},
		"R32SARIFNullResults": {"a run that failed", sarif(`null`, ``), any, "errs"},
		"R32SARIFSecondRun":   {"each run counts", `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x"}},"results":[]},{"tool":{"driver":{"name":"x"}}}]}`, any, "errs"},
		"R32SARIFUnsuccess":   {"a run that failed", strings.Replace(sarifLog, `"executionSuccessful": true`, `"executionSuccessful": false`, 1), any, "errs"},
		"R32SARIFLevel":       {"an unknown level", sarif(`[{"ruleId":"a","level":"fine"}]`, ``), any, "errs"},
		"R32SARIFKind":        {"an unknown kind", sarif(`[{"ruleId":"a","kind":"fine"}]`, ``), any, "errs"},
		"R32SARIFScore":       {"a score out of range", sarif(`[{"ruleId":"a"}]`, `{"id":"a","properties":{"security-severity":"11"}}`), any, "errs"},
		"R32SARIFScoreText":   {"a score that is none", sarif(`[{"ruleId":"a"}]`, `{"id":"a","properties":{"security-severity":"high"}}`), any, "errs"},
		"R32SARIFScoreNaN":    {"a score that is none", sarif(`[{"ruleId":"a"}]`, `{"id":"a","properties":{"security-severity":"NaN"}}`), any, "errs"},
		"R32SARIFRuleless":    {"a result of no rule", sarif(`[{"level":"note"}]`, ``), any, "errs"},
		"R32SARIFRuleIndex":   {"a rule that there is not", sarif(`[{"ruleIndex":7}]`, ``), any, "errs"},
		"R32VulnNoResult":     {"no report inside", `{"scanner":{"uri":"x"}}`, any, "errs"},
		"R32VulnEmpty":        {"an empty report inside", vuln(`{}`, "2026-02-28T12:00:00Z"), any, "errs"},
		"R32VulnNested":       {"itself inside", vuln(vuln(trivyReport, "2026-02-28T12:00:00Z"), "2026-02-28T12:00:00Z"), any, "errs"},
		"R32VulnTime":         {"no time", vuln(trivyReport, "yesterday"), any, "errs"},
		"R32AgeUnknown":       {"a report without a time", trivy("LOW"), `scan.age(predicate, now) < duration("1000h")`, "errs"},
		"R32AgeUnknownRun":    {"a run without a time", `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x"}},"results":[],"invocations":[{"executionSuccessful":true,"endTimeUtc":"2026-02-28T12:00:00Z"}]},{"tool":{"driver":{"name":"x"}},"results":[]}]}`, `scan.age(predicate, now) < duration("1000h")`, "errs"},
		"R32AgeFuture":        {"a report of tomorrow", vuln(trivy("LOW"), "2026-03-02T12:00:00Z"), `scan.age(predicate, now) < duration("1000h")`, "errs"},
		"R32AtMostWord":       {"no severity to compare with", trivyReport, `scan.atMost(predicate, "SEVERE")`, "errs"},
		"R32AtMostUnknown":    {"no severity to compare with", trivyReport, `scan.atMost(predicate, "UNKNOWN")`, "errs"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := verdict(t, tc.expression, about(tc.document)); got != tc.want {
				condition, _ := attest.CEL(tc.expression, "")
				t.Errorf("%s: want %s, got %s: %v", tc.reason, tc.want, got, condition.Check(t.Context(), about(tc.document)))
			}
		})
	}
}
