//go:build interop

package interop_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// newRegistry starts a registry in memory with the referrers API.
func newRegistry(t *testing.T) *fixture.Registry {
	t.Helper()
	return rig.NewStore(t, fixture.Options{Referrers: true})
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

// TestBonafideServes is what the scenarios stand on: the process serves with a
// certificate of the CA that it wrote.
func TestBonafideServes(t *testing.T) {
	store := newRegistry(t)
	policy := writeFile(t, "policy.yaml", rig.SignedPolicy(store.Host(), rig.NewKey(t).PublicPEM, ""))
	b := shared.StartBonafide(t, rig.BonafideOptions{Policies: policy, Registry: store.Host()})
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
