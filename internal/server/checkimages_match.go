package server

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/imageref"
)

const dockerHub = "docker.io" // as references have it (TRUST R11)

// spellings are the forms of an image that a pattern may have been written for.
type spellings struct {
	ref imageref.Reference // zero if the image's name is malformed
	// whole forms, and those without registry.
	whole, paths []string
}

// spellings returns the image's forms, the caller's own among them.
func (i checkImage) spellings(parser imageref.Parser) spellings {
	ref, _ := parser.Parse(i.ref()) // the decision says if it is malformed
	return spellingsOf(ref, i.ref(), i.base(), i.base()+":"+i.tag)
}

// spellingsOf returns the forms of a reference: as it is written and as it is
// normalised, by tag, by digest and without both, and for Docker Hub's images
// without what they need not say. more are among them.
func spellingsOf(ref imageref.Reference, more ...string) spellings {
	s := spellings{ref: ref, whole: more}
	if ref.IsZero() {
		return s
	}
	s.whole = append(s.whole, ref.Original(), ref.String())
	host, path := ref.Repository().Host(), ref.Repository().Path()
	paths := []string{path}
	if short, official := strings.CutPrefix(path, "library/"); official && host == dockerHub {
		paths = append(paths, short)
	}
	for _, path := range paths {
		for _, form := range formsOf(path, ref) {
			s.paths, s.whole = append(s.paths, form), append(s.whole, host+"/"+form)
			if host == dockerHub {
				s.whole = append(s.whole, form)
			}
		}
	}
	slices.Sort(s.whole)
	s.whole = slices.Compact(s.whole)
	return s
}

func formsOf(name string, ref imageref.Reference) []string {
	forms := []string{name}
	if ref.Tag() != "" {
		forms = append(forms, name+":"+ref.Tag())
	}
	if !ref.Digest().IsZero() {
		forms = append(forms, name+"@"+ref.Digest().String())
	}
	return forms
}

// bytes is how long all forms together are.
func (s spellings) bytes() int {
	n := 0
	for _, form := range s.whole {
		n += len(form)
	}
	for _, form := range s.paths {
		n += len(form)
	}
	return n
}

// checkPattern is a pattern of the caller's for images, to tell what it includes.
type checkPattern struct {
	text string
	// host, if the pattern begins with a registry, is all images there under any
	// of its aliases (TRUST R11), and path what follows it.
	host imageref.Pattern
	path string
}

func newCheckPattern(parser imageref.Parser, text string) checkPattern {
	p := checkPattern{text: text}
	host, path, found := strings.Cut(text, "/")
	if !found || !strings.ContainsAny(host, ".:") {
		return p
	}
	if all, err := parser.ParsePattern(host + "/**"); err == nil {
		p.host, p.path = all, path
	}
	return p
}

// includes reports whether the pattern means one of the forms: doubt includes
// (TRUST R12).
func (p checkPattern) includes(s spellings) bool {
	if slices.ContainsFunc(s.whole, func(form string) bool { return wildcard(p.text, form) }) {
		return true
	}
	return p.host.Includes(s.ref) && slices.ContainsFunc(s.paths, func(form string) bool { return wildcard(p.path, form) })
}

// maxMatching bounds the work of matching all patterns of a request with all
// images, in pairs of bytes: half a second at worst. Twenty images and twenty
// patterns are some ten million.
const maxMatching = 1 << 28

// checkMatching refuses requests that would take too long to match.
func (r checkRequest) checkMatching() error {
	var patterns, forms int
	for _, p := range r.patterns {
		patterns += len(p.text)
	}
	for _, a := range r.attestations {
		patterns += len(a.pattern.text)
	}
	for _, i := range r.images {
		forms += i.spelled.bytes()
	}
	if patterns*forms > maxMatching {
		return fmt.Errorf("expected at most %d pairs of bytes of patterns and images, got %d", maxMatching, patterns*forms)
	}
	return nil
}

// wildcard matches as Kyverno does: "*" is any run of characters, "?" is one.
// It takes time proportional to the product of the lengths: it remembers the
// latest star only, since giving an earlier one more cannot help what follows.
func wildcard(pattern, s string) bool {
	p, n := []rune(pattern), []rune(s)
	at, star, mark := 0, -1, 0
	for i := 0; i < len(n); {
		switch {
		case at < len(p) && p[at] == '*':
			star, mark = at, i
			at++
		case at < len(p) && (p[at] == '?' || p[at] == n[i]):
			at++
			i++
		case star >= 0:
			mark++
			at, i = star+1, mark
		default:
			return false
		}
	}
	for at < len(p) && p[at] == '*' {
		at++
	}
	return at == len(p)
}
