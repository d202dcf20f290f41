package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// renderer prints decisions for people: one block an image, the finding tree
// indented below it.
type renderer struct {
	w       io.Writer
	colour  bool
	explain bool
}

const (
	green  = "32"
	red    = "31"
	yellow = "33"
	grey   = "90"
)

func (r renderer) paint(code, s string) string {
	if !r.colour {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (r renderer) mark(o policy.Outcome) string {
	switch o {
	case policy.Allowed:
		return r.paint(green, "✓")
	case policy.Denied:
		return r.paint(red, "✗")
	case policy.Unmatched:
		return r.paint(yellow, "–")
	case policy.Undecided:
	}
	return r.paint(yellow, "?")
}

// decision prints all images of a decision.
func (r renderer) decision(d engine.Decision) {
	for i, image := range d.Images {
		if i > 0 {
			fmt.Fprintln(r.w)
		}
		r.image(image)
	}
}

func (r renderer) image(d engine.ImageDecision) {
	fmt.Fprintf(r.w, "%s %s  %s\n", r.mark(d.Outcome), d.Image.Ref, d.Outcome)
	if d.Image.Pointer != "" {
		fmt.Fprintf(r.w, "  %s\n", r.paint(grey, "at "+d.Image.Pointer))
	}
	if !d.Digest.IsZero() && d.Reference.Digest().IsZero() && d.Digest.String() != d.Image.Ref {
		fmt.Fprintf(r.w, "  %s\n", r.paint(grey, d.Digest.String()))
	}
	if d.Problem != nil {
		fmt.Fprintf(r.w, "  %s: %s\n", d.Problem.Reason, d.Problem.Sentence())
	}
	for _, p := range d.Policies {
		r.policy(p)
	}
	if r.explain && len(d.Steps) > 0 {
		r.steps(d.Steps)
	}
}

func (r renderer) policy(p engine.PolicyDecision) {
	mode := ""
	if p.Mode != policy.Enforce {
		mode = " (" + p.Mode.String() + ": reported, not enforced)"
	}
	fmt.Fprintf(r.w, "  %s %s%s\n", r.mark(p.Outcome), p.Origin, mode)
	if p.Outcome == policy.Undecided && p.Effective == policy.Allowed && p.Mode == policy.Enforce {
		fmt.Fprintf(r.w, "    %s\n", r.paint(yellow, "admitted during an outage: onUndecided: "+p.OnUndecided.String()))
	}
	r.finding(p.Finding, 2)
}

func (r renderer) finding(f policy.Finding, depth int) {
	pad := strings.Repeat("  ", depth)
	expected, wraps := f.Expected, len(f.Children) == 1 && len(f.Problems) <= len(f.Children[0].Problems)
	switch {
	case f.Of == "":
	case wraps || len(f.Children) == 0: // what was looked at, above what it is asked for
		fmt.Fprintf(r.w, "%s%s %s\n", pad, r.mark(f.Outcome), f.Of)
		f.Of = ""
		r.finding(f, depth+1)
		return
	default:
		expected = f.Of + ": " + expected
	}
	if wraps { // and says nothing itself
		r.finding(f.Children[0], depth)
		return
	}
	if expected != "" {
		fmt.Fprintf(r.w, "%s%s %s\n", pad, r.mark(f.Outcome), expected)
	}
	for _, p := range f.Proofs {
		fmt.Fprintf(r.w, "%s    %s\n", pad, r.paint(grey, proofLine(p)))
		if r.explain {
			r.facts(pad, restsOn(p))
		}
		for _, note := range p.Notes {
			fmt.Fprintf(r.w, "%s    %s\n", pad, r.paint(yellow, "note: "+note))
		}
	}
	if len(f.Children) == 0 {
		for _, p := range f.Problems {
			fmt.Fprintf(r.w, "%s    %s\n", pad, problemLine(f, p))
		}
	}
	for _, c := range f.Children {
		if f.Outcome == policy.Allowed && c.Outcome != policy.Allowed { // an alternative that was not needed
			continue
		}
		r.finding(c, depth+1)
	}
}

// facts prints names and values, the values below each other.
func (r renderer) facts(pad string, lines [][2]string) {
	width := 0
	for _, line := range lines {
		width = max(width, len(line[0]))
	}
	for _, line := range lines {
		fmt.Fprintf(r.w, "%s      %s\n", pad, r.paint(grey, fmt.Sprintf("%-*s  %s", width, line[0], line[1])))
	}
}

func proofLine(p policy.Proof) string {
	s := "signed"
	if p.Statement != nil {
		s = "stated"
	}
	if p.Who != "" {
		s += " by " + p.Who
	}
	if p.Source != "" {
		s += ", " + p.Source
	}
	return s
}

// problemLine leaves out what the finding above it already says.
func problemLine(f policy.Finding, p *evidence.Problem) string {
	shown := *p
	if shown.Expected == f.Expected {
		shown.Expected = ""
	}
	return string(p.Reason) + ": " + shown.Error()
}

func (r renderer) steps(steps []engine.Step) {
	fmt.Fprintf(r.w, "  %s\n", r.paint(grey, "steps"))
	width := 8 // of the usual names
	for _, s := range steps {
		width = max(width, len(s.Name))
	}
	for _, s := range steps {
		fmt.Fprintf(r.w, "    %8s  %-*s %s\n", s.Took.Round(10*time.Microsecond), width, s.Name, s.Detail)
	}
}

// hints are the remedies of everything that went wrong, each once.
func hints(d engine.Decision) []string {
	var found []string
	seen := map[string]bool{}
	add := func(p *evidence.Problem) {
		if p == nil {
			return
		}
		if remedy := p.Reason.Remedy(); remedy != "" && !seen[remedy] {
			seen[remedy] = true
			found = append(found, remedy)
		}
	}
	for _, i := range d.Images {
		if i.Outcome == policy.Allowed {
			continue
		}
		add(i.Problem)
		for _, p := range i.Policies {
			for _, problem := range p.Finding.Problems {
				add(problem)
			}
		}
	}
	return found
}
