package audit_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/kube/audit"
	"github.com/bonafide-dev/bonafide/internal/kube/reports"
	"github.com/bonafide-dev/bonafide/policy"
)

// TestEventsOnceAcrossLeaders: a replica that begins to lead goes on where the
// last one ended: it tells what changed since, and nothing that was told.
func TestEventsOnceAcrossLeaders(t *testing.T) {
	cluster, client := clientOf(t)
	serveReports(t, cluster)
	namespace := cluster.Namespace(t, nil)
	create(t, cluster, namespace, "changes", "registry.example/moving:v1", func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{{Name: "setup", Image: "registry.example/evil:v1"}}
		p.Spec.Volumes = []corev1.Volume{{Name: "app", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "registry.example/moving:v1"}}}}
	})
	create(t, cluster, namespace, "denied", "registry.example/evil:v1", nil)
	create(t, cluster, namespace, "malformed", "registry.example/UPPER", nil)
	moving := policy.Allowed
	d := newDecider()
	d.outcome = func(ref imageref.Reference, _ engine.Request) (policy.Outcome, evidence.Reason) {
		switch {
		case strings.Contains(ref.String(), "evil"):
			return policy.Denied, evidence.NotSigned
		case moving == policy.Allowed:
			return policy.Allowed, ""
		}
		return moving, evidence.NotSigned
	}
	said := &events{}
	leads := func() *audit.Auditor {
		return auditor(t, audit.Options{Client: client, Decider: d, In: namespace, Events: said})
	}
	write := func(a *audit.Auditor) {
		t.Helper()
		if _, err := a.Write(t.Context(), sweep(t, a)); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(when string, want ...string) {
		t.Helper()
		var kinds []string
		for _, s := range said.said {
			kinds = append(kinds, strings.Join(strings.Fields(s)[1:6], " "))
		}
		if diff := cmp.Diff(want, kinds); diff != "" {
			t.Errorf("%s: events (-want +got):\n%s", when, diff)
		}
		said.said = nil
	}
	first, second := leads(), leads()
	write(first)
	expect("the first audit of all")
	write(second)
	expect("another leader, and nothing new")
	moving = policy.Denied
	write(leads())
	expect("another leader, and a change", "changes Warning ImageDenied: container app:", "changes Warning ImageDenied: volume app:")
	first.Resume() // it knows of no refusal
	write(first)
	expect("a leader of old, and nothing new")
	moving = policy.Undecided
	write(first)
	expect("an outage")
	moving = policy.Denied
	second.Resume()
	write(second)
	expect("another leader after an outage: what was before is not known")
	moving = policy.Allowed
	write(second)
	expect("a change", "changes Normal ImageAllowed: container app:", "changes Normal ImageAllowed: volume app:")
	write(leads())
	expect("yet another leader, and nothing new")
	if err := cluster.Client.CoreV1().Pods(namespace).Delete(t.Context(), "denied", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		t.Fatal(err)
	}
	if p := create(t, cluster, namespace, "denied", "registry.example/good:v1", nil); p.UID == types.UID("") {
		t.Fatal("want a Pod with an identity")
	}
	write(leads())
	expect("another Pod of the same name")
}

func TestWhatReportsRemember(t *testing.T) {
	result := func(outcome reports.Outcome, severity reports.Severity, pods ...types.UID) reports.Result {
		r := reports.Result{Outcome: outcome, Severity: severity, Properties: map[string]string{"container": "app"}}
		for _, uid := range pods {
			r.Resources = append(r.Resources, corev1.ObjectReference{UID: uid})
		}
		return r
	}
	elsewhere := result(reports.Fail, reports.High, "p")
	elsewhere.Properties["list"] = "volumes"
	unreadable := result(reports.Fail, reports.High, "p")
	unreadable.Properties = nil
	cases := map[string]struct {
		reason  string
		results []reports.Result
		want    map[string]policy.Outcome
	}{
		"Denied":     {reason: "by a policy that enforces", results: []reports.Result{result(reports.Fail, reports.High, "p", "q")}, want: map[string]policy.Outcome{"p containers/app": policy.Denied, "q containers/app": policy.Denied}},
		"Reported":   {reason: "by a policy that only reports", results: []reports.Result{result(reports.Fail, reports.Medium, "p")}, want: map[string]policy.Outcome{"p containers/app": policy.Allowed}},
		"Both":       {reason: "one policy denies and another allows", results: []reports.Result{result(reports.Fail, reports.High, "p"), result(reports.Pass, reports.Info, "p")}, want: map[string]policy.Outcome{"p containers/app": policy.Denied}},
		"Undecided":  {reason: "one policy allows and another could not tell", results: []reports.Result{result(reports.Error, reports.Medium, "p"), result(reports.Pass, reports.Info, "p")}, want: map[string]policy.Outcome{}},
		"Worse":      {reason: "one policy denies, whatever another could not tell", results: []reports.Result{result(reports.Fail, reports.High, "p"), result(reports.Error, reports.Medium, "p")}, want: map[string]policy.Outcome{"p containers/app": policy.Denied}},
		"Skipped":    {reason: "an exception lifts it, or no policy covers it", results: []reports.Result{result(reports.Skip, reports.Low, "p")}, want: map[string]policy.Outcome{"p containers/app": policy.Allowed}},
		"Volume":     {reason: "a volume is not the container of its name", results: []reports.Result{elsewhere, result(reports.Pass, reports.Info, "p")}, want: map[string]policy.Outcome{"p volumes/app": policy.Denied, "p containers/app": policy.Allowed}},
		"Unreadable": {reason: "a Pod that could not be read has no containers", results: []reports.Result{unreadable}, want: map[string]policy.Outcome{"p /": policy.Denied}},
		"Foreign":    {reason: "what somebody else has written is not known of any Pod", results: []reports.Result{{Outcome: "whatever"}}, want: map[string]policy.Outcome{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, audit.Remembered(reports.Namespaced{Results: c.results})); diff != "" {
				t.Errorf("%s: (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}
