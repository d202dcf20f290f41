//go:build interop

package interop_test

import (
	"context"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

// shared is the cluster of all tests of this package, with its Gatekeeper and
// its Kyverno. Each test works in namespaces of its own and limits its policies
// to them.
var shared rig.Shared

// builds is where the bonafide command is built.
var builds string

func TestMain(m *testing.M) {
	var err error
	if builds, err = os.MkdirTemp("", "bonafide-interop-"); err != nil {
		panic(err)
	}
	code := shared.Run(m)
	_ = os.RemoveAll(builds)
	os.Exit(code)
}

// patience bounds every wait of these tests.
const patience = 2 * time.Minute

// eventually waits until condition returns nil.
func eventually(t *testing.T, what string, condition func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := rig.Poll(ctx, condition); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// createPod creates a Pod of one container.
func createPod(t *testing.T, namespace, image string) (*corev1.Pod, error) {
	t.Helper()
	return shared.Cluster(t).Client.CoreV1().Pods(namespace).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "pod-"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image}}},
	}, metav1.CreateOptions{})
}
