package kyverno

import (
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/dialect"
)

// refuse refuses a field by name: to read a policy without it would be to read
// another policy (TRUST R19).
func (c *compiler) refuse(path, why string) {
	c.Errorf(path, "refused: %s", why)
}

// choice returns the index of got among the allowed words, or -1 if it is empty
// or none of them, which is reported. Case does not count: Kyverno has used
// both.
func (c *compiler) choice(path, got string, allowed ...string) int {
	i := slices.IndexFunc(allowed, func(word string) bool { return strings.EqualFold(word, got) })
	if i < 0 && got != "" {
		c.Near(path, got, allowed, "expected %s, got %q", dialect.Either(allowed), dialect.Clip(got))
	}
	return i
}
