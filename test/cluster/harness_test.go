package cluster_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// shared builds the command once; each test has a cluster of its own, since a
// registered webhook is asked about everything.
var shared rig.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

const systemNamespace = "bonafide-system"

// An installation is a cluster with Bonafide's kinds, a registry, and replicas
// behind one address.
type installation struct {
	*rig.Cluster
	registry *fixture.Registry
	balancer *rig.Balancer
	replicas []*rig.Bonafide
	// namespace is a tenant's.
	namespace string
	flags     []string
}

// install starts everything, with a number of replicas, and waits until a Pod
// of an image that no policy admits is refused or answered about.
func install(t *testing.T, replicas int, flags ...string) *installation {
	t.Helper()
	i := &installation{Cluster: rig.Start(t), registry: rig.NewStore(t, fixture.Options{Referrers: true}), flags: flags}
	i.Apply(t, definitions(t)...)
	i.NamespaceNamed(t, systemNamespace)
	i.namespace = i.Namespace(t, nil)
	i.balancer = rig.StartBalancer(t)
	for range replicas {
		i.replicas = append(i.replicas, i.start(t))
	}
	i.balancer.Use(i.replicas...)
	i.awaitRegistered(t)
	return i
}

// definitions are the custom resource definitions that an installation has.
func definitions(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../config/crd/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("want definitions in config/crd, got %d files: %v", len(files), err)
	}
	var all []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(text))
	}
	return all
}

func (i *installation) start(t *testing.T) *rig.Bonafide {
	t.Helper()
	return shared.StartBonafide(t, rig.BonafideOptions{
		Kubeconfig: i.Kubeconfig, Registry: i.registry.Host(),
		Flags: append([]string{"--system-namespace", systemNamespace, "--webhook-url", i.balancer.URL}, i.flags...),
	})
}

// awaitRegistered waits until the API server asks about Pods.
func (i *installation) awaitRegistered(t *testing.T) {
	t.Helper()
	rig.Eventually(t, "the webhooks are in force", func(ctx context.Context) error {
		warned := &warnings{}
		config := *i.Config
		config.WarningHandlerWithContext = warned
		client, err := clientOf(&config)
		if err != nil {
			return err
		}
		pod := rig.NewPod("nobody.example/covers/this:1")
		_, err = client.CoreV1().Pods(i.namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			return err
		}
		if !warned.contain("no policy covers this image") {
			return errors.New("expected a warning about an image that no policy covers, got none")
		}
		return nil
	})
}

// secret stores a public key under the name, in the system namespace.
func (i *installation) secret(t *testing.T, name string, key fixture.Key) {
	t.Helper()
	i.Apply(t, fmt.Sprintf(`{apiVersion: v1, kind: Secret, metadata: {name: %s, namespace: %s}, data: {cosign.pub: %s}}`,
		name, systemNamespace, base64.StdEncoding.EncodeToString(key.PublicPEM)))
}

// replaceSecret changes the key in a Secret.
func (i *installation) replaceSecret(t *testing.T, name string, key fixture.Key) {
	t.Helper()
	secrets := i.Client.CoreV1().Secrets(systemNamespace)
	current, err := secrets.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	current.Data["cosign.pub"] = key.PublicPEM
	if _, err := secrets.Update(t.Context(), current, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// policy is a cluster policy over the registry whose key is in a Secret.
func (i *installation) policy(name, secret string) string {
	return fmt.Sprintf(`
apiVersion: bonafide.dev/v1alpha1
kind: ClusterVerificationPolicy
metadata: {name: %s}
spec:
  images: ["%s/**"]
  signers:
  - name: release
    sigstore: {key: {secretRef: {namespace: %s, name: %s, key: cosign.pub}}, transparencyLog: Ignored}
  require:
  - signature: {anyOf: [release]}
`, name, i.registry.Host(), systemNamespace, secret)
}

// ready waits until a policy's status says that it is in force.
func (i *installation) ready(t *testing.T, policy *unstructured.Unstructured) {
	t.Helper()
	i.Await(t, policy, condition("Ready", "True", ""))
}

func condition(kind, status, reason string) func(*unstructured.Unstructured) error {
	return func(object *unstructured.Unstructured) error {
		conditions, _, err := unstructured.NestedSlice(object.Object, "status", "conditions")
		if err != nil {
			return err
		}
		for _, entry := range conditions {
			c, _ := entry.(map[string]any)
			if c["type"] == kind && c["status"] == status && (reason == "" || c["reason"] == reason) {
				return nil
			}
		}
		return fmt.Errorf("expected condition %s=%s (%s), got %v", kind, status, reason, conditions)
	}
}

// admitted creates a Pod and returns how its image is stored.
func (i *installation) admitted(t *testing.T, namespace, image string) string {
	t.Helper()
	stored, err := i.CreatePod(t.Context(), namespace, image)
	if err != nil {
		t.Fatalf("want %s admitted, got: %v", image, err)
	}
	return stored
}

// becomes waits until creating a Pod is refused, with a part in the message, or
// is admitted if part is empty.
func (i *installation) becomes(t *testing.T, image, part string) {
	t.Helper()
	rig.Eventually(t, "the change is in force", func(ctx context.Context) error {
		pod := rig.NewPod(image)
		_, err := i.Client.CoreV1().Pods(i.namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		switch {
		case part == "":
			return err
		case err == nil:
			return fmt.Errorf("expected %s refused, got it admitted", image)
		case !strings.Contains(err.Error(), part):
			return fmt.Errorf("expected %q in the message, got: %w", part, err)
		}
		return nil
	})
}

// podOf is a Pod of one image, for a client of a test's own.
func podOf(image string) *corev1.Pod { return rig.NewPod(image) }
