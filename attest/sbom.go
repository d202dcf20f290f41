package attest

import (
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"
)

// component is a package of a bill of materials.
type component struct {
	name     string
	group    string // of CycloneDX: "org.apache.logging.log4j"
	version  string
	purls    []string
	licenses []string
}

// noLicense is what SPDX says of a package about whose license nothing is known
// (SPDX 2.3 §7.13).
const noLicense = "NOASSERTION"

// spdx3Context begins the @context of an SPDX 3 document (SPDX 3.0, Annex
// "RDF serialization"), which is a graph and has no spdxVersion of its own.
const spdx3Context = "https://spdx.org/rdf/3"

var (
	spdxVersion      = regexp.MustCompile(`^SPDX-2\.[0-9]+$`)
	cycloneDXVersion = regexp.MustCompile(`^1\.[0-9]+$`)
)

// inventory returns the packages of an SPDX 2 or CycloneDX 1 document. A
// document of another schema is an error, and so is one that lists none
// (TRUST R32).
func inventory(document any) ([]component, error) {
	c := &cursor{}
	doc := c.object(document, "the bill of materials")
	if c.err != nil {
		return nil, c.err
	}
	var found []component
	_, spdx := doc["spdxVersion"]
	_, cyclone := doc["bomFormat"]
	context, _ := doc["@context"].(string)
	switch {
	case strings.HasPrefix(context, spdx3Context):
		return nil, errors.New("expected SPDX 2.x or CycloneDX 1.x, got SPDX 3, which is not supported")
	case spdx && cyclone:
		return nil, errors.New("expected SPDX or CycloneDX, got a document that says it is both")
	case spdx:
		found = c.spdx(doc)
	case cyclone:
		found = c.cycloneDX(doc)
	default:
		return nil, errors.New("expected a bill of materials with spdxVersion or bomFormat, got neither")
	}
	switch {
	case c.err != nil:
		return nil, c.err
	case len(found) == 0:
		return nil, errors.New("expected a bill of materials that lists packages, got an empty one")
	case len(found) > maxResults:
		return nil, errResults
	}
	return found, nil
}

func (c *cursor) spdx(doc map[string]any) []component {
	if version := c.need(doc, "spdxVersion"); c.err == nil && !spdxVersion.MatchString(version) {
		c.fail("expected spdxVersion SPDX-2.x, got %q", clip(version, maxQuoted))
	}
	var found []component
	extracted := c.extracted(doc)
	inside := false // a package beside the image itself
	for _, v := range c.given(doc, "packages") {
		p := c.object(v, "packages[]")
		if c.err != nil {
			return nil
		}
		inside = inside || c.text(p, "primaryPackagePurpose") != "CONTAINER"
		found = append(found, component{
			name: c.need(p, "name"), version: c.text(p, "versionInfo"), purls: c.spdxURLs(p), licenses: extracted.named(c.spdxLicenses(p)),
		})
	}
	if !inside {
		return nil
	}
	return found
}

// spdxURLs returns a package's URLs, of which it may have several. The type may
// be written as its URI (SPDX 2.3 Annex F).
func (c *cursor) spdxURLs(p map[string]any) []string {
	var urls []string
	for _, v := range c.list(p, "externalRefs") {
		ref := c.object(v, "externalRefs[]")
		if kind := c.text(ref, "referenceType"); kind == "purl" || strings.HasSuffix(kind, "/purl") {
			urls = append(urls, c.text(ref, "referenceLocator"))
		}
	}
	return urls
}

// extractedNames are what a document calls the licenses that have no SPDX id, by
// the id that it gives them (SPDX 2.3 §10).
type extractedNames map[string]string

func (c *cursor) extracted(doc map[string]any) extractedNames {
	names := extractedNames{}
	for _, v := range c.list(doc, "hasExtractedLicensingInfos") {
		info := c.object(v, "hasExtractedLicensingInfos[]")
		if name := c.text(info, "name"); name != "" && name != noLicense {
			names[c.text(info, "licenseId")] = name
		}
	}
	return names
}

// named adds the names of the licenses that an expression only refers to.
func (e extractedNames) named(licenses []string) []string {
	var all distinct
	for _, l := range licenses {
		all.add(l)
		for id := range references(l) {
			if name := e[id]; name != "" {
				all.add(name)
			}
		}
	}
	return all.all
}

// references yields the ids in an expression that are no SPDX ids, each with the
// document in front that it is of (SPDX 2.3 Annex D.1). A regular expression
// would take fifty times as long, and the expression is anybody's.
func references(expression string) iter.Seq[string] {
	const license, document = "LicenseRef-", "DocumentRef-"
	inID := func(r rune) bool {
		return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '.' || r == '-'
	}
	return func(yield func(string) bool) {
		for done := 0; ; {
			at := strings.Index(expression[done:], license)
			if at < 0 {
				return
			}
			from := done + at
			to := len(expression) - len(strings.TrimLeftFunc(expression[from:], inID))
			if before, is := strings.CutSuffix(expression[done:from], ":"); is {
				of := before[len(strings.TrimRightFunc(before, inID)):]
				if strings.HasPrefix(of, document) {
					from -= len(of) + 1
				}
			}
			if !yield(expression[from:to]) {
				return
			}
			done = to
		}
	}
}

// spdxLicenses returns what is said of a package's license anywhere (SPDX 2.3
// §7.13, §7.14, §7.15). That one field asserts nothing says nothing if another
// does.
func (c *cursor) spdxLicenses(p map[string]any) []string {
	said := []string{c.text(p, "licenseConcluded"), c.text(p, "licenseDeclared")}
	for _, v := range c.list(p, "licenseInfoFromFiles") {
		s, is := v.(string)
		if !is {
			c.fail("expected licenseInfoFromFiles to hold strings, got %s", kindOf(v))
		}
		said = append(said, s)
	}
	return licensesOf(said)
}

func licensesOf(said []string) []string {
	var known distinct
	for _, s := range said {
		if s != "" && s != noLicense {
			known.add(s)
		}
	}
	if len(known.all) == 0 {
		return []string{noLicense}
	}
	return known.all
}

func (c *cursor) cycloneDX(doc map[string]any) []component {
	if format := c.need(doc, "bomFormat"); c.err == nil && format != "CycloneDX" {
		c.fail("expected bomFormat CycloneDX, got %q", clip(format, maxQuoted))
	}
	if version := c.need(doc, "specVersion"); c.err == nil && !cycloneDXVersion.MatchString(version) {
		c.fail("expected specVersion 1.x, got %q", clip(version, maxQuoted))
	}
	// What the document is about can have components of its own.
	var found []component
	subject := c.components(c.part(c.part(doc, "metadata"), "component"), &found)
	if c.components(doc, &found) || subject {
		return found
	}
	return nil
}

// components collects the components of an object and those inside them. It
// reports whether one of them is a package rather than a file or an image.
func (c *cursor) components(o map[string]any, found *[]component) (inside bool) {
	for _, v := range c.list(o, "components") {
		p := c.object(v, "components[]")
		if c.err != nil || len(*found) > maxResults {
			return inside
		}
		kind := c.need(p, "type")
		inside = inside || kind != "file" && kind != "container"
		*found = append(*found, component{
			name: c.need(p, "name"), group: c.text(p, "group"), version: c.text(p, "version"), purls: given(c.text(p, "purl")),
			licenses: licensesOf(append(c.cycloneDXLicenses(p), c.cycloneDXLicenses(c.part(p, "evidence"))...)),
		})
		inside = c.components(p, found) || inside
	}
	return inside
}

// cycloneDXLicenses returns what is said of a component's license, or found in
// it: expressions, SPDX ids and, where there is no id, names (CycloneDX 1.6,
// licenseChoice).
func (c *cursor) cycloneDXLicenses(p map[string]any) []string {
	var said []string
	for _, v := range c.list(p, "licenses") {
		choice := c.object(v, "licenses[]")
		said = append(said, c.text(choice, "expression"))
		license := c.part(choice, "license")
		id := c.text(license, "id")
		if id == "" {
			id = c.text(license, "name")
		}
		said = append(said, id)
	}
	return said
}

// given is a list of a text, if there is one.
func given(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// packages implements sbom.packages.
func packages(document any) (any, error) {
	found, err := inventory(document)
	if err != nil {
		return nil, err
	}
	all := make([]any, len(found))
	for i, p := range found {
		purl := ""
		if len(p.purls) > 0 {
			purl = p.purls[0]
		}
		all[i] = map[string]any{"name": p.fullName(), "version": p.version, "purl": purl, "licenses": anyOf(p.licenses)}
	}
	return all, nil
}

func (p component) fullName() string {
	if p.group == "" {
		return p.name
	}
	return p.group + "/" + p.name
}

func anyOf(list []string) []any {
	all := make([]any, len(list))
	for i, s := range list {
		all[i] = s
	}
	return all
}

// licenses implements sbom.licenses.
func licenses(document any) (any, error) {
	found, err := inventory(document)
	if err != nil {
		return nil, err
	}
	var all distinct
	for _, p := range found {
		for _, license := range p.licenses {
			all.add(license)
		}
	}
	if len(all.all) > maxResults {
		return nil, errResults
	}
	return anyOf(all.all), nil
}

// hasPackage implements sbom.hasPackage: a package of the name, of any version
// if version is nil.
func hasPackage(document any, name string, version *string) (any, error) {
	if name == "" {
		return nil, fmt.Errorf("expected the name of a package, got none")
	}
	found, err := inventory(document)
	if err != nil {
		return nil, err
	}
	return slices.ContainsFunc(found, func(p component) bool {
		return p.isCalled(name) && (version == nil || p.version == *version)
	}), nil
}

// isCalled reports whether the package has the name: its own, with its group in
// front as npm or Maven write it, or a package URL without version.
func (p component) isCalled(name string) bool {
	if strings.HasPrefix(name, "pkg:") {
		return slices.ContainsFunc(p.purls, func(url string) bool { return bareURL(url) == bareURL(name) })
	}
	return name == p.name || p.group != "" && (name == p.group+"/"+p.name || name == p.group+":"+p.name)
}

// bareURL cuts version, qualifiers and subpath off a package URL. An "@" of a
// namespace is written %40 (purl specification, "rules for each component").
func bareURL(purl string) string {
	if i := strings.IndexAny(purl, "@?#"); i >= 0 {
		return purl[:i]
	}
	return purl
}
