package kyverno

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

func (c *compiler) errorf(path, format string, args ...any) {
	c.failed = append(c.failed, c.document.Errorf(path, format, args...))
}

// missing reports what is absent, unless it may be there in a form that could
// not be read.
func (c *compiler) missing(path, format string, args ...any) {
	if !c.partial {
		c.errorf(path, format, args...)
	}
}

// near reports with the name that was probably meant.
func (c *compiler) near(path, got string, candidates []string, format string, args ...any) {
	err := c.document.Errorf(path, format, args...)
	err.Nearest = dialect.Nearest(got, candidates)
	c.failed = append(c.failed, err)
}

// refuse refuses a field by name: to read a policy without it would be to read
// another policy (TRUST R19).
func (c *compiler) refuse(path, why string) {
	c.errorf(path, "refused: %s", why)
}

// weaker notes that the policy asks for less than the defaults do.
func (c *compiler) weaker(path, format string, args ...any) {
	c.notes = append(c.notes, policy.Note{Path: path, Text: fmt.Sprintf(format, args...), Weakening: true})
}

func (c *compiler) note(path, format string, args ...any) {
	c.notes = append(c.notes, policy.Note{Path: path, Text: fmt.Sprintf(format, args...)})
}

// choice returns the index of got among the allowed words, or -1 if it is empty
// or none of them, which is reported. Case does not count: Kyverno has used
// both.
func (c *compiler) choice(path, got string, allowed ...string) int {
	i := slices.IndexFunc(allowed, func(word string) bool { return strings.EqualFold(word, got) })
	if i < 0 && got != "" {
		c.near(path, got, allowed, "expected %s, got %q", either(allowed), clip(got))
	}
	return i
}

// either joins words to "a, b or c".
func either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// most checks a list's length against its bound.
func (c *compiler) most(path string, length, bound int) bool {
	if length <= bound {
		return true
	}
	c.errorf(path, "expected at most %d, got %d", bound, length)
	return false
}

// exactlyOne checks that one of several fields is set.
func (c *compiler) exactlyOne(path string, fields ...field) bool {
	var names, set []string
	for _, f := range fields {
		names = append(names, f.name)
		if f.set {
			set = append(set, f.name)
		}
	}
	switch len(set) {
	case 1:
		return true
	case 0:
		c.missing(path, "expected exactly one of %s, got none", either(names))
	default:
		c.errorf(path, "expected exactly one of %s, got %d: %s", either(names), len(set), strings.Join(set, ", "))
	}
	return false
}

type field struct {
	name string
	set  bool
}

func at(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// maxQuoted bounds what an error repeats of its input.
const maxQuoted = 200

func clip(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	return strings.ToValidUTF8(s[:maxQuoted], "") + "…"
}
