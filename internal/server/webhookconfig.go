package server

import (
	"errors"
	"fmt"
	"net/url"
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
	// OnlyNamespaces, if any, are the only namespaces beside the system's whose
	// objects are decided; ExcludeNamespaces are those whose are not. One of the
	// two at most, names alone, and none of the system's (TRUST R44).
	OnlyNamespaces    []string
	ExcludeNamespaces []string
	// ObserveOnly admits where nobody answers, in every namespace: for a server
	// that only observes ([Options.ObserveOnly]), which must not be in the way.
	ObserveOnly bool
}

// RegistrationName is the name of both webhook configurations.
const RegistrationName = "bonafide"

const (
	kubeSystem    = "kube-system"
	mainTimeout   = 10 // seconds: room for a first verification
	systemTimeout = 2  // seconds: TRUST R44
	policyTimeout = 5  // seconds: a person waits, and nothing is asked of anybody
)

// Objects returns the webhook configurations. Each has two webhooks (TRUST R44):
// one that fails closed for all namespaces but kube-system and our own, and one
// for those two that lets them in when we are down or slow, so that a cluster
// can always heal itself. The validating one has a third, for objects of our own
// kinds ([Options.Policies]), which lets them in then too. An error says what is wrong with the config.
func (c WebhookConfig) Objects() (*registration.MutatingWebhookConfiguration, *registration.ValidatingWebhookConfiguration, error) {
	if err := c.check(); err != nil {
		return nil, nil, err
	}
	return c.mutating(), c.validating(), nil
}

// YAML returns what [WebhookConfig.Objects] does, as two YAML documents.
func (c WebhookConfig) YAML() ([]byte, error) {
	mutating, validating, err := c.Objects()
	if err != nil {
		return nil, err
	}
	return documents(mutating, validating)
}

// documents writes objects as YAML documents.
func documents(objects ...any) ([]byte, error) {
	var all []byte
	for i, o := range objects {
		document, err := yaml.Marshal(o)
		if err != nil {
			return nil, fmt.Errorf("server: write a webhook configuration: %w", err)
		}
		if i > 0 {
			all = append(all, "---\n"...)
		}
		all = append(all, document...)
	}
	return all, nil
}

func (c WebhookConfig) check() error {
	byService := c.ServiceNamespace != "" && c.ServiceName != ""
	switch {
	case c.SystemNamespace == "":
		return errors.New("server: expected the system namespace, got none")
	case c.checkScope() != nil:
		return c.checkScope()
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
		ObjectMeta: metav1.ObjectMeta{Name: RegistrationName},
		Webhooks: []registration.MutatingWebhook{
			hook("mutate.bonafide.dev", c.main(), c.failure(), mainTimeout),
			hook("mutate-system.bonafide.dev", c.system(), registration.Ignore, systemTimeout),
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
		ObjectMeta: metav1.ObjectMeta{Name: RegistrationName},
		Webhooks: []registration.ValidatingWebhook{
			hook("validate.bonafide.dev", c.main(), c.failure(), mainTimeout),
			hook("validate-system.bonafide.dev", c.system(), registration.Ignore, systemTimeout),
			c.policies(),
		},
	}
}

// policies is the webhook for our own kinds, wherever they are. It takes nothing
// but what people write: deletions and statuses are not its business.
func (c WebhookConfig) policies() registration.ValidatingWebhook {
	return registration.ValidatingWebhook{
		Name: "policies.bonafide.dev", ClientConfig: c.client(policyPath), NamespaceSelector: &metav1.LabelSelector{},
		Rules: []registration.RuleWithOperations{{
			Operations: []registration.OperationType{registration.Create, registration.Update},
			Rule: registration.Rule{
				APIGroups: []string{"bonafide.dev"}, APIVersions: []string{"v1alpha1"}, Scope: new(registration.AllScopes),
				Resources: []string{"clusterverificationpolicies", "imagedenylists", "verificationexceptions", "verificationpolicies"},
			},
		}},
		FailurePolicy: new(registration.Ignore), TimeoutSeconds: new(int32(policyTimeout)), AdmissionReviewVersions: []string{"v1"},
		MatchPolicy: new(registration.Equivalent), SideEffects: new(registration.SideEffectClassNone),
	}
}

// failure is what happens where nobody answers.
func (c WebhookConfig) failure() registration.FailurePolicyType {
	if c.ObserveOnly {
		return registration.Ignore
	}
	return registration.Fail
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
