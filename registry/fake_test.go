package registry_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/registry"
)

// fake is a registry of one handler that counts.
type fake struct {
	server *httptest.Server
	host   string

	mu          sync.Mutex
	requests    []*http.Request
	connections int
}

func startTLS(t testing.TB, handler http.HandlerFunc) *fake {
	return start(t, handler, (*httptest.Server).StartTLS)
}

func startPlain(t testing.TB, handler http.HandlerFunc) *fake {
	return start(t, handler, (*httptest.Server).Start)
}

func startHTTP2(t testing.TB, handler http.HandlerFunc) *fake {
	return start(t, handler, func(s *httptest.Server) {
		s.EnableHTTP2 = true
		s.StartTLS()
	})
}

func start(t testing.TB, handler http.HandlerFunc, begin func(*httptest.Server)) *fake {
	t.Helper()
	f := &fake{}
	f.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.requests = append(f.requests, r.Clone(context.WithoutCancel(r.Context())))
		f.mu.Unlock()
		handler(w, r)
	}))
	f.server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			f.mu.Lock()
			f.connections++
			f.mu.Unlock()
		}
	}
	f.server.Config.ErrorLog = quiet()
	begin(f.server)
	t.Cleanup(f.server.Close)
	t.Cleanup(f.server.CloseClientConnections)
	f.host = strings.TrimPrefix(strings.TrimPrefix(f.server.URL, "https://"), "http://")
	return f
}

// lines returns "METHOD path?query" of the requests so far.
func (f *fake) lines() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, r := range f.requests {
		all = append(all, r.Method+" "+r.URL.RequestURI())
	}
	return all
}

// authorizations returns the Authorization headers so far, one per request.
func (f *fake) authorizations() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, r := range f.requests {
		all = append(all, r.Header.Get("Authorization"))
	}
	return all
}

func (f *fake) conns() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.connections
}

func (f *fake) ref(t testing.TB, rest string) imageref.Reference {
	t.Helper()
	ref, err := imageref.Parse(f.host + "/" + rest)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func (f *fake) url(t testing.TB) *url.URL {
	t.Helper()
	u, err := url.Parse(f.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// clientFor returns a client that trusts the fakes, by name and certificate.
func clientFor(t testing.TB, change func(*registry.Options), fakes ...*fake) *registry.Client {
	t.Helper()
	o := registry.Options{Clock: time.Now, RootCAs: x509.NewCertPool(), Attempts: 1}
	for _, f := range fakes {
		o.AllowedHosts = append(o.AllowedHosts, f.host)
		if c := f.server.Certificate(); c != nil {
			o.RootCAs.AddCert(c)
		}
	}
	if change != nil {
		change(&o)
	}
	c, err := registry.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func sourceFor(t testing.TB, c *registry.Client, r imageref.Repository) evidence.Source {
	t.Helper()
	src, _, err := c.Source(t.Context(), evidence.Puller{}, r)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// pull asks for a manifest with a fresh source.
func pull(t testing.TB, c *registry.Client, ref imageref.Reference) (evidence.Manifest, error) {
	t.Helper()
	return sourceFor(t, c, ref.Repository()).Manifest(t.Context(), ref)
}

func wantReason(t testing.TB, err error, want evidence.Reason) {
	t.Helper()
	_ = problem(t, err, want)
}

// problem returns the Problem of err, which must have the reason.
func problem(t testing.TB, err error, want evidence.Reason) *evidence.Problem {
	t.Helper()
	var p *evidence.Problem
	if !errors.As(err, &p) {
		t.Fatalf("error: want a Problem with reason %s, got %v", want, err)
	}
	if p.Reason != want {
		t.Fatalf("reason: want %s, got %s (%v)", want, p.Reason, p)
	}
	return p
}

const (
	imageType = evidence.MediaTypeImage
	indexType = evidence.MediaTypeIndex
)

// manifestJSON is a small image manifest; mark makes it unlike others.
func manifestJSON(mark string) []byte {
	return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":2},"layers":[],"annotations":{"mark":%q}}`,
		imageType, imageref.DigestOf([]byte("{}")), mark)
}

func indexJSON(t testing.TB, members ...evidence.Descriptor) []byte {
	t.Helper()
	type descriptor struct {
		MediaType   string            `json:"mediaType"`
		Digest      string            `json:"digest"`
		Size        int64             `json:"size"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
	all := []descriptor{}
	for _, m := range members {
		all = append(all, descriptor{m.MediaType, m.Digest.String(), m.Size, m.Annotations})
	}
	raw, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": indexType, "manifests": all})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func serve(contentType string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Write(body)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func keychain(all ...registry.Credential) registry.Keychain {
	return registry.KeychainFunc(func(context.Context, evidence.Puller, imageref.Repository) ([]registry.Credential, error) {
		return all, nil
	})
}

// fakeClock is a clock that tests move.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *fakeClock { return &fakeClock{now: time.Now()} }

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// byNamespace gives each namespace its credential.
func byNamespace(all map[string]registry.Credential) registry.Keychain {
	return registry.KeychainFunc(func(_ context.Context, p evidence.Puller, _ imageref.Repository) ([]registry.Credential, error) {
		if c, found := all[p.Namespace]; found {
			return []registry.Credential{c}, nil
		}
		return nil, nil
	})
}
