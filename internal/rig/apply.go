package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
)

const (
	fieldManager = "rig"
	// takeUpTimeout bounds the wait for a server to act on what was applied:
	// seconds alone, more on a loaded machine.
	takeUpTimeout = 2 * time.Minute
)

// Apply applies the objects of the YAML documents, as `kubectl apply
// --server-side` does, and returns them as stored. It retries while a kind is
// not served yet. When tb ends they are deleted, the last first.
func (c *Cluster) Apply(tb testing.TB, documents ...string) []*unstructured.Unstructured {
	tb.Helper()
	var manifests [][]byte
	for _, document := range documents {
		manifests = append(manifests, []byte(document))
	}
	ctx := tb.Context()
	applied, err := c.apply(ctx, manifests...)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeUpTimeout)
		defer cancel()
		for _, object := range slices.Backward(applied) {
			if err := c.unapply(ctx, object); err != nil {
				tb.Errorf("delete %s: %v", nameOf(object), err)
			}
		}
	})
	if err != nil {
		tb.Fatal(err)
	}
	return applied
}

// Await waits until the condition, which gets the object as stored now, returns
// nil. It fails the test with the condition's last error.
func (c *Cluster) Await(tb testing.TB, object *unstructured.Unstructured, condition func(*unstructured.Unstructured) error) {
	tb.Helper()
	if err := c.await(tb.Context(), object, condition); err != nil {
		tb.Fatal(err)
	}
}

func (c *Cluster) await(ctx context.Context, object *unstructured.Unstructured, condition func(*unstructured.Unstructured) error) error {
	ctx, cancel := context.WithTimeout(ctx, takeUpTimeout)
	defer cancel()
	err := Poll(ctx, func(ctx context.Context) error {
		resource, err := c.resource(object)
		if err != nil {
			return err
		}
		current, err := resource.Get(ctx, object.GetName(), metav1.GetOptions{})
		if err != nil {
			return err
		}
		return condition(current)
	})
	if err != nil {
		return fmt.Errorf("wait for %s: %w", nameOf(object), err)
	}
	return nil
}

func (c *Cluster) apply(ctx context.Context, manifests ...[]byte) ([]*unstructured.Unstructured, error) {
	objects, err := decode(manifests)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, takeUpTimeout)
	defer cancel()
	for i, object := range objects {
		stored, err := c.applyOne(ctx, object)
		if err != nil {
			return objects[:i], fmt.Errorf("apply %s: %w", nameOf(object), err)
		}
		objects[i] = stored
	}
	return objects, nil
}

// applyOne tries again while the API server does not know the kind, which a
// custom resource definition before it may bring.
func (c *Cluster) applyOne(ctx context.Context, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	var stored *unstructured.Unstructured
	var refused error
	err := Poll(ctx, func(ctx context.Context) error {
		resource, err := c.resource(object)
		if err != nil {
			return err
		}
		stored, err = resource.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
		if apierrors.IsNotFound(err) {
			return err
		}
		refused = err
		return nil
	})
	return stored, errors.Join(err, refused)
}

func (c *Cluster) unapply(ctx context.Context, object *unstructured.Unstructured) error {
	resource, err := c.resource(object)
	if meta.IsNoMatchError(err) { // its definition went first, and took it along
		return nil
	}
	if err != nil {
		return err
	}
	err = resource.Delete(ctx, object.GetName(), metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// resource finds where objects of that kind live, asking the API server again
// if it did not serve the kind before.
func (c *Cluster) resource(object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	kind := object.GroupVersionKind()
	mapping, err := c.kinds.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		c.kinds.Reset()
		mapping, err = c.kinds.RESTMapping(kind.GroupKind(), kind.Version)
	}
	if err != nil {
		return nil, err
	}
	resources := c.Dynamic.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return resources, nil
	}
	namespace := object.GetNamespace()
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return resources.Namespace(namespace), nil
}

// newKinds maps kinds to resources as the API server serves them.
func newKinds(client discovery.DiscoveryInterface) *restmapper.DeferredDiscoveryRESTMapper {
	return restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client))
}

// decode reads YAML documents, leaving out empty ones.
func decode(manifests [][]byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, manifest := range manifests {
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), len(manifest)+1)
		for {
			var object map[string]any
			err := decoder.Decode(&object)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, fmt.Errorf("read a manifest: %w", err)
			}
			if len(object) > 0 {
				objects = append(objects, &unstructured.Unstructured{Object: object})
			}
		}
	}
	return objects, nil
}

func nameOf(object *unstructured.Unstructured) string {
	return object.GetKind() + " " + object.GetName()
}

// applyDefinitions applies custom resource definitions and waits until the API
// server serves them.
func (c *Cluster) applyDefinitions(ctx context.Context, manifests [][]byte) error {
	definitions, err := c.apply(ctx, manifests...)
	if err != nil {
		return err
	}
	for _, definition := range definitions {
		if err := c.await(ctx, definition, conditionHolds("Established")); err != nil {
			return err
		}
	}
	c.kinds.Reset()
	return nil
}

// conditionHolds asks for a condition of an object's status that is True.
func conditionHolds(kind string) func(*unstructured.Unstructured) error {
	return func(object *unstructured.Unstructured) error {
		conditions, _, err := unstructured.NestedSlice(object.Object, "status", "conditions")
		if err != nil {
			return err
		}
		for _, entry := range conditions {
			condition, _ := entry.(map[string]any)
			if condition["type"] == kind && condition["status"] == "True" {
				return nil
			}
		}
		return fmt.Errorf("expected condition %s, got %v", kind, conditions)
	}
}
