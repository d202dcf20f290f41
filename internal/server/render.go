package server

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// Bounds on what is said. The API server hands a message on to the user as it
// is, and controllers put it into an Event, which holds 1 KiB.
const (
	maxMessage = 4 << 10
	maxLine    = 900
	// maxProblems is how many problems of one policy a line names; the rest are
	// counted.
	maxProblems = 4
	// maxWarning and maxWarnings: API servers may cut a warning after 256
	// characters, and all of them together after 4096.
	maxWarning  = 256
	maxWarnings = 12
)

// summary is the first line of a message.
func summary(s string) string { return "bonafide: " + s }

// refusals returns one line for each policy that does not allow the image, in
// order, or one for the image if it was decided without a policy.
func refusals(d engine.ImageDecision) []string {
	var lines []string
	for _, p := range d.Policies {
		if p.Effective == policy.Denied || p.Effective == policy.Undecided {
			lines = append(lines, policyLine(d, p))
		}
	}
	if len(lines) > 0 {
		return lines
	}
	return []string{line(d.Image.Ref, undecidedNote(d.Outcome), problemOf(d))}
}

// problemOf returns why an image was decided without a policy.
func problemOf(d engine.ImageDecision) *evidence.Problem {
	if d.Problem != nil {
		return d.Problem
	}
	return &evidence.Problem{Reason: evidence.Internal, Expected: "a reason for the decision", Got: "none"}
}

// line is "<subject>: <path>: expected <x>, got <y>".
func line(subject, note string, p *evidence.Problem) string {
	return clip(subject+": "+p.Error()+note, maxLine)
}

// policyLine is "<image>: <policy>: <path>: expected <x>, got <y>", with the
// further problems after semicolons.
func policyLine(d engine.ImageDecision, p engine.PolicyDecision) string {
	var b strings.Builder
	b.WriteString(d.Image.Ref + ": " + p.Origin.String() + ": ")
	if len(p.Finding.Problems) == 0 {
		b.WriteString(place(p.Finding.Path, "") + "expected " + orElse(p.Finding.Expected, "a proof") + ", got none")
	}
	for i, problem := range p.Finding.Problems {
		if i > 0 {
			b.WriteString("; ")
		}
		if i == maxProblems {
			fmt.Fprintf(&b, "and %d more", len(p.Finding.Problems)-i)
			break
		}
		b.WriteString(explained(p.Finding, problem))
	}
	b.WriteString(undecidedNote(p.Outcome))
	return clip(b.String(), maxLine)
}

func undecidedNote(o policy.Outcome) string {
	if o == policy.Undecided {
		return " (could not be decided)"
	}
	return ""
}

// explained is a problem's sentence at the requirement that it belongs to.
func explained(f policy.Finding, p *evidence.Problem) string {
	at := owner(f, p)
	sentence := p.Sentence()
	if p.Expected == "" && at.Expected != "" {
		sentence = "expected " + at.Expected + ", got " + strings.TrimPrefix(sentence, "got ")
	}
	return place(at.Path, p.Path) + sentence
}

func place(paths ...string) string {
	var b strings.Builder
	for _, p := range paths {
		if p != "" {
			b.WriteString(p + ": ")
		}
	}
	return b.String()
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// owner finds the innermost requirement that has the problem: findings lift the
// problems of their children.
func owner(f policy.Finding, p *evidence.Problem) policy.Finding {
	for _, child := range f.Children {
		if slices.Contains(child.Problems, p) {
			return owner(child, p)
		}
	}
	return f
}

// message joins the summary and the lines, each once, within maxMessage.
func message(first string, lines []string) string { return messageAfter("", first, lines) }

// messageAfter is message with something before it, which counts.
func messageAfter(before, first string, lines []string) string {
	var b strings.Builder
	b.WriteString(before + summary(first))
	for i, l := range lines {
		if slices.Contains(lines[:i], l) {
			continue
		}
		if b.Len()+len(l) > maxMessage {
			b.WriteString("\n(more is in the log)")
			break
		}
		b.WriteString("\n" + l)
	}
	return b.String()
}

// warned bounds the warnings.
func warned(warnings []string) []string {
	if len(warnings) <= maxWarnings {
		return warnings
	}
	return append(slices.Clip(warnings[:maxWarnings]), summary(fmt.Sprintf("and %d more warnings", len(warnings)-maxWarnings)))
}

// warning is one line for the user of an image that is admitted.
func warning(line string) string { return clip(summary(line), maxWarning) }

// clip makes s one printable line of at most limit bytes. What it says may have
// been written by the object's author, who must not forge lines of ours, and
// API servers drop warnings with control characters.
func clip(s string, limit int) string {
	if !plain(s) {
		s = strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return utf8.RuneError
			}
			return r
		}, s)
	}
	if len(s) <= limit {
		return s
	}
	const cut = "…"
	end := limit - len(cut)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + cut
}

// plain reports that s is printable ASCII, as what is said about nearly every
// image is.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
