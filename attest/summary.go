package attest

import (
	"fmt"
	"strings"

	"github.com/bonafide-dev/bonafide/policy"
)

// Summary returns in a few words what a signed statement says, for people:
// builder and source of a provenance, the worst severity of a scan, how many
// packages a bill of materials lists. Of other predicates it is the type alone.
// It decides nothing.
func Summary(s *policy.Statement) string {
	if len(s.Payload) > maxDocument {
		return s.Type
	}
	predicate, err := s.Predicate()
	if err != nil {
		return s.Type + ", which does not parse"
	}
	says := summary(predicate)
	if at, known := SignedTime(s); known {
		says = append(says, "made at "+at.UTC().Format("2006-01-02T15:04:05Z"))
	}
	return strings.Join(append([]string{s.Type}, says...), ", ")
}

func summary(predicate any) []string {
	if b, err := builder(predicate); err == nil {
		says := []string{fmt.Sprintf("builder %q", b)}
		if from, err := source(predicate); err == nil {
			says = append(says, fmt.Sprintf("source %q", from))
		}
		return says
	}
	if r, err := readReport(predicate); err == nil {
		says := []string{fmt.Sprintf("%d findings", len(r.findings))}
		if worst, err := scanHighest(predicate, nil); err == nil && len(r.findings) > 0 {
			says = append(says, fmt.Sprintf("the worst %v", worst))
		}
		return says
	}
	if found, err := inventory(predicate); err == nil {
		return []string{fmt.Sprintf("%d packages", len(found))}
	}
	return nil
}
