//go:build interop

package interop_test

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/bonafide-dev/bonafide/examples"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// cosignTemplate is the constraint template that the users of
// cosign-gatekeeper-provider have: an image is refused if the provider's error
// ends in _invalid, or if the provider fails.
func cosignTemplate(t *testing.T) string {
	t.Helper()
	return strings.Join(rig.FillExample(t, examples.GatekeeperCosign, "cluster", examples.Values{}).Documents(t, "ConstraintTemplate"), "\n---\n")
}

// cosignConstraint applies the template in one namespace.
func cosignConstraint(namespace string) string {
	return fmt.Sprintf(`
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: K8sExternalDataCosign
metadata: {name: cosign-gatekeeper-provider}
spec:
  enforcementAction: deny
  match:
    namespaces: [%s]
    kinds: [{apiGroups: ["apps", ""], kinds: [Deployment, Pod, StatefulSet, DaemonSet]}]
`, namespace)
}

func TestGatekeeperAsksAProviderAndDenies(t *testing.T) {
	gatekeeper := shared.Gatekeeper(t)
	namespace := shared.Cluster(t).Namespace(t, nil)
	provider := startProvider(t, gatekeeper.ClientCA, func(key string) item {
		if strings.Contains(key, "unsigned") {
			return item{Key: key, Error: key + "_invalid"}
		}
		return item{Key: key, Value: key + "_valid"}
	})
	gatekeeper.Apply(t, providerYAML("cosign-gatekeeper-provider", provider.URL+"/validate", provider.CABundle), cosignTemplate(t), cosignConstraint(namespace))

	if _, err := createPod(t, namespace, "registry.example/app:signed"); err != nil {
		t.Errorf("the signed image: want it admitted, got %v", err)
	}
	_, err := createPod(t, namespace, "registry.example/app:unsigned")
	rig.WantRefused(t, err, "validation.gatekeeper.sh", "[cosign-gatekeeper-provider] invalid response", "registry.example/app:unsigned_invalid")

	calls := provider.take()
	if len(calls) != 2 {
		t.Fatalf("want one request for each Pod, got %d", len(calls))
	}
	for i, want := range []string{"registry.example/app:signed", "registry.example/app:unsigned"} {
		if got := keysOf(t, calls[i].body); !slices.Equal(got, []string{want}) {
			t.Errorf("want key %q, got %q", want, got)
		}
		if got := calls[i].header.Get("Content-Type"); got != "application/json" {
			t.Errorf("want application/json, got %q", got)
		}
	}
	if !slices.Contains(calls[0].certificates[0].ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		t.Error("want a client certificate for client authentication")
	}
}

// TestGatekeeperRefusesProvidersOverHTTP is why a cosign-gatekeeper-provider
// without TLS does not run at Gatekeeper any more.
func TestGatekeeperRefusesProvidersOverHTTP(t *testing.T) {
	shared.Gatekeeper(t)
	providers := shared.Cluster(t).Dynamic.Resource(schema.GroupVersionResource{Group: "externaldata.gatekeeper.sh", Version: "v1beta1", Resource: "providers"})
	_, err := providers.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "Provider", "metadata": map[string]any{"name": "plain"},
		"spec": map[string]any{"url": "http://cosign-gatekeeper-provider.cosign-gatekeeper-provider:8090/validate", "timeout": int64(30)},
	}}, metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) && !apierrors.IsBadRequest(err) {
		t.Errorf("want it refused, got %v", err)
	}
}

func TestGatekeeperAsksAProviderAndMutates(t *testing.T) {
	gatekeeper := shared.Gatekeeper(t)
	namespace := shared.Cluster(t).Namespace(t, nil)
	const digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	provider := startProvider(t, gatekeeper.ClientCA, func(key string) item { return item{Key: key, Value: key + digest} })
	gatekeeper.Apply(t, providerYAML("pin", provider.URL, provider.CABundle), fmt.Sprintf(`
apiVersion: mutations.gatekeeper.sh/v1
kind: Assign
metadata: {name: pin}
spec:
  applyTo: [{groups: [""], kinds: [Pod], versions: [v1]}]
  match: {scope: Namespaced, namespaces: [%s]}
  location: spec.containers[name:*].image
  parameters: {assign: {externalData: {provider: pin, dataSource: ValueAtLocation, failurePolicy: Fail}}}
`, namespace))
	got, err := createPod(t, namespace, "registry.example/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	if want := "registry.example/app:v1" + digest; got != want {
		t.Errorf("want %q, got %q", want, got)
	}
	if calls := provider.take(); len(calls) == 0 {
		t.Error("want the provider asked")
	}
}

// TestShippedManifestsAreFound reads what scenarios take from the projects.
func TestShippedManifestsAreFound(t *testing.T) {
	for program, path := range map[string]string{
		"ratify":     "library/default/template.yaml",
		"gatekeeper": "charts/gatekeeper/crds/provider-customresourcedefinition.yaml",
		"kyverno":    "config/crds/kyverno/kyverno.io_clusterpolicies.yaml",
	} {
		if content := rig.ModuleFile(t, program, path); !strings.Contains(string(content), "kind: ") {
			t.Errorf("%s of %s: want a manifest, got %d bytes", path, program, len(content))
		}
	}
}
