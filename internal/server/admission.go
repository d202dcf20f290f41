package server

import (
	"context"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"time"
)

// Bounds on decisions.
const (
	// maxInFlight is how many requests are held at once; more wait their turn
	// until their deadline. An API server sends a few hundred at most.
	maxInFlight = 512
	// defaultTimeout is what Kubernetes gives a webhook unless it is told
	// another.
	defaultTimeout = 10 * time.Second
	// maxTimeout is the longest that Kubernetes allows.
	maxTimeout = 30 * time.Second
	// maxMargin and minMargin bound the part of the caller's time that is left
	// for the answer to travel (TRUST R45).
	maxMargin = 500 * time.Millisecond
	minMargin = 10 * time.Millisecond
)

// door is one of the admission doors.
type door string

// The doors for workloads.
const (
	mutate   door = "mutate"
	validate door = "validate"
)

// admission answers AdmissionReviews at one door.
func (s *Server) admission(d door) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{server: s, door: d, started: s.options.Now()}
		defer c.recover(w, r)
		c.serve(w, r)
	})
}

// call is one HTTP request at an admission door.
type call struct {
	server  *Server
	door    door
	started time.Time
	request *reviewRequest // nil until it has been read
	quiet   bool           // nothing is recorded (TRUST R47: dry-run)
	grace   time.Duration  // that a decider has after the deadline
}

// serve checks the request, has it decided and writes the answer.
func (c *call) serve(w http.ResponseWriter, r *http.Request) {
	s := c.server
	if s.clients != nil {
		if err := s.clients.check(r.TLS); err != nil {
			text(w, http.StatusUnauthorized, err.Error())
			return
		}
	}
	if !isJSON(r.Header.Get("Content-Type")) {
		text(w, http.StatusUnsupportedMediaType, "expected Content-Type application/json")
		return
	}
	wait, margin := patience(r.URL.Query().Get("timeout"))
	c.grace = margin / 2
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	slot, ok := s.enter(ctx)
	if !ok {
		w.Header().Set("Retry-After", "1")
		text(w, http.StatusServiceUnavailable, "too many requests under way; this one was not decided")
		return
	}
	defer slot.leave()
	if err := c.read(ctx, r); err != nil {
		text(w, statusOf(err), err.Error())
		return
	}
	if c.door == policies {
		c.form(ctx, w)
		return
	}
	c.write(ctx, w, c.decide(ctx, slot))
}

// read reads and parses the body.
func (c *call) read(ctx context.Context, r *http.Request) error {
	body, release, err := c.server.bodies.read(ctx, r)
	defer release()
	if err != nil {
		return err
	}
	request, err := parseReview(body)
	if err != nil {
		return err
	}
	c.request, c.quiet = request, request.DryRun
	return nil
}

// write sends the answer.
func (c *call) write(ctx context.Context, w http.ResponseWriter, a answer) {
	decided := a.Allowed
	if c.server.options.ObserveOnly {
		a = a.observed()
	}
	body, err := a.encode(c.request.UID)
	if err != nil {
		c.server.log.ErrorContext(ctx, "answer not written", slog.String("error", err.Error()))
		text(w, http.StatusInternalServerError, "the answer could not be written")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
	if !c.quiet {
		c.server.metrics.answered(c.door, decided, c.server.options.Now().Sub(c.started))
	}
}

// recover answers a request that panicked with a refusal and keeps the server
// up (TRUST R48).
func (c *call) recover(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	c.server.panicked(r.Context(), c.door, p)
	if c.request == nil || c.door == policies {
		text(w, http.StatusInternalServerError, "internal error; the request was not decided")
		return
	}
	c.write(r.Context(), w, refusal("the request could not be decided: internal error"))
}

func (s *Server) panicked(ctx context.Context, d door, p any) {
	s.metrics.panicked(d)
	s.log.ErrorContext(ctx, "panic", slog.String("door", string(d)), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
}

// isJSON reports whether a Content-Type is JSON's, parameters aside.
func isJSON(contentType string) bool {
	const jsonType = "application/json"
	if contentType == jsonType {
		return true
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && mediaType == jsonType
}

// patience returns how long a decision may take when the caller waits for
// timeout, as the API server writes it into the URL: "10s". What is absent or
// no duration is the default. margin is what it leaves for the way back.
func patience(timeout string) (wait, margin time.Duration) {
	given, err := time.ParseDuration(timeout)
	if err != nil || given <= 0 {
		given = defaultTimeout
	}
	return lessMargin(min(given, maxTimeout))
}

// lessMargin splits the time that a caller waits into what a decision may take
// and what is left for the way back.
func lessMargin(given time.Duration) (wait, margin time.Duration) {
	margin = min(max(given/10, minMargin), maxMargin)
	return given - margin, margin
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, errBodyTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, errBodyWait):
		return http.StatusServiceUnavailable
	case errors.Is(err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout
	}
	return http.StatusBadRequest
}
