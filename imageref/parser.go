package imageref

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	maxInput   = 4096 // no valid reference is longer; more is refused unread
	defaultTag = "latest"
)

// Parser reads references and patterns under an operator's own host aliases.
// The zero Parser knows the aliases of Docker Hub. A Parser is immutable and
// safe for concurrent use.
type Parser struct {
	aliases map[string]string
}

// NewParser returns a Parser that also replaces each key of aliases, a
// registry host, by its value. Both are normalised first. A chain of aliases,
// and one that renames an alias of Docker Hub, is refused with [ErrAlias].
func NewParser(aliases map[string]string) (Parser, error) {
	p := Parser{aliases: make(map[string]string, len(aliases))}
	for _, from := range slices.Sorted(maps.Keys(aliases)) {
		name, err := normalHost(from)
		if err != nil {
			return Parser{}, fmt.Errorf("%w: %q: %w", ErrAlias, clip(from), err)
		}
		target, err := Parser{}.canonicalHost(aliases[from])
		if err != nil {
			return Parser{}, fmt.Errorf("%w: %q: %w", ErrAlias, clip(aliases[from]), err)
		}
		if _, known := dockerHubAliases[name]; known {
			return Parser{}, fmt.Errorf("%w: %q already stands for %s", ErrAlias, from, dockerHub)
		}
		if previous, twice := p.aliases[name]; twice && previous != target {
			return Parser{}, fmt.Errorf("%w: %q stands for both %q and %q", ErrAlias, name, previous, target)
		}
		p.aliases[name] = target
	}
	for _, from := range slices.Sorted(maps.Keys(p.aliases)) {
		to := p.aliases[from]
		if next, chained := p.aliases[to]; chained {
			return Parser{}, fmt.Errorf("%w: %q stands for %q, which stands for %q: name the last one", ErrAlias, from, to, next)
		}
	}
	return p, nil
}

// Parse reads an image reference. The error wraps [ErrReference] or
// [ErrDigest].
func (p Parser) Parse(s string) (Reference, error) {
	if s == "" {
		return Reference{}, fmt.Errorf("%w: expected a name, got an empty string", ErrReference)
	}
	if len(s) > maxInput {
		return Reference{}, fmt.Errorf("%w: expected at most %d bytes, got %d", ErrReference, maxInput, len(s))
	}
	if err := checkNotID(s); err != nil {
		return Reference{}, err
	}
	r := Reference{original: s}
	name, digest, digested := strings.Cut(s, "@")
	if digested {
		d, err := ParseDigest(digest)
		if err != nil {
			return Reference{}, fmt.Errorf("%w: in %q: %w", ErrReference, clip(s), err)
		}
		r.digest = d
	}
	name, tag, tagged := cutTag(name)
	if tagged {
		if err := checkTag(tag); err != nil {
			return Reference{}, fmt.Errorf("%w: in %q: %w", ErrReference, clip(s), err)
		}
		r.tag = tag
	}
	repository, err := p.repository(name)
	if err != nil {
		return Reference{}, fmt.Errorf("%w: in %q: %w", ErrReference, clip(s), err)
	}
	r.repository = repository
	if !tagged && !digested {
		r.tag = defaultTag
	}
	return r, nil
}

// cutTag splits a tag off: a colon after the last slash begins one; before it,
// a port.
func cutTag(s string) (name, tag string, found bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || i < strings.LastIndexByte(s, '/') {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// repository splits a name into host and path as kubelet does.
func (p Parser) repository(name string) (Repository, error) {
	host, path, found := strings.Cut(name, "/")
	if !found || !looksLikeHost(host) {
		host, path = dockerHub, name
	}
	host, err := p.canonicalHost(host)
	if err != nil {
		return Repository{}, err
	}
	path = officialPath(host, path)
	if err := checkPath(path); err != nil {
		return Repository{}, err
	}
	return Repository{host: host, path: path}, nil
}

const official = "library/"

// officialPath gives the images of Docker Hub that have no namespace theirs.
func officialPath(host, path string) string {
	if host == dockerHub && !strings.Contains(path, "/") {
		return official + path
	}
	return path
}

// canonicalHost normalises a host and replaces an alias.
func (p Parser) canonicalHost(host string) (string, error) {
	host, err := normalHost(host)
	if err != nil {
		return "", err
	}
	if hub, found := dockerHubAliases[host]; found {
		return hub, nil
	}
	if target, found := p.aliases[host]; found {
		return target, nil
	}
	return host, nil
}
