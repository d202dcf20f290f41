package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// auditAnswer is what is looked at of `audit -o json`.
type auditAnswer struct {
	Results []struct {
		Namespace, Pod, Container, Image, Digest, Outcome, Reason string
		Running                                                   string
		RunningUnknown                                            bool
		Policies                                                  []struct {
			Name, Outcome, Message string
			Exceptions             []struct{ Name, Reason, Expires string }
		}
	}
	Summary   map[string]int
	Uncovered []struct {
		Namespace string
		Pods      int
	}
	Changes []struct{ Image, Now, Then, Reason string }
}

// audit runs `bonafide audit`.
func audit(t *testing.T, c *rig.Cluster, args ...string) (code int, out, notes string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(t.Context(), shared.Command(t), append([]string{"audit"}, args...)...)
	command.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig, "HOME="+t.TempDir(), "DOCKER_CONFIG="+t.TempDir(), "HTTPS_PROXY=", "HTTP_PROXY=", "NO_COLOR=1")
	command.Stdout, command.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := command.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return command.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

func auditJSON(t *testing.T, c *rig.Cluster, args ...string) (int, auditAnswer) {
	t.Helper()
	code, out, notes := audit(t, c, append(args, "-o", "json")...)
	var answer auditAnswer
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatalf("exit code %d: %v\n%s%s", code, err, out, notes)
	}
	return code, answer
}

// serveKinds installs the project's own kinds until the test ends.
func serveKinds(t *testing.T, c *rig.Cluster) {
	t.Helper()
	files, err := filepath.Glob("../../config/crd/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("want definitions, got %d: %v", len(files), err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c.Await(t, c.Apply(t, string(raw))[0], func(u *unstructured.Unstructured) error {
			if conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions"); !strings.Contains(fmt.Sprint(conditions), "type:Established") {
				return fmt.Errorf("not established: %v", conditions)
			}
			return nil
		})
	}
}

// shortResults are image, outcome and reason.
func shortResults(a auditAnswer) []string {
	var all []string
	for _, r := range a.Results {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Image, r.Outcome, r.Reason)))
	}
	return all
}

func TestAuditOfACluster(t *testing.T) {
	cluster := shared.Cluster(t)
	serveKinds(t, cluster)
	namespace := cluster.Namespace(t, nil)
	store := rig.NewStore(t, fixture.Options{Referrers: true})
	key, other := rig.NewKey(t), rig.NewKey(t)
	good := store.Host() + "/acme/good:v1"
	bad := store.Host() + "/acme/bad:v1"
	rig.Push(t, store, "acme/good:v1", key)
	rig.Push(t, store, "acme/bad:v1", other)
	foreign := "elsewhere.example/app:v1"
	for _, image := range []string{good, bad, foreign} {
		if _, err := cluster.CreatePod(t.Context(), namespace, image); err != nil {
			t.Fatal(err)
		}
	}
	flags := []string{"-n", namespace, "--insecure-registry", store.Host()}

	code, before := auditJSON(t, cluster, flags...)
	if code != 1 || before.Summary["unmatched"] != 3 || len(before.Uncovered) != 1 || before.Uncovered[0].Pods != 3 {
		t.Errorf("without policies: want exit code 1 and 3 unmatched, got %d and %+v", code, before)
	}

	document := rig.SignedPolicy(store.Host(), key.PublicPEM, "")
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, document, 0o600); err != nil {
		t.Fatal(err)
	}
	_, projected := auditJSON(t, cluster, append(flags, "--policy", file)...)
	var changes []string
	for _, c := range projected.Changes {
		changes = append(changes, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", c.Image, c.Now, c.Then, c.Reason)))
	}
	want := map[string]bool{good + " unmatched allowed": true, bad + " unmatched denied SignerMismatch": true}
	if len(changes) != 2 || !want[changes[0]] || !want[changes[1]] {
		t.Errorf("with --policy: want the changes %v, got %q", want, changes)
	}

	cluster.Apply(t, string(document))
	code, after := auditJSON(t, cluster, flags...)
	got := map[string]bool{}
	for _, r := range shortResults(after) {
		got[r] = true
	}
	wanted := map[string]bool{good + " allowed": true, bad + " denied SignerMismatch": true, foreign + " unmatched NoPolicy": true}
	if diff := cmp.Diff(wanted, got); diff != "" || code != 1 {
		t.Errorf("with the policy applied: exit code %d, (-want +got):\n%s", code, diff)
	}
	if diff := cmp.Diff(1, len(after.Uncovered)); diff != "" || after.Changes != nil {
		t.Errorf("uncovered (-want +got):\n%s\nchanges %v", diff, after.Changes)
	}

	code, out, notes := audit(t, cluster, append(flags, "--policy", file)...)
	for _, part := range []string{"OUTCOME", bad, "SignerMismatch", "1 image of 1 Pod in namespace " + namespace, "3 Pods, 3 images: 1 allowed, 1 denied, 0 undecided, 1 unmatched.", "The policies would change nothing."} {
		if !strings.Contains(out, part) {
			t.Errorf("table: want %q in it, got exit code %d\n%s%s", part, code, out, notes)
		}
	}
}

func TestAuditExitCodes(t *testing.T) {
	cluster := shared.Cluster(t)
	store := rig.NewStore(t, fixture.Options{Referrers: true})
	key := rig.NewKey(t)
	rig.Push(t, store, "acme/good:v1", key)
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, rig.SignedPolicy(store.Host(), key.PublicPEM, ""), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		images []string
		args   []string
		want   int
	}{
		"Empty":     {want: 0},
		"Allowed":   {images: []string{"acme/good:v1"}, want: 0},
		"Undecided": {images: []string{"acme/good:v1", "acme/absent:v1"}, want: 3},
		"BadOutput": {args: []string{"-o", "xml"}, want: 2},
		"Both":      {args: []string{"-A"}, want: 2},
		"NoConfig":  {args: []string{"--kubeconfig", "/nonexistent"}, want: 2},
		"BadPolicy": {args: []string{"--policy", "/nonexistent"}, want: 2},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			namespace := cluster.Namespace(t, nil)
			for _, image := range c.images {
				if _, err := cluster.CreatePod(t.Context(), namespace, store.Host()+"/"+image); err != nil {
					t.Fatal(err)
				}
			}
			code, out, notes := audit(t, cluster, append([]string{"-n", namespace, "--insecure-registry", store.Host(), "--policy", file}, c.args...)...)
			if code != c.want {
				t.Errorf("want exit code %d, got %d\n%s%s", c.want, code, out, notes)
			}
		})
	}
}
