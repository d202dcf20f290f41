package server_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	registration "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/bonafide-dev/bonafide/internal/server"
	"github.com/bonafide-dev/bonafide/workload"
)

func configurations(t *testing.T, c server.WebhookConfig) (m registration.MutatingWebhookConfiguration, v registration.ValidatingWebhookConfiguration) {
	t.Helper()
	raw, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	documents := bytes.Split(raw, []byte("---\n"))
	if len(documents) != 2 {
		t.Fatalf("want two documents, got %d", len(documents))
	}
	for i, into := range []any{&m, &v} {
		if err := yaml.UnmarshalStrict(documents[i], into); err != nil {
			t.Fatal(err)
		}
	}
	return m, v
}

func TestR44SystemNamespacesAreNeverLockedOut(t *testing.T) {
	m, v := configurations(t, server.WebhookConfig{URL: "https://10.0.0.1:9443/", CABundle: []byte("ca"), SystemNamespace: "bonafide-system"})
	if len(m.Webhooks) != 2 || len(v.Webhooks) != 3 {
		t.Fatalf("want two webhooks each and one for policies, got %d and %d", len(m.Webhooks), len(v.Webhooks))
	}
	for i, want := range []struct {
		failure registration.FailurePolicyType
		seconds int32
		op      string
	}{{registration.Fail, 10, "NotIn"}, {registration.Ignore, 2, "In"}} {
		mutating, validating := m.Webhooks[i], v.Webhooks[i]
		if *mutating.FailurePolicy != want.failure || *mutating.TimeoutSeconds != want.seconds {
			t.Errorf("%s: got %s and %d s", mutating.Name, *mutating.FailurePolicy, *mutating.TimeoutSeconds)
		}
		if mutating.ObjectSelector != nil || len(mutating.MatchConditions) > 0 || len(mutating.NamespaceSelector.MatchLabels) > 0 {
			t.Errorf("%s: want namespaces selected by name alone", mutating.Name)
		}
		expressions := mutating.NamespaceSelector.MatchExpressions
		if len(expressions) != 1 || expressions[0].Key != "kubernetes.io/metadata.name" || string(expressions[0].Operator) != want.op ||
			!slices.Equal(expressions[0].Values, []string{"bonafide-system", "kube-system"}) {
			t.Errorf("%s: got selector %v", mutating.Name, expressions)
		}
		// R39: both doors have the same scope.
		mutating.ReinvocationPolicy, mutating.Name = nil, validating.Name
		mutating.ClientConfig = validating.ClientConfig
		if diff := cmp.Diff(registration.ValidatingWebhook{
			Name: mutating.Name, ClientConfig: mutating.ClientConfig, Rules: mutating.Rules, FailurePolicy: mutating.FailurePolicy,
			MatchPolicy: mutating.MatchPolicy, NamespaceSelector: mutating.NamespaceSelector, SideEffects: mutating.SideEffects,
			TimeoutSeconds: mutating.TimeoutSeconds, AdmissionReviewVersions: mutating.AdmissionReviewVersions,
		}, validating); diff != "" {
			t.Errorf("scopes differ, -mutating +validating:\n%s", diff)
		}
	}
}

func TestR39Registration(t *testing.T) {
	m, v := configurations(t, server.WebhookConfig{ServiceNamespace: "bonafide-system", ServiceName: "bonafide", SystemNamespace: "kube-system"})
	for _, w := range m.Webhooks {
		if *w.ReinvocationPolicy != registration.IfNeededReinvocationPolicy || *w.MatchPolicy != registration.Equivalent || *w.SideEffects != registration.SideEffectClassNone {
			t.Errorf("%s: got %s, %s, %s", w.Name, *w.ReinvocationPolicy, *w.MatchPolicy, *w.SideEffects)
		}
		if w.ClientConfig.Service == nil || *w.ClientConfig.Service.Path != mutateDoor || w.ClientConfig.URL != nil {
			t.Errorf("%s: got client %v", w.Name, w.ClientConfig)
		}
		if got := w.NamespaceSelector.MatchExpressions[0].Values; !slices.Equal(got, []string{"kube-system"}) {
			t.Errorf("%s: want one system namespace, got %q", w.Name, got)
		}
	}
	for _, w := range v.Webhooks[:2] {
		if *w.ClientConfig.Service.Path != validateDoor {
			t.Errorf("%s: got client %v", w.Name, w.ClientConfig)
		}
	}
	var resources []string
	for _, r := range v.Webhooks[0].Rules {
		for _, name := range r.Resources {
			resources = append(resources, r.APIGroups[0]+"/"+r.APIVersions[0]+"/"+name)
		}
		if !slices.Equal(r.Operations, []registration.OperationType{registration.Create, registration.Update}) {
			t.Errorf("got operations %s", r.Operations)
		}
	}
	// R43: the registration covers each kind that is read.
	for _, kind := range workload.Kinds() {
		want := "/" + strings.ToLower(kind) + "s"
		if strings.HasPrefix(kind, "apps/") || strings.HasPrefix(kind, "batch/") {
			want = want[1:]
		}
		if !slices.Contains(resources, want) {
			t.Errorf("want %q registered, got %q", want, resources)
		}
	}
	if !slices.Contains(resources, "/v1/pods/ephemeralcontainers") {
		t.Errorf("want the ephemeral containers registered, got %q", resources)
	}
}

// TestR44PoliciesCanBeWrittenWhenWeAreDown: their webhook is about all of our own
// kinds, wherever they are, and about nothing else; what it cannot be asked about
// is admitted, so that an image can always be stopped or a policy lifted.
func TestR44PoliciesCanBeWrittenWhenWeAreDown(t *testing.T) {
	for name, c := range map[string]server.WebhookConfig{
		"Service": {ServiceNamespace: "bonafide-system", ServiceName: "bonafide", SystemNamespace: "bonafide-system"},
		"URL":     {URL: "https://10.0.0.1:9443/prefix", SystemNamespace: "kube-system", ExcludeNamespaces: []string{"team-a"}},
		"Only":    {URL: "https://10.0.0.1:9443/prefix", SystemNamespace: "kube-system", OnlyNamespaces: []string{"team-a"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, v := configurations(t, c)
			got := v.Webhooks[2]
			client := registration.WebhookClientConfig{URL: new("https://10.0.0.1:9443/prefix" + policyDoor)}
			if c.URL == "" {
				client = registration.WebhookClientConfig{Service: &registration.ServiceReference{Namespace: c.ServiceNamespace, Name: c.ServiceName, Path: new(policyDoor)}}
			}
			want := registration.ValidatingWebhook{
				Name: "policies.bonafide.dev", ClientConfig: client, FailurePolicy: new(registration.Ignore), MatchPolicy: new(registration.Equivalent),
				SideEffects: new(registration.SideEffectClassNone), TimeoutSeconds: new(int32(5)), AdmissionReviewVersions: []string{"v1"},
				NamespaceSelector: &metav1.LabelSelector{},
				Rules: []registration.RuleWithOperations{{
					Operations: []registration.OperationType{registration.Create, registration.Update},
					Rule:       registration.Rule{APIGroups: []string{"bonafide.dev"}, APIVersions: []string{"v1alpha1"}, Resources: definitions(t), Scope: new(registration.AllScopes)},
				}},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// definitions are the names of the resources that are installed, sorted.
func definitions(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../config/crd/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("want definitions, got %d, %v", len(files), err)
	}
	var names []string
	for _, file := range files {
		_, name, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".yaml"), "_")
		names = append(names, name)
	}
	return names
}

func TestWebhookConfigRefuses(t *testing.T) {
	for name, c := range map[string]server.WebhookConfig{
		"Nothing":           {SystemNamespace: "s"},
		"NoSystemNamespace": {URL: "https://h"},
		"Both":              {URL: "https://h", ServiceName: "n", ServiceNamespace: "ns", SystemNamespace: "s"},
		"HalfAService":      {ServiceName: "n", SystemNamespace: "s"},
		"PlainHTTP":         {URL: "http://h", SystemNamespace: "s"},
		"User":              {URL: "https://u:p@h", SystemNamespace: "s"},
		"Query":             {URL: "https://h?timeout=1h", SystemNamespace: "s"},
		"NoHost":            {URL: "https:///x", SystemNamespace: "s"},
	} {
		if raw, err := c.YAML(); err == nil {
			t.Errorf("%s: want an error, got %s", name, raw)
		} else if strings.Contains(err.Error(), ":p@") {
			t.Errorf("%s: want no password in %v", name, err)
		}
	}
}
