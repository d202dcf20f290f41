package server_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	registration "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/bonafide-dev/bonafide/internal/server"
)

func byURL(change func(*server.WebhookConfig)) server.WebhookConfig {
	c := server.WebhookConfig{URL: "https://10.0.0.1:9443", SystemNamespace: "bonafide-system"}
	change(&c)
	return c
}

func selects(op metav1.LabelSelectorOperator, names ...string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "kubernetes.io/metadata.name", Operator: op, Values: names}}}
}

// TestR44NamespacesAreChosenByNameAlone: whatever is chosen, the system's
// namespaces have the registration that never locks them out, and no other.
func TestR44NamespacesAreChosenByNameAlone(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*server.WebhookConfig)
		main   *metav1.LabelSelector
	}{
		"All": {"off by default", func(*server.WebhookConfig) {}, selects("NotIn", "bonafide-system", "kube-system")},
		"Only": {"an opt-in", func(c *server.WebhookConfig) { c.OnlyNamespaces = []string{"team-b", "team-a"} },
			selects("In", "team-a", "team-b")},
		"Exclude": {"an opt-out", func(c *server.WebhookConfig) { c.ExcludeNamespaces = []string{"team-b"} },
			selects("NotIn", "bonafide-system", "kube-system", "team-b")},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m, v, err := byURL(tc.change).Objects()
			if err != nil {
				t.Fatal(err)
			}
			system := selects("In", "bonafide-system", "kube-system")
			for i, want := range []*metav1.LabelSelector{tc.main, system} {
				for _, got := range []*metav1.LabelSelector{m.Webhooks[i].NamespaceSelector, v.Webhooks[i].NamespaceSelector} {
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s: webhook %d: -want +got:\n%s", tc.reason, i, diff)
					}
				}
			}
			if *v.Webhooks[0].FailurePolicy != registration.Fail || *v.Webhooks[1].FailurePolicy != registration.Ignore {
				t.Errorf("want Fail and Ignore, got %s and %s", *v.Webhooks[0].FailurePolicy, *v.Webhooks[1].FailurePolicy)
			}
		})
	}
}

func TestR44ScopeRefuses(t *testing.T) {
	var many []string
	for i := range 1001 {
		many = append(many, fmt.Sprint("team-", i))
	}
	for name, change := range map[string]func(*server.WebhookConfig){
		"Both":            func(c *server.WebhookConfig) { c.OnlyNamespaces, c.ExcludeNamespaces = []string{"a"}, []string{"b"} },
		"KubeSystem":      func(c *server.WebhookConfig) { c.ExcludeNamespaces = []string{"kube-system"} },
		"OwnNamespace":    func(c *server.WebhookConfig) { c.ExcludeNamespaces = []string{"bonafide-system"} },
		"OnlyOwn":         func(c *server.WebhookConfig) { c.OnlyNamespaces = []string{"bonafide-system"} },
		"Pattern":         func(c *server.WebhookConfig) { c.ExcludeNamespaces = []string{"team-*"} },
		"Label":           func(c *server.WebhookConfig) { c.ExcludeNamespaces = []string{"team=a"} },
		"Empty":           func(c *server.WebhookConfig) { c.OnlyNamespaces = []string{""} },
		"Twice":           func(c *server.WebhookConfig) { c.OnlyNamespaces = []string{"a", "a"} },
		"TooLong":         func(c *server.WebhookConfig) { c.OnlyNamespaces = []string{strings.Repeat("a", 64)} },
		"TooMany":         func(c *server.WebhookConfig) { c.ExcludeNamespaces = many },
		"SystemNamespace": func(c *server.WebhookConfig) { c.SystemNamespace = "Not_A_Namespace" },
	} {
		if m, v, err := byURL(change).Objects(); err == nil || m != nil || v != nil {
			t.Errorf("%s: want an error and nothing else, got %v", name, err)
		}
	}
}

// TestObserveOnlyRegistrationIsNeverInTheWay: what the server cannot answer, such
// as a request while it is down, is admitted too.
func TestObserveOnlyRegistrationIsNeverInTheWay(t *testing.T) {
	m, v, err := byURL(func(c *server.WebhookConfig) { c.ObserveOnly = true }).Objects()
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.Webhooks {
		if *m.Webhooks[i].FailurePolicy != registration.Ignore || *v.Webhooks[i].FailurePolicy != registration.Ignore {
			t.Errorf("webhook %d: want Ignore, got %s and %s", i, *m.Webhooks[i].FailurePolicy, *v.Webhooks[i].FailurePolicy)
		}
	}
}

// TestStaticManifests holds what the loader of Kubernetes 1.36 asks of such
// files: one kind in each, names that end so, and webhooks by URL. But for names
// they say what the registration through the API does.
func TestStaticManifests(t *testing.T) {
	c := byURL(func(c *server.WebhookConfig) { c.CABundle = []byte("ca") })
	mutating, validating, err := c.StaticManifests()
	if err != nil {
		t.Fatal(err)
	}
	wantMutating, wantValidating, err := c.Objects()
	if err != nil {
		t.Fatal(err)
	}
	wantMutating.Name, wantValidating.Name = "bonafide.static.k8s.io", "bonafide.static.k8s.io"
	var m registration.MutatingWebhookConfiguration
	var v registration.ValidatingWebhookConfiguration
	for _, f := range []struct {
		raw        []byte
		into, want any
	}{{mutating, &m, wantMutating}, {validating, &v, wantValidating}} {
		if bytes.Contains(f.raw, []byte("\n---")) {
			t.Errorf("want one document, got %s", f.raw)
		}
		if err := yaml.UnmarshalStrict(f.raw, f.into); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(f.want, f.into); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	if !slices.ContainsFunc(v.Webhooks, func(w registration.ValidatingWebhook) bool {
		return w.ClientConfig.URL != nil && w.ClientConfig.Service == nil && *w.FailurePolicy == registration.Fail
	}) {
		t.Errorf("want a webhook by URL that fails closed, got %+v", v.Webhooks)
	}
	service := server.WebhookConfig{ServiceNamespace: "bonafide-system", ServiceName: "bonafide", SystemNamespace: "bonafide-system"}
	if _, _, err := service.StaticManifests(); err == nil {
		t.Error("by service: want an error")
	}
	if _, _, err := (server.WebhookConfig{}).StaticManifests(); err == nil {
		t.Error("nothing: want an error")
	}
}
