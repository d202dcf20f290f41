package install_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A lack is a rule that the program does without, a feature that then does not
// work, and how an operator learns what is missing: by the program's log, or by
// what the feature answers.
type lack struct{ rule, feature, log, answer string }

func lacks() []lack {
	const configurations = "mutatingwebhookconfigurations"
	return []lack{
		{rule: "definitions", feature: "Policies", log: cannot("list", "customresourcedefinitions")},
		{rule: "policies", feature: "Policies", log: cannot("list", "clusterverificationpolicies")},
		{rule: "status", feature: "Policies", log: cannot("patch", "clusterverificationpolicies/status")},
		{rule: "kyverno", feature: "Kyverno", log: cannot("list", "clusterpolicies")},
		{rule: "nirmata", feature: "CheckImages", log: cannot("list", "trustpolicies")},
		{rule: "namespaces", feature: "KeyInSecret", log: cannot("list", "namespaces")},
		{rule: "configmaps", feature: "Policies", log: cannot("list", "configmaps"), answer: `cannot list resource "configmaps"`},
		{rule: "secrets", feature: "Policies", log: cannot("list", "secrets"), answer: `cannot list resource "secrets"`},
		{rule: "pullsecrets", feature: "KeyInSecret", answer: "the API server's answer Forbidden"},
		{rule: "serviceaccounts", feature: "PullSecretOfAccount", answer: "the API server's answer Forbidden"},
		{rule: "tokenreviews", feature: "CheckImages", answer: "expected the API server's answer, got Forbidden"},
		{rule: "pods", feature: "Warm", log: cannot("list", "pods")},
		{rule: "report", feature: "ReportsCreated", log: cannot("create", "policyreports")},
		{rule: "reports", feature: "ReportsCreated", log: cannot("list", "policyreports")},
		{rule: "openreport", feature: "ReportsCreated", log: cannot("create", "reports")},
		{rule: "openreports", feature: "ReportsCreated", log: cannot("list", "reports")},
		{rule: "events", feature: "EventOfCertificate", log: cannot("create", "events")},
		{rule: "register", feature: "Webhooks", log: cannot("create", configurations)},
		{rule: "registered", feature: "Webhooks", log: cannot("get", configurations)},
		{rule: "providers", feature: "Providers", log: cannot("list", "providers")},
		{rule: "certificate", feature: "Leader", log: cannot("create", "secrets")},
		{rule: "certificates", feature: "Certificate", log: cannot("update", "secrets")},
		{rule: "election", feature: "Leader", log: cannot("create", "leases")},
		{rule: "leader", feature: "Leader", log: cannot("get", "leases")},
	}
}

// cannot is how the API server forbids, as the log quotes it.
func cannot(verb, resource string) string {
	return fmt.Sprintf(`cannot %s resource \"%s\"`, verb, resource)
}

// without runs the program once more for each rule, as a ServiceAccount that has
// all rights but those of that rule. The API server refuses the program what it
// needs the rule for, a feature does not work, and it is to be seen why.
func (w *world) without(t *testing.T) {
	all := grants(t, "--values", w.values(t))
	table := lacks()
	for _, l := range table {
		if !slices.ContainsFunc(all, func(g grant) bool { return g.name == l.rule }) {
			t.Errorf("Without/%s: want a rule of that name, got none", l.rule)
		}
	}
	for i, g := range all {
		t.Run("Without/"+g.String(), func(t *testing.T) {
			at := slices.IndexFunc(table, func(l lack) bool { return l.rule == g.name })
			if at < 0 {
				t.Fatal("want a feature that does not work without the rule, got none in the table of this test")
			}
			w.lacks(t, all, i, table[at])
		})
	}
}

// lacks runs the program without a rule.
func (w *world) lacks(t *testing.T, all []grant, missing int, l lack) {
	t.Cleanup(func() { w.tidy(t) })
	account := "without-" + all[missing].name
	w.employ(t, account, slices.Delete(slices.Clone(all), missing, missing+1))
	w.Apply(t, w.policies(), w.kyverno(), w.nirmata())
	witness := w.Witness(t)
	s := w.launch(t, witness, account, w.flags)
	t.Cleanup(s.Kill)                               // nothing is to be learnt from its end
	if err := s.uninject(t.Context()); err != nil { // of the run before
		t.Fatal(err)
	}
	features := s.features()
	f := features[slices.IndexFunc(features, func(f feature) bool { return f.name == l.feature })]
	err := within(t.Context(), featureTime, func(ctx context.Context) error {
		answer := s.fails(ctx, f)
		if answer == nil {
			return fmt.Errorf("expected %s not to work without the rule, got that it does", l.feature)
		}
		if !slices.ContainsFunc(witness.Refused(), all[missing].near) {
			return errors.New("expected a request forbidden that needs the rule, got none")
		}
		if !strings.Contains(answer.Error(), l.answer) {
			return fmt.Errorf("expected the answer %q, got: %w", l.answer, answer)
		}
		return s.logged(l.log)(ctx)
	})
	if err != nil {
		t.Error(err)
	}
}

// employ makes a ServiceAccount that has these rights.
func (w *world) employ(t *testing.T, account string, granted []grant) {
	t.Helper()
	_, err := w.Client.CoreV1().ServiceAccounts(systemNamespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.bind(t.Context(), "system:serviceaccount:"+systemNamespace+":"+account, granted); err != nil {
		t.Fatal(err)
	}
}

// unregistered runs the program as the chart does where others register its
// webhooks: without the rules about them it asks for nothing about them, and all
// else works.
func (w *world) unregistered(t *testing.T) {
	t.Run("NotRegistered", func(t *testing.T) {
		t.Cleanup(func() { w.tidy(t) })
		flags := []string{"--values", w.values(t), "--set", "register=false"}
		const account = "not-registered"
		w.employ(t, account, grants(t, flags...))
		w.Apply(t, w.policies(), w.nirmata())
		witness := w.Witness(t)
		s := w.launch(t, witness, account, w.flagsOf(t, render(t, flags...)))
		if err := within(t.Context(), startTime, s.Ready); err != nil {
			t.Fatal(err)
		}
		if err := s.connect(); err != nil {
			t.Fatal(err)
		}
		for _, f := range s.features() {
			if !slices.Contains([]string{"Leader", "Policies", "Warm", "Certificate", "CheckImages", "ReportsCreated", "EventOfCertificate"}, f.name) {
				continue
			}
			if err := within(t.Context(), featureTime, f.works); err != nil {
				t.Errorf("%s: %v", f.name, err)
			}
		}
		if forbidden := witness.Forbidden(); len(forbidden) > 0 {
			t.Errorf("want no request forbidden, got %q", forbidden)
		}
	})
}

// fails returns why a feature does not work; what is not even ready has none
// that works.
func (s *subject) fails(ctx context.Context, f feature) error {
	if err := s.Ready(ctx); err != nil {
		return err
	}
	if s.client == nil {
		if err := s.connect(); err != nil {
			return err
		}
	}
	return f.works(ctx)
}
