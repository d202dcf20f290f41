package rig

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NewPod returns a Pod of one container, "app", whose name the API server makes
// up.
func NewPod(image string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "pod-"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image}}},
	}
}

// CreatePod creates a [NewPod] and returns its image as stored.
func (c *Cluster) CreatePod(ctx context.Context, namespace, image string) (string, error) {
	created, err := c.Client.CoreV1().Pods(namespace).Create(ctx, NewPod(image), metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return created.Spec.Containers[0].Image, nil
}

// NamespaceNamed makes sure that there is a namespace of the name, as an
// example may say it. Tests that use the same name share the namespace.
func (c *Cluster) NamespaceNamed(tb testing.TB, name string) {
	tb.Helper()
	_, err := c.Client.CoreV1().Namespaces().Create(tb.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		tb.Fatalf("create namespace %q: %v", name, err)
	}
}

// WantRefused checks what creating an object came to: it is refused, with every
// part in the message.
func WantRefused(tb testing.TB, err error, parts ...string) {
	tb.Helper()
	if err == nil {
		tb.Error("want it refused, got it admitted")
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			tb.Errorf("want %q in the message, got: %v", part, err)
		}
	}
}
