package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// TestAuditSaysWhatToDo: what keeps an audit from being made is one error, and a
// hint.
func TestAuditSaysWhatToDo(t *testing.T) {
	cluster := shared.Cluster(t)
	namespace := cluster.Namespace(t, nil)
	config := func(change func(*rest.Config)) string {
		c := rest.CopyConfig(cluster.Config)
		change(c)
		return cluster.KubeconfigFor(t, c)
	}
	cluster.Apply(t, strings.Replace(auditorRole("nopods-"+namespace, "alice"), "[pods, namespaces]", "[namespaces]", 1))
	broken := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(broken, []byte("apiVersion: bonafide.dev/v1alpha1\nkind: ClusterVerificationPolicy\nmetadata: {name: x}\nspec: {imagess: []}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	alice := cluster.KubeconfigFor(t, cluster.ConfigFor(t, "alice"))
	cases := map[string]struct {
		args []string
		want []string
	}{
		"NoKubeconfig":    {args: []string{"--kubeconfig", "/nonexistent"}, want: []string{"/nonexistent", "hint: name a kubeconfig"}},
		"WrongContext":    {args: []string{"--context", "nope"}, want: []string{`"nope" does not exist`, "--context"}},
		"NobodyThere":     {args: []string{"--kubeconfig", config(func(c *rest.Config) { c.Host = "https://127.0.0.1:1" })}, want: []string{"connection refused", "hint: check that the cluster"}},
		"NotLoggedIn":     {args: []string{"--kubeconfig", config(func(c *rest.Config) { c.BearerToken = "stale" })}, want: []string{"error: ", "hint: log in again"}},
		"NoPodsAtAll":     {args: []string{"--kubeconfig", alice, "-A"}, want: []string{"forbidden", "hint: audit a namespace of yours with -n NS"}},
		"NoPodsThere":     {args: []string{"--kubeconfig", alice, "-n", namespace}, want: []string{"forbidden", "hint: ask for the right to list pods in namespace " + namespace}},
		"NoPolicies":      {args: []string{"--kubeconfig", cluster.KubeconfigFor(t, cluster.ConfigFor(t, "bob")), "-n", namespace}, want: []string{"error: the policies of the cluster cannot be read: ", "hint: ask for the rights to list and watch"}},
		"NoSuchNamespace": {args: []string{"-n", "no-such-namespace"}, want: []string{`"no-such-namespace" not found`, "hint: name a namespace of the cluster"}},
		"BrokenPolicy":    {args: []string{"--policy", broken}, want: []string{broken + ":4", `did you mean "images"`}},
		"BadPullSecret":   {args: []string{"--pull-secret", "name"}, want: []string{"--pull-secret: expected NAMESPACE/NAME"}},
		"BadCloud":        {args: []string{"--cloud-credentials", "none"}, want: []string{"--cloud-credentials: expected a cloud out of"}},
		"BadRegistries":   {args: []string{"--registries", "/nonexistent"}, want: []string{"--registries: "}},
		"UnknownCommand":  {args: []string{"namespace"}, want: []string{"unknown command"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			code, out, notes := audit(t, cluster, c.args...)
			if code != 2 || out != "" {
				t.Errorf("want exit code 2 and nothing said, got %d\n%s", code, out)
			}
			for _, part := range c.want {
				if !strings.Contains(notes, part) {
					t.Errorf("want %q, got\n%s", part, notes)
				}
			}
			if n := strings.Count(notes, "error: "); n != 1 {
				t.Errorf("want one error, got %d\n%s", n, notes)
			}
		})
	}
}

// TestAuditWithoutARegistry: what cannot be asked is undecided, and said so.
func TestAuditWithoutARegistry(t *testing.T) {
	cluster := shared.Cluster(t)
	namespace := cluster.Namespace(t, nil)
	store := rig.NewStore(t, fixture.Options{Referrers: true})
	file := policyFile(t, store, rig.NewKey(t))
	createPod(t, cluster, namespace, "p", store.Host()+"/acme/app:v1", nil)
	store.Close()
	code, out, notes := audit(t, cluster, "-n", namespace, "--insecure-registry", store.Host(), "--policy", file)
	if code != 3 || !strings.Contains(out, "RegistryUnreachable") || !strings.Contains(out, "1 Pod, 1 image: 0 allowed, 0 denied, 1 undecided, 0 unmatched.") {
		t.Errorf("want exit code 3 and one undecided image, got %d\n%s%s", code, out, notes)
	}
}

// TestAuditShowsExceptions: a Pod that runs under an exception is not shown as one
// that the policy allows.
func TestAuditShowsExceptions(t *testing.T) {
	cluster := shared.Cluster(t)
	serveKinds(t, cluster)
	namespace := cluster.Namespace(t, nil)
	store := rig.NewStore(t, fixture.Options{Referrers: true})
	key := rig.NewKey(t)
	rig.Push(t, store, "acme/old:v1")
	createPod(t, cluster, namespace, "p", store.Host()+"/acme/old:v1", nil)
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	cluster.Apply(t, string(rig.SignedPolicy(store.Host(), key.PublicPEM, "")))
	flags := []string{"-n", namespace, "--insecure-registry", store.Host()}
	if code, answer := auditJSON(t, cluster, flags...); code != 1 || answer.Summary["denied"] != 1 {
		t.Fatalf("without an exception: want exit code 1 and one denied, got %d and %v", code, answer.Summary)
	}
	exception := filepath.Join(t.TempDir(), "exception.yaml")
	document := fmt.Sprintf(`apiVersion: bonafide.dev/v1alpha1
kind: VerificationException
metadata: {name: migration}
spec:
  images: ["%s/acme/old"]
  match: {namespaces: [%s]}
  reason: ticket 7
  expires: %q
`, store.Host(), namespace, expires.Format(time.RFC3339))
	if err := os.WriteFile(exception, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	_, projected, notes := audit(t, cluster, append(flags, "--policy", exception)...)
	if !strings.Contains(projected, "The policies would change 1 image:") || !strings.Contains(projected, "by exception") {
		t.Errorf("with --policy: want the exception to change one image, got\n%s%s", projected, notes)
	}
	cluster.Apply(t, document)
	code, answer := auditJSON(t, cluster, flags...)
	if code != 0 || answer.Summary["allowed"] != 1 || answer.Summary["excepted"] != 1 || len(answer.Results) != 1 || len(answer.Results[0].Policies) != 1 {
		t.Fatalf("want exit code 0 and one allowed by exception, got %d and %+v", code, answer)
	}
	want := []struct{ Name, Reason, Expires string }{{"migration", "ticket 7", expires.Format(time.RFC3339)}}
	if diff := cmp.Diff(want, answer.Results[0].Policies[0].Exceptions); diff != "" {
		t.Errorf("exceptions (-want +got):\n%s", diff)
	}
	_, out, _ := audit(t, cluster, flags...)
	for _, part := range []string{"by exception", "release: lifted by VerificationException migration until " + expires.Format(time.RFC3339) + ": ticket 7", "in " + namespace + "/p", "1 Pod, 1 image: 1 allowed (1 by exception), 0 denied"} {
		if !strings.Contains(out, part) {
			t.Errorf("want %q, got\n%s", part, out)
		}
	}
}

// TestAuditOfImagesForSeveralPlatforms: what kubelet says that it runs may be the
// digest of the index, or of what the runtime chose from it, or of nothing that a
// registry knows.
func TestAuditOfImagesForSeveralPlatforms(t *testing.T) {
	cluster := shared.Cluster(t)
	namespace := cluster.Namespace(t, nil)
	store := rig.NewStore(t, fixture.Options{Referrers: true})
	key := rig.NewKey(t)
	index, err := store.PushIndex(t.Context(), "acme/app:v1", "app")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.SignCosign(t.Context(), index, key, fixture.CosignOptions{}); err != nil {
		t.Fatal(err)
	}
	foreign := rig.Push(t, store, "acme/app:other")
	repository := store.Host() + "/acme/app"
	for pod, imageID := range map[string]string{
		"a-index":    repository + "@" + index.Digest.String(),
		"b-platform": repository + "@" + index.Children[1].Digest.String(),
		"c-other":    repository + "@" + foreign.Digest.String(),
		"d-config":   "sha256:" + strings.Repeat("ab", 32),
	} {
		createPod(t, cluster, namespace, pod, repository+":v1", nil)
		patch, err := json.Marshal(map[string]any{"status": map[string]any{"phase": "Running", "containerStatuses": []any{
			map[string]any{"name": "app", "image": repository + ":v1", "imageID": imageID, "ready": true, "restartCount": 0},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cluster.Client.CoreV1().Pods(namespace).Patch(t.Context(), pod, types.MergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
			t.Fatal(err)
		}
	}
	flags := []string{"-n", namespace, "--insecure-registry", store.Host(), "--policy", policyFile(t, store, key)}
	code, answer := auditJSON(t, cluster, flags...)
	want := []string{"a-index allowed", "b-platform allowed", "c-other denied RunningImageDiffers", "d-config allowed"}
	if diff := cmp.Diff(want, podResults(answer)); diff != "" || code != 1 {
		t.Fatalf("exit code %d, results (-want +got):\n%s", code, diff)
	}
	for i, unknown := range []bool{false, false, false, true} {
		if got := answer.Results[i]; got.RunningUnknown != unknown || (got.Running != "") != (i == 2) {
			t.Errorf("%s: running %q, unknown %t", got.Pod, got.Running, got.RunningUnknown)
		}
	}
	if _, out, _ := audit(t, cluster, flags...); !strings.Contains(out, "not known which content of 1 image runs") {
		t.Errorf("want to be told of what is not known, got\n%s", out)
	}
}
