package attest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/attest"
	"github.com/bonafide-dev/bonafide/policy"
)

func TestSignedTime(t *testing.T) {
	noon, eleven := time.Date(2026, 2, 28, 12, 0, 0, 0, time.UTC), time.Date(2026, 2, 28, 11, 0, 0, 0, time.UTC)
	spdx := func(created string) string {
		return `{"spdxVersion":"SPDX-2.3","creationInfo":{"created":` + created + `}}`
	}
	custom := func(at string) policy.ConditionInput {
		in := about(`{}`)
		in.Statement = policy.NewStatement("https://cosign.sigstore.dev/attestation/v1", []byte(`{"predicate":{"Data":"{}","Timestamp":"`+at+`"}}`))
		return in
	}
	cases := map[string]struct {
		reason string
		in     policy.ConditionInput
		want   time.Time // zero: it states none
	}{
		"SLSA02":       {"when the build ended", about(tektonV02), noon},
		"SLSA02Began":  {"else when it began", about(strings.Replace(tektonV02, "buildFinishedOn", "x", 1)), eleven},
		"SLSA1":        {"when the build ended", about(tektonV1), noon},
		"SLSA1Began":   {"else when it began", about(strings.Replace(tektonV1, "finishedOn", "x", 1)), eleven},
		"SLSA1None":    {"GitHub does not say", about(githubV1), time.Time{}},
		"Vuln":         {"when the scan ended", about(vuln(`{}`, "2026-02-28T12:00:00Z")), noon},
		"VulnBegan":    {"else when it began", about(vuln(`{}`, "")), eleven},
		"VulnInside":   {"or the report inside, if it is earlier", about(vuln(strings.Replace(grypeReport, "T12", "T11", 1), "2026-02-28T12:00:00Z")), eleven},
		"VulnForeign":  {"a report that nobody knows", about(vuln(`{"vulnerabilities":[]}`, "2026-02-28T12:00:00Z")), noon},
		"VulnNested":   {"a predicate inside is none", about(vuln(vuln(`{}`, "2026-02-28T11:00:00Z"), "2026-02-28T12:00:00Z")), noon},
		"VulnTwice":    {"a report inside that could be of two kinds", about(vuln(`{"SchemaVersion":2,"matches":[]}`, "2026-02-28T12:00:00Z")), time.Time{}},
		"SPDX":         {"when it was made", about(spdx(`"2026-02-28T12:00:00Z"`)), noon},
		"CycloneDX":    {"when it was made", about(`{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"timestamp":"2026-02-28T13:00:00+01:00"}}`), noon},
		"OpenVEX":      {"when it was issued, not updated", about(`{"@context":"https://openvex.dev/ns/v0.2.0","timestamp":"2026-02-28T12:00:00Z","last_updated":"2026-03-01T12:00:00Z"}`), noon},
		"SARIF":        {"when its run ended", about(sarifLog), noon},
		"Trivy":        {"an artifact", artifact(trivyReport), noon.Add(123456789)},
		"Grype":        {"an artifact", artifact(grypeReport), noon},
		"Custom":       {"cosign's own", custom("2026-02-28T12:00:00Z"), noon},
		"Future":       {"the function reads no clock", about(spdx(`"2036-02-28T12:00:00Z"`)), time.Date(2036, 2, 28, 12, 0, 0, 0, time.UTC)},
		"CustomNone":   {"no time", custom(""), time.Time{}},
		"None":         {"nothing known", about(`{"time":"2026-02-28T12:00:00Z"}`), time.Time{}},
		"Missing":      {"no time", about(`{"spdxVersion":"SPDX-2.3"}`), time.Time{}},
		"Null":         {"no predicate", about(`null`), time.Time{}},
		"List":         {"no object", artifact(`[]`), time.Time{}},
		"Text":         {"no JSON", artifact(`2026-02-28T12:00:00Z`), time.Time{}},
		"Number":       {"no text", about(spdx(`1740744000`)), time.Time{}},
		"Zero":         {"what tools write that do not know", about(spdx(`"0001-01-01T00:00:00Z"`)), time.Time{}},
		"Date":         {"no time of day", about(spdx(`"2026-02-28"`)), time.Time{}},
		"Zoneless":     {"no zone", about(spdx(`"2026-02-28T12:00:00"`)), time.Time{}},
		"Comma":        {"not RFC 3339", about(spdx(`"2026-02-28T12:00:00,5Z"`)), time.Time{}},
		"OneDigit":     {"not RFC 3339", about(spdx(`"2026-02-28T1:00:00Z"`)), time.Time{}},
		"Offset":       {"not RFC 3339", about(spdx(`"2026-02-28T12:00:00+99:00"`)), time.Time{}},
		"Space":        {"not RFC 3339", about(spdx(`"2026-02-28 12:00:00Z"`)), time.Time{}},
		"Ambiguous":    {"two kinds in one", about(`{"spdxVersion":"SPDX-2.3","creationInfo":{"created":"2026-02-28T12:00:00Z"},"bomFormat":"CycloneDX","metadata":{"timestamp":"2026-03-28T12:00:00Z"}}`), time.Time{}},
		"SARIFNoTime":  {"one run of two does not say", about(strings.Replace(sarifLog, `"runs": [`, `"runs": [{"results":[]},`, 1)), time.Time{}},
		"SARIFNoRuns":  {"zero runs", about(`{"version":"2.1.0","runs":[]}`), time.Time{}},
		"SARIFShape":   {"no list", about(`{"version":"2.1.0","runs":{}}`), time.Time{}},
		"WrongParent":  {"no object", about(`{"bomFormat":"CycloneDX","metadata":"2026-02-28T12:00:00Z"}`), time.Time{}},
		"R1TooLarge":   {"a document beyond the bound", artifact(`{"spdxVersion":"SPDX-2.3","creationInfo":{"created":"2026-02-28T12:00:00Z"},"x":"` + strings.Repeat("x", 10<<20) + `"}`), time.Time{}},
		"R4NamesTwice": {"a name twice", about(`{"spdxVersion":"SPDX-2.3","creationInfo":{"created":"2026-02-28T12:00:00Z","created":"2026-03-28T12:00:00Z"}}`), time.Time{}},
		"NoStatement":  {"nothing", policy.ConditionInput{}, time.Time{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, is := attest.SignedTime(tc.in.Statement)
			if !got.Equal(tc.want) || is == tc.want.IsZero() {
				t.Errorf("%s: want %s, got %s, %t", tc.reason, tc.want, got, is)
			}
		})
	}
}
