package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// An event is one line of `go test -json`, as `go doc test2json` describes it.
type event struct {
	Action     string
	Package    string
	ImportPath string // of a build's output
	Test       string // "" for events of a package
	Output     string
}

// A report counts what ends and keeps what was printed until it is known
// whether it matters.
type report struct {
	out     io.Writer
	closing io.Writer

	output  map[string][]string // what a running test or package printed
	last    map[string]string   // the last line of a package
	passed  int
	failed  int
	skipped []string
	broken  []string            // packages that failed, with or without a test that did
	done    int                 // packages that ended
	open    map[string]struct{} // packages that began and have not
}

func newReport(out, closing io.Writer) *report {
	return &report{out: out, closing: closing, output: map[string][]string{}, last: map[string]string{}, open: map[string]struct{}{}}
}

// line takes one line of input. What is not an event is passed on: it is the go
// command's own complaint.
func (r *report) line(text []byte) {
	var e event
	if json.Unmarshal(text, &e) != nil || e.Action == "" {
		if len(text) > 0 {
			fmt.Fprint(r.out, string(text))
		}
		return
	}
	switch {
	case e.Action == "build-output":
		fmt.Fprint(r.out, e.Output)
	case e.Action == "build-fail":
		r.broken = append(r.broken, e.ImportPath+" (build)")
	case e.Action == "output":
		r.printed(e)
	case e.Test != "":
		r.testEnded(e)
	default:
		r.packageEnded(e)
	}
}

func (r *report) printed(e event) {
	key := e.Package + "\x00" + e.Test
	r.output[key] = append(r.output[key], e.Output)
	if e.Test == "" && strings.TrimSpace(e.Output) != "" {
		r.last[e.Package] = e.Output
	}
}

func (r *report) testEnded(e event) {
	key := e.Package + "\x00" + e.Test
	switch e.Action {
	case "pass":
		r.passed++
		r.figures(e.Test, r.output[key])
	case "skip":
		r.skipped = append(r.skipped, e.Package+"."+e.Test)
	case "fail":
		r.failed++
		fmt.Fprint(r.out, strings.Join(r.output[key], ""))
	default:
		return // it runs, pauses or goes on
	}
	delete(r.output, key)
}

// figures prints what a test that passed has measured: what it logs after that
// word.
func (r *report) figures(test string, lines []string) {
	for _, line := range lines {
		if _, text, found := strings.Cut(line, ": figures: "); found {
			fmt.Fprintf(r.out, "%s: %s", test, text)
		}
	}
}

func (r *report) packageEnded(e event) {
	switch e.Action {
	case "start":
		r.open[e.Package] = struct{}{}
		return
	case "pass", "skip": // a package without tests is skipped
	case "fail":
		r.broken = append(r.broken, e.Package)
		r.explain(e.Package)
	default:
		return
	}
	r.done++
	delete(r.open, e.Package)
	fmt.Fprint(r.closing, r.last[e.Package])
}

// explain prints what a failed package printed, and what its tests did that
// never ended, as after a panic or a time-out.
func (r *report) explain(pkg string) {
	for key, lines := range r.output {
		if owner, test, _ := strings.Cut(key, "\x00"); owner == pkg && test != "" {
			fmt.Fprint(r.out, strings.Join(lines, ""))
			delete(r.output, key)
		}
	}
	fmt.Fprint(r.out, strings.Join(r.output[pkg+"\x00"], ""))
}

func (r *report) summary() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped in %d packages", r.passed, r.failed, len(r.skipped), r.done)
}

func (r *report) verdict(noSkip bool) error {
	switch {
	case len(r.broken) > 0:
		return fmt.Errorf("failed: %s", strings.Join(r.broken, ", "))
	case r.failed > 0:
		return fmt.Errorf("%d tests failed", r.failed)
	case len(r.open) > 0:
		return fmt.Errorf("cut short: %s", strings.Join(slices.Sorted(maps.Keys(r.open)), ", "))
	case noSkip && len(r.skipped) > 0:
		return fmt.Errorf("skipped, which does not count as a pass here: %s", strings.Join(r.skipped, ", "))
	case r.passed == 0:
		return errors.New("nothing was tested")
	}
	return nil
}
