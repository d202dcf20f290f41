package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/bonafide-dev/bonafide/internal/kube/audit"
	"github.com/bonafide-dev/bonafide/policy"
)

// auditRow is a line of the table: an image of a namespace, in however many Pods.
type auditRow struct {
	namespace, image string
	outcome          policy.Outcome
	why              string
}

// table prints for people: each image of a namespace once, what is wrong and
// where, what no policy covers, what would change, and how much of each.
func (a audited) table(w io.Writer) error {
	r := renderer{w: w, colour: colourful(w)}
	if a.report.Pods == 0 {
		_, err := fmt.Fprintf(w, "No Pods run in %s.\n", a.where)
		return err
	}
	a.images(r)
	a.why(r)
	a.uncovered(r)
	a.unknown(r)
	a.changeTable(r)
	_, err := fmt.Fprintf(w, "\n%s\n", a.sentence())
	return err
}

// images lists each image of a namespace once, the worst first.
func (a audited) images(r renderer) {
	pods := map[auditRow]map[string]bool{}
	for _, result := range a.report.Results {
		row := auditRow{result.Namespace, shortImage(result.Image), result.Outcome, reasonOf(result)}
		if pods[row] == nil {
			pods[row] = map[string]bool{}
		}
		pods[row][string(result.UID)] = true
	}
	rows := slices.SortedFunc(maps.Keys(pods), func(a, b auditRow) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(order(a.outcome), order(b.outcome)), cmp.Compare(a.image, b.image), cmp.Compare(a.why, b.why))
	})
	lines := [][]string{{"NAMESPACE", "IMAGE", "PODS", "OUTCOME", "REASON"}}
	for _, row := range rows {
		lines = append(lines, []string{row.namespace, row.image, strconv.Itoa(len(pods[row])), row.outcome.String(), row.why})
	}
	r.columns(lines, func(i int) string { return r.mark(rows[i].outcome) })
}

// order puts what has to be looked at first.
func order(o policy.Outcome) int {
	return slices.Index([]policy.Outcome{policy.Denied, policy.Undecided, policy.Unmatched, policy.Allowed}, o)
}

// reasonOf is the reason, or what stands in a policy's place.
func reasonOf(r audit.Result) string {
	if r.Reason == "" && r.Excepted() {
		return "by exception"
	}
	return string(r.Reason)
}

// shortImage shortens a digest, as all are long and none is read to its end.
func shortImage(image string) string {
	const kept = 12
	name, digest, found := strings.Cut(image, "@")
	algorithm, value, hashed := strings.Cut(digest, ":")
	if !found || !hashed || len(value) <= kept || !utf8.ValidString(value) {
		return image
	}
	return name + "@" + algorithm + ":" + value[:kept] + "…"
}

// finding is what is to be said about an image, wherever it runs.
type finding struct {
	image, message string
	outcome        policy.Outcome
}

// maxPlaces is how many Pods are named for each image.
const maxPlaces = 3

// why says what is wrong with images that a policy covers, once each, and where
// they run.
func (a audited) why(r renderer) {
	var found []finding
	places := map[finding][]string{}
	for _, result := range a.report.Results {
		if result.Message == "" || !result.Covered() {
			continue
		}
		f := finding{result.Image, result.Message, result.Outcome}
		if places[f] == nil {
			found = append(found, f)
		}
		if pod := printable(result.Namespace + "/" + result.Pod); !slices.Contains(places[f][max(0, len(places[f])-1):], pod) {
			places[f] = append(places[f], pod)
		}
	}
	slices.SortStableFunc(found, func(a, b finding) int { return cmp.Compare(order(a.outcome), order(b.outcome)) })
	for _, f := range found {
		fmt.Fprintf(r.w, "\n%s %s\n    %s\n", r.mark(f.outcome), printable(f.image), printable(f.message))
		pods := places[f]
		where := strings.Join(pods[:min(maxPlaces, len(pods))], ", ")
		if more := len(pods) - maxPlaces; more > 0 {
			where += " and " + plural(more, "more Pod", "more Pods")
		}
		fmt.Fprintf(r.w, "    %s\n", r.paint(grey, "in "+where))
	}
}

// uncovered lists the namespaces with images that no policy covers (TRUST R20).
func (a audited) uncovered(r renderer) {
	if len(a.report.Uncovered) == 0 {
		return
	}
	fmt.Fprintf(r.w, "\n%s images that no policy covers\n", r.mark(policy.Unmatched))
	for _, u := range a.report.Uncovered {
		fmt.Fprintf(r.w, "    %s of %s in namespace %s\n", plural(len(u.Images), "image", "images"), plural(u.Pods, "Pod", "Pods"), u.Namespace)
	}
}

// unknown says how many images could not be compared with what runs.
func (a audited) unknown(r renderer) {
	n := 0
	for _, result := range a.report.Results {
		if result.Incomparable {
			n++
		}
	}
	if n > 0 {
		fmt.Fprintf(r.w, "\n%s not known which content of %s runs: the container runtime tells no digest of the registry\n",
			r.paint(yellow, "?"), plural(n, "image", "images"))
	}
}

func (a audited) changeTable(r renderer) {
	if !a.projected {
		return
	}
	if len(a.changes) == 0 {
		fmt.Fprintln(r.w, "\nThe policies would change nothing.")
		return
	}
	type change struct {
		auditRow
		then policy.Outcome
	}
	count := map[change]int{}
	for _, c := range a.changes {
		count[change{auditRow{c.then.Namespace, shortImage(c.then.Image), c.now.Outcome, reasonOf(c.then)}, c.then.Outcome}]++
	}
	rows := slices.SortedFunc(maps.Keys(count), func(a, b change) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(order(a.then), order(b.then)), cmp.Compare(a.image, b.image),
			cmp.Compare(order(a.outcome), order(b.outcome)), cmp.Compare(a.why, b.why))
	})
	fmt.Fprintf(r.w, "\nThe policies would change %s:\n", plural(len(a.changes), "image", "images"))
	lines := [][]string{{"NAMESPACE", "IMAGE", "IMAGES", "NOW", "THEN", "REASON"}}
	for _, row := range rows {
		lines = append(lines, []string{row.namespace, row.image, strconv.Itoa(count[row]), row.outcome.String(), row.then.String(), row.why})
	}
	r.columns(lines, func(i int) string { return r.mark(rows[i].then) })
}

// sentence sums up.
func (a audited) sentence() string {
	s := a.report.Summary
	allowed := fmt.Sprintf("%d allowed", s.Allowed)
	if s.Excepted > 0 {
		allowed += fmt.Sprintf(" (%d by exception)", s.Excepted)
	}
	return fmt.Sprintf("%s, %s: %s, %d denied, %d undecided, %d unmatched.", plural(a.report.Pods, "Pod", "Pods"),
		plural(len(a.report.Results), "image", "images"), allowed, s.Denied, s.Undecided, s.Unmatched)
}

// columns prints lines below each other, the first as headings, each other one
// behind a mark.
func (r renderer) columns(lines [][]string, mark func(i int) string) {
	var width []int
	for _, line := range lines {
		for i, cell := range line {
			if line[i] = printable(cell); i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(line[i]))
		}
	}
	for n, line := range lines {
		var text strings.Builder
		for i, cell := range line {
			fmt.Fprintf(&text, "%-*s  ", width[i], cell)
		}
		said := strings.TrimRight(text.String(), " ")
		if n == 0 {
			fmt.Fprintf(r.w, "  %s\n", r.paint(grey, said))
			continue
		}
		fmt.Fprintf(r.w, "%s %s\n", mark(n-1), said)
	}
}

// plural counts things.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// printable keeps what authors of Pods wrote from steering the terminal.
func printable(s string) string {
	for _, c := range s {
		if !strconv.IsPrint(c) {
			return strconv.Quote(s)
		}
	}
	return s
}
