package attest_test

import (
	"testing"

	"github.com/bonafide-dev/bonafide/attest"
)

// What a document says in its corners counts too: a condition must not pass by
// looking in one place alone.
func TestR32BillsOfMaterialsAreReadWhole(t *testing.T) {
	const (
		spdx    = `{"spdxVersion":"SPDX-2.3","packages":[{"name":"app","licenseConcluded":"LicenseRef-1"},{"name":"left","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/good@1"},{"referenceType":"http://spdx.org/rdf/references/purl","referenceLocator":"pkg:npm/evil@1"}]}],"hasExtractedLicensingInfos":[{"licenseId":"LicenseRef-1","name":"AGPL-3.0"},{"licenseId":"LicenseRef-10","name":"MIT"}]}`
		cyclone = `{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"type":"container","name":"image","components":[{"type":"library","name":"log4j-core"}]}},"components":[{"type":"library","name":"app","licenses":[{"license":{"id":"MIT"}}],"evidence":{"licenses":[{"license":{"id":"AGPL-3.0-only"}}]}}]}`
		inside  = `{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"type":"container","name":"image","components":[{"type":"library","name":"log4j-core"}]}}}`
	)
	cases := map[string]struct {
		reason, document, expression string
	}{
		"ExtractedLicense": {"a name that the document gives a license", spdx, `sbom.licenses(predicate).exists(l, l == "AGPL-3.0")`},
		"OtherExtracted":   {"a name of another id does not count", spdx, `!sbom.licenses(predicate).exists(l, l == "MIT")`},
		"NothingSaid":      {"a package of whose license nothing is said shows", spdx, `sbom.licenses(predicate).exists(l, l == "NOASSERTION")`},
		"SecondURL":        {"a second package URL, its type as a URI", spdx, `sbom.hasPackage(predicate, "pkg:npm/evil")`},
		"FoundLicense":     {"a license that was found rather than declared", cyclone, `sbom.licenses(predicate).exists(l, l == "AGPL-3.0-only")`},
		"InsideSubject":    {"components of what the document is about", cyclone, `sbom.hasPackage(predicate, "log4j-core")`},
		"OnlyInside":       {"and of nothing else", inside, `sbom.packages(predicate).size() == 1`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			condition, err := attest.CEL(tc.expression, "")
			if err != nil {
				t.Fatal(err)
			}
			if err := condition.Check(t.Context(), artifact(tc.document)); err != nil {
				t.Errorf("%s: want it to hold, got %v", tc.reason, err)
			}
		})
	}
}
