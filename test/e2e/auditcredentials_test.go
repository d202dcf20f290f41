package e2e_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// auditor is a user who may see Pods and policies, and no Secrets.
func auditorRole(name, user string) string {
	return fmt.Sprintf(`apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: %[1]s}
rules:
- {apiGroups: [""], resources: [pods, namespaces], verbs: [get, list, watch]}
- {apiGroups: [apiextensions.k8s.io], resources: [customresourcedefinitions], verbs: [list, watch]}
- {apiGroups: [bonafide.dev, kyverno.io, policies.kyverno.io, security.nirmata.io], resources: ["*"], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %[1]s}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[2]s}]
`, name, user)
}

// policyFile writes a policy that wants the key's signature on a registry's
// images.
func policyFile(t *testing.T, store *fixture.Registry, key fixture.Key) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, rig.SignedPolicy(store.Host(), key.PublicPEM, ""), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// createPod creates a Pod of a name.
func createPod(t *testing.T, c *rig.Cluster, namespace, name, image string, change func(*corev1.Pod)) {
	t.Helper()
	p := rig.NewPod(image)
	p.GenerateName, p.Name = "", name
	if change != nil {
		change(p)
	}
	if _, err := c.Client.CoreV1().Pods(namespace).Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// podResults are Pod, outcome and reason.
func podResults(a auditAnswer) []string {
	var all []string
	for _, r := range a.Results {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Pod, r.Outcome, r.Reason)))
	}
	return all
}

// TestAuditReadsPullSecretsOfTheCluster: a private registry is read as kubelet
// reads it, by the Pod's own secrets or its service account's, as far as the user
// may read those.
func TestAuditReadsPullSecretsOfTheCluster(t *testing.T) {
	cluster := shared.Cluster(t)
	namespace := cluster.Namespace(t, nil)
	store := rig.NewStore(t, fixture.Options{Referrers: true, Auth: fixture.Auth{Scheme: fixture.Basic, Username: "robot", Password: "hunter2-hunter2"}})
	key := rig.NewKey(t)
	image := store.Host() + "/acme/private:v1"
	rig.Push(t, store, "acme/private:v1", key)
	config := fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, store.Host(), base64.StdEncoding.EncodeToString([]byte("robot:hunter2-hunter2")))
	_, err := cluster.Client.CoreV1().Secrets(namespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "pull"}, Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(config)},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	accounts := cluster.Client.CoreV1().ServiceAccounts(namespace)
	if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "builder"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	createPod(t, cluster, namespace, "a-own", image, func(p *corev1.Pod) { p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "pull"}} })
	createPod(t, cluster, namespace, "b-account", image, func(p *corev1.Pod) { p.Spec.ServiceAccountName = "builder" })
	createPod(t, cluster, namespace, "c-none", image, nil)
	if _, err := accounts.Patch(t.Context(), "builder", types.MergePatchType, []byte(`{"imagePullSecrets":[{"name":"pull"}]}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	cluster.Apply(t, auditorRole("audit-"+namespace, "alice"))
	alice := cluster.KubeconfigFor(t, cluster.ConfigFor(t, "alice"))
	flags := []string{"-n", namespace, "--insecure-registry", store.Host(), "--policy", policyFile(t, store, key)}
	cases := map[string]struct {
		reason string
		args   []string
		want   []string
		code   int
		notes  []string
	}{
		"Admin": {
			reason: "the secrets are read, and a Pod without any reads nothing",
			want:   []string{"a-own allowed", "b-account allowed", "c-none undecided RegistryUnauthorized"}, code: 3,
		},
		"PullSecret": {
			reason: "the operator's secret is for every image", args: []string{"--pull-secret", namespace + "/pull"},
			want: []string{"a-own allowed", "b-account allowed", "c-none allowed"},
		},
		"NoRights": {
			reason: "what may not be read is told, and the audit goes on", args: []string{"--kubeconfig", alice},
			want:  []string{"a-own undecided RegistryUnauthorized", "b-account undecided RegistryUnauthorized", "c-none undecided RegistryUnauthorized"},
			code:  3,
			notes: []string{"note: pull secrets are not used, since you may not get secrets in " + namespace, "note: pull secrets of service accounts are not used, since you may not get serviceaccounts in " + namespace},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			code, answer := auditJSON(t, cluster, append(flags, c.args...)...)
			if diff := cmp.Diff(c.want, podResults(answer)); diff != "" || code != c.code {
				t.Errorf("%s: want exit code %d, got %d; results (-want +got):\n%s", c.reason, c.code, code, diff)
			}
			_, out, notes := audit(t, cluster, append(flags, c.args...)...)
			for _, note := range c.notes {
				if !strings.Contains(notes, note) {
					t.Errorf("%s: want the note %q, got\n%s", c.reason, note, notes)
				}
			}
			if strings.Contains(out+notes, "hunter2") {
				t.Errorf("R47: want no password, got\n%s%s", out, notes)
			}
		})
	}
}
