package kyverno

import (
	"regexp"
	"strings"
)

// wild matches the whole of s: "*" is any run, "?" one character. What is
// between two stars is looked for from the left, once, so that it takes time
// proportional to the sum of the lengths, and where there are question marks at
// most to their product: a pattern has at most [maxPattern] bytes, and no part
// of a reference that is matched as much.
func wild(pattern, s string) bool {
	part, rest, starred := strings.Cut(pattern, "*")
	if !starred {
		return len(part) == len(s) && same(part, s)
	}
	last := strings.LastIndexByte(rest, '*') + 1
	tail := rest[last:]
	if len(part)+len(tail) > len(s) || !same(part, s[:len(part)]) || !same(tail, s[len(s)-len(tail):]) {
		return false
	}
	s = s[len(part) : len(s)-len(tail)]
	for part := range strings.SplitSeq(rest[:last], "*") {
		at := find(part, s)
		if at < 0 {
			return false
		}
		s = s[at+len(part):]
	}
	return true
}

// same matches texts of one length, without stars.
func same(part, s string) bool {
	if part == s {
		return true
	}
	for i := range len(part) {
		if part[i] != '?' && part[i] != s[i] {
			return false
		}
	}
	return true
}

// find returns where a part without stars is in s first, or -1.
func find(part, s string) int {
	if !strings.Contains(part, "?") {
		return strings.Index(s, part)
	}
	for at := 0; at+len(part) <= len(s); at++ {
		if same(part, s[at:at+len(part)]) {
			return at
		}
	}
	return -1
}

// everything reports whether a pattern of names has nothing but wildcards.
func everything(pattern string) bool { return strings.Trim(pattern, "*?") == "" }

// hasWildcard reports whether a pattern can mean several names.
func hasWildcard(pattern string) bool { return strings.ContainsAny(pattern, "*?") }

// expressionOf returns a pattern as a regular expression of the whole text.
func expressionOf(pattern string) string {
	return "^" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern)) + "$"
}
