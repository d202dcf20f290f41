package cluster_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// shared builds the command once; each test has a cluster of its own, since a
// registered webhook is asked about everything.
var shared rig.Shared

func TestMain(m *testing.M) {
	rest.SetDefaultWarningHandler(rest.NoWarnings{}) // tests that look at warnings ask for them
	os.Exit(shared.Run(m))
}

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
	// kubeconfig is how replicas reach the API server.
	kubeconfig string
	// owner is the test that everything runs for, also what a part of it starts.
	owner *testing.T
}

// prepare starts everything but the replicas.
func prepare(t *testing.T) *installation {
	t.Helper()
	i := &installation{owner: t, Cluster: rig.Start(t), registry: rig.NewStore(t, fixture.Options{Referrers: true})}
	i.Apply(t, definitions(t)...)
	i.NamespaceNamed(t, systemNamespace)
	i.namespace = i.Namespace(t, nil)
	i.balancer = rig.StartBalancer(t)
	i.kubeconfig = i.Kubeconfig
	return i
}

// install starts everything, with a number of replicas, and waits until the API
// server asks them about Pods.
func install(t *testing.T, replicas int, flags ...string) *installation {
	t.Helper()
	i := prepare(t)
	i.serve(t, replicas, flags...)
	i.awaitRegistered(t, i.namespace)
	return i
}

// serve ends the replicas that there are and starts others.
func (i *installation) serve(t *testing.T, replicas int, flags ...string) {
	t.Helper()
	for _, r := range i.replicas {
		r.Stop(t)
	}
	i.replicas, i.flags = nil, flags
	for range replicas {
		i.replicas = append(i.replicas, i.start(t))
	}
	i.balancer.Use(i.replicas...)
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
	return shared.StartBonafide(i.owner, rig.BonafideOptions{
		Kubeconfig: i.kubeconfig, Registry: i.registry.Host(),
		Flags: append([]string{"--system-namespace", systemNamespace, "--webhook-url", i.balancer.URL}, i.flags...),
	})
}

// awaitRegistered waits until the API server asks about Pods of a namespace.
func (i *installation) awaitRegistered(t *testing.T, namespace string) {
	t.Helper()
	i.warns(t, namespace, "nobody.example/covers/this:1", "no policy covers this image")
}

// awaitWarning waits until a Pod of the tenant is admitted with a warning.
func (i *installation) awaitWarning(t *testing.T, image, part string) {
	t.Helper()
	i.warns(t, i.namespace, image, part)
}

func (i *installation) warns(t *testing.T, namespace, image, part string) {
	t.Helper()
	rig.Eventually(t, "a warning about "+image, func(ctx context.Context) error {
		said, err := i.warned(ctx, namespace, image)
		if err == nil && !strings.Contains(strings.Join(said, "\n"), part) {
			err = fmt.Errorf("expected the warning %q, got %q", part, said)
		}
		return err
	})
}

// warned creates a Pod, dry, and returns the warnings that go with it.
func (i *installation) warned(ctx context.Context, namespace, image string) ([]string, error) {
	said := &warnings{}
	config := *i.Config
	config.WarningHandlerWithContext = said
	client, err := clientOf(&config)
	if err != nil {
		return nil, err
	}
	_, err = client.CoreV1().Pods(namespace).Create(ctx, rig.NewPod(image), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return said.texts(), err
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
	current.Data = map[string][]byte{"cosign.pub": key.PublicPEM}
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

// becomes waits until creating a Pod of the tenant is refused, with a part in
// the message, or is admitted if part is empty.
func (i *installation) becomes(t *testing.T, image, part string) {
	t.Helper()
	i.becomesIn(t, i.namespace, image, part)
}

func (i *installation) becomesIn(t *testing.T, namespace, image, part string) {
	t.Helper()
	rig.Eventually(t, "the change is in force", func(ctx context.Context) error {
		err := i.tried(ctx, namespace, image)
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

// tried is what creating a Pod would come to.
func (i *installation) tried(ctx context.Context, namespace, image string) error {
	_, err := i.Client.CoreV1().Pods(namespace).Create(ctx, rig.NewPod(image), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// podOf is a Pod of one image, for a client of a test's own.
func podOf(image string) *corev1.Pod { return rig.NewPod(image) }
