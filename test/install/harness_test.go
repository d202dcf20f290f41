package install_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

var update = flag.Bool("update", false, "rewrite what is generated from the chart")

// shared is the cluster of all tests of this package.
var shared rig.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// Places in the tree, seen from this package.
const (
	root            = "../.."
	chart           = "../../charts/bonafide"
	systemNamespace = "bonafide-system"
	// clusterVersion is what charts are rendered for; Helm alone would ask a cluster.
	clusterVersion = "v1.36.0"
)

// helm runs Helm, which finds no settings of this machine, and returns what it
// printed.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	program, err := rig.Binary(context.WithoutCancel(t.Context()), "helm")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), program, args...) // #nosec G204 -- this package's own arguments
	cmd.Env = []string{"HOME=" + home, "PATH="}
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return out.String(), errors.Join(err, errors.New(problems.String()))
	}
	return out.String(), nil
}

// render renders the chart with further flags of helm template, such as
// --set, and returns the manifests.
func render(t *testing.T, flags ...string) string {
	t.Helper()
	out, err := helm(t, append([]string{"template", "bonafide", chart, "--namespace", systemNamespace, "--kube-version", clusterVersion}, flags...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// objects reads manifests.
func objects(t *testing.T, manifests string) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(manifests)), len(manifests)+1)
	for {
		var object map[string]any
		if err := decoder.Decode(&object); err != nil {
			if len(all) == 0 {
				t.Fatalf("expected manifests, got none: %v", err)
			}
			return all
		}
		if len(object) > 0 {
			all = append(all, &unstructured.Unstructured{Object: object})
		}
	}
}

// find returns the one object of that kind and name; nil if there is none.
func find(all []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	for _, object := range all {
		if object.GetKind() == kind && object.GetName() == name {
			return object
		}
	}
	return nil
}

// golden compares what is generated with the file in the tree.
func golden(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	wants, gots := strings.Split(want, "\n"), strings.Split(string(got), "\n")
	for i := range max(len(wants), len(gots)) {
		if i >= len(wants) || i >= len(gots) || wants[i] != gots[i] {
			t.Errorf("%s:%d is not what make generate-install writes: want %q, got %q", file, i+1, line(wants, i), line(gots, i))
			return
		}
	}
}

func line(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "the end"
}
