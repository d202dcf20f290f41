//go:build interop

package interop_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// newRegistry starts a registry in memory with the referrers API.
func newRegistry(t *testing.T) *fixture.Registry {
	t.Helper()
	registry, err := fixture.NewRegistry(fixture.Options{Referrers: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(registry.Close)
	return registry
}

// push pushes an image whose content is its name.
func push(t *testing.T, store *fixture.Registry, name string) fixture.Image {
	t.Helper()
	image, err := store.PushImage(t.Context(), name, name)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// program builds the bonafide command once for all tests.
var program = sync.OnceValues(func() (string, error) {
	file := filepath.Join(builds, "bonafide")
	out, err := exec.Command("go", "build", "-o", file, "../../cmd/bonafide").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build bonafide: %w\n%s", err, out)
	}
	return file, nil
})

// A bonafide is `bonafide serve` as a process.
type bonafide struct {
	URL      string // of the doors
	CABundle []byte // PEM: issuer of its serving certificate
	Metrics  string // URL of the metrics port
	Log      *syncBuffer
}

// bonafideServe runs `bonafide serve` with further flags until the test ends.
// It waits until the policies are loaded, and makes its own certificate.
func bonafideServe(t *testing.T, flags ...string) *bonafide {
	t.Helper()
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	doors, metrics, ca := freeAddress(t), freeAddress(t), filepath.Join(t.TempDir(), "ca.crt")
	b := &bonafide{URL: "https://" + doors, Metrics: "http://" + metrics, Log: &syncBuffer{}}
	command := exec.Command(file, slices.Concat([]string{
		"serve", "--listen", doors, "--metrics-listen", metrics, "--write-ca", ca, "--log-format", "text",
	}, flags)...)
	command.Stdout, command.Stderr = b.Log, b.Log
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
			t.Logf("bonafide serve printed:\n%s", b.Log)
		}
	})
	eventually(t, "bonafide serve becomes ready", func(ctx context.Context) error { return ready(ctx, b.Metrics+"/readyz") })
	if b.CABundle, err = os.ReadFile(ca); err != nil {
		t.Fatal(err)
	}
	return b
}

func ready(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return nil
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

// writeFile writes a file of the test's, such as a policy, and returns its path.
func writeFile(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// policyOf is a policy that wants a key's signature on a registry's images.
func policyOf(host string, key []byte) []byte {
	return fmt.Appendf(nil, `apiVersion: bonafide.dev/v1alpha1
kind: ClusterVerificationPolicy
metadata: {name: release}
spec:
  images: ["%s/**"]
  signers:
  - name: release
    sigstore: {key: {pem: %q}, transparencyLog: Ignored}
  require:
  - signature: {anyOf: [release]}
`, host, key)
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

// TestBonafideServes is what the scenarios stand on: the process serves with a
// certificate of the CA that it wrote.
func TestBonafideServes(t *testing.T) {
	store := newRegistry(t)
	key, err := fixture.NewKey(fixture.P256)
	if err != nil {
		t.Fatal(err)
	}
	b := bonafideServe(t, "--policy", writeFile(t, "policy.yaml", policyOf(store.Host(), key.PublicPEM)), "--insecure-registry", store.Host())
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(b.CABundle)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get(b.URL + "/admission/validate")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a GET of a door: want status %d, got %d", http.StatusMethodNotAllowed, response.StatusCode)
	}
}
