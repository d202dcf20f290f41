package attest_test

import (
	"strings"
	"testing"
)

// The licenses that a document describes itself are named wherever an expression
// refers to them, in this document or in another.
func TestExtractedLicensesAreNamed(t *testing.T) {
	const described = `"hasExtractedLicensingInfos":[{"licenseId":"LicenseRef-1","name":"one"},{"licenseId":"LicenseRef-1.a-b","name":"two"},{"licenseId":"DocumentRef-x:LicenseRef-1","name":"three"}]`
	for expression, want := range map[string]string{
		"LicenseRef-1":                            `["LicenseRef-1","one"]`,
		"(LicenseRef-1 OR MIT)":                   `["(LicenseRef-1 OR MIT)","one"]`,
		"MIT AND LicenseRef-1.a-b":                `["MIT AND LicenseRef-1.a-b","two"]`,
		"DocumentRef-x:LicenseRef-1":              `["DocumentRef-x:LicenseRef-1","three"]`,
		"éDocumentRef-x:LicenseRef-1":             `["éDocumentRef-x:LicenseRef-1","three"]`,
		"LicenseRef-1+DocumentRef-x:LicenseRef-1": `["LicenseRef-1+DocumentRef-x:LicenseRef-1","one","three"]`,
		"DocumentRef-y:LicenseRef-1":              `["DocumentRef-y:LicenseRef-1"]`,
		"x:LicenseRef-1":                          `["x:LicenseRef-1","one"]`,
		"LicenseRef-2":                            `["LicenseRef-2"]`,
		"LicenseRef-":                             `["LicenseRef-"]`,
	} {
		document := `{"spdxVersion":"SPDX-2.3","packages":[{"name":"a","licenseDeclared":"` + expression + `"}],` + described + `}`
		if got := verdict(t, `sbom.licenses(predicate) == `+want, about(document)); got != "holds" {
			t.Errorf("%s: want %s, got %s", expression, want, verdict(t, `sbom.licenses(predicate) == []`, about(document)))
		}
	}
}

// Reading a license takes time in proportion to its length, and is paid.
func TestR1LongLicensesArePaid(t *testing.T) {
	document := `{"spdxVersion":"SPDX-2.3","packages":[{"name":"a","licenseDeclared":"` + strings.Repeat("LicenseRef-a ", 100_000) + `"}]}`
	if took, err := steps(t, `sbom.hasPackage(predicate, "a")`, about(document)); err != nil || took < 13*100_000/32 {
		t.Errorf("want it to hold in at least %d steps, got %d, %v", 13*100_000/32, took, err)
	}
}
