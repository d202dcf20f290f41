package policies_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/kyverno"
	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/dialect/nirmata"
	"github.com/bonafide-dev/bonafide/internal/kube/kubetest"
	"github.com/bonafide-dev/bonafide/internal/kube/policies"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/internal/rig"
	"github.com/bonafide-dev/bonafide/policy"
)

var shared rig.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

const keyA = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8nXRh950IZbRj8Ra/N9sbqOPZrfM
5/KAQN0/KjHcorm/J5yctVd7iEcnessRQjU917hmKO6JWVGHpDguIyakZA==
-----END PUBLIC KEY-----
`

const keyB = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
`

// inForceWithin is how long a change may take (the deliverable's bound).
const inForceWithin = 2 * time.Second

// definitions applies the definitions of the native kinds. They stay: what would
// be deleted would have to be made anew for the next test.
func definitions(t testing.TB, c *rig.Cluster) {
	t.Helper()
	files, err := filepath.Glob("../../../config/crd/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("expected definitions, got %v, %v", files, err)
	}
	resource := c.Dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var o unstructured.Unstructured
		if err := yaml.Unmarshal(content, &o.Object); err != nil {
			t.Fatal(err)
		}
		if _, err := resource.Apply(t.Context(), o.GetName(), &o, metav1.ApplyOptions{FieldManager: "test", Force: true}); err != nil {
			t.Fatal(err)
		}
		c.Await(t, &o, isEstablished)
	}
}

// established applies a definition and waits until the API server serves it.
func established(t testing.TB, c *rig.Cluster, text string) {
	t.Helper()
	c.Await(t, c.Apply(t, text)[0], isEstablished)
}

func isEstablished(o *unstructured.Unstructured) error {
	conditions, _, err := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, entry := range conditions {
		if condition, _ := entry.(map[string]any); condition["type"] == "Established" && condition["status"] == "True" {
			return nil
		}
	}
	return errors.Join(err, fmt.Errorf("expected an established definition, got %v", conditions))
}

// observer is told of sets.
type observer struct {
	mu     sync.Mutex
	last   *policies.Set
	count  int
	notify chan struct{}
}

func (o *observer) changed(s policies.Set) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = &s
	o.count++
	close(o.notify)
	o.notify = make(chan struct{})
}

func (o *observer) now() (*policies.Set, int, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last, o.count, o.notify
}

// await waits for a set that meets the condition.
func (o *observer) await(t testing.TB, what string, condition func(policies.Set) error) policies.Set {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	last := errors.New("expected a set, got none")
	for {
		set, _, next := o.now()
		if set != nil {
			if last = condition(*set); last == nil {
				return *set
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, last)
		case <-next:
		}
	}
}

// source runs a Source until the test ends.
func source(t testing.TB, config *rest.Config, change func(*policies.Options)) (*policies.Source, *observer) {
	t.Helper()
	client := kubetest.Client(t, config)
	makers := policyset.NewSigners(nil)
	seen := &observer{notify: make(chan struct{})}
	o := policies.Options{
		Client: client, Now: time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Changed: seen.changed,
		Dialects: []dialect.Dialect{
			native.New(makers, native.Options{ClusterAvailable: true}), kyverno.New(makers, kyverno.Options{ClusterAvailable: true}), nirmata.New(makers, nirmata.Options{}),
		},
	}
	if change != nil {
		change(&o)
	}
	s, err := policies.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return s, seen
}

func clusterPolicy(name, key string) string {
	return "apiVersion: bonafide.dev/v1alpha1\nkind: ClusterVerificationPolicy\nmetadata: {name: " + name + "}\nspec:\n" +
		"  images: ['ghcr.io/" + name + "/**']\n  signers: [{name: a, sigstore: {key: " + key + ", transparencyLog: Ignored}}]\n" +
		"  require: [{signature: {anyOf: [a]}}]\n"
}

func namespacedPolicy(namespace, name, key string) string {
	return strings.Replace(strings.Replace(clusterPolicy(name, key), "ClusterVerification", "Verification", 1),
		"{name: "+name+"}", "{name: "+name+", namespace: "+namespace+"}", 1)
}

func pem(key string) string { return fmt.Sprintf("{pem: %q}", key) }

func secretRef(namespace, name string) string {
	return "{secretRef: {namespace: " + namespace + ", name: " + name + "}}"
}

func secret(namespace, name, key string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: %s}\nstringData: {cosign.pub: %q}\n", name, namespace, key)
}

func find(s policies.Set, name string) *policy.Policy {
	for i := range s.Policies {
		if s.Policies[i].Origin.Name == name {
			return &s.Policies[i]
		}
	}
	return nil
}

func result(s policies.Set, name string) policies.Result {
	for _, r := range s.Results {
		if r.Name == name {
			return r
		}
	}
	return policies.Result{}
}

// signer returns the signer that a policy asks for; empty if it does not stand.
func signer(s policies.Set, name string) policy.SignerID {
	p := find(s, name)
	if p == nil || p.Invalid != nil {
		return ""
	}
	return policy.Signatures(p.Require)[0].Signer.ID()
}

// is wants a result.
func is(name string, ready bool, reason string) func(policies.Set) error {
	return func(s policies.Set) error {
		if r := result(s, name); r.Ready != ready || r.Reason != reason {
			return fmt.Errorf("expected %s to be ready %t, %s, got %t, %s: %s", name, ready, reason, r.Ready, r.Reason, r.Message)
		}
		return nil
	}
}

func isGone(name string) func(policies.Set) error {
	return func(s policies.Set) error {
		if r := result(s, name); r.Name != "" {
			return fmt.Errorf("expected no %s, got %s", name, r)
		}
		return nil
	}
}

// expectLine waits for a line of the log.
func expectLine(t testing.TB, log <-chan string, level, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		select {
		case line := <-log:
			if strings.Contains(line, "level="+level) && strings.Contains(line, text) {
				return
			}
		case <-ctx.Done():
			t.Fatalf("expected a line of the log with %s and %q, got none", level, text)
		}
	}
}
