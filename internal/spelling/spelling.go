// Package spelling finds the name that a mistyped one was probably meant to be.
package spelling

import "strings"

// maxGuessed bounds the names that are compared: the comparison is quadratic
// in their length.
const maxGuessed = 64

// Nearest returns the candidate that name was probably meant to be, or "" if
// none is near: one that differs in case alone, that name begins or that begins
// name, or that a few keystrokes make of it.
func Nearest(name string, candidates []string) string {
	if name == "" || len(name) > maxGuessed {
		return ""
	}
	best, least := "", 1+max(1, len(name)/3)
	for _, c := range candidates {
		if len(c) > maxGuessed || c == "" || c == name {
			continue
		}
		if d := keystrokes(strings.ToLower(name), strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	if best != "" {
		return best
	}
	for _, c := range candidates {
		if len(name) >= 3 && len(c) >= 3 && c != name && (strings.HasPrefix(c, name) || strings.HasPrefix(name, c)) {
			return c
		}
	}
	return ""
}

// keystrokes is the optimal string alignment distance: the insertions,
// deletions, replacements and swaps of neighbours that make b of a.
func keystrokes(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := last[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(replace, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
