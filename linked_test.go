package bonafide_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// pure are the packages that a program can use as a library without taking a
// registry client, a Kubernetes client or a verifier with it.
func pure() []string { return []string{"engine", "evidence", "policy"} }

// heavy are prefixes of what the pure packages must not link.
func heavy() []string {
	return []string{
		"github.com/google/cel-go", "github.com/google/go-containerregistry", "github.com/notaryproject/", "github.com/sigstore/", "k8s.io/", "oras.land/",
	}
}

func TestPurePackagesLinkNoHeavyOnes(t *testing.T) {
	graph := linked(t)
	for _, from := range pure() {
		start := modulePath + "/" + from
		if _, exists := graph[start]; !exists {
			continue
		}
		for _, prefix := range heavy() {
			if chain := graph.reach(start, prefix, ""); chain != nil {
				t.Errorf("%s must not link %s…, got %s", from, prefix, strings.Join(chain, " → "))
			}
		}
	}
}

// TestBinaryTalksToKubernetesThroughOnePlace keeps the Kubernetes client behind
// internal/kube: no other way leads from the command to it.
func TestBinaryTalksToKubernetesThroughOnePlace(t *testing.T) {
	const binary, door = modulePath + "/cmd/bonafide", modulePath + "/internal/kube"
	graph := linked(t)
	if _, exists := graph[binary]; !exists {
		return // nothing to link yet
	}
	if chain := graph.reach(binary, "k8s.io/client-go", door); chain != nil {
		t.Errorf("the binary must reach k8s.io/client-go through internal/kube alone, got %s", strings.Join(chain, " → "))
	}
}

// TestBinaryLinksNoTestSupport: the fixture is what the demo signs with.
func TestBinaryLinksNoTestSupport(t *testing.T) {
	graph := linked(t)
	if _, exists := graph[modulePath+"/cmd/bonafide"]; !exists {
		return // nothing to link yet
	}
	for _, support := range []string{"internal/rig", "internal/testca", "test/"} {
		if chain := graph.reach(modulePath+"/cmd/bonafide", modulePath+"/"+support, ""); chain != nil {
			t.Errorf("the binary must not link %s, got %s", support, strings.Join(chain, " → "))
		}
	}
}

// An importGraph holds the imports of each package, dependencies included.
type importGraph map[string][]string

// linked asks the go command, which knows modules and build constraints.
func linked(t *testing.T) importGraph {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-deps", "-json=ImportPath,Imports", "./...")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	graph := importGraph{}
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return graph
		} else if err != nil {
			t.Fatal(err)
		}
		graph[p.ImportPath] = p.Imports
	}
}

// reach returns the shortest chain of imports from a package to one whose path
// has the prefix, not passing through packages below around ("" for none). It
// is nil if there is none.
func (g importGraph) reach(from, prefix, around string) []string {
	came := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if at != from && strings.HasPrefix(at, prefix) {
			var chain []string
			for ; at != ""; at = came[at] {
				chain = append(chain, at)
			}
			slices.Reverse(chain)
			return chain
		}
		for _, next := range g[at] {
			barred := around != "" && (next == around || strings.HasPrefix(next, around+"/"))
			if _, seen := came[next]; !seen && !barred {
				came[next] = at
				queue = append(queue, next)
			}
		}
	}
	return nil
}

func TestReachFindsAndAvoids(t *testing.T) {
	graph := importGraph{"a": {"b", "c"}, "b": {"d/x"}, "c": {"kube/sync"}, "kube/sync": {"client/go"}}
	cases := map[string]struct {
		reason         string
		prefix, around string
		want           []string
	}{
		"Found":   {reason: "a chain exists", prefix: "d/", want: []string{"a", "b", "d/x"}},
		"Through": {reason: "the chain may pass anywhere", prefix: "client/", want: []string{"a", "c", "kube/sync", "client/go"}},
		"Around":  {reason: "the only chain passes below kube", prefix: "client/", around: "kube"},
		"Absent":  {reason: "nothing has the prefix", prefix: "e"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := graph.reach("a", tc.prefix, tc.around); !slices.Equal(got, tc.want) {
				t.Errorf("%s: want %q, got %q", tc.reason, tc.want, got)
			}
		})
	}
}
