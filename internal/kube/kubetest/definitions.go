package kubetest

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

// Define installs the definitions of resources, which are the files
// "<resource>.yaml" of a folder, and waits until they are served. They stay, since
// other tests of the same cluster use them too: one that is there already is left
// as it is.
func Define(tb testing.TB, cluster *rig.Cluster, folder string, resources ...schema.GroupVersionResource) {
	tb.Helper()
	definitions := cluster.Dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	for _, r := range resources {
		raw, err := os.ReadFile(filepath.Join(folder, r.Resource+".yaml"))
		if err != nil {
			tb.Fatal(err)
		}
		var object unstructured.Unstructured
		if err := yaml.Unmarshal(raw, &object.Object); err != nil {
			tb.Fatal(err)
		}
		if _, err := definitions.Create(tb.Context(), &object, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			tb.Fatal(err)
		}
	}
	rig.Eventually(tb, "the APIs are served", func(ctx context.Context) error {
		for _, r := range resources {
			if _, err := cluster.Client.Discovery().ServerResourcesForGroupVersion(r.GroupVersion().String()); err != nil {
				return err
			}
			if _, err := cluster.Dynamic.Resource(r).List(ctx, metav1.ListOptions{}); err != nil {
				return err
			}
		}
		return nil
	})
}
