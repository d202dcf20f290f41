package server

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	registration "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// WebhookConfig says how an API server reaches the admission doors: by URL, or
// by ServiceNamespace and ServiceName.
type WebhookConfig struct {
	URL              string // such as "https://10.0.0.1:9443"; a path is kept as a prefix
	ServiceNamespace string
	ServiceName      string
	// CABundle is the PEM of the authorities that the server's certificate is
	// verified with. Empty means the API server's own.
	CABundle []byte
	// SystemNamespace is our own namespace. It is required.
	SystemNamespace string
}

const (
	kubeSystem    = "kube-system"
	mainTimeout   = 10 // seconds: room for a first verification
	systemTimeout = 2  // seconds: TRUST R44
)

// YAML returns the webhook configurations as two YAML documents. Each has two
// webhooks (TRUST R44): one that fails closed for all namespaces but
// kube-system and our own, and one for those two that lets them in when we are
// down or slow, so that a cluster can always heal itself.
func (c WebhookConfig) YAML() ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	mutating, err := yaml.Marshal(c.mutating())
	if err != nil {
		return nil, fmt.Errorf("server: write the mutating configuration: %w", err)
	}
	validating, err := yaml.Marshal(c.validating())
	if err != nil {
		return nil, fmt.Errorf("server: write the validating configuration: %w", err)
	}
	return slices.Concat(mutating, []byte("---\n"), validating), nil
}

func (c WebhookConfig) check() error {
	byService := c.ServiceNamespace != "" && c.ServiceName != ""
	switch {
	case c.SystemNamespace == "":
		return errors.New("server: expected the system namespace, got none")
	case c.URL != "" && (c.ServiceNamespace != "" || c.ServiceName != ""):
		return errors.New("server: expected a URL or a service, got both")
	case c.URL == "" && !byService:
		return errors.New("server: expected a URL, or a service's namespace and name")
	case byService:
		return nil
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return fmt.Errorf("server: expected the URL of the doors: %w", err)
	}
	if u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("server: expected an https URL without user, query and fragment, got %q", u.Redacted())
	}
	return nil
}

func (c WebhookConfig) mutating() *registration.MutatingWebhookConfiguration {
	hook := func(name string, selector *metav1.LabelSelector, failure registration.FailurePolicyType, seconds int32) registration.MutatingWebhook {
		return registration.MutatingWebhook{
			Name: name, ClientConfig: c.client("/admission/mutate"), Rules: rules(), NamespaceSelector: selector,
			FailurePolicy: &failure, TimeoutSeconds: &seconds, AdmissionReviewVersions: []string{"v1"},
			MatchPolicy: new(registration.Equivalent), SideEffects: new(registration.SideEffectClassNone),
			ReinvocationPolicy: new(registration.IfNeededReinvocationPolicy),
		}
	}
	return &registration.MutatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: registration.SchemeGroupVersion.String(), Kind: "MutatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: "bonafide"},
		Webhooks: []registration.MutatingWebhook{
			hook("mutate.bonafide.dev", c.namespaces(metav1.LabelSelectorOpNotIn), registration.Fail, mainTimeout),
			hook("mutate-system.bonafide.dev", c.namespaces(metav1.LabelSelectorOpIn), registration.Ignore, systemTimeout),
		},
	}
}

func (c WebhookConfig) validating() *registration.ValidatingWebhookConfiguration {
	hook := func(name string, selector *metav1.LabelSelector, failure registration.FailurePolicyType, seconds int32) registration.ValidatingWebhook {
		return registration.ValidatingWebhook{
			Name: name, ClientConfig: c.client("/admission/validate"), Rules: rules(), NamespaceSelector: selector,
			FailurePolicy: &failure, TimeoutSeconds: &seconds, AdmissionReviewVersions: []string{"v1"},
			MatchPolicy: new(registration.Equivalent), SideEffects: new(registration.SideEffectClassNone),
		}
	}
	return &registration.ValidatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: registration.SchemeGroupVersion.String(), Kind: "ValidatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: "bonafide"},
		Webhooks: []registration.ValidatingWebhook{
			hook("validate.bonafide.dev", c.namespaces(metav1.LabelSelectorOpNotIn), registration.Fail, mainTimeout),
			hook("validate-system.bonafide.dev", c.namespaces(metav1.LabelSelectorOpIn), registration.Ignore, systemTimeout),
		},
	}
}

func (c WebhookConfig) client(path string) registration.WebhookClientConfig {
	if c.URL != "" {
		return registration.WebhookClientConfig{URL: new(strings.TrimRight(c.URL, "/") + path), CABundle: c.CABundle}
	}
	return registration.WebhookClientConfig{
		Service:  &registration.ServiceReference{Namespace: c.ServiceNamespace, Name: c.ServiceName, Path: &path},
		CABundle: c.CABundle,
	}
}

// namespaces selects by the label that the API server itself sets to the
// namespace's name.
func (c WebhookConfig) namespaces(op metav1.LabelSelectorOperator) *metav1.LabelSelector {
	names := []string{kubeSystem, c.SystemNamespace}
	slices.Sort(names)
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
		Key: "kubernetes.io/metadata.name", Operator: op, Values: slices.Compact(names),
	}}}
}

// rules name the kinds that package workload reads, the same at both doors
// (TRUST R39).
func rules() []registration.RuleWithOperations {
	rule := func(group string, resources ...string) registration.RuleWithOperations {
		return registration.RuleWithOperations{
			Operations: []registration.OperationType{registration.Create, registration.Update},
			Rule: registration.Rule{
				APIGroups: []string{group}, APIVersions: []string{"v1"}, Resources: resources, Scope: new(registration.NamespacedScope),
			},
		}
	}
	return []registration.RuleWithOperations{
		rule("", "pods", "pods/ephemeralcontainers", "podtemplates", "replicationcontrollers"),
		rule("apps", "daemonsets", "deployments", "replicasets", "statefulsets"),
		rule("batch", "cronjobs", "jobs"),
	}
}
