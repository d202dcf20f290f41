package kubetest

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"
)

// What a Proxy does with watches.
const (
	Pass   = iota // what a proxy should
	Drop          // each ends as soon as it begins
	Silent        // each stays open, and nothing comes
)

// A Proxy is between a client and the API server. It passes everything on but
// watches, as long as it is told to. It is safe for concurrent use.
type Proxy struct {
	Config *rest.Config // by which a client goes through it, with the rights of the one behind it

	server  *httptest.Server
	watches atomic.Int32
	dropped atomic.Int64
	asked   atomic.Int64
}

// StartProxy runs a proxy before the API server of the configuration until the
// test ends.
func StartProxy(tb testing.TB, to *rest.Config) *Proxy {
	tb.Helper()
	transport, err := rest.TransportFor(to)
	if err != nil {
		tb.Fatal(err)
	}
	target, err := url.Parse(to.Host)
	if err != nil {
		tb.Fatal(err)
	}
	pass := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1, // watches trickle
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	p := &Proxy{}
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		if r.URL.Query().Get("watch") == "" {
			pass.ServeHTTP(w, r)
			return
		}
		switch p.watches.Load() {
		case Drop:
			p.dropped.Add(1)
		case Silent:
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		default:
			pass.ServeHTTP(w, r)
		}
	}))
	tb.Cleanup(p.server.Close)
	tb.Cleanup(p.Cut) // first, since Close waits for what is open
	p.Config = &rest.Config{Host: p.server.URL}
	return p
}

// Watches says what is done with watches from now on: [Pass], [Drop] or
// [Silent]. Those that are open are cut.
func (p *Proxy) Watches(do int32) {
	p.watches.Store(do)
	p.Cut()
}

// Cut ends every connection, and the watches with them.
func (p *Proxy) Cut() { p.server.CloseClientConnections() }

// Asked returns how many requests there were.
func (p *Proxy) Asked() int64 { return p.asked.Load() }

// Dropped returns how many watches were ended by [Drop].
func (p *Proxy) Dropped() int64 { return p.dropped.Load() }
