package e2e_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

// patience bounds the wait for a webhook to go out of force. The API server
// takes that up within a second; a loaded machine gets more.
const patience = time.Minute

// markerLabel marks the ConfigMaps that ask whether a configuration is in force.
const markerLabel = "rig.bonafide.dev/marker"

// webhooks are the configurations to register together.
type webhooks struct {
	Mutating   []*admissionregistrationv1.MutatingWebhookConfiguration
	Validating []*admissionregistrationv1.ValidatingWebhookConfiguration
}

// RegisterWebhooks creates the configurations, waits until the API server acts
// on them, and removes them when the test ends, waiting again. To each it adds
// one webhook that fails for the ConfigMaps of the question: the webhooks of a
// configuration come into force together.
func RegisterWebhooks(t *testing.T, cluster *rig.Cluster, hooks webhooks) {
	t.Helper()
	for _, configuration := range hooks.Mutating {
		registerMutating(t, cluster, configuration.DeepCopy())
	}
	for _, configuration := range hooks.Validating {
		registerValidating(t, cluster, configuration.DeepCopy())
	}
}

func registerMutating(t *testing.T, cluster *rig.Cluster, configuration *admissionregistrationv1.MutatingWebhookConfiguration) {
	t.Helper()
	m := newMarker(t, cluster, "mutating", configuration.Name)
	configuration.Webhooks = append(configuration.Webhooks, admissionregistrationv1.MutatingWebhook{
		Name: m.webhookName(), ClientConfig: m.nowhere(), Rules: m.rules(), ObjectSelector: m.selector(),
		SideEffects: new(admissionregistrationv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
		TimeoutSeconds: new(int32(1)),
	})
	api := cluster.Client.AdmissionregistrationV1().MutatingWebhookConfigurations()
	if _, err := api.Create(t.Context(), configuration, metav1.CreateOptions{}); err != nil {
		t.Fatalf("register %q: %v", configuration.Name, err)
	}
	m.awaitInForce(t, func(ctx context.Context) error { return api.Delete(ctx, configuration.Name, metav1.DeleteOptions{}) })
}

func registerValidating(t *testing.T, cluster *rig.Cluster, configuration *admissionregistrationv1.ValidatingWebhookConfiguration) {
	t.Helper()
	m := newMarker(t, cluster, "validating", configuration.Name)
	configuration.Webhooks = append(configuration.Webhooks, admissionregistrationv1.ValidatingWebhook{
		Name: m.webhookName(), ClientConfig: m.nowhere(), Rules: m.rules(), ObjectSelector: m.selector(),
		SideEffects: new(admissionregistrationv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
		TimeoutSeconds: new(int32(1)),
	})
	api := cluster.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	if _, err := api.Create(t.Context(), configuration, metav1.CreateOptions{}); err != nil {
		t.Fatalf("register %q: %v", configuration.Name, err)
	}
	m.awaitInForce(t, func(ctx context.Context) error { return api.Delete(ctx, configuration.Name, metav1.DeleteOptions{}) })
}

// A marker asks the API server whether a configuration is in force: by the dry
// creation of a ConfigMap that only the marker's own webhook matches, and that
// webhook cannot be reached.
type marker struct {
	cluster   *rig.Cluster
	namespace string
	value     string
}

func newMarker(t *testing.T, cluster *rig.Cluster, kind, configuration string) marker {
	t.Helper()
	return marker{cluster: cluster, namespace: cluster.Namespace(t, nil), value: kind + "." + configuration}
}

func (marker) webhookName() string { return "marker.rig.bonafide.dev" }

// nowhere is an address at which nothing listens, so that the API server is
// refused at once.
func (marker) nowhere() admissionregistrationv1.WebhookClientConfig {
	return admissionregistrationv1.WebhookClientConfig{URL: new("https://127.0.0.1:1/")}
}

func (marker) rules() []admissionregistrationv1.RuleWithOperations {
	return []admissionregistrationv1.RuleWithOperations{{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
	}}
}

func (m marker) selector() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{markerLabel: m.value}}
}

func (m marker) awaitInForce(t *testing.T, remove func(context.Context) error) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if err := remove(ctx); err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("unregister %q: %v", m.value, err)
			return
		}
		if err := rig.Poll(ctx, func(ctx context.Context) error { return m.want(ctx, false) }); err != nil {
			t.Errorf("unregister %q: %v", m.value, err)
		}
	})
	rig.Eventually(t, fmt.Sprintf("register %q", m.value), func(ctx context.Context) error { return m.want(ctx, true) })
}

// want returns nil if the configuration is in force as asked.
func (m marker) want(ctx context.Context, inForce bool) error {
	_, err := m.cluster.Client.CoreV1().ConfigMaps(m.namespace).Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "marker-", Labels: map[string]string{markerLabel: m.value}},
	}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	switch {
	case err != nil && !apierrors.IsInternalError(err): // what a webhook that cannot be reached gives
		return fmt.Errorf("ask for %q: %w", m.value, err)
	case inForce && err == nil:
		return fmt.Errorf("%q is not in force", m.value)
	case !inForce && err != nil:
		return fmt.Errorf("%q is still in force", m.value)
	}
	return nil
}

// inNamespace limits a webhook to one namespace, as every test must.
func inNamespace(name string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: name}}
}
