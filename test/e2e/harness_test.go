package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

// shared is the cluster of all tests of this package. Each test works in
// namespaces of its own and limits its webhooks to them.
var shared rig.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// maxReview is above the 3 MiB that the API server takes in an object, twice.
const maxReview = 8 << 20

// A hook is an admission webhook that lives in the test: it hands each review
// to answer and keeps the bytes.
type hook struct {
	URL      string
	CABundle []byte // PEM

	mu    sync.Mutex
	calls []call
}

// A call is one review as the API server sent it.
type call struct {
	body         []byte
	certificates []*x509.Certificate // the API server's, unverified
}

// startHook serves answer over TLS. A nil answer allows everything.
func startHook(t *testing.T, answer func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse) *hook {
	t.Helper()
	h := &hook{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxReview))
		var review admissionv1.AdmissionReview
		if err == nil {
			err = json.Unmarshal(body, &review)
		}
		if err != nil || review.Request == nil {
			t.Errorf("expected an AdmissionReview with a request, got %d bytes: %v", len(body), err)
			http.Error(w, "bad review", http.StatusBadRequest)
			return
		}
		h.keep(call{body: body, certificates: r.TLS.PeerCertificates})
		response := &admissionv1.AdmissionResponse{Allowed: true}
		if answer != nil {
			response = answer(review.Request)
		}
		response.UID = review.Request.UID
		w.Header().Set("Content-Type", "application/json")
		err = json.NewEncoder(w).Encode(&admissionv1.AdmissionReview{TypeMeta: review.TypeMeta, Response: response})
		if err != nil {
			t.Errorf("answer a review: %v", err)
		}
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	h.URL = server.URL
	h.CABundle = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return h
}

func (h *hook) keep(c call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, c)
}

// take returns the calls since the last take.
func (h *hook) take() []call {
	h.mu.Lock()
	defer h.mu.Unlock()
	calls := h.calls
	h.calls = nil
	return calls
}
