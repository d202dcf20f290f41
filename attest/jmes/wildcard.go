package jmes

import (
	"strings"
	"unicode/utf8"
)

// hasWildcard reports whether a text is more than itself as a pattern.
func hasWildcard(s string) bool { return strings.ContainsAny(s, "*?") }

// matches reports whether the text matches the pattern: "*" is any run of
// characters, the empty one included, "?" is one character. It remembers only
// the latest star, which suffices because giving an earlier one more cannot
// help what follows the later one. It pays for texts; for calling it often with
// short ones the caller does.
func (e *evaluator) matches(pattern, text string) (bool, error) {
	if err := e.step((len(pattern) + len(text)) / bytesPerStep); err != nil {
		return false, err
	}
	if !hasWildcard(pattern) {
		return pattern == text, nil
	}
	const unpaid = 1024
	p, t := 0, 0
	star, mark := -1, 0 // after the latest star, and up to where it takes
	for work := 1; t < len(text); work++ {
		if work%unpaid == 0 {
			if err := e.step(unpaid / bytesPerStep); err != nil {
				return false, err
			}
		}
		_, width := utf8.DecodeRuneInString(text[t:])
		switch {
		case p < len(pattern) && pattern[p] == '*':
			p++
			star, mark = p, t
		case p < len(pattern) && pattern[p] == '?':
			p, t = p+1, t+width
		case p < len(pattern) && pattern[p] == text[t]:
			p, t = p+1, t+1
		case star >= 0:
			_, width = utf8.DecodeRuneInString(text[mark:])
			mark += width
			p, t = star, mark
		default:
			return false, nil
		}
	}
	return strings.Trim(pattern[p:], "*") == "", nil
}

// wild reports whether a text anywhere in the value holds a wildcard.
func (e *evaluator) wild(v any) (bool, error) {
	switch x := v.(type) {
	case string:
		return hasWildcard(x), e.step(1 + len(x)/bytesPerStep)
	case []any:
		for _, element := range x {
			if found, err := e.wild(element); found || err != nil {
				return found, err
			}
		}
	case map[string]any:
		for name, value := range x {
			if hasWildcard(name) {
				return true, nil
			}
			if err := e.step(len(name) / bytesPerStep); err != nil {
				return false, err
			}
			if found, err := e.wild(value); found || err != nil {
				return found, err
			}
		}
	}
	return false, e.step(1)
}
