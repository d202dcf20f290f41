package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/server"
	"github.com/bonafide-dev/bonafide/policy"
)

const digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

var errBoom = errors.New("boom")

// each decides images one by one.
func each(f func(engine.Request, engine.ImageDecision) engine.ImageDecision) server.DeciderFunc {
	return func(_ context.Context, r engine.Request) engine.Decision {
		var d engine.Decision
		for _, i := range r.Images {
			ref, _ := imageref.Parse(i.Ref)
			d.Images = append(d.Images, f(r, engine.ImageDecision{Image: i, Reference: ref}))
		}
		return d
	}
}

// by makes the decision of one policy in a mode.
func by(d engine.ImageDecision, mode policy.Mode, outcome policy.Outcome, problems ...*evidence.Problem) engine.ImageDecision {
	p := engine.PolicyDecision{
		Origin: policy.Origin{Name: "signed"}, Mode: mode, Outcome: outcome, Effective: outcome,
		Finding: policy.Finding{Path: "require[0]", Outcome: outcome, Expected: "a signature by key A", Problems: problems},
	}
	if mode != policy.Enforce {
		p.Effective = policy.Allowed
	}
	d.Policies, d.Outcome = append(d.Policies, p), p.Effective
	return d
}

var notSigned = &evidence.Problem{Reason: evidence.NotSigned, Expected: "a signature by key A", Got: "no signature"}

func allow(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
	return by(d, policy.Enforce, policy.Allowed)
}

func deny(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
	return by(d, policy.Enforce, policy.Denied, notSigned)
}

// pin allows as an enforcing policy that pins does.
func pin(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
	d = by(d, policy.Enforce, policy.Allowed)
	d.Pins = true
	if d.Reference.Digest().IsZero() {
		d.Pinned = d.Image.Ref + "@" + digest
	}
	return d
}

// never fails the test if it is asked.
func never(t testing.TB) server.DeciderFunc {
	return func(context.Context, engine.Request) engine.Decision {
		t.Error("the decider was asked")
		return engine.Decision{}
	}
}

func newServer(t testing.TB, d server.Decider, change ...func(*server.Options)) *server.Server {
	t.Helper()
	o := server.Options{
		Decider: d, Now: time.Now, Ready: func() error { return nil },
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errBoom },
	}
	for _, f := range change {
		f(&o)
	}
	s, err := server.New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return s
}

// edit changes a recorded review.
type edit func(review map[string]any)

func request(review map[string]any) map[string]any { return review["request"].(map[string]any) }

func object(review map[string]any) map[string]any { return request(review)["object"].(map[string]any) }

// set sets a field of the request.
func set(field string, value any) edit {
	return func(r map[string]any) { request(r)[field] = value }
}

func recorded(t testing.TB, name string, edits ...edit) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "testdata", "admission", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var review map[string]any
	if err := json.Unmarshal(raw, &review); err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		e(review)
	}
	raw, err = json.Marshal(review)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

const (
	mutateDoor   = "/admission/mutate"
	validateDoor = "/admission/validate"
)

func post(h http.Handler, path string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// ask posts a review and reads the answer with Kubernetes' own types.
func ask(t testing.TB, s *server.Server, path string, body []byte) *admissionv1.AdmissionResponse {
	t.Helper()
	return read(t, post(s.Doors(), path, body).Result())
}

func read(t testing.TB, r *http.Response) *admissionv1.AdmissionResponse {
	t.Helper()
	defer r.Body.Close()
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("read the answer: %v", err)
	}
	if r.StatusCode != http.StatusOK {
		t.Fatalf("status: want 200, got %d: %s", r.StatusCode, raw)
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(raw, &review); err != nil {
		t.Fatalf("read the answer: %v in %s", err, raw)
	}
	if review.APIVersion != "admission.k8s.io/v1" || review.Kind != "AdmissionReview" || review.Response == nil || review.Response.UID == "" {
		t.Fatalf("want an AdmissionReview of v1 with a response and a uid, got %s", raw)
	}
	return review.Response
}

func wantDenied(t testing.TB, r *admissionv1.AdmissionResponse, words ...string) {
	t.Helper()
	if r.Allowed || r.Result == nil {
		t.Fatalf("want denied, got allowed=%t status=%v", r.Allowed, r.Result)
	}
	if len(r.Patch) > 0 {
		t.Errorf("want no patch, got %s", r.Patch)
	}
	for _, w := range words {
		if !strings.Contains(r.Result.Message, w) {
			t.Errorf("want %q in the message, got:\n%s", w, r.Result.Message)
		}
	}
}

func wantAllowed(t testing.TB, r *admissionv1.AdmissionResponse) {
	t.Helper()
	if !r.Allowed {
		t.Fatalf("want allowed, got %v", r.Result)
	}
}

// running is a server at real listeners.
type running struct {
	doors, status string // base URLs
	client        *http.Client
	roots         *x509.CertPool
	stop          func()
	done          <-chan error
}

// start serves over TLS until the test ends.
func start(t testing.TB, d server.Decider, change ...func(*server.Options)) *running {
	t.Helper()
	certificate, ca, err := server.SelfSigned([]string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, d, append([]func(*server.Options){func(o *server.Options) {
		o.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil }
	}}, change...)...)
	doors, status := listen(t), listen(t)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, doors, status); close(done) }()
	t.Cleanup(func() {
		cancel()
		for range done { // closed once Serve has returned
		}
	})
	r := &running{doors: "https://" + doors.Addr().String(), status: "http://" + status.Addr().String(), roots: x509.NewCertPool(), stop: cancel, done: done}
	r.roots.AppendCertsFromPEM(ca)
	r.client = r.dial(t)
	return r
}

// dial returns a client that trusts the server and holds the certificates.
func (r *running) dial(t testing.TB, certificates ...tls.Certificate) *http.Client {
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: r.roots, Certificates: certificates}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (r *running) post(t testing.TB, path string, body []byte) *http.Response {
	t.Helper()
	response, err := r.client.Post(r.doors+path, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatalf("post: %v", err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

func (r *running) get(t testing.TB, path string) (int, string) {
	t.Helper()
	response, err := http.Get(r.status + path)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	return response.StatusCode, string(body)
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}
