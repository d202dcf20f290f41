package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

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
	"github.com/bonafide-dev/bonafide/internal/rig"
	"github.com/bonafide-dev/bonafide/policy"
)

var shared rig.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// clientOf returns a client of the shared cluster.
func clientOf(t *testing.T) (*rig.Cluster, *kube.Client) {
	t.Helper()
	cluster := shared.Cluster(t)
	return cluster, kubetest.Client(t, cluster.Config)
}

// The contents that names of the tests lead to.
var (
	goodDigest = imageref.DigestOf([]byte("good"))
	oldDigest  = imageref.DigestOf([]byte("old"))
	evilDigest = imageref.DigestOf([]byte("evil"))
)

// decider is a stand-in for the engine: it allows what does not say "evil" or
// "other", and resolves every tag to tag.
type decider struct {
	mu       sync.Mutex
	tag      imageref.Digest
	requests []engine.Request
	snapshot *engine.Snapshot
	outcome  func(ref imageref.Reference, r engine.Request) (policy.Outcome, evidence.Reason)
	atOnce   int
	mostOnce int
}

func newDecider() *decider { return &decider{snapshot: engine.NewSnapshot(nil), tag: goodDigest} }

func (d *decider) Snapshot() *engine.Snapshot { return d.snapshot }

func (d *decider) Decide(_ context.Context, r engine.Request) engine.Decision {
	d.enter(r)
	defer d.leave()
	var decision engine.Decision
	for _, image := range r.Images {
		one := engine.ImageDecision{Image: image}
		ref, err := imageref.Parse(image.Ref)
		if err != nil {
			one.Outcome, one.Problem = policy.Denied, &evidence.Problem{Reason: evidence.MalformedReference, Err: err}
			decision.Images = append(decision.Images, one)
			continue
		}
		one.Reference = ref
		outcome, reason := d.judge(ref, r)
		if one.Outcome = outcome; outcome == policy.Unmatched {
			one.Problem = &evidence.Problem{Reason: evidence.NoPolicy}
			decision.Images = append(decision.Images, one)
			continue
		}
		if outcome != policy.Undecided {
			one.Digest = ref.Digest()
			if one.Digest.IsZero() {
				one.Digest = d.tag
			}
		}
		p := engine.PolicyDecision{Origin: policy.Origin{Dialect: "native", Kind: "ClusterVerificationPolicy", Name: "signed"}, Outcome: outcome, Effective: outcome}
		if reason != "" {
			p.Finding.Problems = []*evidence.Problem{{Reason: reason, Expected: "a signature", Got: "none"}}
		}
		one.Policies = []engine.PolicyDecision{p}
		decision.Images = append(decision.Images, one)
	}
	return decision
}

func (d *decider) judge(ref imageref.Reference, r engine.Request) (policy.Outcome, evidence.Reason) {
	d.mu.Lock()
	custom := d.outcome
	d.mu.Unlock()
	if custom != nil {
		return custom(ref, r)
	}
	switch {
	case strings.Contains(ref.String(), "other"):
		return policy.Unmatched, ""
	case strings.Contains(ref.String(), "down"):
		return policy.Undecided, evidence.RegistryUnreachable
	case strings.Contains(ref.String(), "evil"), ref.Digest() == evilDigest:
		return policy.Denied, evidence.NotSigned
	}
	return policy.Allowed, ""
}

func (d *decider) enter(r engine.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.requests = append(d.requests, r)
	d.atOnce++
	d.mostOnce = max(d.mostOnce, d.atOnce)
}

func (d *decider) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.atOnce--
}

func (d *decider) asked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.requests)
}

// events remembers what was recorded.
type events struct{ said []string }

func (e *events) Event(_ context.Context, about corev1.ObjectReference, eventType, reason, message string) {
	e.said = append(e.said, fmt.Sprintf("%s %s %s %s: %s", about.Kind, about.Name, eventType, reason, message))
}

// metrics remembers what it was told.
type metrics struct {
	at        time.Time
	uncovered map[string]int
}

func (m *metrics) Audited(at time.Time)       { m.at = at }
func (m *metrics) Uncovered(u map[string]int) { m.uncovered = u }
func fixed() time.Time                        { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
func auditor(t *testing.T, o audit.Options) *audit.Auditor {
	t.Helper()
	if o.Now == nil {
		o.Now = fixed
	}
	a, err := audit.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// create creates a Pod of one container, "app".
func create(t *testing.T, cluster *rig.Cluster, namespace, name, image string, change func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	p := rig.NewPod(image)
	p.GenerateName, p.Name = "", name
	if change != nil {
		change(p)
	}
	stored, err := cluster.Client.CoreV1().Pods(namespace).Create(t.Context(), p, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

// runs has the Pod's status say what runs, as kubelet does.
func runs(t *testing.T, cluster *rig.Cluster, p *corev1.Pod, imageID string) {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"phase": "Running", "containerStatuses": []any{
		map[string]any{"name": "app", "image": "sha256:whatever", "imageID": imageID, "ready": true, "restartCount": 0},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = cluster.Client.CoreV1().Pods(p.Namespace).Patch(t.Context(), p.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		t.Fatal(err)
	}
}

func sweep(t *testing.T, a *audit.Auditor) audit.Report {
	t.Helper()
	r, err := a.Sweep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func clientAs(t *testing.T, config *rest.Config) *kube.Client {
	t.Helper()
	client := kubetest.Client(t, config)
	return client
}
