package attest

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// vexContext begins the name of every version of OpenVEX.
const vexContext = "https://openvex.dev/ns"

// vexContexts are the versions whose fields are known: those that write products
// and vulnerabilities as texts, and v0.2.0, which writes them as objects. The
// one without version is of either form.
func vexContexts() []string {
	return []string{vexContext, vexContext + "/v0.0.1", vexContext + "/v0.0.2", vexContext + "/v0.2.0"}
}

// The statuses of OpenVEX.
const (
	vexNotAffected = "not_affected"
	vexFixed       = "fixed"
	vexUnderway    = "under_investigation"
	vexAffected    = "affected"
)

// vexStatuses returns them from the best.
func vexStatuses() []string {
	return []string{vexNotAffected, vexFixed, vexUnderway, vexAffected}
}

// vexStatement says of some products how a vulnerability concerns them.
type vexStatement struct {
	names         []string // the vulnerability's, and its aliases
	status        int      // its place in vexStatuses
	justification string
	time          time.Time
	products      []vexProduct
}

// good reports whether the statement clears its products.
func (s *vexStatement) good() bool { return s.status <= slices.Index(vexStatuses(), vexFixed) }

// vexProduct is what a statement is about. Its parts are the components that it
// speaks of; none is the whole product.
type vexProduct struct {
	ids     []string
	digests []string // "sha256:…", of hashes and ids
	parts   []string
}

// vexDocument is an OpenVEX document.
type vexDocument struct {
	statements []vexStatement
	// subject is what statements without products are about: the subject of the
	// in-toto statement that holds the document (OpenVEX, "Attesting OpenVEX
	// Documents"). Nil if the document came without it.
	subject *vexProduct
}

// readVEX reads an OpenVEX document, or the in-toto statement that holds one. A
// document of another version, and one that states nothing, is an error
// (TRUST R32).
func readVEX(document any) (*vexDocument, error) {
	c := &cursor{}
	doc := c.object(document, "the OpenVEX document")
	if c.err != nil {
		return nil, c.err
	}
	read := &vexDocument{}
	if _, is := doc["predicateType"]; is && doc["@context"] == nil {
		read.subject = c.vexSubject(doc)
		doc = c.object(doc["predicate"], "predicate")
	}
	if context := c.need(doc, "@context"); c.err == nil && !slices.Contains(vexContexts(), context) {
		c.fail("expected @context of OpenVEX v0.0.1 to v0.2.0, got %q", clip(context, maxQuoted))
	}
	issued := c.moment(doc, "timestamp")
	for _, v := range c.given(doc, "statements") {
		read.statements = append(read.statements, c.vexStatement(c.object(v, "statements[]"), issued))
		if c.err != nil || len(read.statements) > maxResults {
			break
		}
	}
	switch {
	case c.err != nil:
		return nil, c.err
	case len(read.statements) == 0:
		return nil, errors.New("expected an OpenVEX document that states something, got an empty one")
	case len(read.statements) > maxResults:
		return nil, errResults
	}
	return read, nil
}

func (c *cursor) vexSubject(statement map[string]any) *vexProduct {
	subject := &vexProduct{}
	for _, v := range c.list(statement, "subject") {
		hash := c.text(c.part(c.object(v, "subject[]"), "digest"), "sha256")
		if hash != "" {
			subject.digests = append(subject.digests, "sha256:"+strings.ToLower(hash))
		}
	}
	return subject
}

// vexStatement reads a statement. Its time is that of its document if it has
// none of its own (OpenVEX v0.2.0, "Inheritance").
func (c *cursor) vexStatement(o map[string]any, issued time.Time) vexStatement {
	s := vexStatement{names: c.vexNames(o), time: issued, justification: c.text(o, "justification")}
	if own := c.moment(o, "timestamp"); !own.IsZero() {
		s.time = own
	}
	if s.justification == "" {
		s.justification = c.text(o, "impact_statement")
	}
	status := c.need(o, "status")
	s.status = slices.Index(vexStatuses(), status)
	switch {
	case c.err != nil:
		return s
	case s.status < 0:
		c.fail("expected status to be one of %s, got %q", strings.Join(vexStatuses(), ", "), clip(status, maxQuoted))
	case s.time.IsZero():
		c.fail("expected timestamp of the document or of %q, got none", clip(s.names[0], maxQuoted))
	case status == vexNotAffected && s.justification == "":
		c.fail("expected justification or impact_statement why %q does not affect, got none", clip(s.names[0], maxQuoted))
	}
	s.products = c.vexProducts(o)
	return s
}

func (c *cursor) vexNames(o map[string]any) []string {
	if name, is := o["vulnerability"].(string); is && name != "" {
		return []string{name}
	}
	vulnerability := c.part(o, "vulnerability")
	names := distinct{}
	names.add(c.need(vulnerability, "name"))
	for _, v := range c.list(vulnerability, "aliases") {
		alias, is := v.(string)
		if !is || alias == "" {
			c.fail("expected aliases to hold names, got %s", kindOf(v))
			break
		}
		names.add(alias)
	}
	return names.all
}

func (c *cursor) vexProducts(o map[string]any) []vexProduct {
	shared := c.vexParts(o) // of the old form
	var products []vexProduct
	for _, v := range c.list(o, "products") {
		p := c.vexComponent(v, "products[]")
		p.parts = shared
		if product, is := v.(map[string]any); is {
			p.parts = append(slices.Clip(shared), c.vexParts(product)...)
		}
		products = append(products, p)
	}
	return products
}

func (c *cursor) vexParts(o map[string]any) []string {
	var parts []string
	for _, v := range c.list(o, "subcomponents") {
		part := c.vexComponent(v, "subcomponents[]")
		names := append(part.ids, part.digests...)
		if len(names) == 0 {
			c.fail("expected subcomponents[] to name a component, got none")
			break
		}
		parts = append(parts, names[0])
	}
	return parts
}

// vexComponent reads what a product or component is called.
func (c *cursor) vexComponent(v any, path string) vexProduct {
	if id, is := v.(string); is {
		return vexProduct{ids: given(id), digests: given(digestIn(id))}
	}
	o := c.object(v, path)
	identifiers, hashes := c.part(o, "identifiers"), c.part(o, "hashes")
	p := vexProduct{ids: append(given(c.text(o, "@id")), given(c.text(identifiers, "purl"))...)}
	for _, id := range p.ids {
		p.digests = append(p.digests, given(digestIn(id))...)
	}
	for _, name := range []string{"sha-256", "sha256"} {
		if hash := c.text(hashes, name); hash != "" {
			p.digests = append(p.digests, "sha256:"+strings.ToLower(hash))
		}
	}
	return p
}

// digestIn returns the digest that is the version of a package URL, or that an
// image's name ends with; "" if it names none. A package URL may write its colon
// as %3A.
func digestIn(id string) string {
	_, version, is := strings.Cut(withoutQualifiers(id), "@")
	if !is {
		return ""
	}
	version, err := url.PathUnescape(version)
	if _, hash, is := strings.Cut(version, "@"); is { // name:tag@digest with an @ before
		version = hash
	}
	if err != nil || !strings.HasPrefix(version, "sha256:") {
		return ""
	}
	return strings.ToLower(version)
}

// withoutQualifiers cuts qualifiers and subpath off a package URL.
func withoutQualifiers(id string) string {
	if i := strings.IndexAny(id, "?#"); i >= 0 {
		return id[:i]
	}
	return id
}

// vexImage is the image that is asked about.
type vexImage struct{ digest, repository string }

// is reports whether the product is the image: everything that tells its digest
// tells the image's.
func (p *vexProduct) is(image vexImage) bool {
	return len(p.digests) > 0 && !slices.ContainsFunc(p.digests, func(d string) bool { return d != image.digest })
}

// mayBe reports whether the product could be the image: it tells its digest
// among others, or no digest and the image's name.
func (p *vexProduct) mayBe(image vexImage) bool {
	if len(p.digests) > 0 {
		return slices.Contains(p.digests, image.digest)
	}
	_, name, _ := cutLast(image.repository, "/")
	return len(p.ids) == 0 || slices.ContainsFunc(p.ids, func(id string) bool {
		text, err := url.PathUnescape(id)
		if err != nil || strings.Contains(text, image.repository) {
			return true
		}
		path, _, _ := strings.Cut(withoutQualifiers(text), "@")
		_, called, _ := cutLast(path, "/")
		oci := strings.HasPrefix(path, "pkg:oci/") || strings.HasPrefix(path, "pkg:docker/")
		return oci && strings.EqualFold(called, name)
	})
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}

// about returns the products of a statement that are the image. Doubt is not in
// the image's favor: what clears it must name its digest, what does not need
// not.
func (d *vexDocument) about(s *vexStatement, image vexImage) []vexProduct {
	if len(s.products) == 0 {
		switch {
		case d.subject != nil && slices.Contains(d.subject.digests, image.digest), d.subject == nil && !s.good():
			return []vexProduct{{}}
		}
		return nil
	}
	var found []vexProduct
	for _, p := range s.products {
		if p.is(image) || !s.good() && p.mayBe(image) {
			found = append(found, p)
		}
	}
	return found
}

func (i vexImage) check() error {
	if !strings.HasPrefix(i.digest, "sha256:") || i.repository == "" {
		return fmt.Errorf("expected the image with its repository and sha256 digest, got %q", clip(i.digest, maxQuoted))
	}
	return nil
}
