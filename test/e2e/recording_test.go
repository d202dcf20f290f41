package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

var update = flag.Bool("update", false, "rewrite the recorded reviews")

// recordings are AdmissionReviews as the API server sends them, for the tests
// of other packages. What differs from run to run is replaced.
const recordings = "../../testdata/admission"

// recordedNamespace has a fixed name, since it appears in the recordings.
const recordedNamespace = "recorded"

// A step is one request to the API server whose review is recorded as
// <name>.json.
type step struct {
	name string
	do   func(context.Context, kubernetes.Interface) error
}

// TestRecordedReviews sends every step to the API server and compares the
// review that a webhook for everything receives with the recorded one.
func TestRecordedReviews(t *testing.T) {
	cluster := shared.Cluster(t)
	_, err := cluster.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: recordedNamespace}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	h := startHook(t, nil)
	RegisterWebhooks(t, cluster, hookForEverything(h))
	var names []string
	for _, s := range slices.Concat(podSteps(), workloadSteps()) {
		if err := s.do(t.Context(), cluster.Client); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		calls := h.take()
		if len(calls) == 0 {
			t.Fatalf("%s: want a review, got none", s.name)
		}
		names = append(names, s.name+".json")
		// An API server that began with an object of its cache, which is not the
		// latest, asks again with that: the last review is about what is stored.
		compareRecording(t, s.name+".json", calls[len(calls)-1].body)
	}
	onlyThese(t, names)
}

func hookForEverything(h *hook) webhooks {
	return webhooks{Validating: []*admissionregistrationv1.ValidatingWebhookConfiguration{{
		ObjectMeta: metav1.ObjectMeta{Name: "record-everything"},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: "record.rig.bonafide.dev", NamespaceSelector: inNamespace(recordedNamespace),
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.OperationAll},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{"*"}, APIVersions: []string{"*"}, Resources: []string{"*/*"}, Scope: new(admissionregistrationv1.NamespacedScope)},
			}},
			ClientConfig:            admissionregistrationv1.WebhookClientConfig{URL: &h.URL, CABundle: h.CABundle},
			SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"},
		}},
	}}}
}

func podSteps() []step {
	return []step{
		{name: "pod-create", do: func(ctx context.Context, c kubernetes.Interface) error {
			_, err := c.CoreV1().Pods(recordedNamespace).Create(ctx, fullPod(), metav1.CreateOptions{})
			return err
		}},
		{name: "pod-create-generate-name-dry-run", do: func(ctx context.Context, c kubernetes.Interface) error {
			p := rig.NewPod("registry.example/app:v1")
			_, err := c.CoreV1().Pods(recordedNamespace).Create(ctx, p, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			return err
		}},
		{name: "pod-create-mirror", do: func(ctx context.Context, c kubernetes.Interface) error {
			p := rig.NewPod("registry.example/static:v1")
			p.ObjectMeta = metav1.ObjectMeta{Name: "static-node-1", Annotations: map[string]string{corev1.MirrorPodAnnotationKey: "c2a0"}}
			p.Spec.NodeName = "node-1"
			_, err := c.CoreV1().Pods(recordedNamespace).Create(ctx, p, metav1.CreateOptions{})
			return err
		}},
		{name: "pod-update-image", do: patchPod("app", "", `{"spec":{"containers":[{"name":"app","image":"registry.example/app:v2"}]}}`)},
		{name: "pod-update-labels", do: patchPod("app", "", `{"metadata":{"labels":{"tier":"front"}}}`)},
		{name: "pod-ephemeralcontainers", do: patchPod("app", "ephemeralcontainers", `{"spec":{"ephemeralContainers":[{"name":"debug","image":"registry.example/debug:v1"}]}}`)},
		{name: "pod-status", do: patchPod("app", "status", `{"status":{"message":"on its way"}}`)},
		{name: "pod-binding", do: func(ctx context.Context, c kubernetes.Interface) error {
			return c.CoreV1().Pods(recordedNamespace).Bind(ctx, &corev1.Binding{
				ObjectMeta: metav1.ObjectMeta{Name: "app"}, Target: corev1.ObjectReference{Kind: "Node", Name: "node-1"},
			}, metav1.CreateOptions{})
		}},
		{name: "pod-eviction", do: func(ctx context.Context, c kubernetes.Interface) error {
			return c.CoreV1().Pods(recordedNamespace).EvictV1(ctx, &policyv1.Eviction{
				ObjectMeta:    metav1.ObjectMeta{Name: "app"},
				DeleteOptions: &metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}},
			})
		}},
		{name: "pod-delete", do: func(ctx context.Context, c kubernetes.Interface) error {
			return c.CoreV1().Pods(recordedNamespace).Delete(ctx, "app", metav1.DeleteOptions{})
		}},
	}
}

func patchPod(name, subresource, patch string) func(context.Context, kubernetes.Interface) error {
	return func(ctx context.Context, c kubernetes.Interface) error {
		var subresources []string
		if subresource != "" {
			subresources = append(subresources, subresource)
		}
		_, err := c.CoreV1().Pods(recordedNamespace).Patch(ctx, name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, subresources...)
		return err
	}
}

func workloadSteps() []step {
	create := metav1.CreateOptions{}
	labels := map[string]string{"app": "web"}
	selector := &metav1.LabelSelector{MatchLabels: labels}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: rig.NewPod("registry.example/web:v1").Spec}
	job := batchv1.JobSpec{Template: *template.DeepCopy()}
	job.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	meta := metav1.ObjectMeta{Name: "web"}
	return []step{
		{name: "deployment-create", do: func(ctx context.Context, c kubernetes.Interface) error {
			_, err := c.AppsV1().Deployments(recordedNamespace).Create(ctx, &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Selector: selector, Template: template}}, create)
			return err
		}},
		{name: "deployment-update", do: patchDeployment("", `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"registry.example/web:v2"}]}}}}`)},
		{name: "deployment-scale", do: func(ctx context.Context, c kubernetes.Interface) error {
			_, err := c.AppsV1().Deployments(recordedNamespace).UpdateScale(ctx, "web", &autoscalingv1.Scale{
				ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: recordedNamespace}, Spec: autoscalingv1.ScaleSpec{Replicas: 3},
			}, metav1.UpdateOptions{})
			return err
		}},
		{name: "deployment-status", do: patchDeployment("status", `{"status":{"observedGeneration":1}}`)},
		{name: "deployment-delete", do: func(ctx context.Context, c kubernetes.Interface) error {
			return c.AppsV1().Deployments(recordedNamespace).Delete(ctx, "web", metav1.DeleteOptions{})
		}},
		{name: "replicaset-create", do: func(ctx context.Context, c kubernetes.Interface) error {
			_, err := c.AppsV1().ReplicaSets(recordedNamespace).Create(ctx, &appsv1.ReplicaSet{ObjectMeta: meta, Spec: appsv1.ReplicaSetSpec{Selector: selector, Template: template}}, create)
			return err
		}},
		{name: "job-create", do: func(ctx context.Context, c kubernetes.Interface) error {
			_, err := c.BatchV1().Jobs(recordedNamespace).Create(ctx, &batchv1.Job{ObjectMeta: meta, Spec: job}, create)
			return err
		}},
		{name: "cronjob-create", do: func(ctx context.Context, c kubernetes.Interface) error {
			spec := batchv1.CronJobSpec{Schedule: "0 3 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: job}}
			_, err := c.BatchV1().CronJobs(recordedNamespace).Create(ctx, &batchv1.CronJob{ObjectMeta: meta, Spec: spec}, create)
			return err
		}},
		{name: "configmap-create", do: func(ctx context.Context, c kubernetes.Interface) error {
			_, err := c.CoreV1().ConfigMaps(recordedNamespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"image": "registry.example/web:v1"}}, create)
			return err
		}},
	}
}

func patchDeployment(subresource, patch string) func(context.Context, kubernetes.Interface) error {
	return func(ctx context.Context, c kubernetes.Interface) error {
		var subresources []string
		if subresource != "" {
			subresources = append(subresources, subresource)
		}
		_, err := c.AppsV1().Deployments(recordedNamespace).Patch(ctx, "web", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, subresources...)
		return err
	}
}

// fullPod names an image in every place where a Pod can at its creation.
func fullPod() *corev1.Pod {
	p := rig.NewPod("registry.example/app:v1")
	p.ObjectMeta = metav1.ObjectMeta{Name: "app", Labels: map[string]string{"app": "web"}}
	p.Spec.InitContainers = []corev1.Container{{Name: "init", Image: "registry.example/init:v1"}}
	p.Spec.Volumes = []corev1.Volume{{Name: "model", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "registry.example/model:v1"}}}}
	p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "pull"}}
	p.Spec.ServiceAccountName = "runner"
	return p
}

func compareRecording(t *testing.T, file string, review []byte) {
	t.Helper()
	got, err := normalised(review)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	path := filepath.Join(recordings, file)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; rewrite with -update):\n%s", file, diff)
	}
}

// onlyThese fails for a recording that no step makes.
func onlyThese(t *testing.T, names []string) {
	t.Helper()
	entries, err := os.ReadDir(recordings)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !slices.Contains(names, entry.Name()) {
			t.Errorf("%s: no step records it", entry.Name())
		}
	}
}

// normalised indents a review and replaces what differs from run to run.
func normalised(review []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(review))
	decoder.UseNumber()
	var content any
	if err := decoder.Decode(&content); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(replaceVolatile("", content), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("indent a review: %w", err)
	}
	return append(text, '\n'), nil
}

// generatedName is what the API server makes of the generateName "pod-".
var generatedName = regexp.MustCompile(`^pod-[a-z0-9]{5}$`)

func replaceVolatile(name string, value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			v[key] = replaceVolatile(key, child)
		}
	case []any:
		for i, child := range v {
			v[i] = replaceVolatile(name, child)
		}
	case string:
		switch {
		case name == "authentication.kubernetes.io/credential-id":
			return "credential"
		case name == "resourceVersion":
			return "1"
		case name == "name" && generatedName.MatchString(v):
			return "pod-abcde"
		case name == "uid" || strings.HasSuffix(name, "-uid"):
			if len(v) == len("00000000-0000-4000-8000-000000000000") {
				return "00000000-0000-4000-8000-000000000000"
			}
		case name == "time" || strings.HasSuffix(name, "Timestamp") || strings.HasSuffix(name, "Time"):
			return "2026-01-01T00:00:00Z"
		}
	}
	return value
}
