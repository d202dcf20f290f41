package policies_test

import (
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/kyverno"
	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/dialect/nirmata"
	"github.com/bonafide-dev/bonafide/internal/kube/policies"
)

// TestRoleByNamesSuffices: what the package's documentation asks for is enough,
// definitions and Secrets by their names alone. A Secret that the role leaves out
// concerns the policy that names it, and no other.
func TestRoleByNamesSuffices(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	namespace := c.Namespace(t, nil)
	config := c.ServiceAccountConfig(t, namespace, "reader")
	var names, resources []string
	for _, d := range policies.Definitions([]dialect.Dialect{&native.Dialect{}, &kyverno.Dialect{}, &nirmata.Dialect{}}) {
		names = append(names, d.String())
		if d.Group == "bonafide.dev" {
			resources = append(resources, d.Resource)
		}
	}
	const subject = "subjects: [{kind: ServiceAccount, name: reader, namespace: NS}]\n"
	role := `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules:
- {apiGroups: [apiextensions.k8s.io], resources: [customresourcedefinitions], verbs: [list, watch], resourceNames: [` + strings.Join(names, ", ") + `]}
- {apiGroups: [bonafide.dev], resources: [` + strings.Join(resources, ", ") + `], verbs: [list, watch]}
- {apiGroups: [''], resources: [namespaces], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
` + subject + `---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: NS}
rules:
- {apiGroups: [''], resources: [secrets], verbs: [list, watch], resourceNames: [permitted]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
` + subject
	c.Apply(t, strings.ReplaceAll(role, "NS", namespace))
	c.Apply(t, secret(namespace, "permitted", keyA), secret(namespace, "left-out", keyA),
		clusterPolicy("may", secretRef(namespace, "permitted")), clusterPolicy("may-not", secretRef(namespace, "left-out")))
	_, seen := source(t, config, nil)
	set := seen.await(t, "the policy whose Secret may be read", is("may", true, inForce))
	if err := is("may-not", false, "KeyUnavailable")(set); err != nil {
		t.Error(err)
	}
	if !strings.Contains(result(set, "may-not").Message, "forbidden") {
		t.Errorf("expected the message to say what is not permitted, got %q", result(set, "may-not").Message)
	}
}
