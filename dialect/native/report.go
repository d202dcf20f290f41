package native

import (
	"slices"

	"github.com/bonafide-dev/bonafide/dialect"
)

// unsupported refuses a field by name: to read a policy without it would be to
// read another policy (TRUST R19).
func (c *compiler) unsupported(path string) {
	c.Errorf(path, "not supported yet")
}

// choice returns the index of got among the allowed words, the first of which
// is the default.
func choice[T ~string](c *compiler, path string, got T, allowed ...T) int {
	if i := slices.Index(allowed, got); i >= 0 {
		return i
	}
	if got == "" {
		return 0
	}
	words := make([]string, len(allowed))
	for i, word := range allowed {
		words[i] = string(word)
	}
	c.Near(path, string(got), words, "expected %s, got %q", dialect.Either(words), dialect.Clip(string(got)))
	return 0
}

// unique reports elements that occur before.
func (c *compiler) unique(path string, list []string) {
	first := make(map[string]int, len(list))
	for i, s := range list {
		if s == "" && c.Partial {
			continue // it could not be read
		}
		if j, twice := first[s]; twice {
			c.Errorf(dialect.At(path, i), "expected each once, got %q again: it is %s", dialect.Clip(s), dialect.At(path, j))
			continue
		}
		first[s] = i
	}
}
