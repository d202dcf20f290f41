package reports

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Name is the name of every report.
const Name = "bonafide"

// source is how results say who made them.
const source = "bonafide"

// Outcome of a result, as both APIs spell it.
type Outcome string

// The outcomes.
const (
	Pass  Outcome = "pass"
	Fail  Outcome = "fail"
	Warn  Outcome = "warn"
	Error Outcome = "error" // it could not be told
	Skip  Outcome = "skip"  // no policy applies, or an exception lifts it
)

// Severity of a result, as both APIs spell it.
type Severity string

// The severities that are used.
const (
	High   Severity = "high"
	Medium Severity = "medium"
	Low    Severity = "low"
	Info   Severity = "info"
)

// Result is one result of a report. Policy is required.
type Result struct {
	Policy, Rule string
	Category     string
	Severity     Severity
	Outcome      Outcome
	Message      string
	// Resources are what the result is about.
	Resources []corev1.ObjectReference
	// Properties must hold no secret.
	Properties map[string]string
}

// Namespaced is the report of a namespace. Without results there is none.
type Namespaced struct {
	Namespace string
	Results   []Result
}

// The stored form, in which both APIs agree but for Source.
type (
	document struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        metadata `json:"metadata"`
		Source          string   `json:"source,omitempty"` // openreports.io alone
		Summary         summary  `json:"summary"`
		Results         []result `json:"results,omitempty"`
	}
	metadata struct {
		Name            string            `json:"name"`
		Namespace       string            `json:"namespace"`
		ResourceVersion string            `json:"resourceVersion,omitempty"`
		Labels          map[string]string `json:"labels,omitempty"`
	}
	summary struct {
		Pass  int `json:"pass"`
		Fail  int `json:"fail"`
		Warn  int `json:"warn"`
		Error int `json:"error"`
		Skip  int `json:"skip"`
	}
	result struct {
		Source     string                   `json:"source,omitempty"`
		Policy     string                   `json:"policy"`
		Rule       string                   `json:"rule,omitempty"`
		Category   string                   `json:"category,omitempty"`
		Severity   Severity                 `json:"severity,omitempty"`
		Timestamp  *timestamp               `json:"timestamp,omitempty"`
		Result     Outcome                  `json:"result,omitempty"`
		Scored     bool                     `json:"scored,omitempty"`
		Resources  []corev1.ObjectReference `json:"resources,omitempty"`
		Message    string                   `json:"message,omitempty"`
		Properties map[string]string        `json:"properties,omitempty"`
	}
	// timestamp is a Timestamp of protocol buffers.
	timestamp struct {
		Seconds int64 `json:"seconds"`
		Nanos   int32 `json:"nanos"`
	}
)

func (s *summary) count(o Outcome) {
	switch o {
	case Pass:
		s.Pass++
	case Fail:
		s.Fail++
	case Warn:
		s.Warn++
	case Error:
		s.Error++
	case Skip:
		s.Skip++
	}
}

func at(t time.Time) *timestamp {
	return &timestamp{Seconds: t.Unix(), Nanos: int32(t.Nanosecond())} //nolint:gosec // nanoseconds of a second fit
}
