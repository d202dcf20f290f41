package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

const ownNamespace = "bonafide-system"

// A desk is where people write policies: a cluster of its own, with our kinds,
// whose webhooks the server registers itself.
type desk struct {
	*rig.Cluster
	balancer *rig.Balancer
	told     *told
	client   dynamic.Interface // as the administrator, telling told of warnings
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{Cluster: rig.Start(t), balancer: rig.StartBalancer(t), told: &told{}}
	files, err := filepath.Glob("../../config/crd/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("want definitions, got %d, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d.Apply(t, string(text))
	}
	d.NamespaceNamed(t, ownNamespace)
	config := rest.CopyConfig(d.Config)
	config.WarningHandlerWithContext = d.told
	if d.client, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	return d
}

// serve starts a server and waits until its door for policies is in force.
func (d *desk) serve(t *testing.T) *rig.Bonafide {
	t.Helper()
	b := shared.StartBonafide(t, rig.BonafideOptions{
		Kubeconfig: d.Kubeconfig, Flags: []string{"--system-namespace", ownNamespace, "--webhook-url", d.balancer.URL},
	})
	d.balancer.Use(b)
	rig.Eventually(t, "the door for policies is in force", func(ctx context.Context) error {
		err := d.write(ctx, written("ClusterVerificationPolicy", "", "probe", withTypo), metav1.DryRunAll)
		if !apierrors.IsInvalid(err) {
			return fmt.Errorf("expected the policy refused as invalid, got error %v", err) //nolint:errorlint // it may be nil
		}
		return nil
	})
	return b
}

// write applies an object as kubectl apply --server-side does.
func (d *desk) write(ctx context.Context, text string, dryRun ...string) error {
	var o unstructured.Unstructured
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		return err
	}
	_, err := d.of(&o).Apply(ctx, o.GetName(), &o, metav1.ApplyOptions{FieldManager: "alice", Force: true, DryRun: dryRun})
	return err
}

func (d *desk) of(o *unstructured.Unstructured) dynamic.ResourceInterface {
	plural := map[string]string{
		"ClusterVerificationPolicy": "clusterverificationpolicies", "VerificationPolicy": "verificationpolicies",
		"VerificationException": "verificationexceptions", "ImageDenyList": "imagedenylists",
	}[o.GetKind()]
	resource := d.client.Resource(schema.GroupVersionResource{Group: "bonafide.dev", Version: "v1alpha1", Resource: plural})
	if o.GetNamespace() != "" {
		return resource.Namespace(o.GetNamespace())
	}
	return resource
}

// told are the warnings that a user has been told.
type told struct {
	mu  sync.Mutex
	all []string
}

// HandleWarningHeaderWithContext implements rest.WarningHandlerWithContext.
func (w *told) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, text)
}

func (w *told) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := strings.Join(w.all, "\n")
	w.all = nil
	return all
}

// rightSpec is of a policy whose key is in a Secret that does not exist.
const rightSpec = `
  images: ["registry.example.com/nobody/**"]
  signers:
  - name: release
    sigstore: {key: {secretRef: {namespace: bonafide-system, name: comes-later}}, transparencyLog: Ignored}
  require:
  - signature: {anyOf: [release]}
`

// withTypo is the same with a name that is nearly one.
const withTypo = rightSpec + "  onUndecidd: Deny\n"

func written(kind, namespace, name, spec string) string {
	metadata := "name: " + name
	if namespace != "" {
		metadata += ", namespace: " + namespace
	}
	return "apiVersion: bonafide.dev/v1alpha1\nkind: " + kind + "\nmetadata: {" + metadata + "}\nspec:\n" + spec
}

// wantTold fails unless the person who wrote the object is refused with all words.
func wantTold(t *testing.T, err error, words ...string) {
	t.Helper()
	if !apierrors.IsInvalid(err) {
		t.Errorf("want it refused as invalid, got %v", err)
		return
	}
	for _, w := range append(words, `admission webhook "policies.bonafide.dev" denied the request: bonafide: `) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("want %q in the message, got %v", w, err)
		}
	}
}

// TestR19PersonIsToldOfATypo when it is written; what got past us while we were
// down says so in its status, and nobody is its prisoner.
func TestR19PersonIsToldOfATypo(t *testing.T) {
	d := newDesk(t)
	b := d.serve(t)
	const typo = `onUndecidd: unknown field; did you mean "onUndecided"?`
	soon := func(days int) string { return time.Now().AddDate(0, 0, days).UTC().Format(time.RFC3339) }
	wantTold(t, d.write(t.Context(), written("ClusterVerificationPolicy", "", "typo", withTypo)), "spec."+typo)
	local := strings.ReplaceAll(withTypo, "namespace: bonafide-system, ", "")
	for _, namespace := range []string{"default", "kube-system", ownNamespace} {
		wantTold(t, d.write(t.Context(), written("VerificationPolicy", namespace, "typo", local)), "spec."+typo)
	}
	wantTold(t, d.write(t.Context(), written("ImageDenyList", "", "typo", "  images: [registry.example.com/app]\n  reason: r\n  namespaces: [a]\n")), "spec.namespaces: unknown field")
	// By the API server's clock, which the object has at this door already.
	wantTold(t, d.write(t.Context(), written("VerificationException", "", "typo", "  images: [a]\n  reason: r\n  expires: "+soon(91)+"\n")), "spec.expires: ", "after it was created")

	d.told.take()
	if err := d.write(t.Context(), written("ClusterVerificationPolicy", "", "right", rightSpec)); err != nil {
		t.Errorf("want a policy whose key comes later, got %v", err)
	}
	if got := d.told.take(); !strings.Contains(got, "bonafide: spec.signers[0].sigstore.transparencyLog: Ignored accepts") {
		t.Errorf("want to be told of the weakening, got %q", got)
	}
	if err := d.write(t.Context(), written("VerificationException", "", "right", "  images: [a]\n  reason: r\n  expires: "+soon(89)+"\n")); err != nil {
		t.Errorf("want an exception within 90 days, got %v", err)
	}
	d.awaitNotReady(t, "right", "comes-later")

	b.Stop(t)
	d.balancer.Use()
	if err := d.write(t.Context(), written("ClusterVerificationPolicy", "", "typo", withTypo)); err != nil {
		t.Fatalf("we are down: want it stored, got %v", err)
	}
	if err := d.write(t.Context(), written("ImageDenyList", "", "stop", "  images: [registry.example.com/bad]\n  reason: r\n")); err != nil {
		t.Fatalf("we are down: want an image that can be stopped, got %v", err)
	}

	d.serve(t)
	d.awaitNotReady(t, "typo", "spec."+typo)
	d.freed(t)
}

// freed changes and deletes the object that got past us.
func (d *desk) freed(t *testing.T) {
	t.Helper()
	stored := &unstructured.Unstructured{}
	stored.SetAPIVersion("bonafide.dev/v1alpha1")
	stored.SetKind("ClusterVerificationPolicy")
	resource := d.of(stored)
	patch := func(text string) error {
		_, err := resource.Patch(t.Context(), "typo", types.MergePatchType, []byte(text), metav1.PatchOptions{})
		return err
	}
	if err := patch(`{"metadata":{"labels":{"team":"a"},"finalizers":["example.com/hold"]}}`); err != nil {
		t.Errorf("labels: want them changed whatever the spec says, got %v", err)
	}
	wantTold(t, patch(`{"spec":{"mode":"Audit"}}`), "spec.onUndecidd: unknown field")
	if err := resource.Delete(t.Context(), "typo", metav1.DeleteOptions{}); err != nil {
		t.Errorf("want it deleted, got %v", err)
	}
	if err := patch(`{"metadata":{"finalizers":null}}`); err != nil {
		t.Errorf("finalizers: want them changed, got %v", err)
	}
	if _, err := resource.Get(t.Context(), "typo", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("want it gone, got %v", err)
	}
}

// awaitNotReady waits until a cluster policy's status says why it is not ready.
func (d *desk) awaitNotReady(t *testing.T, name, why string) {
	t.Helper()
	o := &unstructured.Unstructured{}
	o.SetAPIVersion("bonafide.dev/v1alpha1")
	o.SetKind("ClusterVerificationPolicy")
	o.SetName(name)
	d.Await(t, o, func(current *unstructured.Unstructured) error {
		conditions, _, err := unstructured.NestedSlice(current.Object, "status", "conditions")
		if err != nil {
			return err
		}
		for _, entry := range conditions {
			c, _ := entry.(map[string]any)
			if message, _ := c["message"].(string); c["type"] == "Ready" && c["status"] == "False" && strings.Contains(message, why) {
				return nil
			}
		}
		return fmt.Errorf("expected Ready=False with %q, got %v", why, conditions)
	})
}
