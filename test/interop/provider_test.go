//go:build interop

package interop_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// maxBody bounds what a test server reads.
const maxBody = 8 << 20

// A service is a TLS server in the test that keeps what it was asked.
type service struct {
	URL      string
	CABundle []byte // PEM

	mu    sync.Mutex
	calls []call
}

// A call is one request to a service.
type call struct {
	header       http.Header
	body         []byte
	certificates []*x509.Certificate // the client's, verified if the service asks for them
}

// startService serves answer, which gets the request's body, over TLS 1.3. With
// a client CA it refuses clients without a certificate of it.
func startService(t *testing.T, clientCA []byte, answer func([]byte) (status int, body any)) *service {
	t.Helper()
	s := &service{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
		if err != nil {
			t.Errorf("read a request: %v", err)
		}
		s.mu.Lock()
		s.calls = append(s.calls, call{header: r.Header, body: body, certificates: r.TLS.PeerCertificates})
		s.mu.Unlock()
		status, content := answer(body)
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(content); err != nil {
			t.Errorf("answer a request: %v", err)
		}
	}))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	if clientCA != nil {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(clientCA) {
			t.Fatal("expected a client CA in PEM")
		}
		server.TLS.ClientAuth, server.TLS.ClientCAs = tls.RequireAndVerifyClientCert, pool
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	s.URL = server.URL
	s.CABundle = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return s
}

// take returns the calls since the last take.
func (s *service) take() []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// An item is a provider's answer about one key.
type item struct {
	Key   string `json:"key"`
	Value any    `json:"value,omitempty"`
	Error string `json:"error,omitempty"`
}

// startProvider serves Gatekeeper's external data protocol, to Gatekeeper alone.
func startProvider(t *testing.T, clientCA []byte, answer func(key string) item) *service {
	t.Helper()
	return startService(t, clientCA, func(body []byte) (int, any) {
		var items []item
		for _, key := range keysOf(t, body) {
			items = append(items, answer(key))
		}
		return http.StatusOK, map[string]any{
			"apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "ProviderResponse",
			"response": map[string]any{"idempotent": true, "items": items},
		}
	})
}

// keysOf are the keys of a ProviderRequest.
func keysOf(t *testing.T, body []byte) []string {
	t.Helper()
	var request struct {
		APIVersion, Kind string
		Request          struct{ Keys []string }
	}
	if err := json.Unmarshal(body, &request); err != nil || request.Kind != "ProviderRequest" || request.APIVersion != "externaldata.gatekeeper.sh/v1beta1" {
		t.Errorf("want a ProviderRequest of v1beta1, got %q: %v", body, err)
	}
	return request.Request.Keys
}

// providerYAML is a Provider of Gatekeeper at a URL whose certificate chains to
// the CA in PEM.
func providerYAML(name, url string, ca []byte) string {
	return fmt.Sprintf(`
apiVersion: externaldata.gatekeeper.sh/v1beta1
kind: Provider
metadata: {name: %s}
spec: {url: %q, timeout: 10, caBundle: %s}
`, name, url, base64.StdEncoding.EncodeToString(ca))
}
