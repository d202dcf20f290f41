//go:build interop

package interop_test

import (
	"os"
	"testing"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

// shared is the cluster of all tests of this package, with its Gatekeeper and
// its Kyverno. Each test works in namespaces of its own and limits its policies
// to them.
var shared rig.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// createPod creates a Pod of one container in the shared cluster and returns its
// image as stored.
func createPod(t *testing.T, namespace, image string) (string, error) {
	t.Helper()
	return shared.Cluster(t).CreatePod(t.Context(), namespace, image)
}
