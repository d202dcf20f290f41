package rig

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A webhook is a configuration with one webhook for everything that is created
// or updated, by URL.
type webhook struct {
	kind          string // ValidatingWebhookConfiguration, MutatingWebhookConfiguration
	configuration string // its name
	name          string
	url           string
	ca            []byte // PEM
	ignore        string // label of namespaces that are left alone
	failurePolicy string
	timeout       time.Duration
}

// markerLabel marks the ConfigMaps that ask whether a configuration is in force.
const markerLabel = "rig.bonafide.dev/configuration"

// manifest is the configuration, with a second webhook that cannot be reached
// and fails for the ConfigMaps of the question alone: the webhooks of a
// configuration come into force together.
func (w webhook) manifest() []byte {
	return fmt.Appendf(nil, `
apiVersion: admissionregistration.k8s.io/v1
kind: %s
metadata: {name: %s}
webhooks:
- name: %s
  clientConfig: {url: %q, caBundle: %s}
  failurePolicy: %s
  timeoutSeconds: %d
  matchPolicy: Exact
  namespaceSelector: {matchExpressions: [{key: %s, operator: DoesNotExist}]}
  objectSelector: {matchExpressions: [{key: %s, operator: DoesNotExist}]}
  rules:
  - apiGroups: ["*"]
    apiVersions: ["*"]
    operations: [CREATE, UPDATE]
    resources: ["*", pods/ephemeralcontainers]
  sideEffects: None
  admissionReviewVersions: [v1]
- name: marker.rig.bonafide.dev
  clientConfig: {url: "https://127.0.0.1:1/"}
  failurePolicy: Fail
  timeoutSeconds: 1
  objectSelector: {matchLabels: {%s: %q}}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  sideEffects: None
  admissionReviewVersions: [v1]
`, w.kind, w.configuration, w.name, w.url, base64.StdEncoding.EncodeToString(w.ca), w.failurePolicy, int(w.timeout/time.Second),
		w.ignore, markerLabel, markerLabel, w.marker())
}

func (w webhook) marker() string { return w.kind + "." + w.configuration }

// register creates the configurations and waits until the API server acts on
// them.
func (c *Cluster) register(ctx context.Context, hooks []webhook) error {
	ctx, cancel := context.WithTimeout(ctx, takeUpTimeout)
	defer cancel()
	for _, w := range hooks {
		if _, err := c.apply(ctx, w.manifest()); err != nil {
			return err
		}
		if err := Poll(ctx, func(ctx context.Context) error { return c.inForce(ctx, w, true) }); err != nil {
			return err
		}
	}
	return nil
}

// unregister deletes the configurations and waits until they are out of force.
func (c *Cluster) unregister(ctx context.Context, hooks []webhook) error {
	ctx, cancel := context.WithTimeout(ctx, takeUpTimeout)
	defer cancel()
	for _, w := range hooks {
		object := &unstructured.Unstructured{}
		object.SetAPIVersion("admissionregistration.k8s.io/v1")
		object.SetKind(w.kind)
		object.SetName(w.configuration)
		if err := c.unapply(ctx, object); err != nil {
			return err
		}
		if err := Poll(ctx, func(ctx context.Context) error { return c.inForce(ctx, w, false) }); err != nil {
			return err
		}
	}
	return nil
}

// inForce returns nil if the configuration is in force as wanted: then the dry
// creation of a marked ConfigMap fails on the webhook that cannot be reached.
func (c *Cluster) inForce(ctx context.Context, w webhook, want bool) error {
	_, err := c.Client.CoreV1().ConfigMaps(metav1.NamespaceDefault).Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "marker-", Labels: map[string]string{markerLabel: w.marker()}},
	}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil && !apierrors.IsInternalError(err) {
		return fmt.Errorf("ask for %q: %w", w.configuration, err)
	}
	if got := err != nil; got != want {
		return fmt.Errorf("%q: expected in force: %t, got %t", w.configuration, want, got)
	}
	return nil
}
