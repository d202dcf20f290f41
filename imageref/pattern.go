package imageref

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// maxPattern bounds a pattern's length: host, path, tag and digest at their
// longest are below 800 characters. It bounds the time to match with it.
const maxPattern = 1024

// Pattern selects images by name: "[host/]path[:tag][@digest]". Its parts match
// apart, each as a whole (TRUST R12).
//
//   - In the path "*" is any run of characters within a segment. "**", as a
//     whole segment, is any run of segments; "/**" at the end is what lies
//     below, and for Includes also what stands before it.
//   - In the host "*" is any run within a label, and as the port any port.
//   - "**" in place of host and path is every image on every host.
//   - In the tag "*" is any run. Without a tag every tag is meant.
//   - A digest is written out.
//
// A name without a host is Docker Hub's, as in a reference: "nginx" is
// "docker.io/library/nginx". A pattern whose first component could be meant as
// a host or as a path ("*", "*/app", "ghcr.io") is refused.
//
// The zero Pattern selects nothing. A Pattern is immutable and comparable; equal
// ones are spelled alike and were read under the same aliases.
type Pattern struct {
	text    string
	host    string // may hold "*"; anyHost is every host
	path    string // may hold "*" and "**"
	tag     string // may hold "*"; "" is any
	digest  Digest // zero is any
	aliased string // lines: what stands for hosts that a host with a "*" matches
}

const anyHost = "**"

// The grammar of parts that hold a star; other parts have that of a reference.
var (
	starHost = regexp.MustCompile(`^[a-z0-9*-]+(?:\.[a-z0-9*-]+)*(?::(?:[1-9][0-9]{0,4}|\*))?$`)
	starPath = regexp.MustCompile(`^[a-z0-9._*-]+$`)
	starTag  = regexp.MustCompile(`^[A-Za-z0-9_.*-]+$`)
)

// ParsePattern reads a pattern with the aliases of Docker Hub alone. The error
// wraps [ErrPattern].
func ParsePattern(s string) (Pattern, error) { return Parser{}.ParsePattern(s) }

// ParsePattern reads a pattern; its host is normalised as a reference's is. The
// error wraps [ErrPattern].
func (p Parser) ParsePattern(s string) (Pattern, error) {
	if s == "" {
		return Pattern{}, fmt.Errorf("%w: expected a pattern, got an empty string", ErrPattern)
	}
	if len(s) > maxPattern {
		return Pattern{}, fmt.Errorf("%w: expected at most %d bytes, got %d", ErrPattern, maxPattern, len(s))
	}
	pattern := Pattern{text: s}
	name, digest, digested := strings.Cut(s, "@")
	name, tag, tagged := cutTag(name)
	if digested {
		d, err := ParseDigest(digest)
		if err != nil {
			return Pattern{}, fmt.Errorf("%w: in %q: %w", ErrPattern, clip(s), err)
		}
		pattern.digest = d
	}
	if tagged {
		if err := checkTagPattern(tag); err != nil {
			return Pattern{}, fmt.Errorf("%w: in %q: %w", ErrPattern, clip(s), err)
		}
		pattern.tag = tag
	}
	if err := pattern.setName(p, name); err != nil {
		return Pattern{}, fmt.Errorf("%w: in %q: %w", ErrPattern, clip(s), err)
	}
	return pattern, nil
}

// setName splits a name as a reference is split, and refuses one that people
// read in two ways.
func (p *Pattern) setName(parser Parser, name string) error {
	if name == "**" {
		p.host, p.path = anyHost, name
		return nil
	}
	host, path, found := strings.Cut(name, "/")
	named := host == localhost || strings.ContainsAny(host, ".:")
	switch {
	case !found && (named || host == "*"):
		return fmt.Errorf("expected a path after the host, or ** for every image, got %q", clip(name))
	case found && !named && strings.Contains(host, "*"):
		return fmt.Errorf("expected a host before the first slash, such as docker.io, got %q", clip(host))
	case !found || !named:
		host, path = dockerHub, name
	}
	host, err := parser.hostPattern(host)
	if err != nil {
		return err
	}
	if path != "**" {
		path = officialPath(host, path)
	}
	if err := checkPathPattern(path); err != nil {
		return err
	}
	p.host, p.path = host, path
	p.aliased = parser.aliasedBy(host)
	return nil
}

func (p Parser) hostPattern(host string) (string, error) {
	if !strings.Contains(host, "*") {
		return p.canonicalHost(host)
	}
	host = strings.ToLower(host)
	if len(host) > maxHostLength || !starHost.MatchString(host) || strings.Contains(host, "**") {
		return "", fmt.Errorf("expected a registry host, in which * stays within a label, got %q", clip(host))
	}
	name, port := cutPort(host)
	if port == "*" || !strings.Contains(name, ".") {
		return host, nil
	}
	return joinPort(name, port), nil
}

// aliasedBy returns what stands for the aliases that a host with a star
// matches, if it does not match that too. No reference keeps an alias, so that
// the pattern would otherwise miss what its author sees it match.
func (p Parser) aliasedBy(host string) string {
	if !strings.Contains(host, "*") {
		return ""
	}
	var targets []string
	for _, aliases := range []map[string]string{dockerHubAliases, p.aliases} {
		for alias, target := range maps.All(aliases) {
			if matchHost(host, alias) && !matchHost(host, target) && !slices.Contains(targets, target) {
				targets = append(targets, target)
			}
		}
	}
	slices.Sort(targets)
	return strings.Join(targets, "\n")
}

func checkTagPattern(tag string) error {
	if !strings.Contains(tag, "*") {
		return checkTag(tag)
	}
	if len(tag) > maxTagLength || !starTag.MatchString(tag) {
		return fmt.Errorf("expected a tag of at most %d letters, digits, '_', '.', '-' and '*', got %q", maxTagLength, clip(tag))
	}
	return nil
}

func checkPathPattern(path string) error {
	if len(path) > maxPathLength {
		return fmt.Errorf("expected a repository path of at most %d characters, got %d", maxPathLength, len(path))
	}
	previous := ""
	for segment := range strings.SplitSeq(path, "/") {
		switch {
		case !strings.Contains(segment, "*"):
			if err := checkPath(segment); err != nil {
				return err
			}
		case segment == "**":
			if previous == segment {
				return fmt.Errorf("expected one ** to stand for all segments, got two in a row in %q", clip(path))
			}
		case strings.Contains(segment, "**"):
			return fmt.Errorf("expected ** to be a whole segment, got %q", clip(segment))
		case !starPath.MatchString(segment):
			return fmt.Errorf("expected a segment of lower-case letters, digits, separators and stars, got %q", clip(segment))
		}
		previous = segment
	}
	return nil
}

// IsZero reports whether p selects nothing.
func (p Pattern) IsZero() bool { return p == Pattern{} }

// String returns the pattern as it was written.
func (p Pattern) String() string { return p.text }

// Includes reports whether p may mean r. Doubt includes: a tag beside a digest
// says nothing about what runs, so that the pattern's tag then counts as
// matched (TRUST R12), and what a reference without digest resolves to may be
// the digest of the pattern.
func (p Pattern) Includes(r Reference) bool {
	if !p.includesRepository(r.repository) {
		return false
	}
	if r.digest.IsZero() {
		return p.tag == "" || matchRun(p.tag, r.tag)
	}
	return p.digest.IsZero() || p.digest == r.digest
}

// Excludes reports whether p means exactly r. A tag beside a digest satisfies
// nothing (TRUST R13): a pattern with a tag never excludes a reference with a
// digest, one with a digest excludes that digest alone, and so one with both
// excludes nothing. A pattern with neither excludes the repository.
func (p Pattern) Excludes(r Reference) bool {
	if !p.excludesRepository(r.repository) {
		return false
	}
	if r.digest.IsZero() {
		return p.digest.IsZero() && (p.tag == "" || matchRun(p.tag, r.tag))
	}
	return p.tag == "" && (p.digest.IsZero() || p.digest == r.digest)
}

func (p Pattern) includesRepository(r Repository) bool {
	switch {
	case r.IsZero() || p.IsZero():
		return false
	case p.host == anyHost:
		return true
	case !matchHost(p.host, r.host) && !p.standsFor(r.host):
		return false
	case matchPath(p.path, r.path):
		return true
	}
	// Behind a host with a star nobody could tell that "nginx" has a namespace.
	path, official := strings.CutPrefix(r.path, official)
	return official && r.host == dockerHub && strings.Contains(p.host, "*") && matchPath(p.path, path)
}

func (p Pattern) standsFor(host string) bool {
	for target := range strings.SplitSeq(p.aliased, "\n") {
		if target == host {
			return true
		}
	}
	return false
}

func (p Pattern) excludesRepository(r Repository) bool {
	switch {
	case r.IsZero() || p.IsZero():
		return false
	case p.host == anyHost:
		return true
	case !matchHost(p.host, r.host):
		return false
	case !strings.HasSuffix(p.path, "/**"):
		return matchPath(p.path, r.path)
	}
	// "a/**" excludes what is below "a": the last "**" must take a segment.
	i := strings.LastIndexByte(r.path, '/')
	return i > 0 && matchPath(p.path, r.path[:i])
}
