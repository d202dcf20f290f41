package reports_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/bonafide-dev/bonafide/internal/kube"
	"github.com/bonafide-dev/bonafide/internal/kube/kubetest"
	"github.com/bonafide-dev/bonafide/internal/kube/reports"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

var shared rig.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

var (
	policyReports = schema.GroupVersionResource{Group: "wgpolicyk8s.io", Version: "v1alpha2", Resource: "policyreports"}
	openReports   = schema.GroupVersionResource{Group: "openreports.io", Version: "v1alpha1", Resource: "reports"}
)

func clientOf(t *testing.T) (*rig.Cluster, *kube.Client) {
	t.Helper()
	cluster := shared.Cluster(t)
	return cluster, kubetest.Client(t, cluster.Config)
}

// serve installs the APIs in the shared cluster, which they stay in.
func serve(t *testing.T, cluster *rig.Cluster) {
	t.Helper()
	kubetest.Define(t, cluster, "testdata", policyReports, openReports)
}

func stored(t *testing.T, cluster *rig.Cluster, r schema.GroupVersionResource, namespace string) *unstructured.Unstructured {
	t.Helper()
	u, err := cluster.Dynamic.Resource(r).Namespace(namespace).Get(t.Context(), reports.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func write(t *testing.T, client *kube.Client, in string, at time.Time, all ...reports.Namespaced) reports.Written {
	t.Helper()
	w, err := reports.Write(t.Context(), client, in, all, at)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// counts are what was done, without where.
func counts(w reports.Written) [4]int {
	return [4]int{w.Created, w.Updated, w.Deleted, w.Unchanged}
}

func one(outcome reports.Outcome, message string) reports.Result {
	return reports.Result{
		Policy: "signed", Outcome: outcome, Severity: reports.High, Message: message, Category: "Software supply chain",
		Resources:  []corev1.ObjectReference{{APIVersion: "v1", Kind: "Pod", Namespace: "n", Name: "p", UID: "1"}},
		Properties: map[string]string{"image": "registry.example/app:v1"},
	}
}

var now = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

func TestReportsFollowWhatWasFound(t *testing.T) {
	cluster, client := clientOf(t)
	serve(t, cluster)
	namespace := cluster.Namespace(t, nil)
	found := reports.Namespaced{Namespace: namespace, Results: []reports.Result{one(reports.Pass, ""), one(reports.Fail, "not signed")}}

	w := write(t, client, namespace, now, found)
	if got := counts(w); got != [4]int{2, 0, 0, 0} || len(w.APIs) != 2 {
		t.Errorf("want 2 created in 2 APIs, got %v in %v", got, w.APIs)
	}
	for _, r := range []schema.GroupVersionResource{policyReports, openReports} {
		u := stored(t, cluster, r, namespace)
		summary, _, _ := unstructured.NestedMap(u.Object, "summary")
		if diff := cmp.Diff(map[string]any{"pass": int64(1), "fail": int64(1), "warn": int64(0), "error": int64(0), "skip": int64(0)}, summary); diff != "" {
			t.Errorf("%s: summary (-want +got):\n%s", r.Resource, diff)
		}
		results, _, _ := unstructured.NestedSlice(u.Object, "results")
		want := map[string]any{
			"source": "bonafide", "policy": "signed", "result": "fail", "severity": "high", "message": "not signed", "category": "Software supply chain", "scored": true,
			"timestamp":  map[string]any{"seconds": now.Unix(), "nanos": int64(6)},
			"resources":  []any{map[string]any{"apiVersion": "v1", "kind": "Pod", "namespace": "n", "name": "p", "uid": "1"}},
			"properties": map[string]any{"image": "registry.example/app:v1"},
		}
		if diff := cmp.Diff(want, results[0]); diff != "" {
			t.Errorf("%s: the worst result first (-want +got):\n%s", r.Resource, diff)
		}
		source, _, _ := unstructured.NestedString(u.Object, "source")
		if (source == "bonafide") != (r == openReports) {
			t.Errorf("%s: source %q", r.Resource, source)
		}
	}

	version := stored(t, cluster, policyReports, namespace).GetResourceVersion()
	found.Results[0], found.Results[1] = found.Results[1], found.Results[0]
	if got := counts(write(t, client, namespace, now.Add(time.Hour), found)); got != [4]int{0, 0, 0, 2} {
		t.Errorf("the same an hour later, in another order: want 2 unchanged, got %v", got)
	}
	if got := stored(t, cluster, policyReports, namespace).GetResourceVersion(); got != version {
		t.Errorf("want the report untouched, got resourceVersion %s after %s", got, version)
	}
	found.Results[0].Message = "signed by another"
	if got := counts(write(t, client, namespace, now, found)); got != [4]int{0, 2, 0, 0} {
		t.Errorf("want 2 updated, got %v", got)
	}
	if got := counts(write(t, client, namespace, now)); got != [4]int{0, 0, 2, 0} {
		t.Errorf("want 2 deleted, got %v", got)
	}
	_, err := cluster.Dynamic.Resource(policyReports).Namespace(namespace).Get(t.Context(), reports.Name, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("want no report of a namespace without results, got %v", err)
	}
}

func TestEditedReportIsMended(t *testing.T) {
	cluster, client := clientOf(t)
	serve(t, cluster)
	namespace := cluster.Namespace(t, nil)
	found := reports.Namespaced{Namespace: namespace, Results: []reports.Result{one(reports.Fail, "not signed")}}
	write(t, client, namespace, now, found)
	edited := stored(t, cluster, policyReports, namespace)
	if err := unstructured.SetNestedSlice(edited.Object, []any{}, "results"); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Dynamic.Resource(policyReports).Namespace(namespace).Update(t.Context(), edited, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := counts(write(t, client, namespace, now, found)); got != [4]int{0, 1, 0, 1} {
		t.Errorf("want one of two written anew, got %v", got)
	}
}

func TestReportsOfOthersAreLeftAlone(t *testing.T) {
	cluster, client := clientOf(t)
	serve(t, cluster)
	namespace := cluster.Namespace(t, nil)
	other := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "wgpolicyk8s.io/v1alpha2", "kind": "PolicyReport",
		// It even says that it is ours: labels are anybody's to write (TRUST R46).
		"metadata": map[string]any{"name": "of-others", "labels": map[string]any{"app.kubernetes.io/managed-by": "bonafide"}},
	}}
	if _, err := cluster.Dynamic.Resource(policyReports).Namespace(namespace).Create(t.Context(), other, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := counts(write(t, client, namespace, now)); got != [4]int{} {
		t.Errorf("want nothing done, got %v", got)
	}
}

// TestR47ReportsAreBounded: however much was found, the report fits the API
// server's store, and its summary is true.
func TestR47ReportsAreBounded(t *testing.T) {
	cluster, client := clientOf(t)
	serve(t, cluster)
	cases := map[string]struct {
		results, resources int
		message            string
	}{
		"ManyResults":   {results: 5000, resources: 1},
		"LargeResults":  {results: 900, resources: 1, message: strings.Repeat("x", 4000)},
		"ManyResources": {results: 2, resources: 10_000},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			namespace := cluster.Namespace(t, nil)
			found := reports.Namespaced{Namespace: namespace}
			for i := range c.results {
				r := one(reports.Pass, fmt.Sprint(i, c.message))
				if i == c.results-1 {
					r.Outcome = reports.Fail
				}
				for j := range c.resources - 1 {
					r.Resources = append(r.Resources, corev1.ObjectReference{Kind: "Pod", Name: fmt.Sprint(j)})
				}
				found.Results = append(found.Results, r)
			}
			write(t, client, namespace, now, found)
			u := stored(t, cluster, policyReports, namespace)
			raw, err := json.Marshal(u)
			if err != nil {
				t.Fatal(err)
			}
			passed, _, _ := unstructured.NestedInt64(u.Object, "summary", "pass")
			results, _, _ := unstructured.NestedSlice(u.Object, "results")
			if len(raw) > 1<<20+4096 || int(passed) != c.results-1 || len(results) > 1000 {
				t.Errorf("want 1 MiB and 1000 results at most and %d passed, got %d bytes, %d results, %d passed", c.results-1, len(raw), len(results), passed)
			}
			if worst, _ := results[0].(map[string]any); worst["result"] != "fail" {
				t.Errorf("want the failure kept, first, got %v", worst["result"])
			}
			if got := counts(write(t, client, namespace, now.Add(time.Second), found)); got != [4]int{0, 0, 0, 2} {
				t.Errorf("want both unchanged, got %v", got)
			}
		})
	}
}

func TestOneFailureStopsNoOtherReport(t *testing.T) {
	cluster, client := clientOf(t)
	serve(t, cluster)
	namespace := cluster.Namespace(t, nil)
	bad := reports.Namespaced{Namespace: namespace, Results: []reports.Result{one("maybe", "")}} // the API refuses it
	good := reports.Namespaced{Namespace: cluster.Namespace(t, nil), Results: []reports.Result{one(reports.Pass, "")}}
	w, err := reports.Write(t.Context(), client, "", []reports.Namespaced{bad, good}, now)
	if !apierrors.IsInvalid(err) || w.Created != 2 {
		t.Errorf("want the refusal and two created, got %v and %d", err, w.Created)
	}
	if _, err := reports.Write(t.Context(), client, "", []reports.Namespaced{good, good}, now); err == nil {
		t.Error("two reports of one namespace: want an error, got none")
	}
}

// TestReadGivesWhatWasWritten: all of our reports, page by page, and nobody
// else's; one that somebody has spoilt is passed over.
func TestReadGivesWhatWasWritten(t *testing.T) {
	cluster, client := clientOf(t)
	serve(t, cluster)
	want := map[string]reports.Namespaced{}
	for range 12 { // more than a page
		n := reports.Namespaced{Namespace: cluster.Namespace(t, nil), Results: []reports.Result{one(reports.Fail, "a"), one(reports.Pass, "b")}}
		want[n.Namespace] = n
		write(t, client, n.Namespace, time.Unix(1, 0), n)
	}
	spoilt := cluster.Namespace(t, nil)
	foreign := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "wgpolicyk8s.io/v1alpha2", "kind": "PolicyReport", "metadata": map[string]any{"name": "kyverno"},
		"results": []any{map[string]any{"policy": "other", "result": "fail"}},
	}}
	if _, err := cluster.Dynamic.Resource(policyReports).Namespace(spoilt).Create(t.Context(), foreign, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	got := map[string]reports.Namespaced{}
	err := reports.Read(t.Context(), client, "", func(n reports.Namespaced) {
		if _, ours := want[n.Namespace]; ours || n.Namespace == spoilt {
			got[n.Namespace] = n
		}
	})
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v, reports (-want +got):\n%s", err, diff)
	}
}

func TestReadThatIsRefusedSaysSo(t *testing.T) {
	cluster, _ := clientOf(t)
	serve(t, cluster)
	client := kubetest.Client(t, cluster.ConfigFor(t, "alice"))
	if err := reports.Read(t.Context(), client, "", func(reports.Namespaced) {}); !apierrors.IsForbidden(err) {
		t.Errorf("want the API server's refusal, got %v", err)
	}
}
