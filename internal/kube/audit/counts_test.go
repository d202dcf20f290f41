package audit_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/kube/audit"
	"github.com/bonafide-dev/bonafide/policy"
)

// tally is what a report counts for an object.
type tally struct{ Matched, Denied int64 }

// said is a policy's decision, by mode and outcome.
func said(origin policy.Origin, mode policy.Mode, outcome policy.Outcome) engine.PolicyDecision {
	p := engine.PolicyDecision{Origin: origin, Mode: mode, Outcome: outcome, Effective: outcome}
	if mode != policy.Enforce {
		p.Effective = policy.Unmatched
	}
	if outcome != policy.Allowed {
		p.Finding.Problems = []*evidence.Problem{{Reason: evidence.NotSigned, Expected: "a signature", Got: "none"}}
	}
	return p
}

// deciding answers for each image by the word that its name holds.
func deciding(by map[string]engine.ImageDecision) audit.DeciderFunc {
	return func(_ context.Context, r engine.Request) engine.Decision {
		var d engine.Decision
		for _, image := range r.Images {
			one := engine.ImageDecision{Outcome: policy.Unmatched, Problem: &evidence.Problem{Reason: evidence.NoPolicy}}
			for word, decision := range by {
				if strings.Contains(image.Ref, word) {
					one = decision
				}
			}
			one.Image = image
			d.Images = append(d.Images, one)
		}
		return d
	}
}

// telling is a decider of which it is known that it does not look at names, so
// that replicas are one question.
type telling struct{ audit.DeciderFunc }

func (telling) Snapshot() *engine.Snapshot { return engine.NewSnapshot(nil) }

func TestCountsOfPolicies(t *testing.T) {
	cluster, client := clientOf(t)
	namespace := cluster.Namespace(t, nil)
	create(t, cluster, namespace, "a", "registry.example/good:v1", func(p *corev1.Pod) {
		p.Spec.InitContainers = []corev1.Container{{Name: "setup", Image: "registry.example/good:v1"}}
		p.Spec.Volumes = []corev1.Volume{{Name: "model", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "registry.example/evil:v1"}}}}
	})
	for pod, image := range map[string]string{"b": "good:v1", "b-too": "good:v1", "c": "evil:v1", "d": "lifted:v1", "e": "stopped:v1", "f": "down:v1", "g": "other:v1"} {
		create(t, cluster, namespace, pod, "registry.example/"+image, nil)
	}
	enforced := policy.Origin{Dialect: "native", Kind: "ClusterVerificationPolicy", Name: "signed"}
	audited := policy.Origin{Dialect: "native", Kind: "VerificationPolicy", Namespace: namespace, Name: "signed"}
	ruleA := policy.Origin{Dialect: "kyverno", Kind: "ClusterPolicy", Name: "signed", Rule: "a"}
	ruleB := policy.Origin{Dialect: "kyverno", Kind: "ClusterPolicy", Name: "signed", Rule: "b"}
	list := policy.Origin{Dialect: "native", Kind: "ImageDenyList", Name: "incident"}
	lifts := []engine.Lift{{Exception: policy.Origin{Kind: "VerificationException", Name: "migration"}, Policy: enforced, Reason: "moving", Expires: fixed().Add(time.Hour)}}
	lifted := said(enforced, policy.Enforce, policy.Allowed)
	lifted.Lifts = lifts
	d := deciding(map[string]engine.ImageDecision{
		"good": {Outcome: policy.Allowed, Policies: []engine.PolicyDecision{said(enforced, policy.Enforce, policy.Allowed), said(ruleA, policy.Enforce, policy.Allowed)}},
		"evil": {Outcome: policy.Denied, Policies: []engine.PolicyDecision{
			said(enforced, policy.Enforce, policy.Denied), said(audited, policy.Audit, policy.Denied), said(ruleA, policy.Warn, policy.Denied), said(ruleB, policy.Enforce, policy.Allowed),
		}},
		"lifted":  {Outcome: policy.Allowed, Policies: []engine.PolicyDecision{lifted}, Lifted: lifts},
		"stopped": {Outcome: policy.Denied, Policies: []engine.PolicyDecision{said(list, policy.Enforce, policy.Denied)}},
		"down":    {Outcome: policy.Undecided, Policies: []engine.PolicyDecision{said(enforced, policy.Enforce, policy.Undecided), said(list, policy.Enforce, policy.Undecided)}},
	})
	r := sweep(t, auditor(t, audit.Options{Client: client, Decider: telling{d}, In: namespace}))
	got := map[string]tally{}
	for _, o := range []policy.Origin{enforced, audited, ruleA, list, {Kind: "VerificationPolicy", Name: "signed"}, {Kind: "ClusterVerificationPolicy", Name: "absent"}} {
		matched, denied := r.Counts(o.Kind, o.Namespace, o.Name)
		got[o.Kind+" "+strings.Replace(o.String(), namespace, "ns", 1)] = tally{matched, denied}
	}
	want := map[string]tally{
		"ClusterVerificationPolicy signed": {8, 2}, // four good, two evil, lifted, down
		"VerificationPolicy ns/signed":     {2, 2}, // it would deny if it enforced
		"ClusterPolicy signed/a":           {6, 2}, // both rules of an object count as one
		"ImageDenyList incident":           {1, 1}, // whether it names the image that is down is not known
		"VerificationPolicy signed":        {},
		"ClusterVerificationPolicy absent": {},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}
