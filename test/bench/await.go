package main

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// statuses waits until the status of each policy of the fleet says that it is in
// force.
func (s *site) statuses(ctx context.Context) error {
	ready := func(o *unstructured.Unstructured) error { return holds(o, "Ready") }
	every := s.fleet.clusterPolicies()
	if err := s.awaitObjects(ctx, clusterPolicies, every, ready); err != nil {
		return err
	}
	return s.awaitObjects(ctx, tenantPolicies, s.fleet.policies-every, ready)
}

// reported waits until each namespace has its report.
func (s *site) reported(ctx context.Context, namespaces int) error {
	return s.awaitObjects(ctx, policyReports, namespaces, func(*unstructured.Unstructured) error { return nil })
}

// awaitObjects waits until there are n objects of a kind of which good has no
// error to tell. It watches: listing a thousand again and again would cost the
// API server what is measured.
func (s *site) awaitObjects(ctx context.Context, kind schema.GroupVersionResource, n int, good func(*unstructured.Unstructured) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	watch, err := s.Dynamic.Resource(kind).Watch(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return err
	}
	defer watch.Stop()
	found := map[types.UID]bool{}
	var last error
	for event := range watch.ResultChan() {
		o, is := event.Object.(*unstructured.Unstructured)
		if !is {
			return fmt.Errorf("watch %s: expected objects, got %s %v", kind.Resource, event.Type, event.Object)
		}
		if err := good(o); err != nil {
			last = err
			continue
		}
		if found[o.GetUID()] = true; len(found) == n {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("watch %s: expected %d that are as they should be, got %d", kind.Resource, n, len(found)), last)
}
