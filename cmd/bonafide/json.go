package main

import (
	"encoding/json"
	"io"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// The JSON of `verify -o json`: a contract.
type (
	jsonReport struct {
		Results []jsonImage `json:"results"`
	}
	jsonImage struct {
		Image    string         `json:"image"`
		Pointer  string         `json:"pointer,omitempty"`
		Digest   string         `json:"digest,omitempty"`
		Outcome  policy.Outcome `json:"outcome"`
		Problem  *jsonProblem   `json:"problem,omitempty"`
		Policies []jsonPolicy   `json:"policies"`
		Steps    []jsonStep     `json:"steps,omitempty"`
	}
	jsonPolicy struct {
		Name     string         `json:"name"`
		Mode     string         `json:"mode"`
		Outcome  policy.Outcome `json:"outcome"`
		Findings []jsonFinding  `json:"findings"`
	}
	jsonFinding struct {
		Path     string         `json:"path"`
		Of       string         `json:"of,omitempty"`
		Outcome  policy.Outcome `json:"outcome"`
		Expected string         `json:"expected,omitempty"`
		Proofs   []jsonProof    `json:"proofs,omitempty"`
		Problems []jsonProblem  `json:"problems,omitempty"`
		Findings []jsonFinding  `json:"findings,omitempty"`
	}
	jsonProof struct {
		Identity string   `json:"identity"`
		Who      string   `json:"who,omitempty"`
		Source   string   `json:"source,omitempty"`
		Notes    []string `json:"notes,omitempty"`
		// Explained with --explain.
		RestsOn *jsonTestimony `json:"restsOn,omitempty"`
	}
	jsonProblem struct {
		Reason  evidence.Reason `json:"reason"`
		Path    string          `json:"path,omitempty"`
		Message string          `json:"message"`
	}
	jsonStep struct {
		Name         string `json:"name"`
		Detail       string `json:"detail,omitempty"`
		Microseconds int64  `json:"microseconds"`
	}
)

func writeJSON(w io.Writer, d engine.Decision, explain bool) error {
	report := jsonReport{Results: []jsonImage{}}
	for _, i := range d.Images {
		image := jsonImage{Image: i.Image.Ref, Pointer: i.Image.Pointer, Digest: i.Digest.String(), Outcome: i.Outcome, Policies: []jsonPolicy{}}
		if i.Problem != nil {
			image.Problem = &jsonProblems([]*evidence.Problem{i.Problem})[0]
		}
		for _, p := range i.Policies {
			image.Policies = append(image.Policies, jsonPolicy{
				Name: p.Origin.String(), Mode: p.Mode.String(), Outcome: p.Outcome, Findings: jsonFindings([]policy.Finding{p.Finding}, explain),
			})
		}
		if explain {
			for _, s := range i.Steps {
				image.Steps = append(image.Steps, jsonStep{Name: s.Name, Detail: s.Detail, Microseconds: s.Took.Microseconds()})
			}
		}
		report.Results = append(report.Results, image)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(report)
}

func jsonFindings(findings []policy.Finding, explain bool) []jsonFinding {
	var out []jsonFinding
	for _, f := range findings {
		j := jsonFinding{Path: f.Path, Of: f.Of, Outcome: f.Outcome, Expected: f.Expected, Problems: jsonProblems(f.Problems), Findings: jsonFindings(f.Children, explain)}
		for _, p := range f.Proofs {
			proof := jsonProof{Identity: p.Identity, Who: p.Who, Source: p.Source, Notes: p.Notes}
			if explain {
				proof.RestsOn = testimonyJSON(p)
			}
			j.Proofs = append(j.Proofs, proof)
		}
		out = append(out, j)
	}
	return out
}

func jsonProblems(problems []*evidence.Problem) []jsonProblem {
	var out []jsonProblem
	for _, p := range problems {
		out = append(out, jsonProblem{Reason: p.Reason, Path: p.Path, Message: p.Sentence()})
	}
	return out
}
