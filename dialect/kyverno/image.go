package kyverno

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// Bounds of image patterns, each of which is looked at for each image that is
// decided: the author of a policy for one namespace could spend the time in
// which others wait (TRUST R1).
const (
	// maxPatterns bounds a list.
	maxPatterns = 1000
	// maxPattern bounds a pattern's bytes: host, path, tag and digest at their
	// longest are shorter.
	maxPattern = 1024
	// maxAllPatterns bounds the patterns of a document, those that aliases repeat
	// counted each time.
	maxAllPatterns = 10_000
	// maxAllPatternBytes bounds their length together, in proportion to which
	// matching takes time: the worst that fits takes some tenths of a second.
	// With patterns as long as in use, of 50 bytes, it is some thousands.
	maxAllPatternBytes = 128 << 10
)

const dockerHub = "docker.io"

// hubHosts are names of Docker Hub's registry that a host pattern with a star
// could mean. No reference keeps them.
func hubHosts() []string {
	return []string{"index.docker.io", "registry-1.docker.io", "registry.docker.io", "registry.hub.docker.com"}
}

// imagePattern is one of imageReferences or skipImageReferences: "*" is any
// run, "/" included, "?" is one character, and the whole name must match, with
// its case.
type imagePattern struct {
	text string
	// include are the texts that include: the pattern, and the pattern with its
	// registry as references have it.
	include []string
}

var _ policy.ImagePattern = imagePattern{}

func newImagePattern(parser imageref.Parser, text string) (imagePattern, error) {
	switch {
	case text == "":
		return imagePattern{}, fmt.Errorf("expected a pattern, got an empty string")
	case len(text) > maxPattern:
		return imagePattern{}, fmt.Errorf("expected at most %d bytes, got %d", maxPattern, len(text))
	case strings.Contains(text, "{{"):
		return imagePattern{}, fmt.Errorf("expected a pattern without variables, got %q", dialect.Clip(text))
	}
	p := imagePattern{text: text, include: []string{text}}
	host, path, found := strings.Cut(text, "/")
	if !found {
		return p, nil
	}
	switch canonical := canonicalHost(parser, host); {
	case canonical != "" && canonical != host:
		p.include = append(p.include, canonical+"/"+path)
	case hasWildcard(host) && !wild(host, dockerHub) && meansHub(host):
		p.include = append(p.include, dockerHub+"/"+path)
	}
	return p, nil
}

// canonicalHost returns how references write a registry, or "" if host is none.
func canonicalHost(parser imageref.Parser, host string) string {
	if hasWildcard(host) || !namesHost(host) {
		return ""
	}
	ref, err := parser.Parse(host + "/path")
	if err != nil {
		return ""
	}
	return ref.Repository().Host()
}

func meansHub(host string) bool {
	for _, name := range hubHosts() {
		if wild(host, name) {
			return true
		}
	}
	return false
}

// namesHost tells whether what is before the first slash is a registry.
func namesHost(s string) bool {
	return s == "localhost" || strings.ContainsAny(s, ".:") || strings.ToLower(s) != s
}

// String returns the pattern as it was written.
func (p imagePattern) String() string { return p.text }

// Includes reports whether the pattern may mean ref (TRUST R12): by any
// spelling of its name, with its tag, with its digest or without both. A tag
// beside a digest says nothing about what runs, and nobody can tell which tags a
// digest has: the pattern's tag then counts as matched (TRUST R13).
func (p imagePattern) Includes(ref imageref.Reference) bool {
	if ref.IsZero() || p.text == "*" {
		return !ref.IsZero()
	}
	for _, name := range spellings(ref) {
		for _, text := range p.include {
			if includes(text, name, ref) {
				return true
			}
		}
	}
	return false
}

func includes(text, name string, ref imageref.Reference) bool {
	if wild(text, name) || ref.Tag() != "" && wild(text, name+":"+ref.Tag()) {
		return true
	}
	before, digest, byDigest := strings.Cut(text, "@")
	if ref.Digest().IsZero() {
		// What the tag resolves to may be the digest that the pattern names.
		return byDigest && !hasWildcard(digest) && (wild(before, name) || wild(before, name+":"+ref.Tag()))
	}
	runs := ref.Digest().String()
	if wild(text, name+"@"+runs) || ref.Tag() != "" && wild(text, name+":"+ref.Tag()+"@"+runs) {
		return true
	}
	repository, tagged := withoutTag(before)
	return tagged && wild(repository, name) && (!byDigest || wild(digest, runs))
}

// Excludes reports whether the pattern means exactly ref as it is written. An
// image with a digest is excluded by that alone: a tag beside it says nothing
// about what runs, and a pattern that asks for a tag excludes none such (TRUST
// R13). A name that spells its registry otherwise than references do is never
// excluded (TRUST R11).
func (p imagePattern) Excludes(ref imageref.Reference) bool {
	if ref.IsZero() {
		return false
	}
	host, path := written(ref)
	if host != ref.Repository().Host() {
		return false
	}
	name := host + "/" + path
	if ref.Digest().IsZero() {
		return wild(p.text, name+":"+ref.Tag())
	}
	if _, tagged := withoutTag(p.text); tagged && !strings.Contains(p.text, "@") {
		return false
	}
	return wild(p.text, name+"@"+ref.Digest().String())
}

// spellings are the names by which an image is known: the canonical one, those
// without what Docker Hub's images need not say, and the one that was written.
func spellings(ref imageref.Reference) []string {
	repository := ref.Repository()
	host, path := written(ref)
	names := []string{repository.String()}
	if first := host + "/" + path; first != names[0] {
		names = append(names, first)
	}
	if repository.Host() != dockerHub {
		return names
	}
	names = append(names, repository.Path())
	if short, official := strings.CutPrefix(repository.Path(), "library/"); official {
		names = append(names, dockerHub+"/"+short, short)
	}
	return names
}

// written returns registry and path as Kyverno writes them: verbatim, with
// docker.io where no registry was named, and without "library/".
func written(ref imageref.Reference) (host, path string) {
	name, _, _ := strings.Cut(ref.Original(), "@")
	name, _ = withoutTag(name)
	host, path, found := strings.Cut(name, "/")
	if !found || !namesHost(host) {
		return dockerHub, name
	}
	return host, path
}

// withoutTag cuts a tag off: a colon after the last slash begins one.
func withoutTag(s string) (string, bool) {
	i := strings.LastIndexByte(s, ':')
	if at := strings.IndexByte(s, '@'); at >= 0 && at < i {
		i = strings.LastIndexByte(s[:at], ':')
	}
	if i < 0 || i < strings.LastIndexByte(s, '/') {
		return s, false
	}
	return s[:i], true
}

// include returns what an entry covers.
func (c *compiler) include(path string, e *entry) []policy.ImagePattern {
	patterns := c.patterns(path+".imageReferences", e.ImageReferences)
	if e.Image != "" {
		if pattern, ok := c.pattern(path+".image", e.Image); ok {
			patterns = append(patterns, pattern)
		}
	}
	if len(e.ImageReferences) == 0 && e.Image == "" {
		c.Missing(path+".imageReferences", "expected at least one pattern, got none: the entry would protect nothing")
	}
	return patterns
}

// exclude returns what an entry skips. An entry that skips all that it covers
// would require nothing, and says so nowhere.
func (c *compiler) exclude(path string, e *entry) []policy.ImagePattern {
	path += ".skipImageReferences"
	patterns := c.patterns(path, e.SkipImageReferences)
	skipped := make(map[string]bool, len(patterns))
	for i, pattern := range patterns {
		skipped[pattern.String()] = true
		if strings.Trim(pattern.String(), wildcardsAndSeparators) == "" {
			c.Errorf(dialect.At(path, i), "expected a part of the images, got a pattern that names none: the entry would cover nothing")
			return patterns
		}
	}
	covered := e.references()
	if len(covered) > 0 && !slices.ContainsFunc(covered, func(text string) bool { return !skipped[text] }) {
		c.Errorf(path, "expected a part of the images, got each pattern of imageReferences: the entry would cover nothing")
	}
	return patterns
}

// wildcardsAndSeparators make patterns that name no image, such as "*/*:?*".
const wildcardsAndSeparators = "*?/.:@"

// references are the patterns of an entry in both forms.
func (e *entry) references() []string {
	if e.Image == "" {
		return e.ImageReferences
	}
	return append(slices.Clone(e.ImageReferences), e.Image)
}

func (c *compiler) patterns(path string, list []string) []policy.ImagePattern {
	if !c.AtMost(path, len(list), maxPatterns) {
		return nil
	}
	var patterns []policy.ImagePattern
	for i, text := range list {
		if pattern, ok := c.pattern(dialect.At(path, i), text); ok {
			patterns = append(patterns, pattern)
		}
	}
	return patterns
}

func (c *compiler) pattern(path, text string) (imagePattern, bool) {
	if text == "" && c.Partial || !c.spend(path, len(text)) {
		return imagePattern{}, false
	}
	pattern, err := newImagePattern(c.options.Parser, text)
	if err != nil {
		c.Errorf(path, "%w", err)
	}
	return pattern, err == nil
}

// spend counts a pattern of the document, and reports whether it keeps the
// bounds; the first that does not is an error.
func (c *compiler) spend(path string, length int) bool {
	before := c.allPatterns <= maxAllPatterns && c.allPatternBytes <= maxAllPatternBytes
	c.allPatterns++
	c.allPatternBytes += length
	switch {
	case !before:
		return false
	case c.allPatterns > maxAllPatterns:
		c.Errorf(path, "expected at most %d patterns in a policy, got more", maxAllPatterns)
		return false
	case c.allPatternBytes > maxAllPatternBytes:
		c.Errorf(path, "expected the patterns of a policy to have at most %d bytes together, got more", maxAllPatternBytes)
		return false
	}
	return true
}
