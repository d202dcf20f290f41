package server

import (
	"fmt"
	"net/http"
	"sync/atomic"
)

// drainFlag is set once, when the server has been told to end.
type drainFlag struct{ atomic.Bool }

// healthz answers as long as the process can answer at all.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	text(w, http.StatusOK, "ok")
}

// readyz answers 200 while requests can be decided.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if s.draining.Load() {
		text(w, http.StatusServiceUnavailable, "not ready: shutting down")
		return
	}
	if err := s.options.Ready(); err != nil {
		text(w, http.StatusServiceUnavailable, "not ready: "+clip(err.Error(), maxLine))
		return
	}
	text(w, http.StatusOK, "ok")
}

// text answers in words. nosniff, since the words may quote the caller.
func text(w http.ResponseWriter, status int, words string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	fmt.Fprintln(w, words) //nolint:gosec // plain text that browsers may not sniff is no markup
}
