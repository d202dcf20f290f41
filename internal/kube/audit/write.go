package audit

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/kube/reports"
	"github.com/bonafide-dev/bonafide/policy"
)

// What results of reports are called.
const (
	category = "Software supply chain"
	// noPolicy stands where an API wants a policy's name and there is none.
	noPolicy = "none"
	// Properties that are read again. The list is named unless it is the usual one.
	propertyContainer = "container"
	propertyList      = "list"
	usualList         = "containers"
)

// Write makes the cluster's policy reports say what the report says: one of each
// namespace, changed only where it says something else. Where no API for them is
// served, nothing is written. It is called by one replica at a time. A Report that
// no sweep made is refused: it would read as if nothing ran.
func (a *Auditor) Write(ctx context.Context, r Report) (reports.Written, error) {
	if r.At.IsZero() {
		return reports.Written{}, errors.New("audit: expected the report of a sweep, got none")
	}
	return reports.Write(ctx, a.options.Client, a.options.In, namespaced(r), r.At)
}

// namespaced turns results into reports: one result for each verdict, container
// and policy, with all Pods that share it.
func namespaced(r Report) []reports.Namespaced {
	type shared struct {
		verdict      *Verdict
		at           slot
		incomparable bool
	}
	var all []reports.Namespaced
	var order []shared
	pods := map[shared][]corev1.ObjectReference{}
	flush := func(namespace string) {
		n := reports.Namespaced{Namespace: namespace}
		for _, s := range order {
			n.Results = append(n.Results, s.verdict.reported(s.at, s.incomparable, pods[s])...)
		}
		if len(n.Results) > 0 {
			all = append(all, n)
		}
		order, pods = nil, map[shared][]corev1.ObjectReference{}
	}
	namespace := ""
	for _, result := range r.Results { // sorted by namespace
		if result.Namespace != namespace {
			flush(namespace)
			namespace = result.Namespace
		}
		s := shared{result.Verdict, slot{result.List, result.Container}, result.Incomparable}
		if pods[s] == nil {
			order = append(order, s)
		}
		pods[s] = append(pods[s], result.reference())
	}
	flush(namespace)
	return all
}

// reported is a verdict as results: one a policy, or one for all if no policy
// says what is to be said.
func (v *Verdict) reported(at slot, incomparable bool, pods []corev1.ObjectReference) []reports.Result {
	one := reports.Result{Policy: noPolicy, Category: category, Message: v.Message, Resources: pods, Properties: v.properties(at)}
	if incomparable {
		one.Properties["running"] = "named in a way that cannot be compared"
	}
	if len(v.Policies) == 0 || v.Running != "" {
		one.Outcome, one.Severity = v.graded()
		if v.Running != "" {
			one.Rule = string(evidence.RunningImageDiffers)
		}
		if len(v.Policies) == 0 {
			return []reports.Result{one}
		}
	}
	var results []reports.Result
	if v.Running != "" {
		results = append(results, one)
	}
	for _, p := range v.Policies {
		r := one
		r.Policy, r.Rule, r.Message = p.Origin.String(), p.Origin.Entry, p.Message
		r.Outcome, r.Severity = p.graded()
		r.Properties = maps.Clone(one.Properties)
		r.Properties["mode"] = p.Mode.String()
		p.liftedProperties(r.Properties)
		if p.Origin.Kind != "" {
			r.Properties["policyKind"] = p.Origin.Kind
		}
		if r.Properties["reason"] = string(p.Reason); p.Reason == "" {
			delete(r.Properties, "reason")
		}
		results = append(results, r)
	}
	return results
}

// properties say what the result is about: no more than the Pods' authors know.
func (v *Verdict) properties(at slot) map[string]string {
	properties := map[string]string{"image": v.Image}
	list := at.list
	if list == usualList {
		list = ""
	}
	for name, value := range map[string]string{
		propertyContainer: at.container, propertyList: list, "digest": v.Digest, "running": v.Running, "reason": string(v.Reason),
	} {
		if value != "" {
			properties[name] = value
		}
	}
	return properties
}

func (v *Verdict) graded() (reports.Outcome, reports.Severity) {
	if v.Outcome == policy.Allowed { // and odd
		return reports.Warn, reports.Medium
	}
	return graded(v.Outcome)
}

// liftedProperties name the exceptions that lift the policy, and when the last of
// them ends.
func (p PolicyVerdict) liftedProperties(properties map[string]string) {
	if len(p.Lifts) == 0 {
		return
	}
	names := make([]string, len(p.Lifts))
	ends := p.Lifts[0].Expires
	for i, l := range p.Lifts {
		names[i] = l.Exception.String()
		if l.Expires.After(ends) {
			ends = l.Expires
		}
		if l.BreakGlass {
			properties["breakGlass"] = "true"
		}
	}
	properties["exception"] = clip(strings.Join(names, ", "))
	properties["exceptionExpires"] = ends.UTC().Format(time.RFC3339)
}

func (p PolicyVerdict) graded() (reports.Outcome, reports.Severity) {
	if len(p.Lifts) > 0 { // it was not asked
		return reports.Skip, reports.Medium
	}
	outcome, severity := graded(p.Outcome)
	if p.Mode != policy.Enforce && outcome == reports.Fail {
		severity = reports.Medium // it is reported, and would be admitted
	}
	return outcome, severity
}

func graded(o policy.Outcome) (reports.Outcome, reports.Severity) {
	switch o {
	case policy.Allowed:
		return reports.Pass, reports.Info
	case policy.Denied:
		return reports.Fail, reports.High
	case policy.Unmatched:
		return reports.Skip, reports.Low
	case policy.Undecided:
	}
	return reports.Error, reports.Medium
}
