package jmes

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/blang/semver/v4"
	"k8s.io/apimachinery/pkg/api/resource"
)

var errNothing = errors.New("expected a value, got none: nothing was found")

func (c comparisonOf) mismatch() error {
	return fmt.Errorf("expected values that %s can compare, got %s of type %s and %s of type %s", c.name, shown(c.key.value), typeOf(c.key.value), shown(c.value.value), typeOf(c.value.value))
}

// equals is Equals and NotEquals. What is of different types is neither.
func (c comparisonOf) equals() (bool, error) {
	same, err := c.same()
	return err == nil && same != c.not, err
}

func (c comparisonOf) same() (bool, error) {
	value := c.value.value
	if c.key.value == nil || value == nil {
		return false, errNothing
	}
	switch key := c.key.value.(type) {
	case string:
		return c.sameText(key)
	case int64, float64:
		if s, is := value.(string); is {
			if value, is = parseNumber(s); !is {
				return false, c.mismatch()
			}
		}
		if !isNumber(value) {
			return false, c.mismatch()
		}
		return compareNumbers(key, value) == 0, nil
	}
	if typeOf(c.key.value) != typeOf(value) {
		return false, c.mismatch()
	}
	if err := c.sound(); err != nil {
		return false, err
	}
	return c.equal(c.key.value, value)
}

// sound refuses keys that would prove something by what they lack: an empty list
// or object differs from any that is not, and null from any value.
func (c comparisonOf) sound() error {
	list, _ := c.key.value.([]any)
	if i := slices.Index(list, nil); i >= 0 {
		return fmt.Errorf("expected a list of values, got null as element %d", i)
	}
	if c.key.value != false && falsy(c.key.value) && !falsy(c.value.value) {
		return errNothing
	}
	return c.step(len(list))
}

// sameText compares a string key: as durations, as quantities, then as text with
// wildcards in the value.
func (c comparisonOf) sameText(key string) (bool, error) {
	if order, is := compareDurations(c.key.value, c.value.value); is && key != "0" && c.value.value != "0" {
		return order == 0, nil
	}
	value, is := c.value.value.(string)
	if !is {
		return false, c.mismatch()
	}
	if order, is := compareQuantities(key, value); is {
		return order == 0, nil
	}
	return c.alike(key, value, false)
}

// alike compares two texts, of which the value may be a pattern, and the key
// too if either may. It is an error if the answer hangs on a wildcard that is
// nobody's but the document's.
func (c comparisonOf) alike(key, value string, either bool) (bool, error) {
	if err := c.step(min(len(key), len(value)) / bytesPerStep); err != nil || key == value {
		return err == nil, err
	}
	matched, err := c.matches(value, key)
	if err != nil {
		return false, err
	}
	wild := matched && c.value.wild
	if !matched && either {
		if matched, err = c.matches(key, value); err != nil {
			return false, err
		}
		wild = matched && c.key.wild
	}
	if wild {
		return false, fmt.Errorf("expected no wildcard in what a variable resolves to, got %q and %q, which are alike only by one", clip(key, maxShown), clip(value, maxShown))
	}
	return matched, nil
}

// ordered is GreaterThan, LessThan and their kin: of durations, of quantities,
// of numbers, of versions, whichever comes first.
func (c comparisonOf) ordered() (bool, error) {
	key, value := c.key.value, c.value.value
	if key == nil || value == nil {
		return false, errNothing
	}
	if order, is := compareDurations(key, value); is {
		return c.accept(order), nil
	}
	k, text := key.(string)
	v, alsoText := value.(string)
	if text && alsoText {
		if order, is := compareQuantities(k, v); is {
			return c.accept(order), nil
		}
	}
	a, aNumber := number(key)
	b, bNumber := number(value)
	if aNumber && bNumber {
		return c.accept(compareNumbers(a, b)), nil
	}
	if text && alsoText && !aNumber && !bNumber {
		if order, is := compareVersions(k, v); is {
			return c.accept(order), nil
		}
	}
	return false, c.mismatch()
}

// lasting is the Duration operators: durations, or numbers of seconds.
func (c comparisonOf) lasting() (bool, error) {
	if c.key.value == nil || c.value.value == nil {
		return false, errNothing
	}
	key, is := seconds(c.key.value)
	value, also := seconds(c.value.value)
	if !is || !also {
		return false, c.mismatch()
	}
	return c.accept(compareNumbers(key, value)), nil
}

// compareDurations compares two durations of which at least one is written as
// one; the other may be a number of seconds. "0" alone is no duration.
func compareDurations(a, b any) (order int, is bool) {
	if !isDuration(a) && !isDuration(b) {
		return 0, false
	}
	x, is := seconds(a)
	y, also := seconds(b)
	if !is || !also {
		return 0, false
	}
	return compareNumbers(x, y), true
}

func isDuration(v any) bool {
	s, is := v.(string)
	if !is || s == "0" {
		return false
	}
	_, is = parseDuration(s)
	return is
}

// seconds returns a duration in seconds, exactly if it has no fraction of one.
func seconds(v any) (any, bool) {
	s, is := v.(string)
	if !is {
		return v, isNumber(v)
	}
	d, is := parseDuration(s)
	if d%time.Second == 0 {
		return int64(d / time.Second), is
	}
	return d.Seconds(), is
}

// longestNumber bounds texts that are tried as numbers, quantities and
// durations: what has more digits than an int64 and a suffix is something else.
const longestNumber = 64

func parseDuration(s string) (time.Duration, bool) {
	if len(s) > longestNumber {
		return 0, false
	}
	d, err := time.ParseDuration(s)
	return d, err == nil
}

// parseQuantity reads a quantity of Kubernetes. Exponents are bounded: comparing
// writes them out, and the library divides by zero where their difference does
// not fit 32 bits.
func parseQuantity(s string) (resource.Quantity, bool) {
	const longestExponent = 2
	if len(s) > longestNumber {
		return resource.Quantity{}, false
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 && len(strings.TrimLeft(s[i+1:], "+-")) > longestExponent {
		return resource.Quantity{}, false
	}
	q, err := resource.ParseQuantity(s)
	return q, err == nil
}

func compareQuantities(a, b string) (order int, is bool) {
	x, is := parseQuantity(a)
	if !is {
		return 0, false
	}
	y, is := parseQuantity(b)
	if !is {
		return 0, false
	}
	return x.Cmp(y), true
}

// number returns a number, or a text that is one.
func number(v any) (any, bool) {
	if s, is := v.(string); is {
		return parseNumber(s)
	}
	return v, isNumber(v)
}

// parseNumber reads a decimal number: not "NaN", "Inf", hexadecimals or digits
// with underscores, which some readers take for numbers.
func parseNumber(s string) (any, bool) {
	if len(s) > longestNumber || strings.Trim(s, "0123456789+-.eE") != "" {
		return nil, false
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
}

// longestVersion bounds a semantic version, or a range of them.
const longestVersion = 256

func parseVersion(s string) (semver.Version, error) {
	if len(s) > longestVersion {
		return semver.Version{}, fmt.Errorf("expected a semantic version of at most %d bytes, got %d", longestVersion, len(s))
	}
	v, err := semver.Parse(s)
	if err != nil {
		return v, fmt.Errorf("expected a semantic version, got %q: %w", s, err)
	}
	return v, nil
}

func compareVersions(a, b string) (order int, is bool) {
	x, err := parseVersion(a)
	if err != nil {
		return 0, false
	}
	y, err := parseVersion(b)
	if err != nil {
		return 0, false
	}
	return x.Compare(y), true
}
