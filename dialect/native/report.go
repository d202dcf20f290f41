package native

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

// unsupported refuses a field by name: to read a policy without it would be to
// read another policy (TRUST R19).
func (c *compiler) unsupported(path string) {
	c.errorf(path, "not supported yet")
}

// weaker notes that the policy asks for less than the defaults do.
func (c *compiler) weaker(path, format string, args ...any) {
	c.notes = append(c.notes, policy.Note{Path: path, Text: fmt.Sprintf(format, args...), Weakening: true})
}

func (c *compiler) note(path, format string, args ...any) {
	c.notes = append(c.notes, policy.Note{Path: path, Text: fmt.Sprintf(format, args...)})
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
	c.near(path, string(got), words, "expected %s, got %q", either(words), clip(string(got)))
	return 0
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

// unique reports elements that occur before.
func (c *compiler) unique(path string, list []string) {
	first := make(map[string]int, len(list))
	for i, s := range list {
		if s == "" && c.partial {
			continue // it could not be read
		}
		if j, twice := first[s]; twice {
			c.errorf(at(path, i), "expected each once, got %q again: it is %s", clip(s), at(path, j))
			continue
		}
		first[s] = i
	}
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
