package attest_test

import (
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/attest"
	"github.com/bonafide-dev/bonafide/policy"
)

func TestSummaries(t *testing.T) {
	for name, tc := range map[string]struct {
		statement *policy.Statement
		want      []string
	}{
		"Provenance": {about(tektonV1).Statement, []string{`builder "https://tekton.dev/chains/v2"`, `source "https://github.com/acme/app"`, "made at 2026-02-28T12:00:00Z"}},
		"NoSource":   {about(strings.Replace(slsa1, "workflow/v1", "other/v1", 1)).Statement, []string{"t, builder "}},
		"Scan":       {about(vuln(trivyReport, "2026-02-28T12:00:00Z")).Statement, []string{"3 findings, the worst HIGH"}},
		"Inventory":  {about(spdxDocument).Statement, []string{"3 packages"}},
		"Other":      {about(`{}`).Statement, []string{"t"}},
		"NoJSON":     {artifact(`a: 1`).Statement, []string{"application/json, which does not parse"}},
		"R1TooLarge": {artifact(`"` + strings.Repeat("x", 10<<20) + `"`).Statement, []string{"application/json"}},
	} {
		got := attest.Summary(tc.statement)
		for _, want := range tc.want {
			if !strings.Contains(got, want) || len(got) > 500 {
				t.Errorf("%s: want %q, got %q", name, want, got)
			}
		}
	}
}
