package kyverno

import "testing"

// plainly is wild as its contract says it, without regard to time.
func plainly(pattern, s string) bool {
	switch {
	case pattern == "":
		return s == ""
	case pattern[0] == '*':
		return plainly(pattern[1:], s) || s != "" && plainly(pattern, s[1:])
	case s == "":
		return false
	}
	return (pattern[0] == '?' || pattern[0] == s[0]) && plainly(pattern[1:], s[1:])
}

// words are all texts of the letters up to a length.
func words(letters string, longest int) []string {
	all := []string{""}
	for begin := 0; longest > 0; longest-- {
		end := len(all)
		for _, word := range all[begin:end] {
			for _, letter := range letters {
				all = append(all, word+string(letter))
			}
		}
		begin = end
	}
	return all
}

func TestWild(t *testing.T) {
	texts := words("ab", 6)
	for _, pattern := range words("ab*?", 5) {
		for _, s := range texts {
			if got, want := wild(pattern, s), plainly(pattern, s); got != want {
				t.Errorf("%q matches %q: got %t, want %t", pattern, s, got, want)
			}
		}
	}
}
