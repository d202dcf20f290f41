package attest

import (
	"errors"
	"fmt"

	"github.com/bonafide-dev/bonafide/policy"
)

// The variables of an expression.
const (
	varPredicate = "predicate"
	varStatement = "statement"
	varSubject   = "subject"
	varImage     = "image"
	varRequest   = "request"
	varSigned    = "signed"
	varNow       = "now"
)

// maxDocument bounds what a condition looks at, in bytes: the cap of TRUST R1
// for attestations.
const maxDocument = 10 << 20

func isVariable(name string) bool {
	switch name {
	case varPredicate, varStatement, varSubject, varImage, varRequest, varSigned:
		return true
	}
	return false
}

// fieldsOf are the fields of the variables that have fixed ones.
func fieldsOf() map[string][]string {
	return map[string][]string{
		varImage:   {"reference", "registry", "repository", "tag", "digest"},
		varRequest: {"namespace", "kind", "operation", "user", "serviceAccount", "labels"},
		varSigned:  {"who", "source", "time"},
	}
}

// facts are the values of the variables. What is not known is left out, so that
// an expression that reads it errs rather than compares with nothing.
func (e *expression) facts(in policy.ConditionInput) (map[string]any, error) {
	facts := map[string]any{
		varImage:   imageFacts(in),
		varRequest: requestFacts(in.Request),
		varSigned:  signedFacts(in.Proof),
		varNow:     in.Now,
	}
	if !e.reads {
		return facts, nil
	}
	if in.Statement == nil {
		return nil, errors.New("expected a statement to look at, got none")
	}
	if n := len(in.Statement.Payload); n > maxDocument {
		return nil, fmt.Errorf("expected a document of at most %d bytes, got %d", maxDocument, n)
	}
	document, err := in.Statement.Document()
	if err != nil {
		return nil, fmt.Errorf("read the statement: %w", err)
	}
	predicate, err := in.Statement.Predicate()
	if err != nil {
		return nil, fmt.Errorf("read the statement: %w", err)
	}
	facts[varStatement], facts[varPredicate], facts[varSubject] = document, predicate, []any{}
	if in.Statement.IsArtifact() {
		return facts, nil
	}
	if object, is := document.(map[string]any); is {
		if subject, is := object["subject"].([]any); is {
			facts[varSubject] = subject
		}
	}
	return facts, nil
}

func imageFacts(in policy.ConditionInput) map[string]string {
	repository := in.Image.Repository()
	return map[string]string{
		"reference":  in.Image.String(),
		"registry":   repository.Host(),
		"repository": repository.String(),
		"tag":        in.Image.Tag(),
		"digest":     in.Digest.String(),
	}
}

func requestFacts(r policy.Request) map[string]any {
	facts := make(map[string]any)
	known := func(name, value string, is bool) {
		if is {
			facts[name] = value
		}
	}
	known("namespace", r.Namespace.Name, r.Namespace.State == policy.NamespaceKnown)
	known("kind", r.Kind, r.Kind != "")
	known("operation", r.Operation, r.Operation != "")
	known("user", r.User, r.User != "")
	// Only an object has a service account and labels, if empty ones.
	known("serviceAccount", r.ServiceAccount, r.ServiceAccount != "" || r.Kind != "")
	if r.Kind != "" || r.Labels != nil {
		labels := r.Labels
		if labels == nil {
			labels = map[string]string{}
		}
		facts["labels"] = labels
	}
	return facts
}

func signedFacts(p policy.Proof) map[string]any {
	facts := map[string]any{"who": p.Who, "source": p.Source}
	if p.Who == "" {
		facts["who"] = p.Identity
	}
	if !p.Time.IsZero() {
		facts["time"] = p.Time
	}
	return facts
}
