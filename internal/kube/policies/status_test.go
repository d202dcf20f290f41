package policies_test

import (
	"context"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
)

// TestStatusSaysWhatBecameOfAnObject: and is written once, without making
// anything new of the object.
func TestStatusSaysWhatBecameOfAnObject(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	s, seen := source(t, c.Config, nil)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.KeepStatus(ctx) }()
	t.Cleanup(func() { stop(); <-done })

	applied := c.Apply(t, clusterPolicy("told", pem(keyA)), "apiVersion: bonafide.dev/v1alpha1\nkind: ImageDenyList\nmetadata: {name: told-too}\nspec: {images: [ghcr.io/acme/bad], reason: a test}\n")
	for _, object := range applied {
		c.Await(t, object, ready(metav1.ConditionTrue, v1alpha1.ReasonInForce, 1))
	}
	_, count, _ := seen.now()
	policies := c.Dynamic.Resource(schema.GroupVersionResource{Group: v1alpha1.Group, Version: v1alpha1.Version, Resource: "clusterverificationpolicies"})
	before, err := policies.Get(t.Context(), "told", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c.Apply(t, clusterPolicy("other", pem(keyA))) // another set, and another look at every status
	c.Await(t, applied[0], func(*unstructured.Unstructured) error {
		if _, now, _ := seen.now(); now == count {
			return fmt.Errorf("expected another set")
		}
		return nil
	})
	c.Apply(t, broken("other"))
	c.Await(t, applied[0], func(*unstructured.Unstructured) error {
		o, err := policies.Get(t.Context(), "other", metav1.GetOptions{})
		if err != nil {
			return err
		}
		return ready(metav1.ConditionFalse, "InvalidPolicy", 2)(o)
	})
	after, err := policies.Get(t.Context(), "told", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if before.GetResourceVersion() != after.GetResourceVersion() {
		t.Errorf("expected one write of an unchanged status, got another")
	}
}

// ready wants the condition, for a generation.
func ready(status metav1.ConditionStatus, reason string, generation int64) func(*unstructured.Unstructured) error {
	return func(o *unstructured.Unstructured) error {
		var p v1alpha1.ClusterVerificationPolicy
		raw, _, err := unstructured.NestedMap(o.Object, "status")
		if err != nil {
			return err
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &p.Status); err != nil {
			return err
		}
		if len(p.Status.Conditions) != 1 {
			return fmt.Errorf("expected a condition, got %v", p.Status.Conditions)
		}
		got := p.Status.Conditions[0]
		if got.Status != status || got.Reason != reason || p.Status.ObservedGeneration != generation {
			return fmt.Errorf("expected %s, %s of generation %d, got %+v of %d", status, reason, generation, got, p.Status.ObservedGeneration)
		}
		return nil
	}
}
