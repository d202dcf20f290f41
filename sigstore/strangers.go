package sigstore

import (
	"regexp/syntax"
	"slices"
	"strings"
)

// publicHosts are where everybody may have an account, with the owner as the
// first element of the path.
var publicHosts = [...]string{"https://github.com/", "https://gitlab.com/", "https://agent.buildkite.com/"}

// nobodies are owners that nobody means, in the characters that names have.
var nobodies = [...]string{"q7zx-nobody", "qzxnobody", "QZXnobody"}

// admitsAnyOwner reports whether an expression matches what some identity becomes
// in the hands of somebody else: the same workflow of another owner, or the same
// name at another domain.
func (m Match) admitsAnyOwner() bool {
	if m.kind == matchExactly || m.re == nil {
		return false
	}
	parsed, err := syntax.Parse(m.text, syntax.Perl)
	if err != nil {
		return true // it compiled before: nobody knows what it is
	}
	text := example(parsed)
	if user, _, mail := strings.Cut(text, "@"); mail && !strings.Contains(text, "://") {
		return m.matches(user + "@q7zx-nobody.example")
	}
	for _, host := range publicHosts {
		rest, is := strings.CutPrefix(text, host)
		if !is {
			continue
		}
		_, rest, _ = strings.Cut(rest, "/")
		return slices.ContainsFunc(nobodies[:], func(owner string) bool {
			return m.matches(host+owner+"/"+rest) || m.matches(host+owner)
		})
	}
	return false
}

// example returns a short text that an expression matches, but for what anchors
// ask of it.
func example(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		return string(oneOf(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "q"
	case syntax.OpCapture, syntax.OpStar, syntax.OpPlus, syntax.OpQuest:
		return example(re.Sub[0])
	case syntax.OpRepeat:
		return strings.Repeat(example(re.Sub[0]), max(re.Min, 1))
	case syntax.OpAlternate:
		return example(re.Sub[0])
	case syntax.OpConcat:
		var b strings.Builder
		for _, sub := range re.Sub {
			b.WriteString(example(sub))
		}
		return b.String()
	default:
		return ""
	}
}

// oneOf returns a character of a class, which lists its ranges: a letter if it
// has the one that we use.
func oneOf(ranges []rune) rune {
	for i := 0; i+1 < len(ranges); i += 2 {
		if ranges[i] <= 'q' && 'q' <= ranges[i+1] {
			return 'q'
		}
	}
	if len(ranges) == 0 {
		return 'q'
	}
	return ranges[0]
}
