package policies_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bonafide-dev/bonafide/internal/kube/policies"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

var clusterPolicies = schema.GroupResource{Group: "kyverno.io", Resource: "clusterpolicies"}

// kyvernoServes has the API server serve ClusterPolicy in a version that nobody
// reads, and in v1 or not.
func kyvernoServes(t *testing.T, c *rig.Cluster, v1 bool) {
	t.Helper()
	version := `{"name": %q, "served": %t, "storage": %t, "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}`
	_, err := c.Dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}).
		Patch(t.Context(), clusterPolicies.String(), types.MergePatchType,
			[]byte(`{"spec": {"versions": [`+fmt.Sprintf(version, "v1", v1, true)+`, `+fmt.Sprintf(version, "v9", true, false)+`]}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func unreadable(s *policies.Source, what string) func(context.Context) error {
	return func(context.Context) error {
		for _, u := range s.Health().Unreadable {
			if u.Resource == clusterPolicies.String() && strings.Contains(u.Message, what) {
				return nil
			}
		}
		return fmt.Errorf("expected it among the unreadable kinds, got %v", s.Health().Unreadable)
	}
}

func readable(s *policies.Source) func(context.Context) error {
	return func(context.Context) error {
		if u := s.Health().Unreadable; len(u) > 0 {
			return fmt.Errorf("expected every kind to be readable, got %v", u)
		}
		return nil
	}
}

// TestR18UnservedKindForgetsNothing: a definition whose versions nobody here
// reads says nothing about its objects. Those known stay in force; a replica that
// knows none is not ready.
func TestR18UnservedKindForgetsNothing(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	established(t, c, definition("kyverno.io", "v1", "ClusterPolicy", "clusterpolicies", "Cluster"))
	log := make(chan string, 1000)
	s, seen := source(t, c.Config, func(o *policies.Options) { o.Log = logInto(log) })
	t.Run("Policies", func(t *testing.T) {
		c.Apply(t, kyvernoPolicy("verifies", kyvernoVerify(keyA)))
		before := signer(seen.await(t, "the policy", is("verifies", true, inForce)), "verifies")
		kyvernoServes(t, c, false)
		expectLine(t, log, "ERROR", "kind cannot be read")
		rig.Eventually(t, "the kind", unreadable(s, "v9"))
		c.Apply(t, clusterPolicy("after", pem(keyA)))
		set := seen.await(t, "a change of another kind", is("after", true, inForce))
		if got := signer(set, "verifies"); got != before {
			t.Errorf("expected the policy to stay, got %q", got)
		}
		late, none := source(t, c.Config, nil)
		rig.Eventually(t, "the kind, for a new replica", unreadable(late, "v9"))
		if set, _, _ := none.now(); set != nil {
			t.Errorf("expected no set before the kind was read, got %+v", set.Results)
		}

		kyvernoServes(t, c, true)
		none.await(t, "the new replica", is("verifies", true, inForce))
		c.Apply(t, kyvernoPolicy("verifies", kyvernoVerify(keyB)))
		seen.await(t, "a change after that", func(set policies.Set) error {
			if signer(set, "verifies") == before {
				return errSame
			}
			return nil
		})
		rig.Eventually(t, "the kind again", readable(s))
	})
}

// TestR18KindOfAnotherNameIsNotReady: what has the resource's name and is no such kind
// is not taken for it.
func TestR18KindOfAnotherNameIsNotReady(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	established(t, c, definition("kyverno.io", "v1", "Other", "clusterpolicies", "Cluster"))
	s, seen := source(t, c.Config, nil)
	rig.Eventually(t, "the kind", unreadable(s, "Other"))
	if set, _, _ := seen.now(); set != nil {
		t.Errorf("expected no set, got %+v", set.Results)
	}
}

// TestR18RequiredKindIsAwaited: without the kinds that have to be there nothing is
// complete, and the log says what to do.
func TestR18RequiredKindIsAwaited(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	log := make(chan string, 1000)
	s, seen := source(t, c.Config, func(o *policies.Options) {
		o.Required, o.Log = []schema.GroupResource{clusterPolicies}, logInto(log)
	})
	expectLine(t, log, "ERROR", "kubectl apply -f config/crd")
	rig.Eventually(t, "the kind", unreadable(s, "kubectl apply -f config/crd"))
	if set, _, _ := seen.now(); set != nil {
		t.Errorf("expected no set, got %+v", set.Results)
	}
	t.Run("Installed", func(t *testing.T) {
		established(t, c, definition("kyverno.io", "v1", "ClusterPolicy", "clusterpolicies", "Cluster"))
		seen.await(t, "the first set", func(policies.Set) error { return nil })
		rig.Eventually(t, "every kind", readable(s))
		c.Apply(t, kyvernoPolicy("verifies", kyvernoVerify(keyA)))
		seen.await(t, "the policy", is("verifies", true, inForce))
	})
	seen.await(t, "a definition that is really gone", isGone("verifies"))
	rig.Eventually(t, "the kind that has gone", unreadable(s, "got none"))
}
