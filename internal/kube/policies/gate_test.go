package policies_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

// A gate is an address before an API server at which requests can be treated
// badly. It counts them by what they ask for.
type gate struct {
	config *rest.Config // of the administrator, by way of the gate

	mu       sync.Mutex
	treat    treatment
	treated  context.Context    // ends when another treatment begins, and with it what is open
	end      context.CancelFunc // ends it
	requests map[string]int     // by path and field selector
	count    int
}

// treatment answers a request, or passes it on.
type treatment func(w http.ResponseWriter, r *http.Request, pass http.Handler)

func newGate(t testing.TB, c *rig.Cluster, treat treatment) *gate {
	t.Helper()
	target, err := url.Parse(c.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
	}
	g := &gate{requests: make(map[string]int)}
	g.set(treat)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.serve(w, r, pass) }))
	server.Config.ErrorLog = pass.ErrorLog
	server.Start()
	t.Cleanup(func() {
		g.set(refuse)
		server.Close()
	})
	g.config = &rest.Config{Host: server.URL}
	return g
}

// set treats requests so from now on. Those that are open end.
func (g *gate) set(treat treatment) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.end != nil {
		g.end()
	}
	g.treat = treat
	g.treated, g.end = context.WithCancel(context.Background())
}

func (g *gate) serve(w http.ResponseWriter, r *http.Request, pass http.Handler) {
	g.mu.Lock()
	treat, treated := g.treat, g.treated
	g.requests[r.URL.Path+"?"+r.URL.Query().Get("fieldSelector")]++
	g.count++
	g.mu.Unlock()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(treated, cancel)()
	treat(w, r.WithContext(ctx), pass)
	if ctx.Err() != nil {
		panic(http.ErrAbortHandler) // the connection ends without a last word
	}
}

// asked returns how many requests came, and for how many different things.
func (g *gate) asked() (requests, things int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.count, len(g.requests)
}

func isWatch(r *http.Request) bool { return r.URL.Query().Get("watch") != "" }

func passOn(w http.ResponseWriter, r *http.Request, pass http.Handler) { pass.ServeHTTP(w, r) }

// refuse breaks every connection.
func refuse(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

func unavailable(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	http.Error(w, "nobody is here", http.StatusServiceUnavailable)
}

// cut ends every watch after a while.
func cut(after time.Duration) treatment {
	return func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		if !isWatch(r) {
			pass.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), after)
		defer cancel()
		pass.ServeHTTP(w, r.WithContext(ctx))
		if ctx.Err() != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

// silence accepts watches and tells them nothing.
func silence(w http.ResponseWriter, r *http.Request, pass http.Handler) {
	if !isWatch(r) {
		pass.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// hold answers nothing about Secrets.
func hold(w http.ResponseWriter, r *http.Request, pass http.Handler) {
	if strings.HasSuffix(r.URL.Path, "/secrets") {
		<-r.Context().Done()
		return
	}
	pass.ServeHTTP(w, r)
}
