package audit_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/kube"
	"github.com/bonafide-dev/bonafide/internal/kube/audit"
	"github.com/bonafide-dev/bonafide/internal/kube/kubetest"
	"github.com/bonafide-dev/bonafide/internal/kube/reports"
	"github.com/bonafide-dev/bonafide/policy"
)

// podServer stands in for an API server that does what a real one does too
// rarely: it hands out Pods page by page, serves nothing else, and fails as fails
// says, which is asked with the number of the request from 0 and the page mark.
type podServer struct {
	fails func(request int, mark string) *metav1.Status

	mu    sync.Mutex
	marks []string // of the requests
}

func (s *podServer) start(tb testing.TB, pods ...*corev1.Pod) *kube.Client {
	tb.Helper()
	var items []json.RawMessage
	for _, p := range pods {
		raw, err := json.Marshal(p)
		if err != nil {
			tb.Fatal(err)
		}
		items = append(items, raw)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, items) }))
	tb.Cleanup(server.Close)
	return kubetest.Client(tb, &rest.Config{Host: server.URL, QPS: -1})
}

func (s *podServer) answer(w http.ResponseWriter, r *http.Request, items []json.RawMessage) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path != "/api/v1/pods" {
		http.NotFound(w, r)
		return
	}
	mark := r.URL.Query().Get("continue")
	s.mu.Lock()
	n := len(s.marks)
	s.marks = append(s.marks, mark)
	s.mu.Unlock()
	if s.fails != nil {
		if status := s.fails(n, mark); status != nil {
			w.WriteHeader(int(status.Code))
			_ = json.NewEncoder(w).Encode(status)
			return
		}
	}
	from, _ := strconv.Atoi(mark)
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	to := min(from+limit, len(items))
	metadata := map[string]any{"resourceVersion": "1"}
	if to < len(items) {
		metadata["continue"] = strconv.Itoa(to)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "v1", "kind": "PodList", "metadata": metadata, "items": items[from:to]})
}

func failure(code int32, reason metav1.StatusReason) *metav1.Status {
	return &metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: code, Reason: reason}
}

// manyPods are more than two pages.
func manyPods() []*corev1.Pod {
	var pods []*corev1.Pod
	for i := range 220 {
		pods = append(pods, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: fmt.Sprintf("p-%04d", i), UID: types.UID(strconv.Itoa(i))},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.example/good:v1"}}},
		})
	}
	return pods
}

func TestListingOfPods(t *testing.T) {
	expired, gone, broken := failure(410, metav1.StatusReasonExpired), failure(410, metav1.StatusReasonGone), failure(403, metav1.StatusReasonForbidden)
	cases := map[string]struct {
		reason string
		fails  func(request int, mark string) *metav1.Status
		want   []string // page marks
		failed bool
	}{
		"Pages": {reason: "page by page", want: []string{"", "100", "200"}},
		"ExpiresOnce": {
			reason: "the page marks are too old: what was listed is forgotten",
			fails: func(request int, _ string) *metav1.Status {
				if request == 2 {
					return expired
				}
				return nil
			},
			want: []string{"", "100", "200", "", "100", "200"},
		},
		"Gone": {
			reason: "as some API servers say it",
			fails: func(request int, _ string) *metav1.Status {
				if request == 1 {
					return gone
				}
				return nil
			},
			want: []string{"", "100", "", "100", "200"},
		},
		"ExpiresAlways": {
			reason: "not for ever",
			fails: func(_ int, mark string) *metav1.Status {
				if mark == "200" {
					return expired
				}
				return nil
			},
			want: []string{"", "100", "200", "", "100", "200", "", "100", "200"}, failed: true,
		},
		"Refused": {
			reason: "a part of the Pods is no report",
			fails: func(_ int, mark string) *metav1.Status {
				if mark == "100" {
					return broken
				}
				return nil
			},
			want: []string{"", "100"}, failed: true,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			server := &podServer{fails: c.fails}
			m := &metrics{}
			r, err := auditor(t, audit.Options{Client: server.start(t, manyPods()...), Decider: newDecider(), Metrics: m}).Sweep(t.Context())
			if diff := cmp.Diff(c.want, server.marks); diff != "" {
				t.Errorf("%s: page marks (-want +got):\n%s", c.reason, diff)
			}
			if c.failed {
				if err == nil || r.Pods != 0 || !m.at.IsZero() {
					t.Errorf("%s: want an error and nothing told, got %d Pods, audited at %v: %v", c.reason, r.Pods, m.at, err)
				}
				return
			}
			if err != nil || r.Pods != 220 || len(r.Results) != 220 || r.Decisions != 1 {
				t.Errorf("%s: want each Pod once, got %d Pods, %d results, %d decisions: %v", c.reason, r.Pods, len(r.Results), r.Decisions, err)
			}
		})
	}
}

// TestR48WriteRefusesWhatNoSweepFound: a sweep that could not be made leaves the
// stored reports as they are.
func TestR48WriteRefusesWhatNoSweepFound(t *testing.T) {
	_, client := clientOf(t)
	if w, err := auditor(t, audit.Options{Client: client, Decider: newDecider()}).Write(t.Context(), audit.Report{}); err == nil || w.Deleted != 0 {
		t.Errorf("want an error, got %+v", w)
	}
}

func TestWriteWhereNoAPIIsServed(t *testing.T) {
	a := auditor(t, audit.Options{Client: (&podServer{}).start(t, manyPods()[:1]...), Decider: newDecider(), Events: &events{}})
	w, err := a.Write(t.Context(), sweep(t, a))
	if diff := cmp.Diff(reports.Written{}, w); diff != "" || err != nil {
		t.Errorf("error %v, written (-want +got):\n%s", err, diff)
	}
}

// TestReplicasThatDifferCostOneDecision: replicas that run the same in place of
// what their tag leads to are one question more.
func TestReplicasThatDifferCostOneDecision(t *testing.T) {
	pods := manyPods()[:4]
	for i, p := range pods {
		digest := oldDigest
		if i == 3 {
			digest = evilDigest
		}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", ImageID: "registry.example/good@" + digest.String()}}
	}
	d := newDecider()
	r := sweep(t, auditor(t, audit.Options{Client: (&podServer{}).start(t, pods...), Decider: d}))
	if diff := cmp.Diff(audit.Summary{Allowed: 3, Denied: 1}, r.Summary); diff != "" || d.asked() != 3 || r.Decisions != 3 {
		t.Errorf("want 3 decisions, got %d, asked %d; summary (-want +got):\n%s", r.Decisions, d.asked(), diff)
	}
}

// TestEventsAreBounded: a policy that turns all Pods at once does not fill the API
// server's store.
func TestEventsAreBounded(t *testing.T) {
	d, e := newDecider(), &events{}
	a := auditor(t, audit.Options{Client: (&podServer{}).start(t, manyPods()...), Decider: d, Events: e})
	sweep(t, a)
	d.mu.Lock()
	d.outcome = func(imageref.Reference, engine.Request) (policy.Outcome, evidence.Reason) {
		return policy.Denied, evidence.NotSigned
	}
	d.mu.Unlock()
	sweep(t, a)
	const most = 200
	if len(e.said) != most {
		t.Errorf("want %d events, got %d", most, len(e.said))
	}
	if sweep(t, a); len(e.said) != most {
		t.Errorf("what had no room is not told later, got %d events", len(e.said))
	}
}
