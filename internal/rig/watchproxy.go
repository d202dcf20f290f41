package rig

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
)

// A WatchProxy is an address before an API server at which watches can be made
// to end, as a busy API server or a load balancer before it ends them. All else
// it passes on.
type WatchProxy struct {
	Kubeconfig string // path of a kubeconfig file for the administrator, by way of the proxy

	mu      sync.Mutex
	watches map[*http.Request]context.CancelCauseFunc
	closed  bool
}

// errDropped is why a watch ended.
var errDropped = errors.New("the watch was dropped")

// StartWatchProxy passes requests on to the API server until tb ends.
func (c *Cluster) StartWatchProxy(tb testing.TB) *WatchProxy {
	tb.Helper()
	target, err := url.Parse(c.Config.Host)
	if err != nil {
		tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.Config.CAData)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	pass := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1, // each event at once
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	p := &WatchProxy{watches: make(map[*http.Request]context.CancelCauseFunc)}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, pass) }))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = pass.ErrorLog
	server.StartTLS()
	tb.Cleanup(func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.Drop()
		server.Close()
		transport.CloseIdleConnections()
	})
	config := rest.CopyConfig(c.Config)
	config.Host = server.URL
	config.CAData = pemOf("CERTIFICATE", server.Certificate().Raw)
	p.Kubeconfig = c.KubeconfigFor(tb, config)
	return p
}

func (p *WatchProxy) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if r.URL.Query().Get("watch") == "" {
		next.ServeHTTP(w, r)
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	p.watches[r] = cancel
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.watches, r)
		p.mu.Unlock()
		if errors.Is(context.Cause(ctx), errDropped) {
			panic(http.ErrAbortHandler) // the stream ends without a last word
		}
	}()
	next.ServeHTTP(w, r.WithContext(ctx))
}

// Drop ends the watches that there are, and returns how many.
func (p *WatchProxy) Drop() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, cancel := range p.watches {
		cancel(errDropped)
	}
	return len(p.watches)
}
