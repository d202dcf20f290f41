package jmes

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/bonafide-dev/bonafide/evidence"
)

// in is the operators about membership: In, NotIn, and AnyIn with its kin.
func (c comparisonOf) in() (bool, error) {
	keys, list, err := c.keys()
	if err != nil {
		return false, err
	}
	set, err := c.members(keys, list)
	if err != nil {
		return false, err
	}
	if set.low != "" {
		return c.inRange(keys, set)
	}
	if set.exact {
		c.key.wild, c.value.wild = true, true // a wildcard that would decide is an error
	}
	set.index()
	// Any is decided by the first that fits, all by the first that does not.
	for _, key := range keys {
		found, err := c.found(key, set)
		if err != nil {
			return false, err
		}
		if fits := found != c.not; fits != c.all {
			return fits, nil
		}
	}
	return c.all, nil
}

// keys returns the key's elements as texts. An empty list means that nothing was
// found, which proves nothing.
func (c comparisonOf) keys() (keys []string, list bool, err error) {
	elements, list := c.key.value.([]any)
	switch {
	case c.key.value == nil, list && len(elements) == 0:
		return nil, false, errNothing
	case !list:
		elements = []any{c.key.value}
	}
	keys, err = c.texts(elements, list && !c.lists)
	return keys, list, err
}

// texts returns scalars as texts. In and NotIn compare lists of strings alone.
func (c comparisonOf) texts(elements []any, strict bool) ([]string, error) {
	if err := c.step(len(elements)); err != nil {
		return nil, err
	}
	texts := make([]string, 0, len(elements))
	for i, element := range elements {
		s, is := plain(element)
		if _, text := element.(string); !is || strict && !text {
			return nil, fmt.Errorf("expected a list of texts for %s, got %s as element %d", c.name, typeOf(element), i)
		}
		if err := c.step(len(s) / bytesPerStep); err != nil {
			return nil, err
		}
		texts = append(texts, s)
	}
	return texts, nil
}

// members is what keys are looked for in.
type members struct {
	list      []string
	exact     bool // where wildcards are no part of the language
	oneWay    bool // the key is no pattern
	low, high string

	plain    map[string]struct{} // of the list, what is no pattern
	patterns []string
}

func (m *members) index() {
	m.plain = make(map[string]struct{}, len(m.list))
	for _, member := range m.list {
		if hasWildcard(member) {
			m.patterns = append(m.patterns, member)
			continue
		}
		m.plain[member] = struct{}{}
	}
}

func (c comparisonOf) members(keys []string, list bool) (members, error) {
	switch value := c.value.value.(type) {
	case nil:
		return members{}, errNothing
	case []any:
		if len(value) == 0 {
			return members{}, errors.New("expected values to look for the key in, got an empty list")
		}
		texts, err := c.texts(value, list && !c.lists)
		return members{list: texts, exact: list && !c.lists}, err
	case string:
		return c.membersOfText(value, keys, list)
	case bool, int64, float64:
		if list && c.lists && !c.all {
			s, _ := plain(value)
			return members{list: []string{s}}, nil
		}
	}
	return members{}, c.mismatch()
}

// rangePattern is "a-b", with numbers, quantities or durations.
var rangePattern = regexp.MustCompile(`^([-+]?\d+(?:\.\d+)?[A-Za-z]*)-([-+]?\d+(?:\.\d+)?[A-Za-z]*)$`)

// membersOfText reads a value that is a string: a range, a JSON array of
// strings, or one member.
func (c comparisonOf) membersOfText(value string, keys []string, list bool) (members, error) {
	if len(keys) == 1 && keys[0] == value {
		return members{list: []string{value}, exact: true}, nil
	}
	if !list {
		if matched, err := c.alike(keys[0], value, false); matched || err != nil {
			return members{list: []string{value}, oneWay: true}, err
		}
	}
	if ends := rangePattern.FindStringSubmatch(clip(value, 2*longestNumber)); ends != nil && c.lists {
		return members{low: ends[1], high: ends[2]}, nil
	}
	if err := c.produce(parsed * len(value)); err != nil {
		return members{}, err
	}
	var array any
	if err := evidence.DecodeJSON([]byte(value), &array); err != nil {
		if !c.lists {
			return members{}, fmt.Errorf("expected a list as the value of %s, got one text", c.name)
		}
		return members{list: []string{value}, oneWay: !list}, nil
	}
	elements, is := array.([]any)
	if !is || len(elements) == 0 {
		return members{}, fmt.Errorf("expected a text, a range or a JSON array of strings, got %q", clip(value, maxShown))
	}
	texts, err := c.texts(elements, true)
	return members{list: texts, exact: !list || !c.lists}, err
}

// found reports whether a key is among the members.
func (c comparisonOf) found(key string, set members) (bool, error) {
	if err := c.step(1 + len(key)/bytesPerStep); err != nil {
		return false, err
	}
	if _, found := set.plain[key]; found {
		return true, nil
	}
	candidates := set.patterns
	if hasWildcard(key) && !set.oneWay {
		candidates = set.list
	}
	const perStep = 4 // patterns tried in the time of a step
	if err := c.step(len(candidates) / perStep); err != nil {
		return false, err
	}
	var failure error
	for _, member := range candidates {
		matched, err := c.alike(key, member, !set.oneWay)
		if matched {
			return true, nil
		}
		if err != nil {
			failure = err
		}
	}
	return false, failure
}

// inRange looks for keys between two ends, both included.
func (c comparisonOf) inRange(keys []string, set members) (bool, error) {
	result := c.all
	for _, key := range keys {
		above, err := c.orderOf(key, set.low)
		if err != nil {
			return false, err
		}
		below, err := c.orderOf(key, set.high)
		if err != nil {
			return false, err
		}
		inside := above >= 0 && below <= 0
		if fits := inside != c.not; fits != c.all {
			result = fits
		}
	}
	return result, nil
}

func (c comparisonOf) orderOf(key, end string) (int, error) {
	const reading = 8 // both are read
	if err := c.step(reading); err != nil {
		return 0, err
	}
	if k, is := parseDuration(strings.TrimSpace(key)); is {
		if e, is := parseDuration(end); is {
			return compareNumbers(int64(k), int64(e)), nil
		}
	}
	if order, is := compareQuantities(key, end); is {
		return order, nil
	}
	return 0, fmt.Errorf("expected a number, quantity or duration to compare with %q, got %q", end, clip(key, maxShown))
}
