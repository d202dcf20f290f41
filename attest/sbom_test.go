package attest_test

import (
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/attest"
)

// An SPDX document as Syft writes it, shortened.
const spdxDocument = `{
  "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": "ghcr.io/acme/app",
  "creationInfo": {"creators": ["Tool: syft-1.18.1"], "created": "2026-02-27T10:00:00Z"},
  "packages": [
    {"name": "ghcr.io/acme/app", "SPDXID": "SPDXRef-DocumentRoot-Image", "versionInfo": "v1", "primaryPackagePurpose": "CONTAINER",
     "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION"},
    {"name": "musl", "SPDXID": "SPDXRef-Package-apk-musl", "versionInfo": "1.2.5-r8", "licenseConcluded": "NOASSERTION", "licenseDeclared": "MIT",
     "externalRefs": [{"referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:musl:musl:1.2.5-r8:*:*:*:*:*:*:*"},
       {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:apk/alpine/musl@1.2.5-r8?arch=x86_64"}]},
    {"name": "busybox", "SPDXID": "SPDXRef-Package-apk-busybox", "versionInfo": "1.37.0-r9", "licenseConcluded": "GPL-2.0-only", "licenseDeclared": "GPL-2.0-only",
     "licenseInfoFromFiles": ["bzip2-1.0.6", "NOASSERTION"]}
  ]}`

// A CycloneDX document as Trivy writes it, shortened.
const cycloneDXDocument = `{
  "bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": "urn:uuid:1", "version": 1,
  "metadata": {"timestamp": "2026-02-27T10:00:00Z", "component": {"type": "container", "name": "ghcr.io/acme/app"}},
  "components": [
    {"type": "operating-system", "name": "alpine", "version": "3.21.2"},
    {"type": "application", "name": "app/pom.xml", "components": [
      {"type": "library", "group": "org.apache.logging.log4j", "name": "log4j-core", "version": "2.14.1",
       "purl": "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1", "licenses": [{"license": {"id": "Apache-2.0"}}]}]},
    {"type": "library", "group": "@angular", "name": "core", "version": "17.0.0", "purl": "pkg:npm/%40angular/core@17.0.0",
     "licenses": [{"expression": "MIT OR Apache-2.0"}, {"license": {"name": "Some Own License", "url": "https://example.com"}}]}
  ]}`

func TestBillsOfMaterials(t *testing.T) {
	cases := map[string]struct {
		reason     string
		document   string
		expression string
		want       string
	}{
		"SPDXPackages": {"each package", spdxDocument, `sbom.packages(predicate).map(p, p.name + "@" + p.version) == ["ghcr.io/acme/app@v1", "musl@1.2.5-r8", "busybox@1.37.0-r9"]`, "holds"},
		"SPDXURL":      {"its package URL", spdxDocument, `sbom.packages(predicate).filter(p, p.purl != "").map(p, p.purl) == ["pkg:apk/alpine/musl@1.2.5-r8?arch=x86_64"]`, "holds"},
		"SPDXLicenses": {"every field that names one", spdxDocument, `sbom.licenses(predicate) == ["NOASSERTION", "MIT", "GPL-2.0-only", "bzip2-1.0.6"]`, "holds"},
		"SPDXPerPackage": {
			"what one field does not say another does", spdxDocument,
			`sbom.packages(predicate).exists(p, p.name == "busybox" && p.licenses == ["GPL-2.0-only", "bzip2-1.0.6"])`, "holds",
		},
		"SPDXAllowList":       {"a license that is not on the list", spdxDocument, `sbom.licenses(predicate).all(l, l in ["MIT", "NOASSERTION"])`, notMet},
		"SPDXDenyList":        {"a license that is on the list", spdxDocument, `!sbom.licenses(predicate).exists(l, l.startsWith("GPL"))`, notMet},
		"SPDXHas":             {"by name", spdxDocument, `sbom.hasPackage(predicate, "musl") && sbom.hasPackage(predicate, "musl", "1.2.5-r8")`, "holds"},
		"SPDXHasOtherVersion": {"by name and version", spdxDocument, `sbom.hasPackage(predicate, "musl", "1.2.5")`, notMet},
		"SPDXHasURL":          {"by package URL", spdxDocument, `sbom.hasPackage(predicate, "pkg:apk/alpine/musl")`, "holds"},
		"SPDXHasNot":          {"no such package", spdxDocument, `sbom.hasPackage(predicate, "mus")`, notMet},
		"CycloneDXPackages": {
			"nested ones, and their groups", cycloneDXDocument,
			`sbom.packages(predicate).map(p, p.name) == ["alpine", "app/pom.xml", "org.apache.logging.log4j/log4j-core", "@angular/core"]`, "holds",
		},
		"CycloneDXLicenses":  {"ids, expressions and names", cycloneDXDocument, `sbom.licenses(predicate) == ["NOASSERTION", "Apache-2.0", "MIT OR Apache-2.0", "Some Own License"]`, "holds"},
		"CycloneDXHas":       {"each way to write it", cycloneDXDocument, `["log4j-core", "org.apache.logging.log4j:log4j-core", "pkg:maven/org.apache.logging.log4j/log4j-core", "@angular/core", "pkg:npm/%40angular/core"].all(n, sbom.hasPackage(predicate, n))`, "holds"},
		"CycloneDXVersion":   {"a version", cycloneDXDocument, `sbom.hasPackage(predicate, "log4j-core", "2.14.1") && !sbom.hasPackage(predicate, "log4j-core", "2.17.1")`, "holds"},
		"R32NoDocument":      {"a predicate that is none", `null`, `sbom.packages(predicate).all(p, true)`, "errs"},
		"R32Text":            {"a document in a string", `"{}"`, `sbom.packages(predicate).all(p, true)`, "errs"},
		"R32UnknownSchema":   {"neither", `{"components": [{"name": "a"}]}`, `!sbom.hasPackage(predicate, "log4j-core")`, "errs"},
		"R32BothSchemas":     {"both", `{"spdxVersion":"SPDX-2.3","bomFormat":"CycloneDX","packages":[{"name":"a"}]}`, `!sbom.hasPackage(predicate, "b")`, "errs"},
		"R32SPDX3":           {"another version", strings.Replace(spdxDocument, "SPDX-2.3", "SPDX-3.0", 1), `!sbom.hasPackage(predicate, "b")`, "errs"},
		"SPDX22":             {"an older version", strings.Replace(spdxDocument, "SPDX-2.3", "SPDX-2.2", 1), `sbom.hasPackage(predicate, "musl")`, "holds"},
		"R32SPDX3Graph":      {"another version, which is a graph", `{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[{"type":"software_Package","name":"a"}]}`, `!sbom.hasPackage(predicate, "b")`, "errs"},
		"R32SPDX3Both":       {"two versions in one", `{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","spdxVersion":"SPDX-2.3","packages":[{"name":"a"}]}`, `!sbom.hasPackage(predicate, "b")`, "errs"},
		"R32SPDXEmpty":       {"an empty inventory", `{"spdxVersion":"SPDX-2.3","packages":[]}`, `sbom.licenses(predicate).all(l, l == "MIT")`, "errs"},
		"R32SPDXMissing":     {"no inventory", `{"spdxVersion":"SPDX-2.3"}`, `!sbom.hasPackage(predicate, "b")`, "errs"},
		"R32SPDXOnlyImage":   {"the image alone is no inventory", `{"spdxVersion":"SPDX-2.3","packages":[{"name":"img","primaryPackagePurpose":"CONTAINER"}]}`, `!sbom.hasPackage(predicate, "b")`, "errs"},
		"R32SPDXNameless":    {"a package without name", `{"spdxVersion":"SPDX-2.3","packages":[{"name":"a"},{}]}`, `!sbom.hasPackage(predicate, "b")`, "errs"},
		"R32SPDXShape":       {"packages that are no list", `{"spdxVersion":"SPDX-2.3","packages":{"name":"a"}}`, `!sbom.hasPackage(predicate, "b")`, "errs"},
		"R32SPDXLicense":     {"a license that is no string", `{"spdxVersion":"SPDX-2.3","packages":[{"name":"a","licenseDeclared":["GPL"]}]}`, `!sbom.licenses(predicate).exists(l, l == "GPL")`, "errs"},
		"R32CycloneDX2":      {"another version", strings.Replace(cycloneDXDocument, `"1.6"`, `"2.0"`, 1), `!sbom.hasPackage(predicate, "b")`, "errs"},
		"R32CycloneDXEmpty":  {"an empty inventory", `{"bomFormat":"CycloneDX","specVersion":"1.5","components":[]}`, `!sbom.hasPackage(predicate, "b")`, "errs"},
		"R32CycloneDXAbsent": {"no inventory", `{"bomFormat":"CycloneDX","specVersion":"1.5"}`, `sbom.packages(predicate).all(p, true)`, "errs"},
		"R32CycloneDXFiles":  {"files alone are no inventory", `{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"file","name":"/bin/sh"}]}`, `!sbom.hasPackage(predicate, "b")`, "errs"},
		"R32CycloneDXFormat": {"another format", `{"bomFormat":"Cyclone","specVersion":"1.5","components":[{"type":"library","name":"a"}]}`, `!sbom.hasPackage(predicate, "b")`, "errs"},
		"R32EmptyName":       {"no name to look for", spdxDocument, `!sbom.hasPackage(predicate, "")`, "errs"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := verdict(t, tc.expression, about(tc.document)); got != tc.want {
				condition, _ := attest.CEL(tc.expression, "")
				t.Errorf("%s: want %s, got %s: %v", tc.reason, tc.want, got, condition.Check(t.Context(), about(tc.document)))
			}
			// What is not the predicate but the artifact is read alike.
			if got := verdict(t, tc.expression, artifact(tc.document)); got != tc.want {
				t.Errorf("%s, as an artifact: want %s, got %s", tc.reason, tc.want, got)
			}
		})
	}
}

func TestR1InventoriesAreBounded(t *testing.T) {
	document := `{"spdxVersion":"SPDX-2.3","packages":[` + strings.TrimSuffix(strings.Repeat(`{"name":"a"},`, 100_001), ",") + `]}`
	for _, expression := range []string{`!sbom.hasPackage(predicate, "b")`, `size(sbom.packages(predicate)) > 0`, `sbom.licenses(predicate) != []`} {
		if got := verdict(t, expression, about(document)); got != "errs" {
			t.Errorf("%s: want an error, got %s", expression, got)
		}
	}
}

// A version that is not supported is refused by its name.
func TestSPDX3IsRefusedByName(t *testing.T) {
	condition, err := attest.CEL(`sbom.packages(predicate).size() > 0`, "")
	if err != nil {
		t.Fatal(err)
	}
	err = condition.Check(t.Context(), about(`{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[]}`))
	if err == nil || !strings.Contains(err.Error(), "SPDX 3") {
		t.Errorf("want an error that names SPDX 3, got %v", err)
	}
}
