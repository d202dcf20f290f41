package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/kube/audit"
	"github.com/bonafide-dev/bonafide/internal/kube/reports"
	"github.com/bonafide-dev/bonafide/policy"
)

var policyReports = schema.GroupVersionResource{Group: "wgpolicyk8s.io", Version: "v1alpha2", Resource: "policyreports"}

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

	w, err := a.Write(t.Context(), r)
	if diff := cmp.Diff(reports.Written{}, w); diff != "" || err != nil {
		t.Errorf("where no API is served: error %v, written (-want +got):\n%s", err, diff)
	}

	raw, err := os.ReadFile("../reports/testdata/policyreports.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cluster.Await(t, cluster.Apply(t, string(raw))[0], func(*unstructured.Unstructured) error {
		_, err := cluster.Dynamic.Resource(policyReports).List(t.Context(), metav1.ListOptions{})
		return err
	})
	if w, err = a.Write(t.Context(), r); err != nil || w.Created != 1 {
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
