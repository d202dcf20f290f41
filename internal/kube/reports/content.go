package reports

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Bounds on one report. The API server's store takes 1.5 MiB in a value
// (etcd, --max-request-bytes).
const (
	maxResults   = 1000
	maxBytes     = 1 << 20
	maxResources = 100 // of one result
)

// content is the stored form of a report, the worst results first. The summary
// counts all results, also those that have no room.
func content(n Namespaced, api api, now time.Time) (document, error) {
	d := document{TypeMeta: api.typeMeta(), Metadata: metadata{
		Name: Name, Namespace: n.Namespace, Labels: map[string]string{"app.kubernetes.io/managed-by": source},
	}}
	if api.sourced {
		d.Source = source
	}
	results := slices.Clone(n.Results)
	slices.SortStableFunc(results, compare)
	size := 0
	for _, r := range results {
		d.Summary.count(r.Outcome)
		if len(d.Results) == maxResults || size > maxBytes {
			continue
		}
		stored := r.stored(now)
		raw, err := json.Marshal(stored)
		if err != nil {
			return document{}, fmt.Errorf("reports: write a result: %w", err)
		}
		if size += len(raw) + 1; size > maxBytes {
			continue
		}
		d.Results = append(d.Results, stored)
	}
	return d, nil
}

// compare puts the worst first, and is a whole order on what is stored, so that
// equal findings give equal reports.
func compare(a, b Result) int {
	return cmp.Or(
		cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Rule, b.Rule),
		cmp.Compare(a.Properties["image"], b.Properties["image"]), cmp.Compare(a.Message, b.Message), cmp.Compare(a.first(), b.first()),
	)
}

func (r Result) rank() int {
	return slices.Index([]Outcome{Fail, Error, Warn, Skip, Pass}, r.Outcome)
}

func (r Result) first() string {
	if len(r.Resources) == 0 {
		return ""
	}
	return r.Resources[0].Name + "/" + r.Resources[0].FieldPath
}

func (r Result) stored(now time.Time) result {
	stored := result{
		Source: source, Policy: r.Policy, Rule: r.Rule, Category: r.Category, Severity: r.Severity, Timestamp: at(now),
		Result: r.Outcome, Scored: true, Message: r.Message, Resources: r.Resources, Properties: r.Properties,
	}
	if len(r.Resources) > maxResources {
		stored.Resources = r.Resources[:maxResources]
		stored.Properties = maps.Clone(r.Properties)
		if stored.Properties == nil {
			stored.Properties = map[string]string{}
		}
		stored.Properties["resources"] = fmt.Sprintf("the first %d of %d", maxResources, len(r.Resources))
	}
	return stored
}

// same reports that two reports say the same, whenever they said it.
func same(a, b document) bool {
	if a.Summary != b.Summary || a.Source != b.Source || !maps.Equal(a.Metadata.Labels, b.Metadata.Labels) {
		return false
	}
	return slices.EqualFunc(a.Results, b.Results, func(x, y result) bool {
		return x.Source == y.Source && x.Policy == y.Policy && x.Rule == y.Rule && x.Category == y.Category && x.Severity == y.Severity &&
			x.Result == y.Result && x.Scored == y.Scored && x.Message == y.Message && maps.Equal(x.Properties, y.Properties) &&
			slices.EqualFunc(x.Resources, y.Resources, func(p, q corev1.ObjectReference) bool { return p == q })
	})
}
