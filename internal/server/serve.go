package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Bounds on connections.
const (
	// maxConnections bounds sockets and handshake state. API servers keep one
	// HTTP/2 connection each; Gatekeeper and load balancers a few dozen.
	maxConnections = 1024
	// maxStatusConnections serves probes and scrapers.
	maxStatusConnections = 64
	// maxHeaderBytes: callers send a bearer token, at most some KiB, and no
	// cookies.
	maxHeaderBytes = 16 << 10
	// readHeaderTimeout bounds a client that trickles its header.
	readHeaderTimeout = 5 * time.Second
	// writeTimeout is the longest decision and some time to take the answer.
	writeTimeout = maxTimeout + 5*time.Second
	// idleTimeout is above the 90 s after which Go's HTTP clients, API servers
	// among them, drop an idle connection: were it below, a request could meet a
	// connection that is just being closed.
	idleTimeout = 2 * time.Minute
)

// Serve answers at the two listeners until ctx ends: TLS with HTTP/2 and
// HTTP/1.1 at doors, plain HTTP at status. Then /readyz turns 503, the doors
// close after ShutdownDelay, and requests under way have DrainTimeout to finish.
// Serve closes both listeners. The error says which one could not be served, or
// that requests were cut off.
func (s *Server) Serve(ctx context.Context, doors, status net.Listener) error {
	s.warnOfCallers(ctx)
	s.warnOfObserving(ctx)
	front, back := s.doorServer(), s.statusServer()
	failed := make(chan error, 2)
	go func() {
		failed <- served("doors", front.ServeTLS(netutil.LimitListener(doors, maxConnections), "", ""))
	}()
	go func() {
		failed <- served("status", back.Serve(netutil.LimitListener(status, maxStatusConnections)))
	}()
	var err error
	ended := 0
	select {
	case err = <-failed:
		ended++
	case <-ctx.Done():
	}
	s.draining.Store(true)
	err = errors.Join(err, s.drain(context.WithoutCancel(ctx), front, back))
	for ; ended < 2; ended++ {
		err = errors.Join(err, <-failed)
	}
	return err
}

// warnOfCallers says what the lack of a token reviewer means (TRUST R36).
func (s *Server) warnOfCallers(ctx context.Context) {
	if o := s.options.CheckImages; o.TrustPolicies != nil && o.TokenReviewer == nil {
		s.log.WarnContext(ctx, "callers of /checkimages can find out by their conditions what attestations say that only Bonafide's registry credentials read: keep the path to Kyverno by a NetworkPolicy")
	}
}

// drain closes the doors, and the status port after them: a prober must be able
// to see that the server is not ready any more.
func (s *Server) drain(ctx context.Context, front, back *http.Server) error {
	s.log.InfoContext(ctx, "shutting down", slog.Duration("delay", s.options.ShutdownDelay), slog.Duration("drain", s.options.DrainTimeout))
	if s.options.ShutdownDelay > 0 {
		delayed := time.NewTimer(s.options.ShutdownDelay)
		<-delayed.C
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.DrainTimeout)
	defer cancel()
	var err error
	if e := front.Shutdown(ctx); e != nil {
		err = fmt.Errorf("server: finish requests under way: %w", e)
		front.Close()
	}
	back.Close()
	return err
}

func served(name string, err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("server: serve %s: %w", name, err)
}

func (s *Server) doorServer() *http.Server {
	return &http.Server{
		Handler: s.Doors(),
		TLSConfig: &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: s.options.GetCertificate,
			NextProtos:     []string{"h2", "http/1.1"},
			// Each path has its own authorities, so the handshake takes any
			// certificate whose key the client holds; the doors verify it.
			ClientAuth: tls.RequestClientCert,
		},
		ReadTimeout:       s.options.ReadTimeout,
		ReadHeaderTimeout: min(readHeaderTimeout, s.options.ReadTimeout),
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // anybody can cause these
	}
}

func (s *Server) statusServer() *http.Server {
	return &http.Server{
		Handler:           s.Status(),
		ReadTimeout:       s.options.ReadTimeout,
		ReadHeaderTimeout: min(readHeaderTimeout, s.options.ReadTimeout),
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}
