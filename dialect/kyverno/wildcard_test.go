package kyverno

import (
	"regexp"
	"testing"
)

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

// TestExpressionOf: an expression means what its pattern means, whatever
// expressions would make of its letters.
func TestExpressionOf(t *testing.T) {
	texts := append(words("a.", 4), "a\\", "(a", "https://github.com/acme/app", "https://githubXcom/acme/app")
	for _, pattern := range append(words("a.*?", 4), "a\\", "(?", "(*)", "[a]*", "https://github.com/acme/*", "^a$|.*") {
		re := regexp.MustCompile(expressionOf(pattern))
		for _, s := range texts {
			if got, want := re.MatchString(s), wild(pattern, s); got != want {
				t.Errorf("%q matches %q: got %t, want %t", pattern, s, got, want)
			}
		}
	}
}

func TestR14Anchored(t *testing.T) {
	for expression, want := range map[string]bool{
		"^a$": true, "^(?:a|b)$": true, "^(a|b)$": true, `\Aa\z`: true, "^.*a$": true,
		"a": false, "^a": false, "a$": false, "^a|b$": false, `^a\$`: false, "(?m)^a$": false, "": false, "(": false, "(^a$)?": false,
	} {
		if got := anchored(expression); got != want {
			t.Errorf("%q: got %t, want %t", expression, got, want)
		}
	}
}
