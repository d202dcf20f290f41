package registration_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	admission "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/bonafide-dev/bonafide/internal/kube"
	"github.com/bonafide-dev/bonafide/internal/kube/kubetest"
	"github.com/bonafide-dev/bonafide/internal/kube/registration"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

var shared rig.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// A scene is a registration that runs, of webhooks that nothing matches.
type scene struct {
	client  *kube.Client
	name    string
	journal kubetest.Journal
	ticks   chan time.Time
	changed chan struct{}
	stop    func()

	mu     sync.Mutex
	bundle []byte
}

func newScene(t *testing.T, bundle []byte) *scene {
	t.Helper()
	cluster := shared.Cluster(t)
	client := kubetest.Client(t, cluster.Config)
	s := &scene{client: client, name: cluster.Namespace(t, nil), bundle: bundle, ticks: make(chan time.Time), changed: make(chan struct{})}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		hooks := client.Typed.AdmissionregistrationV1()
		for _, err := range []error{
			hooks.MutatingWebhookConfigurations().Delete(ctx, s.name, metav1.DeleteOptions{}),
			hooks.ValidatingWebhookConfigurations().Delete(ctx, s.name, metav1.DeleteOptions{}),
		} {
			if err != nil && !apierrors.IsNotFound(err) {
				t.Error(err)
			}
		}
	})
	s.lead(t)
	return s
}

// lead runs the registration until stop or the end of the test.
func (s *scene) lead(t *testing.T) {
	t.Helper()
	o := registration.Options{
		Client: s.client, Config: s.config, CABundle: s.authorities, Ticks: s.ticks, Changed: s.changed, Log: s.journal.Log(), Events: &s.journal,
	}
	s.stop = kubetest.Run(t, func(ctx context.Context) {
		if err := registration.Run(ctx, o); err != nil {
			t.Error(err)
		}
	})
}

func (s *scene) authorities() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bundle
}

func (s *scene) rotate(bundle []byte) {
	s.mu.Lock()
	s.bundle = bundle
	s.mu.Unlock()
	s.changed <- struct{}{}
}

func (s *scene) config() (*admission.MutatingWebhookConfiguration, *admission.ValidatingWebhookConfiguration) {
	rules := []admission.RuleWithOperations{{
		Operations: []admission.OperationType{admission.Create},
		Rule:       admission.Rule{APIGroups: []string{"none.example.com"}, APIVersions: []string{"v1"}, Resources: []string{"nothings"}},
	}}
	path := "/admission"
	to := admission.WebhookClientConfig{Service: &admission.ServiceReference{Namespace: s.name, Name: "bonafide", Path: &path}}
	meta := metav1.ObjectMeta{Name: s.name, Labels: map[string]string{"app.kubernetes.io/name": "bonafide"}}
	return &admission.MutatingWebhookConfiguration{ObjectMeta: meta, Webhooks: []admission.MutatingWebhook{{
			Name: "mutate.bonafide.dev", ClientConfig: to, Rules: rules, SideEffects: new(admission.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
		}}},
		&admission.ValidatingWebhookConfiguration{ObjectMeta: meta, Webhooks: []admission.ValidatingWebhook{
			{Name: "validate.bonafide.dev", ClientConfig: to, Rules: rules, SideEffects: new(admission.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"}},
			{Name: "validate-system.bonafide.dev", ClientConfig: to, Rules: rules, SideEffects: new(admission.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
				FailurePolicy: new(admission.Ignore), TimeoutSeconds: new(int32(2))},
		}}
}

func (s *scene) validating(ctx context.Context) (*admission.ValidatingWebhookConfiguration, error) {
	return s.client.Typed.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(ctx, s.name, metav1.GetOptions{})
}

// holds waits until the validating configuration is as the condition says.
func (s *scene) holds(t *testing.T, what string, condition func(*admission.ValidatingWebhookConfiguration) error) *admission.ValidatingWebhookConfiguration {
	t.Helper()
	var have *admission.ValidatingWebhookConfiguration
	rig.Eventually(t, what, func(ctx context.Context) (err error) {
		if have, err = s.validating(ctx); err != nil {
			return err
		}
		return condition(have)
	})
	return have
}

func (s *scene) says(t *testing.T, text string) {
	t.Helper()
	rig.Eventually(t, "the journal", func(context.Context) error {
		if said := s.journal.Said(); !strings.Contains(said, text) {
			return fmt.Errorf("expected %q, got\n%s", text, said)
		}
		return nil
	})
}

func (s *scene) edit(t *testing.T, change func(*admission.ValidatingWebhookConfiguration)) {
	t.Helper()
	rig.Eventually(t, "edit", func(ctx context.Context) error {
		have, err := s.validating(ctx)
		if err != nil {
			return err
		}
		change(have)
		_, err = s.client.Typed.AdmissionregistrationV1().ValidatingWebhookConfigurations().Update(ctx, have, metav1.UpdateOptions{})
		return err
	})
}

func exists(*admission.ValidatingWebhookConfiguration) error { return nil }

// bundleOf returns PEM of an authority, which the API server asks for.
func bundleOf(t *testing.T) []byte {
	t.Helper()
	return shared.Cluster(t).Config.CAData
}

// settled waits until the registration has looked at its own writes.
func (s *scene) settled(t *testing.T) {
	t.Helper()
	s.holds(t, "registered", exists)
	for range 2 {
		s.ticks <- time.Time{}
	}
}

func TestR44EditedWebhookIsPutBack(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*admission.ValidatingWebhookConfiguration)
		field  string
	}{
		"FailurePolicy": {
			"what fails would be admitted",
			func(c *admission.ValidatingWebhookConfiguration) { c.Webhooks[0].FailurePolicy = new(admission.Ignore) },
			"webhooks[validate.bonafide.dev].failurePolicy",
		},
		"ObjectSelector": {
			"an exclusion by label would be its author's",
			func(c *admission.ValidatingWebhookConfiguration) {
				c.Webhooks[0].ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"verify": "please"}}
			},
			"webhooks[validate.bonafide.dev].objectSelector",
		},
		"MatchConditions": {
			"an exclusion by requester",
			func(c *admission.ValidatingWebhookConfiguration) {
				c.Webhooks[0].MatchConditions = []admission.MatchCondition{{Name: "nobody", Expression: "false"}}
			},
			"webhooks[validate.bonafide.dev].matchConditions",
		},
		"Scope": {
			"fewer objects",
			func(c *admission.ValidatingWebhookConfiguration) {
				c.Webhooks[0].Rules[0].Scope = new(admission.ClusterScope)
			},
			"webhooks[validate.bonafide.dev].rules",
		},
		"Removed": {
			"one of two webhooks is gone",
			func(c *admission.ValidatingWebhookConfiguration) { c.Webhooks = c.Webhooks[:1] },
			"webhooks[validate-system.bonafide.dev] (missing)",
		},
		"Added": {
			"a webhook of someone else under our name",
			func(c *admission.ValidatingWebhookConfiguration) {
				other := *c.Webhooks[0].DeepCopy()
				other.Name = "other.example.com"
				c.Webhooks = append(c.Webhooks, other)
			},
			"webhooks[other.example.com] (added)",
		},
		"CABundle": {
			"the API server would refuse our certificate",
			func(c *admission.ValidatingWebhookConfiguration) { c.Webhooks[0].ClientConfig.CABundle = nil },
			"webhooks[*].clientConfig.caBundle",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, bundleOf(t))
			s.settled(t)
			want := s.holds(t, "registered", exists)
			s.edit(t, tc.change)
			s.says(t, "event ValidatingWebhookConfiguration/"+s.name+" Warning WebhookRepaired: someone edited it; put back: "+tc.field)
			s.holds(t, tc.reason, func(have *admission.ValidatingWebhookConfiguration) error {
				if fmt.Sprint(asText(have.Webhooks)) != fmt.Sprint(asText(want.Webhooks)) {
					return errors.New("expected the webhooks that were registered")
				}
				return nil
			})
			if !strings.Contains(s.journal.Said(), "put back a webhook configuration") {
				t.Errorf("%s: want a line in the log", tc.reason)
			}
		})
	}
}

func asText(webhooks []admission.ValidatingWebhook) []string {
	var all []string
	for i := range webhooks {
		all = append(all, webhooks[i].String())
	}
	return all
}

func TestR44DeletedWebhookIsCreatedAgain(t *testing.T) {
	s := newScene(t, bundleOf(t))
	s.settled(t)
	before := s.holds(t, "registered", exists).UID
	if err := s.client.Typed.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(t.Context(), s.name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.holds(t, "created again", func(have *admission.ValidatingWebhookConfiguration) error {
		if have.UID == before {
			return errors.New("expected another object")
		}
		return nil
	})
	s.says(t, "Warning WebhookRepaired: someone deleted it")
}

func TestNothingIsWrittenWithoutCause(t *testing.T) {
	s := newScene(t, bundleOf(t))
	s.settled(t)
	s.edit(t, func(c *admission.ValidatingWebhookConfiguration) {
		metav1.SetMetaDataAnnotation(&c.ObjectMeta, "example.com/note", "ours")
	})
	before := s.holds(t, "registered", exists)
	mutating := func() string {
		have, err := s.client.Typed.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(t.Context(), s.name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return have.ResourceVersion
	}
	first := mutating()
	for range 5 {
		s.ticks <- time.Time{}
	}
	if after := mutating(); after != first {
		t.Errorf("mutating: want version %s, got %s", first, after)
	}
	if after := s.holds(t, "registered", exists); after.ResourceVersion != before.ResourceVersion {
		t.Errorf("want version %s, which has the API server's defaults and others' annotations, got %s", before.ResourceVersion, after.ResourceVersion)
	}
	// The API server keeps the version where a write changes nothing.
	if said := s.journal.Said(); strings.Contains(said, registration.ReasonRepaired) || strings.Contains(said, registration.ReasonUpdated) {
		t.Errorf("want no difference seen, got\n%s", said)
	}
}

func TestR44EditedMutatingWebhookIsPutBack(t *testing.T) {
	s := newScene(t, bundleOf(t))
	s.settled(t)
	rig.Eventually(t, "edit", func(ctx context.Context) error {
		client := s.client.Typed.AdmissionregistrationV1().MutatingWebhookConfigurations()
		have, err := client.Get(ctx, s.name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		have.Webhooks[0].ReinvocationPolicy = new(admission.IfNeededReinvocationPolicy)
		have.Labels = nil
		_, err = client.Update(ctx, have, metav1.UpdateOptions{})
		return err
	})
	s.says(t, "event MutatingWebhookConfiguration/"+s.name+" Warning WebhookRepaired: someone edited it; put back: webhooks[mutate.bonafide.dev].reinvocationPolicy, metadata")
	have, err := s.client.Typed.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(t.Context(), s.name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if have.Labels["app.kubernetes.io/name"] != "bonafide" || *have.Webhooks[0].ReinvocationPolicy != admission.NeverReinvocationPolicy {
		t.Errorf("want the label and the field put back, got %v and %s", have.Labels, *have.Webhooks[0].ReinvocationPolicy)
	}
}

func TestNewAuthoritiesAreNoEdit(t *testing.T) {
	s := newScene(t, bundleOf(t))
	s.settled(t)
	both := bytes.Repeat(bundleOf(t), 2)
	s.rotate(both)
	s.holds(t, "the new bundle", func(have *admission.ValidatingWebhookConfiguration) error {
		for _, w := range have.Webhooks {
			if !bytes.Equal(w.ClientConfig.CABundle, both) {
				return errors.New("expected the new bundle in every webhook")
			}
		}
		return nil
	})
	s.says(t, "wrote the new authorities")
	if said := s.journal.Said(); strings.Contains(said, registration.ReasonRepaired) {
		t.Errorf("want no Event about an edit, got\n%s", said)
	}
}

func TestNextLeaderBringsUpToDate(t *testing.T) {
	s := newScene(t, bundleOf(t))
	s.settled(t)
	s.stop()
	s.edit(t, func(c *admission.ValidatingWebhookConfiguration) { c.Webhooks[0].TimeoutSeconds = new(int32(3)) })
	s.lead(t)
	s.says(t, "Normal WebhookUpdated: brought up to date: webhooks[validate.bonafide.dev].timeoutSeconds")
}

func TestNothingIsRegisteredBeforeThereIsACertificate(t *testing.T) {
	s := newScene(t, nil)
	for range 2 {
		s.ticks <- time.Time{}
	}
	if _, err := s.validating(t.Context()); !apierrors.IsNotFound(err) {
		t.Errorf("want nothing registered, got %v", err)
	}
	s.rotate(bundleOf(t))
	s.holds(t, "registered", exists)
}

const providerKind = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: providers.externaldata.gatekeeper.sh}
spec:
  group: externaldata.gatekeeper.sh
  names: {kind: Provider, listKind: ProviderList, plural: providers, singular: provider}
  scope: Cluster
  versions:
  - name: v1beta1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {url: {type: string}, timeout: {type: integer}, caBundle: {type: string}}}
`

const provider = `
apiVersion: externaldata.gatekeeper.sh/v1beta1
kind: Provider
metadata: {name: %s, labels: {%s}}
spec: {url: "https://bonafide.bonafide-system:9443/gatekeeper/validate", timeout: 3, caBundle: b2xk}
`

func TestProvidersThatAskGetTheAuthorities(t *testing.T) {
	cluster := shared.Cluster(t)
	s := newScene(t, bundleOf(t)) // while the kind is not served
	s.settled(t)
	cluster.Apply(t, providerKind)
	cluster.Apply(t, fmt.Sprintf(provider, "ours", registration.InjectLabel+`: "true"`), fmt.Sprintf(provider, "theirs", ""))
	bundleIn := func(ctx context.Context, name string) (string, error) {
		object, err := s.client.Dynamic.Resource(providers).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return "", err
		}
		if url, _, _ := unstructured.NestedString(object.Object, "spec", "url"); url == "" {
			return "", errors.New("expected the other fields to stay")
		}
		text, _, err := unstructured.NestedString(object.Object, "spec", "caBundle")
		return text, err
	}
	for _, bundle := range [][]byte{bundleOf(t), bytes.Repeat(bundleOf(t), 2)} {
		s.rotate(bundle)
		rig.Eventually(t, "the Provider has the bundle", func(ctx context.Context) error {
			have, err := bundleIn(ctx, "ours")
			if err == nil && have != base64.StdEncoding.EncodeToString(bundle) {
				err = fmt.Errorf("expected the bundle, got %q", have)
			}
			return err
		})
	}
	if have, err := bundleIn(t.Context(), "theirs"); err != nil || have != "b2xk" {
		t.Errorf("a Provider without the label: want it left alone, got %q, %v", have, err)
	}
}

var providers = schema.GroupVersionResource{Group: "externaldata.gatekeeper.sh", Version: "v1beta1", Resource: "providers"}
