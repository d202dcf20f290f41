package install_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/kyverno"
	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/dialect/nirmata"
	"github.com/bonafide-dev/bonafide/internal/kube/policies"
	"github.com/bonafide-dev/bonafide/internal/policyset"
)

// TestAPIServerTakesTheInstallManifest applies it as kubectl does, strictly:
// what the API server does not know is no field of ours.
func TestAPIServerTakesTheInstallManifest(t *testing.T) {
	cluster := shared.Cluster(t)
	applied := cluster.Apply(t, string(read(t, root, "deploy", "install.yaml")))
	var kinds []string
	for _, object := range applied {
		kinds = append(kinds, object.GetKind())
	}
	for _, want := range []string{
		"Namespace", "CustomResourceDefinition", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding",
		"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy",
	} {
		if !slices.Contains(kinds, want) {
			t.Errorf("want a %s applied, got %q", want, kinds)
		}
	}
}

// TestRoleCoversWhatTheDialectsRead: each kind's definition may be watched, and
// its objects, and no others.
func TestRoleCoversWhatTheDialectsRead(t *testing.T) {
	var want []string
	signers := policyset.NewSigners(nil)
	for _, resource := range policies.Definitions([]dialect.Dialect{
		native.New(signers, native.Options{}), kyverno.New(signers, kyverno.Options{}), nirmata.New(signers, nirmata.Options{}),
	}) {
		want = append(want, resource.String())
	}
	slices.Sort(want)
	var named, watched []string
	for _, rule := range rules(t, find(roles(t, everything), "ClusterRole", "bonafide")) {
		if slices.Contains(rule.APIGroups, "apiextensions.k8s.io") {
			named = append(named, rule.ResourceNames...)
			continue
		}
		for _, group := range rule.APIGroups {
			custom := slices.Contains([]string{"bonafide.dev", "kyverno.io", "notation.nirmata.io"}, group)
			for _, resource := range rule.Resources {
				if custom && slices.Contains(rule.Verbs, "watch") && filepath.Ext(resource) == "" {
					watched = append(watched, resource+"."+group)
				}
			}
		}
	}
	slices.Sort(named)
	slices.Sort(watched)
	if diff := cmp.Diff(want, named); diff != "" {
		t.Errorf("definitions that may be watched (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, watched); diff != "" {
		t.Errorf("objects that may be watched (-want +got):\n%s", diff)
	}
}
