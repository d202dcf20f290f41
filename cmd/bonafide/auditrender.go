package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/kube/audit"
	"github.com/bonafide-dev/bonafide/policy"
)

// The JSON of `audit -o json`: a contract.
type (
	jsonAudit struct {
		Results   []jsonAudited     `json:"results"`
		Summary   jsonAuditSummary  `json:"summary"`
		Uncovered []jsonUncovered   `json:"uncovered"`
		Changes   []jsonAuditChange `json:"changes,omitzero"` // with --policy
	}
	jsonPlace struct {
		Namespace string `json:"namespace"`
		Pod       string `json:"pod"`
		Container string `json:"container,omitempty"`
		List      string `json:"list,omitempty"` // containers, initContainers, ephemeralContainers or volumes
		Image     string `json:"image"`
	}
	jsonAudited struct {
		jsonPlace
		Digest  string         `json:"digest,omitempty"`
		Running string         `json:"running,omitempty"` // where it differs from digest
		Outcome policy.Outcome `json:"outcome"`
		// RunningUnknown: kubelet names what runs in a way that cannot be compared.
		RunningUnknown bool                `json:"runningUnknown,omitempty"`
		Reason         evidence.Reason     `json:"reason,omitempty"`
		Message        string              `json:"message,omitempty"`
		Policies       []jsonAuditedPolicy `json:"policies"`
	}
	jsonAuditedPolicy struct {
		Name    string          `json:"name"`
		Mode    string          `json:"mode"`
		Outcome policy.Outcome  `json:"outcome"`
		Reason  evidence.Reason `json:"reason,omitempty"`
		Message string          `json:"message,omitempty"`
	}
	jsonAuditSummary struct {
		Pods      int `json:"pods"`
		Images    int `json:"images"`
		Allowed   int `json:"allowed"`
		Denied    int `json:"denied"`
		Undecided int `json:"undecided"`
		Unmatched int `json:"unmatched"`
	}
	jsonUncovered struct {
		Namespace string   `json:"namespace"`
		Pods      int      `json:"pods"`
		Images    []string `json:"images"`
	}
	jsonAuditChange struct {
		jsonPlace
		Now    policy.Outcome  `json:"now"`
		Then   policy.Outcome  `json:"then"`
		Reason evidence.Reason `json:"reason,omitempty"` // of then
		// Message of then.
		Message string `json:"message,omitempty"`
	}
)

func (a audited) print(output string, s streams) error {
	if output == "json" {
		encoder := json.NewEncoder(s.out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(a.json())
	}
	if err := a.table(s.out); err != nil {
		return err
	}
	for _, remedy := range a.remedies() {
		fmt.Fprintf(s.err, "hint: %s\n", remedy)
	}
	return nil
}

func (a audited) json() jsonAudit {
	r := a.report
	j := jsonAudit{Results: []jsonAudited{}, Uncovered: []jsonUncovered{}, Summary: jsonAuditSummary{
		Pods: r.Pods, Images: len(r.Results),
		Allowed: r.Summary.Allowed, Denied: r.Summary.Denied, Undecided: r.Summary.Undecided, Unmatched: r.Summary.Unmatched,
	}}
	for _, result := range r.Results {
		one := jsonAudited{
			jsonPlace: placeOf(result), Digest: result.Digest, Running: result.Running, RunningUnknown: result.Incomparable,
			Outcome: result.Outcome, Reason: result.Reason, Message: result.Message, Policies: []jsonAuditedPolicy{},
		}
		for _, p := range result.Policies {
			one.Policies = append(one.Policies, jsonAuditedPolicy{
				Name: p.Origin.String(), Mode: p.Mode.String(), Outcome: p.Outcome, Reason: p.Reason, Message: p.Message,
			})
		}
		j.Results = append(j.Results, one)
	}
	for _, u := range r.Uncovered {
		j.Uncovered = append(j.Uncovered, jsonUncovered(u))
	}
	if a.projected {
		j.Changes = []jsonAuditChange{}
	}
	for _, c := range a.changes {
		j.Changes = append(j.Changes, jsonAuditChange{
			jsonPlace: placeOf(c.then), Now: c.now.Outcome, Then: c.then.Outcome, Reason: c.then.Reason, Message: c.then.Message,
		})
	}
	return j
}

func placeOf(r audit.Result) jsonPlace {
	return jsonPlace{Namespace: r.Namespace, Pod: r.Pod, Container: r.Container, List: r.List, Image: r.Image}
}

// table prints for people: what there is, what no policy covers, what would
// change, and how much of each.
func (a audited) table(w io.Writer) error {
	r := renderer{w: w, colour: colourful(w)}
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "NAMESPACE\tPOD\tCONTAINER\tIMAGE\tOUTCOME\tREASON")
	for _, result := range a.report.Results {
		row(columns, result.Namespace, result.Pod, result.Container, result.Image, result.Outcome.String(), string(result.Reason))
	}
	if err := columns.Flush(); err != nil {
		return err
	}
	for _, u := range a.report.Uncovered {
		fmt.Fprintf(w, "%s no policy covers %d images of %d Pods in namespace %s\n", r.mark(policy.Unmatched), len(u.Images), u.Pods, u.Namespace)
	}
	a.why(r)
	if err := a.changeTable(w); err != nil {
		return err
	}
	s := a.report.Summary
	_, err := fmt.Fprintf(w, "%d Pods: %d images allowed, %d denied, %d undecided, %d unmatched.\n", a.report.Pods, s.Allowed, s.Denied, s.Undecided, s.Unmatched)
	return err
}

// why says once each what is wrong with images that a policy covers.
func (a audited) why(r renderer) {
	said := map[string]bool{}
	for _, result := range a.report.Results {
		if result.Message == "" || !result.Covered() || said[result.Image+result.Message] {
			continue
		}
		said[result.Image+result.Message] = true
		fmt.Fprintf(r.w, "%s %s: %s\n", r.mark(result.Outcome), printable(result.Image), printable(result.Message))
	}
}

func (a audited) changeTable(w io.Writer) error {
	if !a.projected {
		return nil
	}
	if len(a.changes) == 0 {
		fmt.Fprintln(w, "\nThe policies would change nothing.")
		return nil
	}
	fmt.Fprintf(w, "\nThe policies would change %d:\n", len(a.changes))
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "NAMESPACE\tPOD\tIMAGE\tNOW\tTHEN\tREASON")
	for _, c := range a.changes {
		row(columns, c.then.Namespace, c.then.Pod, c.then.Image, c.now.Outcome.String(), c.then.Outcome.String(), string(c.then.Reason))
	}
	return columns.Flush()
}

func row(w io.Writer, cells ...string) {
	for i, cell := range cells {
		cells[i] = printable(cell)
	}
	fmt.Fprintln(w, strings.Join(cells, "\t"))
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

// remedies are those of everything that went wrong, each once.
func (a audited) remedies() []string {
	var found []string
	seen := map[string]bool{}
	for _, r := range a.report.Results {
		if remedy := r.Reason.Remedy(); remedy != "" && !seen[remedy] {
			seen[remedy] = true
			found = append(found, remedy)
		}
	}
	return found
}

func bar(n int) string { return strings.Repeat("#", n) }

func terminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
}
