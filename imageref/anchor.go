package imageref

import "strings"

// Anchor returns the host of every reference that the pattern includes or
// excludes, and the whole segments that all their paths begin with, such as
// "acme/app" of "ghcr.io/acme/app/**". Each is "" if the pattern leaves it open,
// the segments also if the host is. Many patterns can be told apart by it without
// asking each.
func (p Pattern) Anchor() (host, segments string) {
	if p.host == anyHost || strings.Contains(p.host, "*") {
		return "", ""
	}
	literal, _, open := strings.Cut(p.path, "*")
	if !open {
		return p.host, literal
	}
	return p.host, literal[:max(0, strings.LastIndexByte(literal, '/'))]
}
