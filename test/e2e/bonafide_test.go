package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// program builds the bonafide command once for all tests.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "bonafide-e2e-")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "bonafide")
	out, err := exec.Command("go", "build", "-o", file, "../../cmd/bonafide").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build bonafide: %w\n%s", err, out)
	}
	return file, nil
})

// A world is a registry with one signed and one unsigned image, a policy over
// them, and the real server as a process.
type world struct {
	registry         *fixture.Registry
	key              fixture.Key
	signed, unsigned string // references by tag
	digest           string // of the signed image
	policyFile       string
	url, status, ca  string
	log              *syncBuffer
}

// policyOf is a policy over a registry's images.
func policyOf(host string, key []byte, more string) string {
	return fmt.Sprintf(`apiVersion: bonafide.dev/v1alpha1
kind: ClusterVerificationPolicy
metadata: {name: release}
spec:
  images: ["%s/**"]
%s  signers:
  - name: release
    sigstore: {key: {pem: %q}, transparencyLog: Ignored}
  require:
  - signature: {anyOf: [release]}
`, host, more, key)
}

// newWorld starts a registry and bonafide serve; more is added to the policy's
// spec.
func newWorld(t *testing.T, more string, flags ...string) *world {
	t.Helper()
	r, err := fixture.NewRegistry(fixture.Options{Referrers: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	w := &world{registry: r, log: &syncBuffer{}}
	if w.key, err = fixture.NewKey(fixture.P256); err != nil {
		t.Fatal(err)
	}
	signed := w.push(t, "acme/app:signed", true)
	w.signed, w.digest = signed.Reference.String(), signed.Digest.String()
	w.unsigned = w.push(t, "acme/app:unsigned", false).Reference.String()
	w.policyFile = filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(w.policyFile, []byte(policyOf(r.Host(), w.key.PublicPEM, more)), 0o600); err != nil {
		t.Fatal(err)
	}
	w.serve(t, flags)
	return w
}

func (w *world) push(t *testing.T, name string, sign bool) fixture.Image {
	t.Helper()
	image, err := w.registry.PushImage(t.Context(), name, name)
	if err != nil {
		t.Fatal(err)
	}
	if sign {
		if _, err := w.registry.SignCosign(t.Context(), image, w.key, fixture.CosignOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return image
}

// serve starts the process on free ports and waits until it is ready.
func (w *world) serve(t *testing.T, flags []string) {
	t.Helper()
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	doors, status := freeAddress(t), freeAddress(t)
	w.url, w.status, w.ca = "https://"+doors, "http://"+status, filepath.Join(t.TempDir(), "ca.crt")
	args := append([]string{
		"serve", "--policy", w.policyFile, "--listen", doors, "--metrics-listen", status, "--write-ca", w.ca,
		"--insecure-registry", w.registry.Host(), "--log-format", "text",
	}, flags...)
	command := exec.Command(file, args...)
	command.Stderr, command.Stdout = w.log, w.log
	command.Env = append(os.Environ(), "KUBERNETES_SERVICE_HOST=", "HTTPS_PROXY=", "HTTP_PROXY=")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(os.Interrupt)
		if err := command.Wait(); err != nil {
			t.Errorf("bonafide serve: want a clean end, got %v", err)
		}
		if t.Failed() {
			t.Logf("bonafide serve printed:\n%s", w.log)
		}
	})
	eventually(t, "bonafide serve becomes ready", func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.status+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("/readyz: %s", response.Status)
		}
		return nil
	})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// webhooks are the configurations that bonafide webhook-config prints, limited
// to one namespace.
func (w *world) webhooks(t *testing.T, namespace string) webhooks {
	t.Helper()
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(file, "webhook-config", "--url", w.url, "--ca", w.ca).Output()
	if err != nil {
		t.Fatal(err)
	}
	var hooks webhooks
	only := metav1.LabelSelectorRequirement{Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpIn, Values: []string{namespace}}
	for _, document := range bytes.Split(out, []byte("\n---\n")) {
		var meta metav1.TypeMeta
		if err := yaml.Unmarshal(document, &meta); err != nil {
			t.Fatal(err)
		}
		switch meta.Kind {
		case "MutatingWebhookConfiguration":
			c := &admissionregistrationv1.MutatingWebhookConfiguration{}
			if err := yaml.UnmarshalStrict(document, c); err != nil {
				t.Fatal(err)
			}
			for i := range c.Webhooks {
				c.Webhooks[i].NamespaceSelector.MatchExpressions = append(c.Webhooks[i].NamespaceSelector.MatchExpressions, only)
			}
			hooks.Mutating = append(hooks.Mutating, c)
		case "ValidatingWebhookConfiguration":
			c := &admissionregistrationv1.ValidatingWebhookConfiguration{}
			if err := yaml.UnmarshalStrict(document, c); err != nil {
				t.Fatal(err)
			}
			for i := range c.Webhooks {
				c.Webhooks[i].NamespaceSelector.MatchExpressions = append(c.Webhooks[i].NamespaceSelector.MatchExpressions, only)
			}
			hooks.Validating = append(hooks.Validating, c)
		default:
			t.Fatalf("webhook-config: expected webhook configurations, got %q", meta.Kind)
		}
	}
	if len(hooks.Mutating) == 0 || len(hooks.Validating) == 0 {
		t.Fatalf("webhook-config: expected both kinds, got:\n%s", out)
	}
	return hooks
}

// guarded is a namespace that bonafide guards.
func (w *world) guarded(t *testing.T) (*rig.Cluster, string) {
	t.Helper()
	cluster := shared.Cluster(t)
	namespace := cluster.Namespace(t, nil)
	RegisterWebhooks(t, cluster, w.webhooks(t, namespace))
	return cluster, namespace
}

// pinned is the signed image as it must be stored.
func (w *world) pinned() string { return w.signed + "@" + w.digest }

// wantRefused checks a denial: forbidden, with every part in its message.
func wantRefused(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Error("want it refused, got it admitted")
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("want %q in the message, got: %v", part, err)
		}
	}
}

// syncBuffer is a buffer that a process writes and a test reads.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
