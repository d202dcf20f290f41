package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/kube/audit"
	"github.com/bonafide-dev/bonafide/internal/kube/kubetest"
	"github.com/bonafide-dev/bonafide/internal/kube/reports"
	"github.com/bonafide-dev/bonafide/internal/rig"
	"github.com/bonafide-dev/bonafide/policy"
)

var policyReports = schema.GroupVersionResource{Group: "wgpolicyk8s.io", Version: "v1alpha2", Resource: "policyreports"}

// serveReports installs the API in the shared cluster, which it stays in.
func serveReports(t *testing.T, cluster *rig.Cluster) {
	t.Helper()
	kubetest.Define(t, cluster, "../reports/testdata", policyReports)
}

func TestWriteMakesOneReportOfANamespace(t *testing.T) {
	cluster, client := clientOf(t)
	namespace := cluster.Namespace(t, nil)
	for i := range 3 {
		create(t, cluster, namespace, fmt.Sprintf("good-%d", i), "registry.example/good:v1", nil)
	}
	create(t, cluster, namespace, "bad", "registry.example/evil:v1", nil)
	create(t, cluster, namespace, "alien", "registry.example/other:v1", nil)
	create(t, cluster, namespace, "lost", "registry.example/down:v1", nil)
	runs(t, cluster, create(t, cluster, namespace, "moved", "registry.example/good:v2", nil), "registry.example/good@"+oldDigest.String())
	a := auditor(t, audit.Options{Client: client, Decider: newDecider(), In: namespace})
	r := sweep(t, a)

	serveReports(t, cluster)
	w, err := a.Write(t.Context(), r)
	if err != nil || w.Created != 1 {
		t.Fatalf("want one report created, got %+v: %v", w, err)
	}
	got := reported(t, cluster.Dynamic.Resource(policyReports).Namespace(namespace).Get)
	want := []string{
		"fail signed registry.example/evil:v1 NotSigned [bad]",
		"error signed registry.example/down:v1 RegistryUnreachable [lost]",
		"warn none registry.example/good:v2 RunningImageDiffers [moved]",
		"skip none registry.example/other:v1 NoPolicy [alien]",
		"pass signed registry.example/good:v1  [good-0 good-1 good-2]",
		"pass signed registry.example/good:v2  [moved]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if w, err = a.Write(t.Context(), sweep(t, a)); err != nil || w.Unchanged != 1 {
		t.Errorf("want the report unchanged, got %+v: %v", w, err)
	}
}

// reported reads the stored report: each result in a line.
func reported(t *testing.T, get func(context.Context, string, metav1.GetOptions, ...string) (*unstructured.Unstructured, error)) []string {
	t.Helper()
	u, err := get(t.Context(), reports.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(u.Object["results"])
	if err != nil {
		t.Fatal(err)
	}
	var results []struct {
		Policy, Result string
		Properties     map[string]string
		Resources      []corev1.ObjectReference
	}
	if err := json.Unmarshal(raw, &results); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range results {
		var pods []string
		for _, p := range r.Resources {
			pods = append(pods, p.Name)
		}
		lines = append(lines, fmt.Sprintf("%s %s %s %s %v", r.Result, r.Policy, r.Properties["image"], r.Properties["reason"], pods))
	}
	return lines
}

// TestR47NoSecretInReportsAndEvents: what a Pod keeps secret is not repeated,
// and what is repeated is bounded.
func TestR47NoSecretInReportsAndEvents(t *testing.T) {
	cluster, client := clientOf(t)
	namespace := cluster.Namespace(t, nil)
	const secret = "hunter2-hunter2"
	create(t, cluster, namespace, "p", "registry.example/good:v1", func(p *corev1.Pod) {
		p.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "PASSWORD", Value: secret}}
		p.Spec.Containers[0].Args = []string{"--token", secret}
		p.Annotations = map[string]string{"token": secret}
		p.Labels = map[string]string{"token": secret}
	})
	d, e := newDecider(), &events{}
	a := auditor(t, audit.Options{Client: client, Decider: d, In: namespace, Events: e})
	sweep(t, a)
	d.mu.Lock()
	d.outcome = func(imageref.Reference, engine.Request) (policy.Outcome, evidence.Reason) {
		return policy.Denied, evidence.Reason(strings.Repeat("Long", 10_000))
	}
	d.mu.Unlock()
	r := sweep(t, a)
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	all := string(raw) + strings.Join(e.said, "\n")
	if strings.Contains(all, secret) {
		t.Errorf("want no secret in report and events, got\n%s", all)
	}
	if len(e.said) != 1 || len(e.said[0]) > 2048 || len(r.Results[0].Message) > 2048 {
		t.Errorf("want one event and bounded messages, got %d events, a message of %d bytes", len(e.said), len(r.Results[0].Message))
	}
}

// TestExceptionsAreSeen: a Pod that is allowed since exceptions lift a policy is
// told from one that the policy allows, in the report, its summary and its
// policy report.
func TestExceptionsAreSeen(t *testing.T) {
	cluster, client := clientOf(t)
	namespace := cluster.Namespace(t, nil)
	create(t, cluster, namespace, "p", "registry.example/lifted:v1", nil)
	create(t, cluster, namespace, "q", "registry.example/observed:v1", nil)
	create(t, cluster, namespace, "r", "registry.example/refused:v1", nil)
	signed := policy.Origin{Dialect: "native", Kind: "ClusterVerificationPolicy", Name: "signed"}
	observing := policy.Origin{Dialect: "native", Kind: "ClusterVerificationPolicy", Name: "observing"}
	exception := func(name string) policy.Origin { return policy.Origin{Kind: "VerificationException", Name: name} }
	lifts := []engine.Lift{
		{Exception: exception("night"), Policy: signed, Reason: "incident 7", Expires: fixed().Add(2 * time.Hour), BreakGlass: true},
		{Exception: exception("migration"), Policy: signed, Reason: "moving", Expires: fixed().Add(time.Hour)},
	}
	enforced, observed := said(signed, policy.Enforce, policy.Allowed), said(observing, policy.Audit, policy.Allowed)
	enforced.Lifts, observed.Lifts = lifts, lifts[1:]
	own := policy.Origin{Kind: "VerificationPolicy", Namespace: "ns", Name: "own"}
	other := said(own, policy.Enforce, policy.Allowed)
	d := deciding(map[string]engine.ImageDecision{
		"lifted":   {Outcome: policy.Allowed, Policies: []engine.PolicyDecision{enforced, other}, Lifted: lifts},
		"observed": {Outcome: policy.Allowed, Policies: []engine.PolicyDecision{observed, other}, Lifted: lifts},
		"refused":  {Outcome: policy.Denied, Policies: []engine.PolicyDecision{enforced, said(own, policy.Enforce, policy.Denied)}, Lifted: lifts},
	})
	r := sweep(t, auditor(t, audit.Options{Client: client, Decider: d, In: namespace}))
	if diff := cmp.Diff(audit.Summary{Allowed: 2, Denied: 1, Excepted: 1}, r.Summary); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	night := "lifted by VerificationException night until 2026-01-02T05:04:05Z: incident 7"
	migration := "lifted by VerificationException migration until 2026-01-02T04:04:05Z: moving"
	if !r.Results[0].Excepted() || r.Results[0].Message != "signed: "+night+"; "+migration {
		t.Errorf("want the exceptions named, got %t, %q", r.Results[0].Excepted(), r.Results[0].Message)
	}
	if r.Results[1].Excepted() || r.Results[1].Message != "" {
		t.Errorf("a policy that only reports is no reason to speak of exceptions, got %t, %q", r.Results[1].Excepted(), r.Results[1].Message)
	}
	if r.Results[2].Excepted() {
		t.Error("an exception that lifts one of two policies allows nothing that the other denies")
	}
	type result struct {
		Policy, Message, Exception, Ends, Glass string
		Outcome                                 reports.Outcome
	}
	var got []result
	for _, n := range audit.Namespaced(r) {
		for _, one := range n.Results {
			got = append(got, result{one.Policy, one.Message, one.Properties["exception"], one.Properties["exceptionExpires"], one.Properties["breakGlass"], one.Outcome})
		}
	}
	want := []result{
		{"signed", night + "; " + migration, "night, migration", "2026-01-02T05:04:05Z", "true", reports.Skip},
		{Policy: "ns/own", Outcome: reports.Pass},
		{"observing", migration, "migration", "2026-01-02T04:04:05Z", "", reports.Skip},
		{Policy: "ns/own", Outcome: reports.Pass},
		{"signed", night + "; " + migration, "night, migration", "2026-01-02T05:04:05Z", "true", reports.Skip},
		{Policy: "ns/own", Message: "expected a signature, got none", Outcome: reports.Fail},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("policy report (-want +got):\n%s", diff)
	}
}
