package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

func template(image string, restart corev1.RestartPolicy) corev1.PodTemplateSpec {
	spec := rig.NewPod(image).Spec
	spec.RestartPolicy = restart
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "x"}}, Spec: spec}
}

// creations create an object that names an image, and return how the image is
// stored.
var creations = map[string]func(ctx context.Context, c *rig.Cluster, namespace, image string) (string, error){
	"Pod": func(ctx context.Context, c *rig.Cluster, namespace, image string) (string, error) {
		return c.CreatePod(ctx, namespace, image)
	},
	"InitContainer": func(ctx context.Context, c *rig.Cluster, namespace, image string) (string, error) {
		pod := rig.NewPod(image)
		pod.Spec.InitContainers = []corev1.Container{{Name: "init", Image: image}}
		got, err := c.Client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{})
		if err != nil {
			return "", err
		}
		return got.Spec.InitContainers[0].Image, nil
	},
	"ImageVolume": func(ctx context.Context, c *rig.Cluster, namespace, image string) (string, error) {
		pod := rig.NewPod("elsewhere.example/unmatched:1")
		pod.Spec.Volumes = []corev1.Volume{{Name: "model", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: image}}}}
		got, err := c.Client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{})
		if err != nil {
			return "", err
		}
		return got.Spec.Volumes[0].Image.Reference, nil
	},
	"Deployment": func(ctx context.Context, c *rig.Cluster, namespace, image string) (string, error) {
		got, err := c.Client.AppsV1().Deployments(namespace).Create(ctx, &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "x-"},
			Spec:       appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "x"}}, Template: template(image, "")},
		}, metav1.CreateOptions{})
		if err != nil {
			return "", err
		}
		return got.Spec.Template.Spec.Containers[0].Image, nil
	},
	"StatefulSet": func(ctx context.Context, c *rig.Cluster, namespace, image string) (string, error) {
		got, err := c.Client.AppsV1().StatefulSets(namespace).Create(ctx, &appsv1.StatefulSet{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "x-"},
			Spec:       appsv1.StatefulSetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "x"}}, Template: template(image, "")},
		}, metav1.CreateOptions{})
		if err != nil {
			return "", err
		}
		return got.Spec.Template.Spec.Containers[0].Image, nil
	},
	"CronJob": func(ctx context.Context, c *rig.Cluster, namespace, image string) (string, error) {
		got, err := c.Client.BatchV1().CronJobs(namespace).Create(ctx, &batchv1.CronJob{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "x-"},
			Spec:       batchv1.CronJobSpec{Schedule: "0 0 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template(image, corev1.RestartPolicyNever)}}},
		}, metav1.CreateOptions{})
		if err != nil {
			return "", err
		}
		return got.Spec.JobTemplate.Spec.Template.Spec.Containers[0].Image, nil
	},
	"EphemeralContainer": func(ctx context.Context, c *rig.Cluster, namespace, image string) (string, error) {
		pods := c.Client.CoreV1().Pods(namespace)
		running, err := pods.Create(ctx, rig.NewPod("elsewhere.example/unmatched:1"), metav1.CreateOptions{})
		if err != nil {
			return "", err
		}
		running.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: image}}}
		got, err := pods.UpdateEphemeralContainers(ctx, running.Name, running, metav1.UpdateOptions{})
		if err != nil {
			return "", err
		}
		return got.Spec.EphemeralContainers[0].Image, nil
	},
}

func TestSignedIsAdmittedAndPinnedUnsignedIsRefused(t *testing.T) {
	w := newWorld(t, "")
	cluster, namespace := w.guarded(t)
	for name, create := range creations {
		t.Run(name, func(t *testing.T) {
			got, err := create(t.Context(), cluster, namespace, w.signed)
			if err != nil {
				t.Fatalf("signed: want it admitted, got %v", err)
			}
			if got != w.pinned() {
				t.Errorf("signed: want it stored as %q, got %q", w.pinned(), got)
			}
			_, err = create(t.Context(), cluster, namespace, w.unsigned)
			rig.WantRefused(t, err, w.unsigned, "release", "expected a signature", "no signature")
		})
	}
}

func TestR39StrippedDigestIsCaughtByTheValidatingDoor(t *testing.T) {
	w := newWorld(t, "")
	cluster := shared.Cluster(t)
	namespace := cluster.Namespace(t, nil)
	stripper := startHook(t, func(r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		var p corev1.Pod
		if err := json.Unmarshal(r.Object.Raw, &p); err != nil {
			return &admissionv1.AdmissionResponse{Result: &metav1.Status{Message: err.Error()}}
		}
		bare, _, digested := strings.Cut(p.Spec.Containers[0].Image, "@")
		if !digested {
			return &admissionv1.AdmissionResponse{Allowed: true}
		}
		return &admissionv1.AdmissionResponse{
			Allowed: true, PatchType: new(admissionv1.PatchTypeJSONPatch),
			Patch: []byte(`[{"op":"replace","path":"/spec/containers/0/image","value":"` + bare + `"}]`),
		}
	})
	hooks := w.webhooks(t, namespace)
	strip := mutatingHook(stripper, namespace).Mutating[0]
	strip.Name = "zz-" + strip.Name // after ours
	strip.Webhooks[0].ReinvocationPolicy = new(admissionregistrationv1.IfNeededReinvocationPolicy)
	hooks.Mutating = append(hooks.Mutating, strip)
	RegisterWebhooks(t, cluster, hooks)
	_, err := cluster.CreatePod(t.Context(), namespace, w.signed)
	rig.WantRefused(t, err, w.signed, "expected an image named by digest")
	if len(stripper.take()) == 0 {
		t.Error("want the stripping webhook called, got no call: the test shows nothing")
	}
}

func TestR39MutatingAdmissionPolicyIsRepinnedByReinvocation(t *testing.T) {
	w := newWorld(t, "")
	cluster := shared.Cluster(t)
	namespace := cluster.Namespace(t, nil)
	stripByPolicy(t, cluster.Client, namespace)
	rig.Eventually(t, "the MutatingAdmissionPolicy is in force", func(ctx context.Context) error {
		got, err := cluster.Client.CoreV1().Pods(namespace).Create(ctx, rig.NewPod(w.pinned()), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			return err
		}
		if got.Spec.Containers[0].Image != w.signed {
			return errors.New("the digest is not stripped yet")
		}
		return nil
	})
	RegisterWebhooks(t, cluster, w.webhooks(t, namespace))
	got, err := cluster.CreatePod(t.Context(), namespace, w.signed)
	if err != nil {
		t.Fatalf("want it admitted, got %v", err)
	}
	if got != w.pinned() {
		t.Errorf("want it pinned again as %q, got %q", w.pinned(), got)
	}
}

// stripByPolicy makes the API server itself strip digests in a namespace.
func stripByPolicy(t *testing.T, client kubernetes.Interface, namespace string) {
	t.Helper()
	api := client.AdmissionregistrationV1()
	name := "strip." + namespace
	_, err := api.MutatingAdmissionPolicies().Create(t.Context(), &admissionregistrationv1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
				RuleWithOperations: podCreation()[0],
			}}},
			ReinvocationPolicy: admissionregistrationv1.IfNeededReinvocationPolicy,
			FailurePolicy:      new(admissionregistrationv1.Fail),
			Mutations: []admissionregistrationv1.Mutation{{
				PatchType: admissionregistrationv1.PatchTypeJSONPatch,
				JSONPatch: &admissionregistrationv1.JSONPatch{Expression: `[JSONPatch{op: "replace", path: "/spec/containers/0/image", value: object.spec.containers[0].image.split("@")[0]}]`},
			}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = api.MutatingAdmissionPolicies().Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{})
	})
	_, err = api.MutatingAdmissionPolicyBindings().Create(t.Context(), &admissionregistrationv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{
			PolicyName:     name,
			MatchResources: &admissionregistrationv1.MatchResources{NamespaceSelector: inNamespace(namespace)},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = api.MutatingAdmissionPolicyBindings().Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{})
	})
}

func TestR42UpdateFreesOnlyUnchangedImages(t *testing.T) {
	w := newWorld(t, "")
	cluster := shared.Cluster(t)
	namespace := cluster.Namespace(t, nil)
	deployments := cluster.Client.AppsV1().Deployments(namespace)
	existing, err := deployments.Create(t.Context(), &appsv1.Deployment{ // before bonafide guards the namespace
		ObjectMeta: metav1.ObjectMeta{Name: "old"},
		Spec:       appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "x"}}, Template: template(w.unsigned, "")},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	RegisterWebhooks(t, cluster, w.webhooks(t, namespace))
	existing.Spec.Replicas = new(int32(3))
	updated, err := deployments.Update(t.Context(), existing, metav1.UpdateOptions{})
	if err != nil {
		t.Fatalf("an update that changes no image: want it admitted, got %v", err)
	}
	other := rig.Push(t, w.registry, "acme/app:other")
	updated.Spec.Template.Spec.Containers[0].Image = other.Reference.String()
	_, err = deployments.Update(t.Context(), updated, metav1.UpdateOptions{})
	rig.WantRefused(t, err, other.Reference.String(), "no signature")
	if err := deployments.Delete(t.Context(), "old", metav1.DeleteOptions{}); err != nil {
		t.Errorf("a deletion is never in the way: got %v", err)
	}
}

func TestPinKindsLeavesTemplatesToGitOps(t *testing.T) {
	w := newWorld(t, "  pinKinds: [Pod]\n")
	cluster, namespace := w.guarded(t)
	got, err := creations["Deployment"](t.Context(), cluster, namespace, w.signed)
	if err != nil || got != w.signed {
		t.Errorf("Deployment: want it admitted as it was written (%q), got %q, %v", w.signed, got, err)
	}
	_, err = creations["Deployment"](t.Context(), cluster, namespace, w.unsigned)
	rig.WantRefused(t, err, "no signature")
	if got, err = cluster.CreatePod(t.Context(), namespace, w.signed); err != nil || got != w.pinned() {
		t.Errorf("Pod: want it pinned, got %q, %v", got, err)
	}
}

func TestWarnAdmitsWithoutPinning(t *testing.T) {
	w := newWorld(t, "  mode: Warn\n")
	cluster, namespace := w.guarded(t)
	got, err := cluster.CreatePod(t.Context(), namespace, w.unsigned)
	if err != nil || got != w.unsigned {
		t.Errorf("want it admitted unchanged, got %q, %v", got, err)
	}
}

func TestPolicyIsReloadedWithoutARestart(t *testing.T) {
	w := newWorld(t, "")
	cluster, namespace := w.guarded(t)
	if _, err := cluster.CreatePod(t.Context(), namespace, w.signed); err != nil {
		t.Fatal(err)
	}
	w.writePolicy(t, rig.NewKey(t), "")
	rig.Eventually(t, "the other key takes effect", func(ctx context.Context) error {
		if _, err := cluster.CreatePod(ctx, namespace, w.signed); err == nil {
			return errors.New("the image is still admitted")
		}
		return nil
	})
}

func TestR18BrokenReloadKeepsTheLastGoodPolicies(t *testing.T) {
	w := newWorld(t, "")
	cluster, namespace := w.guarded(t)
	if err := os.WriteFile(w.policyFile, []byte("apiVersion: bonafide.dev/v1alpha1\nkind: ClusterVerificationPolicy\nmetadata: {name: release}\nspec: {imagez: []}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "the log says that the reload failed", func(context.Context) error {
		if !strings.Contains(w.bonafide.Log(t), "imagez") {
			return errors.New("it does not yet")
		}
		return nil
	})
	if _, err := cluster.CreatePod(t.Context(), namespace, w.signed); err != nil {
		t.Errorf("signed: want it admitted, got %v", err)
	}
	_, err := cluster.CreatePod(t.Context(), namespace, w.unsigned)
	rig.WantRefused(t, err, "no signature")
}

func TestR20UnmatchedImagesAreRefusedIfTheOperatorSaysSo(t *testing.T) {
	w := newWorld(t, "", "--unmatched", "deny")
	cluster, namespace := w.guarded(t)
	_, err := cluster.CreatePod(t.Context(), namespace, "elsewhere.example/app:1")
	rig.WantRefused(t, err, "elsewhere.example/app:1", "covers")
	if _, err := cluster.CreatePod(t.Context(), namespace, w.signed); err != nil {
		t.Errorf("signed: want it admitted, got %v", err)
	}
}
