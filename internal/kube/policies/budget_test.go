package policies_test

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/bonafide-dev/bonafide/internal/kube/policies"
)

// TestR1PoliciesOfANamespaceTakeFromNoOther: one namespace names more Secrets
// than are read for it. What is too much concerns those policies alone.
func TestR1PoliciesOfANamespaceTakeFromNoOther(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	hog, other := c.Namespace(t, nil), c.Namespace(t, nil)
	const share = 50
	var hogs []string
	for i := range share + 1 {
		hogs = append(hogs, namespacedPolicy(hog, fmt.Sprintf("hog%02d", i), secretRef(hog, fmt.Sprintf("s%02d", i))))
	}
	last := fmt.Sprintf("hog%02d", share)
	c.Apply(t, append(hogs, secret(hog, fmt.Sprintf("s%02d", share), keyA), secret(other, "release", keyA), secret(hog, "cluster", keyA),
		namespacedPolicy(other, "own", secretRef(other, "release")), clusterPolicy("wide", secretRef(hog, "cluster")))...)
	_, seen := source(t, c.Config, nil)
	set := seen.await(t, "what is too much", func(s policies.Set) error {
		if r := result(s, last); r.Reason != "KeyUnavailable" || !strings.Contains(r.Message, "at most 50") {
			return fmt.Errorf("expected the bound, got %+v", r)
		}
		return nil
	})
	for _, name := range []string{"own", "wide"} {
		if err := is(name, true, inForce)(set); err != nil {
			t.Error(err)
		}
	}
	if p := find(set, last); p == nil || p.Invalid == nil {
		t.Errorf("expected a policy that admits nothing, got %+v", p)
	}
	kind := schema.GroupVersionResource{Group: "bonafide.dev", Version: "v1alpha1", Resource: "verificationpolicies"}
	if err := c.Dynamic.Resource(kind).Namespace(hog).Delete(t.Context(), "hog00", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	seen.await(t, "room again", is(last, true, inForce))
}
