package jmes

import (
	"fmt"
	"math"
	slashed "path"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

const textOrNumber = aString | aNumber

// textFunctions are Kyverno's functions of text.
func textFunctions() []function {
	return []function{
		{name: "compare", args: []kinds{aString, aString}, run: func(c call) (any, error) {
			return int64(strings.Compare(c.string(0), c.string(1))), nil
		}},
		{name: "equal_fold", args: []kinds{aString, aString}, run: func(c call) (any, error) {
			return strings.EqualFold(c.string(0), c.string(1)), nil
		}},
		{name: "replace", args: []kinds{aString, aString, aString, aNumber}, run: replace},
		{name: "replace_all", args: []kinds{aString, aString, aString}, run: func(c call) (any, error) { return c.replace(-1) }},
		{name: "to_upper", args: []kinds{aString}, run: func(c call) (any, error) { return c.turned(strings.ToUpper) }},
		{name: "to_lower", args: []kinds{aString}, run: func(c call) (any, error) { return c.turned(strings.ToLower) }},
		{name: "trim", args: []kinds{aString, aString}, run: trim},
		{name: "trim_prefix", args: []kinds{aString, aString}, run: func(c call) (any, error) {
			return strings.TrimPrefix(c.string(0), c.string(1)), nil
		}},
		{name: "split", args: []kinds{aString, aString}, run: split},
		{name: "truncate", args: []kinds{aString, aNumber}, run: truncate},
		{name: "path_canonicalize", args: []kinds{aString}, run: canonicalize},
		{name: "pattern_match", args: []kinds{aString, textOrNumber}, run: patternMatch},
		{name: "regex_match", args: []kinds{aString, textOrNumber}, pattern: true, run: regexMatch},
		{name: "regex_replace_all", args: []kinds{aString, textOrNumber, textOrNumber}, pattern: true, run: func(c call) (any, error) {
			return c.regexReplace(true)
		}},
		{name: "regex_replace_all_literal", args: []kinds{aString, textOrNumber, textOrNumber}, pattern: true, run: func(c call) (any, error) {
			return c.regexReplace(false)
		}},
	}
}

// replace replaces at most so many; a negative number is all.
func replace(c call) (any, error) {
	n, err := whole(c.args[3])
	if err != nil {
		return nil, err
	}
	return c.replace(n)
}

func (c call) replace(n int) (any, error) {
	s, old, replacement := c.string(0), c.string(1), c.string(2)
	times := strings.Count(s, old)
	if n >= 0 {
		times = min(times, n)
	}
	if err := c.produceTimes(len(s), times, len(replacement)); err != nil {
		return nil, err
	}
	return strings.Replace(s, old, replacement, n), nil
}

// produceTimes pays for a text of size with so many insertions.
func (c call) produceTimes(size, times, insertion int) error {
	if times > 0 && insertion > maxProduced/times {
		return c.produce(math.MaxInt) // refused
	}
	return c.produce(size + times*insertion)
}

func (c call) turned(turn func(string) string) (any, error) {
	const growth = 3 // the most by which a character grows with its case, in bytes
	if err := c.produce(growth * len(c.string(0))); err != nil {
		return nil, err
	}
	return turn(c.string(0)), nil
}

func trim(c call) (any, error) {
	s, cutset := c.string(0), c.string(1)
	// Each end character is looked for in the whole set.
	if err := c.step(1 + (utf8.RuneCountInString(s)/bytesPerStep+1)*(len(cutset)/bytesPerStep+1)); err != nil {
		return nil, err
	}
	return strings.Trim(s, cutset), nil
}

func split(c call) (any, error) {
	s, separator := c.string(0), c.string(1)
	if err := c.step(1 + strings.Count(s, separator) + len(s)/bytesPerStep); err != nil {
		return nil, err
	}
	return list(strings.Split(s, separator)), nil
}

// truncate cuts after so many characters; a negative number is none.
func truncate(c call) (any, error) {
	s, n := c.string(0), c.number(1)
	if n >= float64(len(s)) {
		return s, nil
	}
	left := int(max(n, 0))
	for i := range s {
		if left == 0 {
			return s[:i], nil
		}
		left--
	}
	return s, nil
}

func canonicalize(c call) (any, error) {
	if c.string(0) == "" {
		return "", nil
	}
	return slashed.Clean(c.string(0)), c.produce(len(c.string(0)))
}

func patternMatch(c call) (any, error) {
	text, _ := digits(c.args[1])
	return c.matches(c.string(0), text)
}

// A pattern is a regular expression and the size of its program.
type pattern struct {
	*regexp.Regexp
	size int
}

// compilePattern compiles a regular expression, in RE2's syntax and time. A
// short one can stand for a huge program, as `a{1000}` does, so that the
// repetitions are counted before they are written out.
func compilePattern(text string, b *Budget) (*pattern, error) {
	if len(text) > maxPattern {
		return nil, fmt.Errorf("expected a regular expression of at most %d bytes, got %d", maxPattern, len(text))
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("expected a regular expression: %w", err)
	}
	size := instructions(tree)
	if size > maxProgram {
		return nil, fmt.Errorf("expected a regular expression of at most %d instructions, got more", maxProgram)
	}
	if err := b.spendInstructions(size); err != nil {
		return nil, err
	}
	r, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("expected a regular expression: %w", err)
	}
	return &pattern{r, size}, nil
}

// instructions estimates a program's size from above.
func instructions(tree *syntax.Regexp) int {
	size := 2 + len(tree.Rune)/16 // ranges of a class are one instruction, but not free
	for _, sub := range tree.Sub {
		if size += instructions(sub); size > maxProgram {
			return size
		}
	}
	if tree.Op == syntax.OpLiteral {
		size += len(tree.Rune)
	}
	if tree.Op == syntax.OpRepeat {
		size *= max(tree.Max, tree.Min+1, 1)
	}
	return size
}

// expression returns the call's regular expression, and pays for matching it on
// the text.
func (c call) expression(text string) (*pattern, error) {
	p := c.node.pattern
	if p == nil {
		if err := c.step(maxProgram); err != nil { // compiling takes that long, or less
			return nil, err
		}
		var err error
		if p, err = compilePattern(c.string(0), &Budget{}); err != nil {
			return nil, err
		}
	}
	const perStep = 32 // instructions tried on a byte in the time of a step
	return p, c.step(1 + (1+len(text))*p.size/perStep)
}

func regexMatch(c call) (any, error) {
	text, _ := digits(c.args[1])
	r, err := c.expression(text)
	if err != nil {
		return nil, err
	}
	return r.MatchString(text), nil
}

// regexReplace replaces all matches; expanding, `$1` in the replacement is a
// submatch.
func (c call) regexReplace(expanding bool) (any, error) {
	text, _ := digits(c.args[1])
	replacement, _ := digits(c.args[2])
	r, err := c.expression(text)
	if err != nil {
		return nil, err
	}
	const most = 1 << 14 // matches, each of which takes as long as some ten steps
	at := r.FindAllStringSubmatchIndex(text, most+1)
	if len(at) > most {
		return nil, fmt.Errorf("expected at most %d matches, got more", most)
	}
	const each = 10
	if err := c.step(each * len(at)); err != nil {
		return nil, err
	}
	var b []byte
	from := 0
	for _, match := range at {
		b = append(b, text[from:match[0]]...)
		from = match[1]
		before := len(b)
		if b = append(b, replacement...); expanding {
			b = r.ExpandString(b[:before], replacement, text, match)
		}
		if err := c.produce(len(b) - before); err != nil {
			return nil, err
		}
	}
	b = append(b, text[from:]...)
	return string(b), c.produce(len(text))
}
