package attest

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A cursor reads the fields of a parsed document that must be there, or may be
// missing but not of another type, and keeps the first error.
type cursor struct{ err error }

func (c *cursor) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// object returns v as an object; path is for the error.
func (c *cursor) object(v any, path string) map[string]any {
	o, is := v.(map[string]any)
	if !is {
		c.fail("expected %s to be an object, got %s", path, kindOf(v))
	}
	return o
}

// part returns an object that o may have.
func (c *cursor) part(o map[string]any, name string) map[string]any {
	v, there := o[name]
	if !there || v == nil {
		return nil
	}
	return c.object(v, name)
}

// list returns a list that o may have.
func (c *cursor) list(o map[string]any, name string) []any {
	v, there := o[name]
	if !there || v == nil {
		return nil
	}
	l, is := v.([]any)
	if !is {
		c.fail("expected %s to be a list, got %s", name, kindOf(v))
	}
	return l
}

// given returns a list that o must have, though it may be empty.
func (c *cursor) given(o map[string]any, name string) []any {
	if o[name] == nil {
		c.fail("expected %s, got none", name)
	}
	return c.list(o, name)
}

// text returns a string that o may have.
func (c *cursor) text(o map[string]any, name string) string {
	v, there := o[name]
	if !there || v == nil {
		return ""
	}
	s, is := v.(string)
	if !is {
		c.fail("expected %s to be a string, got %s", name, kindOf(v))
	}
	return s
}

// need returns a string that o must have.
func (c *cursor) need(o map[string]any, name string) string {
	s := c.text(o, name)
	if s == "" {
		c.fail("expected %s, got none", name)
	}
	return s
}

// number returns a number or the number in a string.
func (c *cursor) number(v any, path string) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case int64:
		return float64(v)
	case string:
		n, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		if err == nil {
			return n
		}
	}
	c.fail("expected %s to be a number, got %s", path, kindOf(v))
	return 0
}

// rfc3339 is the form of a time (RFC 3339 §5.6): [time.Parse] also knows commas
// and hours of one digit.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$`)

// moment returns a time that o may have. One that is zero is what tools write
// that do not know it.
func (c *cursor) moment(o map[string]any, name string) time.Time {
	s := c.text(o, name)
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || !rfc3339.MatchString(s) {
		c.fail("expected %s to be a time (RFC 3339), got %q", name, clip(s, maxQuoted))
		return time.Time{}
	}
	return t
}

// kindOf says what a value is without repeating it.
func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case int64, float64:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return fmt.Sprintf("a value of type %T", v)
	}
}

// maxResults bounds what a function returns: the largest bills of materials and
// scan reports in use have some ten thousand entries.
const maxResults = 100_000

var errResults = errors.New("expected at most " + strconv.Itoa(maxResults) + " entries, got more")

// distinct collects strings, each once, in order.
type distinct struct {
	all  []string
	seen map[string]bool
}

func (d *distinct) add(s string) {
	if d.seen == nil {
		d.seen = make(map[string]bool)
	}
	if !d.seen[s] {
		d.seen[s] = true
		d.all = append(d.all, s)
	}
}
