package e2e_test

import (
	"crypto/x509"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

// podCreation is the rule of the webhooks in this file.
func podCreation() []admissionregistrationv1.RuleWithOperations {
	return []admissionregistrationv1.RuleWithOperations{{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
	}}
}

func validatingHook(h *hook, namespace string) webhooks {
	return webhooks{Validating: []*admissionregistrationv1.ValidatingWebhookConfiguration{{
		ObjectMeta: metav1.ObjectMeta{Name: "validate-" + namespace},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: "validate.rig.bonafide.dev", Rules: podCreation(), NamespaceSelector: inNamespace(namespace),
			ClientConfig:            admissionregistrationv1.WebhookClientConfig{URL: &h.URL, CABundle: h.CABundle},
			SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"},
		}},
	}}}
}

func mutatingHook(h *hook, namespace string) webhooks {
	return webhooks{Mutating: []*admissionregistrationv1.MutatingWebhookConfiguration{{
		ObjectMeta: metav1.ObjectMeta{Name: "mutate-" + namespace},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "mutate.rig.bonafide.dev", Rules: podCreation(), NamespaceSelector: inNamespace(namespace),
			ClientConfig:            admissionregistrationv1.WebhookClientConfig{URL: &h.URL, CABundle: h.CABundle},
			SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"},
		}},
	}}}
}

func TestPodStaysPending(t *testing.T) {
	cluster := shared.Cluster(t)
	namespace := cluster.Namespace(t, nil)
	created, err := cluster.Client.CoreV1().Pods(namespace).Create(t.Context(), rig.NewPod("registry.example/app:v1"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if created.Status.Phase != corev1.PodPending {
		t.Errorf("want phase %q, got %q", corev1.PodPending, created.Status.Phase)
	}
}

func TestImageVolumesAreServed(t *testing.T) {
	cluster := shared.Cluster(t)
	p := rig.NewPod("registry.example/app:v1")
	p.Spec.Volumes = []corev1.Volume{{Name: "model", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "registry.example/model:v1"}}}}
	created, err := cluster.Client.CoreV1().Pods(cluster.Namespace(t, nil)).Create(t.Context(), p, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(created.Spec.Volumes) != 1 || created.Spec.Volumes[0].Image == nil {
		t.Fatalf("want the image volume kept, got %+v", created.Spec.Volumes)
	}
	if got, want := created.Spec.Volumes[0].Image.Reference, "registry.example/model:v1"; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
}

func TestValidatingWebhookDecides(t *testing.T) {
	cluster := shared.Cluster(t)
	namespace := cluster.Namespace(t, nil)
	h := startHook(t, func(request *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		var p corev1.Pod
		if err := json.Unmarshal(request.Object.Raw, &p); err != nil {
			return &admissionv1.AdmissionResponse{Result: &metav1.Status{Message: err.Error()}}
		}
		allowed := p.Spec.Containers[0].Image == "registry.example/good:v1"
		return &admissionv1.AdmissionResponse{Allowed: allowed, Result: &metav1.Status{Message: "not the good one"}}
	})
	RegisterWebhooks(t, cluster, validatingHook(h, namespace))
	pods := cluster.Client.CoreV1().Pods(namespace)
	if _, err := pods.Create(t.Context(), rig.NewPod("registry.example/good:v1"), metav1.CreateOptions{}); err != nil {
		t.Errorf("the good image: want it admitted, got %v", err)
	}
	if _, err := pods.Create(t.Context(), rig.NewPod("registry.example/bad:v1"), metav1.CreateOptions{}); !apierrors.IsBadRequest(err) && !apierrors.IsForbidden(err) {
		t.Errorf("the bad image: want it refused, got %v", err)
	}
	if got := len(h.take()); got != 2 {
		t.Errorf("want 2 reviews, got %d", got)
	}
}

func TestMutatingWebhookPatches(t *testing.T) {
	cluster := shared.Cluster(t)
	namespace := cluster.Namespace(t, nil)
	const pinned = "registry.example/app:v1@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	h := startHook(t, func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		return &admissionv1.AdmissionResponse{
			Allowed: true, PatchType: new(admissionv1.PatchTypeJSONPatch),
			Patch: []byte(`[{"op":"replace","path":"/spec/containers/0/image","value":"` + pinned + `"}]`),
		}
	})
	RegisterWebhooks(t, cluster, mutatingHook(h, namespace))
	created, err := cluster.Client.CoreV1().Pods(namespace).Create(t.Context(), rig.NewPod("registry.example/app:v1"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(pinned, created.Spec.Containers[0].Image); diff != "" {
		t.Errorf("image (-want +got):\n%s", diff)
	}
}

func TestWebhookIsGoneAfterItsTest(t *testing.T) {
	cluster := shared.Cluster(t)
	namespace := cluster.Namespace(t, nil)
	t.Run("Inner", func(t *testing.T) {
		RegisterWebhooks(t, cluster, validatingHook(startHook(t, nil), namespace))
	})
	if _, err := cluster.Client.CoreV1().Pods(namespace).Create(t.Context(), rig.NewPod("registry.example/app:v1"), metav1.CreateOptions{}); err != nil {
		t.Errorf("want no webhook in the way, got %v", err)
	}
}

func TestMutatingAdmissionPolicyIsServed(t *testing.T) {
	cluster := shared.Cluster(t)
	if _, err := cluster.Client.AdmissionregistrationV1().MutatingAdmissionPolicies().List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Error(err)
	}
}

func TestAPIServerShowsItsClientCertificate(t *testing.T) {
	cluster := shared.Cluster(t)
	namespace := cluster.Namespace(t, nil)
	h := startHook(t, nil)
	RegisterWebhooks(t, cluster, validatingHook(h, namespace))
	if _, err := cluster.Client.CoreV1().Pods(namespace).Create(t.Context(), rig.NewPod("registry.example/app:v1"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	calls := h.take()
	if len(calls) != 1 || len(calls[0].certificates) == 0 {
		t.Fatalf("want one call with a client certificate, got %d calls", len(calls))
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cluster.AdmissionCA)
	_, err := calls[0].certificates[0].Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		t.Errorf("want a certificate of the cluster's AdmissionCA, got %v", err)
	}
}
