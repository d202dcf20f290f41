package schema_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

var shared rig.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// fieldManager owns what the tests apply.
const fieldManager = "test"

// takeUpTimeout bounds the wait for the API server to serve a definition, some
// seconds on a loaded machine.
const takeUpTimeout = 2 * time.Minute

// installed says once for all tests what came of the definitions.
var installed struct {
	sync.Once
	err error
}

// cluster returns the API server with the definitions of config/crd, which stay
// for the tests after this one.
func cluster(t *testing.T) *rig.Cluster {
	t.Helper()
	c := shared.Cluster(t)
	installed.Do(func() {
		for _, name := range list(t, definitions, ".yaml") {
			installed.err = errors.Join(installed.err, install(t.Context(), c, decode(t, string(read(t, filepath.Join(definitions, name))))))
		}
	})
	if installed.err != nil {
		t.Fatal(installed.err)
	}
	return c
}

func install(ctx context.Context, c *rig.Cluster, definition *unstructured.Unstructured) error {
	resource := c.Dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	if _, err := resource.Apply(ctx, definition.GetName(), definition, metav1.ApplyOptions{FieldManager: fieldManager}); err != nil {
		return fmt.Errorf("install %s: %w", definition.GetName(), err)
	}
	ctx, cancel := context.WithTimeout(ctx, takeUpTimeout)
	defer cancel()
	return rig.Poll(ctx, func(ctx context.Context) error {
		stored, err := resource.Get(ctx, definition.GetName(), metav1.GetOptions{})
		if err != nil {
			return err
		}
		conditions, _, _ := unstructured.NestedSlice(stored.Object, "status", "conditions")
		for _, condition := range conditions {
			if at(condition, "type") == "Established" && at(condition, "status") == string(metav1.ConditionTrue) {
				return nil
			}
		}
		return fmt.Errorf("install %s: expected the condition Established, got %v", definition.GetName(), conditions)
	})
}

// resources are the native kinds as paths name them.
func resources() map[string]string {
	return map[string]string{
		v1alpha1.ClusterVerificationPolicyKind: "clusterverificationpolicies",
		v1alpha1.VerificationPolicyKind:        "verificationpolicies",
		v1alpha1.VerificationExceptionKind:     "verificationexceptions",
		v1alpha1.ImageDenyListKind:             "imagedenylists",
	}
}

// client returns where objects like this one live.
func client(t *testing.T, c *rig.Cluster, object *unstructured.Unstructured) dynamic.ResourceInterface {
	t.Helper()
	name, known := resources()[object.GetKind()]
	if !known {
		t.Fatalf("want a native kind, got %q", object.GetKind())
	}
	resource := c.Dynamic.Resource(schema.GroupVersionResource{Group: v1alpha1.Group, Version: v1alpha1.Version, Resource: name})
	if object.GetKind() != v1alpha1.VerificationPolicyKind {
		return resource
	}
	namespace := object.GetNamespace()
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	wanted := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if _, err := c.Client.CoreV1().Namespaces().Create(t.Context(), wanted, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatalf("create namespace %s: %v", namespace, err)
	}
	return resource.Namespace(namespace)
}

// remove deletes an object when the test ends.
func remove(t *testing.T, c *rig.Cluster, object *unstructured.Unstructured) {
	t.Helper()
	resource := client(t, c, object)
	t.Cleanup(func() {
		if err := resource.Delete(context.WithoutCancel(t.Context()), object.GetName(), metav1.DeleteOptions{}); err != nil {
			t.Errorf("delete %s: %v", object.GetName(), err)
		}
	})
}

// natives returns the objects of the native kinds in a file, those of a List
// included.
func natives(t *testing.T, content []byte) []*unstructured.Unstructured {
	t.Helper()
	var found []*unstructured.Unstructured
	for document := range strings.SplitSeq("\n"+string(content), "\n---") {
		object := decode(t, document)
		if object == nil {
			continue
		}
		items := []unstructured.Unstructured{*object}
		members, _ := at(object.Object, "items").([]any)
		for _, member := range members {
			items = append(items, unstructured.Unstructured{Object: member.(map[string]any)})
		}
		for _, item := range items {
			if strings.HasPrefix(item.GetAPIVersion(), v1alpha1.Group+"/") {
				for _, written := range []string{"uid", "resourceVersion", "generation", "creationTimestamp"} { // by another API server
					unstructured.RemoveNestedField(item.Object, "metadata", written)
				}
				found = append(found, &item)
			}
		}
	}
	return found
}

// decode reads a YAML document, nil if there is nothing in it.
func decode(t *testing.T, document string) *unstructured.Unstructured {
	t.Helper()
	var object map[string]any
	if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
		t.Fatalf("%v in\n%s", err, document)
	}
	if len(object) == 0 {
		return nil
	}
	return &unstructured.Unstructured{Object: object}
}

// list returns the names in a folder that end so, sorted.
func list(t *testing.T, folder, ending string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ending) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names
}
