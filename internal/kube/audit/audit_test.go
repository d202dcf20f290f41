package audit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/kube/audit"
	"github.com/bonafide-dev/bonafide/policy"
)

// short is a result without what differs from run to run.
type short struct {
	Pod, Container, Image string
	Outcome               policy.Outcome
	Reason                evidence.Reason
}

func shortened(r audit.Report) []short {
	var all []short
	for _, result := range r.Results {
		all = append(all, short{result.Pod, result.Container, result.Image, result.Outcome, result.Reason})
	}
	return all
}

func TestSweepDecidesEveryPlaceOfEveryPod(t *testing.T) {
	cluster, client := clientOf(t)
	namespace := cluster.Namespace(t, nil)
	create(t, cluster, namespace, "a", "registry.example/good:v1", func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{{Name: "setup", Image: "registry.example/evil:v1"}}
		p.Spec.Volumes = []corev1.Volume{{Name: "model", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "registry.example/down:v1"}}}}
	})
	create(t, cluster, namespace, "b", "registry.example/other:v1", nil)
	create(t, cluster, namespace, "c", "registry.example/UPPER", nil)
	m := &metrics{}
	r := sweep(t, auditor(t, audit.Options{Client: client, Decider: newDecider(), In: namespace, Metrics: m}))
	want := []short{
		{"a", "setup", "registry.example/evil:v1", policy.Denied, evidence.NotSigned},
		{"a", "app", "registry.example/good:v1", policy.Allowed, ""},
		{"a", "model", "registry.example/down:v1", policy.Undecided, evidence.RegistryUnreachable},
		{"b", "app", "registry.example/other:v1", policy.Unmatched, evidence.NoPolicy},
		{"c", "app", "registry.example/UPPER", policy.Denied, evidence.MalformedReference},
	}
	if diff := cmp.Diff(want, shortened(r)); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(audit.Summary{Allowed: 1, Denied: 2, Undecided: 1, Unmatched: 1}, r.Summary); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	uncovered := []audit.Uncovered{{Namespace: namespace, Pods: 1, Images: []string{"registry.example/other:v1"}}}
	if diff := cmp.Diff(uncovered, r.Uncovered); diff != "" {
		t.Errorf("R20: uncovered (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{namespace: 1}, m.uncovered); diff != "" || !m.at.Equal(fixed()) {
		t.Errorf("metrics: at %v, uncovered (-want +got):\n%s", m.at, diff)
	}
}

// TestR20UnmatchedImagesAreCountedByNamespace: an image that no policy covers is
// counted where it runs, one that a policy only reports on is covered.
func TestR20UnmatchedImagesAreCountedByNamespace(t *testing.T) {
	cluster, client := clientOf(t)
	namespace := cluster.Namespace(t, nil)
	for i, image := range []string{"other:v1", "other:v1", "other:v2", "reported:v1"} {
		create(t, cluster, namespace, fmt.Sprintf("p%d", i), "registry.example/"+image, nil)
	}
	d := audit.DeciderFunc(func(_ context.Context, r engine.Request) engine.Decision {
		one := engine.ImageDecision{Image: r.Images[0], Outcome: policy.Unmatched, Problem: &evidence.Problem{Reason: evidence.NoPolicy}}
		if strings.Contains(r.Images[0].Ref, "reported") {
			one.Policies = []engine.PolicyDecision{{Mode: policy.Audit, Outcome: policy.Denied, Effective: policy.Unmatched}}
		}
		return engine.Decision{Images: []engine.ImageDecision{one}}
	})
	r := sweep(t, auditor(t, audit.Options{Client: client, Decider: d, In: namespace}))
	want := []audit.Uncovered{{Namespace: namespace, Pods: 3, Images: []string{"registry.example/other:v1", "registry.example/other:v2"}}}
	if diff := cmp.Diff(want, r.Uncovered); diff != "" {
		t.Errorf("uncovered (-want +got):\n%s", diff)
	}
}

func TestReplicasCostOneDecision(t *testing.T) {
	cluster, client := clientOf(t)
	namespace := cluster.Namespace(t, nil)
	labelled := func(label string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Labels = map[string]string{"app": label} }
	}
	for i := range 5 {
		create(t, cluster, namespace, fmt.Sprintf("web-%d", i), "registry.example/good:v1", labelled("web"))
	}
	create(t, cluster, namespace, "labelled", "registry.example/good:v1", labelled("else"))
	create(t, cluster, namespace, "account", "registry.example/good:v1", func(p *corev1.Pod) {
		labelled("web")(p)
		p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "pull"}}
	})
	create(t, cluster, namespace, "done", "registry.example/evil:v1", nil)
	patch := []byte(`{"status":{"phase":"Succeeded"}}`)
	if _, err := cluster.Client.CoreV1().Pods(namespace).Patch(t.Context(), "done", "application/merge-patch+json", patch, metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	d := newDecider()
	r := sweep(t, auditor(t, audit.Options{Client: client, Decider: d, In: namespace}))
	if r.Pods != 7 || r.Decisions != 3 || d.asked() != 3 {
		t.Errorf("want 7 Pods by 3 decisions, got %d by %d, asked %d", r.Pods, r.Decisions, d.asked())
	}
	if d.mostOnce > audit.Workers {
		t.Errorf("want %d decisions at once at most, got %d", audit.Workers, d.mostOnce)
	}
}

// TestExceptionsForWorkloadsTellNamesApart: a Pod that an exception names is not
// answered for by one that it does not.
func TestExceptionsForWorkloadsTellNamesApart(t *testing.T) {
	cluster, client := clientOf(t)
	namespace := cluster.Namespace(t, nil)
	for _, name := range []string{"web-1", "web-2", "job-1"} {
		create(t, cluster, namespace, name, "registry.example/evil:v1", nil)
	}
	d := newDecider()
	d.snapshot = engine.NewSnapshotOf(engine.Rules{Exceptions: []policy.Exception{{
		Workloads: []policy.Workload{{Kind: "Pod", Name: "job-*"}}, Expires: time.Now().Add(time.Hour),
	}}})
	d.outcome = func(_ imageref.Reference, r engine.Request) (policy.Outcome, evidence.Reason) {
		if strings.HasPrefix(r.Name, "job-") {
			return policy.Allowed, ""
		}
		return policy.Denied, evidence.NotSigned
	}
	r := sweep(t, auditor(t, audit.Options{Client: client, Decider: d, In: namespace}))
	want := []short{
		{"job-1", "app", "registry.example/evil:v1", policy.Allowed, ""},
		{"web-1", "app", "registry.example/evil:v1", policy.Denied, evidence.NotSigned},
		{"web-2", "app", "registry.example/evil:v1", policy.Denied, evidence.NotSigned},
	}
	if diff := cmp.Diff(want, shortened(r)); diff != "" || d.asked() != 2 {
		t.Errorf("asked %d; results (-want +got):\n%s", d.asked(), diff)
	}
}

func TestRunningImagesAreCompared(t *testing.T) {
	cluster, client := clientOf(t)
	cases := map[string]struct {
		reason       string
		image        string // of the spec
		imageID      string
		want         short
		running      string
		incomparable bool
	}{
		"Same": {
			reason: "what runs is what the tag names", image: "registry.example/good:v1", imageID: "registry.example/good@" + goodDigest.String(),
			want: short{Outcome: policy.Allowed},
		},
		"OldStyle": {
			reason: "kubelet has written a scheme before it", image: "registry.example/good:v1", imageID: "docker-pullable://registry.example/good@" + goodDigest.String(),
			want: short{Outcome: policy.Allowed},
		},
		"TagMovedAndBothAreGood": {
			reason: "what runs is allowed, and not what the tag names", image: "registry.example/good:v1", imageID: "registry.example/good@" + oldDigest.String(),
			want: short{Outcome: policy.Allowed, Reason: evidence.RunningImageDiffers}, running: oldDigest.String(),
		},
		"R21TagMovedAwayFromEvil": {
			reason: "the tag was made good again; the evil image still runs", image: "registry.example/good:v1", imageID: "mirror.example/x@" + evilDigest.String(),
			want: short{Outcome: policy.Denied, Reason: evidence.RunningImageDiffers}, running: evilDigest.String(),
		},
		"Configuration": {
			reason: "a digest of the configuration names nothing in a registry", image: "registry.example/good:v1", imageID: "sha256:" + strings.Repeat("a", 64),
			want: short{Outcome: policy.Allowed}, incomparable: true,
		},
		"Nonsense": {
			reason: "what is no digest is not compared", image: "registry.example/good:v1", imageID: "registry.example/good@latest",
			want: short{Outcome: policy.Allowed}, incomparable: true,
		},
		"Pinned": {
			reason: "kubelet pulls by digest: there is nothing to compare", image: "registry.example/good@" + goodDigest.String(), imageID: "registry.example/good@" + oldDigest.String(),
			want: short{Outcome: policy.Allowed},
		},
		"TagUnknown": {
			reason: "where the tag leads is not known", image: "registry.example/down:v1", imageID: "registry.example/down@" + oldDigest.String(),
			want: short{Outcome: policy.Undecided, Reason: evidence.RegistryUnreachable},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			namespace := cluster.Namespace(t, nil)
			runs(t, cluster, create(t, cluster, namespace, "p", c.image, nil), c.imageID)
			r := sweep(t, auditor(t, audit.Options{Client: client, Decider: newDecider(), In: namespace}))
			if len(r.Results) != 1 {
				t.Fatalf("want one result, got %d", len(r.Results))
			}
			c.want.Pod, c.want.Container, c.want.Image = "p", "app", c.image
			got := r.Results[0]
			if diff := cmp.Diff([]short{c.want}, shortened(r)); diff != "" || got.Running != c.running || got.Incomparable != c.incomparable {
				t.Errorf("%s: running %q, incomparable %t, (-want +got):\n%s", c.reason, got.Running, got.Incomparable, diff)
			}
		})
	}
}

// TestR46OwnersAndAnnotationsAreNotTrusted: Pods that say that they belong to
// kubelet, to a controller or to an exempt application are decided as all are.
func TestR46OwnersAndAnnotationsAreNotTrusted(t *testing.T) {
	cluster, client := clientOf(t)
	namespace := cluster.Namespace(t, nil)
	create(t, cluster, namespace, "owned", "registry.example/evil:v1", func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "trusted", UID: "1", Controller: new(true)}}
	})
	create(t, cluster, namespace, "annotated", "registry.example/evil:v1", func(p *corev1.Pod) {
		p.Annotations = map[string]string{"bonafide.dev/outcome": "allowed", "kubernetes.io/config.source": "file"}
		p.Labels = map[string]string{"bonafide.dev/verify": "false"}
	})
	// Another pod of the same images, whose label a decider may care about, does
	// not answer for it.
	d := newDecider()
	d.outcome = func(_ imageref.Reference, r engine.Request) (policy.Outcome, evidence.Reason) {
		if r.Labels["team"] == "a" {
			return policy.Allowed, ""
		}
		return policy.Denied, evidence.NotSigned
	}
	create(t, cluster, namespace, "a-first", "registry.example/evil:v1", func(p *corev1.Pod) { p.Labels = map[string]string{"team": "a"} })
	r := sweep(t, auditor(t, audit.Options{Client: client, Decider: d, In: namespace}))
	want := []short{
		{"a-first", "app", "registry.example/evil:v1", policy.Allowed, ""},
		{"annotated", "app", "registry.example/evil:v1", policy.Denied, evidence.NotSigned},
		{"owned", "app", "registry.example/evil:v1", policy.Denied, evidence.NotSigned},
	}
	if diff := cmp.Diff(want, shortened(r)); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

func TestEventsOnChangeOnly(t *testing.T) {
	cluster, client := clientOf(t)
	namespace := cluster.Namespace(t, nil)
	create(t, cluster, namespace, "p", "registry.example/good:v1", nil)
	create(t, cluster, namespace, "q", "registry.example/evil:v1", nil)
	d, e := newDecider(), &events{}
	a := auditor(t, audit.Options{Client: client, Decider: d, In: namespace, Events: e})
	as := func(o policy.Outcome, reason evidence.Reason) {
		t.Helper()
		d.mu.Lock()
		d.outcome = func(ref imageref.Reference, _ engine.Request) (policy.Outcome, evidence.Reason) {
			if strings.Contains(ref.String(), "evil") {
				return policy.Denied, evidence.NotSigned
			}
			return o, reason
		}
		d.mu.Unlock()
		sweep(t, a)
	}
	as(policy.Allowed, "")
	as(policy.Allowed, "")
	if len(e.said) != 0 {
		t.Errorf("want no event before a change, got %q", e.said)
	}
	as(policy.Undecided, evidence.RegistryUnreachable) // no news about the Pod
	as(policy.Denied, evidence.NotSigned)
	as(policy.Denied, evidence.SignerMismatch)
	as(policy.Undecided, evidence.RegistryUnreachable)
	as(policy.Allowed, "")
	var kinds []string
	for _, said := range e.said {
		kinds = append(kinds, strings.SplitN(said, ":", 2)[0])
	}
	if diff := cmp.Diff([]string{"Pod p Warning ImageDenied", "Pod p Normal ImageAllowed"}, kinds); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestSweepThatCannotListSaysSo(t *testing.T) {
	cluster, _ := clientOf(t)
	client := clientAs(t, cluster.ConfigFor(t, "alice"))
	a := auditor(t, audit.Options{Client: client, Decider: newDecider()})
	if r, err := a.Sweep(t.Context()); err == nil {
		t.Errorf("want an error for a user who may not list Pods, got %d Pods", r.Pods)
	}
}

func TestSweepThatIsInterruptedIsNoReport(t *testing.T) {
	cluster, client := clientOf(t)
	namespace := cluster.Namespace(t, nil)
	create(t, cluster, namespace, "p", "registry.example/good:v1", nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	boom := errors.New("boom")
	d := audit.DeciderFunc(func(_ context.Context, r engine.Request) engine.Decision {
		cancel(boom)
		return engine.Decision{Images: make([]engine.ImageDecision, len(r.Images))}
	})
	if _, err := auditor(t, audit.Options{Client: client, Decider: d, In: namespace}).Sweep(ctx); !errors.Is(err, boom) {
		t.Errorf("want %v, got %v", boom, err)
	}
}

// TestR48DeciderThatMisbehaves: no answer, or one too few, allows nothing.
func TestR48DeciderThatMisbehaves(t *testing.T) {
	cluster, client := clientOf(t)
	namespace := cluster.Namespace(t, nil)
	create(t, cluster, namespace, "p", "registry.example/good:v1", nil)
	cases := map[string]audit.DeciderFunc{
		"Panic":      func(context.Context, engine.Request) engine.Decision { panic("boom") },
		"NoDecision": func(context.Context, engine.Request) engine.Decision { return engine.Decision{} },
		"NoPolicy": func(_ context.Context, r engine.Request) engine.Decision {
			return engine.Decision{Images: []engine.ImageDecision{{Image: r.Images[0], Outcome: policy.Allowed}}}
		},
	}
	for name, d := range cases {
		t.Run(name, func(t *testing.T) {
			r := sweep(t, auditor(t, audit.Options{Client: client, Decider: d, In: namespace}))
			want := []short{{"p", "app", "registry.example/good:v1", policy.Undecided, evidence.Internal}}
			if diff := cmp.Diff(want, shortened(r)); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWarmDecidesEachImageOnce(t *testing.T) {
	cluster, client := clientOf(t)
	namespace := cluster.Namespace(t, nil)
	for i := range 3 {
		create(t, cluster, namespace, fmt.Sprintf("p%d", i), "registry.example/good:v1", func(p *corev1.Pod) {
			p.Labels = map[string]string{"n": fmt.Sprint(i)}
		})
	}
	create(t, cluster, namespace, "q", "registry.example/good:v2", nil)
	d := newDecider()
	w, err := auditor(t, audit.Options{Client: client, Decider: d, In: namespace}).Warm(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(audit.Warmed{Images: 2}, w); diff != "" || d.asked() != 2 {
		t.Errorf("asked %d; warmed (-want +got):\n%s", d.asked(), diff)
	}
}
