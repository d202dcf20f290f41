package main

import (
	"encoding/json"
	"fmt"
	"time"

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
		// Exceptions lift the policy: it is not asked.
		Exceptions []jsonLift `json:"exceptions,omitempty"`
	}
	jsonLift struct {
		Name       string    `json:"name"`
		Reason     string    `json:"reason"`
		Expires    time.Time `json:"expires"`
		BreakGlass bool      `json:"breakGlass,omitempty"`
	}
	jsonAuditSummary struct {
		Pods      int `json:"pods"`
		Images    int `json:"images"`
		Allowed   int `json:"allowed"`
		Excepted  int `json:"excepted"` // of allowed: exceptions lift a policy
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
		Allowed: r.Summary.Allowed, Excepted: r.Summary.Excepted, Denied: r.Summary.Denied, Undecided: r.Summary.Undecided, Unmatched: r.Summary.Unmatched,
	}}
	for _, result := range r.Results {
		one := jsonAudited{
			jsonPlace: placeOf(result), Digest: result.Digest, Running: result.Running, RunningUnknown: result.Incomparable,
			Outcome: result.Outcome, Reason: result.Reason, Message: result.Message, Policies: []jsonAuditedPolicy{},
		}
		for _, p := range result.Policies {
			one.Policies = append(one.Policies, jsonAuditedPolicyOf(p))
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

func jsonAuditedPolicyOf(p audit.PolicyVerdict) jsonAuditedPolicy {
	j := jsonAuditedPolicy{Name: p.Origin.String(), Mode: p.Mode.String(), Outcome: p.Outcome, Reason: p.Reason, Message: p.Message}
	for _, l := range p.Lifts {
		j.Exceptions = append(j.Exceptions, jsonLift{Name: l.Exception.String(), Reason: l.Reason, Expires: l.Expires.UTC(), BreakGlass: l.BreakGlass})
	}
	return j
}

func placeOf(r audit.Result) jsonPlace {
	return jsonPlace{Namespace: r.Namespace, Pod: r.Pod, Container: r.Container, List: r.List, Image: r.Image}
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
