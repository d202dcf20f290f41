package imageref

import "strings"

// Anchor returns the host of every reference that the pattern includes or
// excludes, and the first segment of their paths. Each is "" if the pattern leaves it open, the segment also if the
// host is. Many patterns can be told apart by it without asking each.
func (p Pattern) Anchor() (host, segment string) {
	if p.host == anyHost || strings.Contains(p.host, "*") {
		return "", ""
	}
	segment, _, _ = strings.Cut(p.path, "/")
	if strings.Contains(segment, "*") {
		segment = ""
	}
	return p.host, segment
}
