package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// DefaultGatekeeperTimeout is just below the 3 s that Gatekeeper's own webhook
// has unless it is told another: one that comes later is not waited for, and by
// Gatekeeper's defaults the object is then admitted (TRUST R45).
const DefaultGatekeeperTimeout = 2900 * time.Millisecond

// unwritableBody is the answer where the answer itself is at fault.
const unwritableBody = `{"apiVersion":"` + providerV1beta1 + `","kind":"` + providerResponseKind + `","response":{"systemError":"bonafide: internal error; the answer could not be written"}}`

// providerDoor is a door of Gatekeeper's external data protocol, which a
// Provider names by its path. The doors differ in what an item looks like.
type providerDoor struct {
	door    door
	path    string
	mutates bool // a value replaces the image; else it says whether it is verified
	item    func(c *providerCall, j judgedKey) providerItem
}

func providerDoors() []providerDoor {
	return []providerDoor{
		{door: "gatekeeper-validate", path: "/gatekeeper/validate", item: reportV1},
		{door: "gatekeeper-mutate", path: "/gatekeeper/mutate", mutates: true, item: pinTagged},
		{door: "ratify-v1-verify", path: "/ratify/gatekeeper/v1/verify", item: reportV1},
		{door: "ratify-v1-mutate", path: "/ratify/gatekeeper/v1/mutate", mutates: true, item: pinUntagged},
		{door: "ratify-v2-verify", path: "/ratify/gatekeeper/v2/verify", item: reportV2},
		{door: "ratify-v2-mutate", path: "/ratify/gatekeeper/v2/mutate", mutates: true, item: pinUntagged},
		{door: "cosign-validate", path: "/validate", item: suffixed},
	}
}

// providers answers at the doors of Gatekeeper's external data protocol.
func (s *Server) providers(mux *http.ServeMux) {
	for _, d := range providerDoors() {
		mux.HandleFunc(d.path, func(w http.ResponseWriter, r *http.Request) {
			c := &providerCall{server: s, at: d, started: s.options.Now(), trace: traceID(r.Header.Get("traceparent"))}
			defer c.recover(w, r)
			c.serve(w, r)
		})
	}
}

// providerCall is one HTTP request at such a door. Whatever becomes of it, the
// answer is a ProviderResponse: templates look into nothing else, and Gatekeeper
// does not look at the status.
type providerCall struct {
	server     *Server
	at         providerDoor
	started    time.Time
	trace      string
	apiVersion string // of the request, once it has been read
	written    bool
}

// serve checks the request, has its keys decided and writes the answer.
func (c *providerCall) serve(w http.ResponseWriter, r *http.Request) {
	s := c.server
	if s.gatekeepers != nil {
		if err := s.gatekeepers.check(r.TLS); err != nil {
			c.fail(w, r, http.StatusUnauthorized, err.Error())
			return
		}
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		c.fail(w, r, http.StatusMethodNotAllowed, fmt.Sprintf("expected method POST, got %.20q", r.Method))
		return
	}
	if err := s.options.Ready(); err != nil { // TRUST R18
		c.fail(w, r, http.StatusServiceUnavailable, "not ready: "+err.Error())
		return
	}
	wait, margin := sooner(s.options.GatekeeperTimeout, r.URL.Query().Get("timeout"))
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	held, ok := s.enter(ctx)
	if !ok {
		c.fail(w, r, http.StatusServiceUnavailable, "too many requests under way; this one was not decided")
		return
	}
	defer held.leave()
	keys, err := c.read(ctx, r)
	if err != nil {
		c.fail(w, r, statusOf(err), err.Error())
		return
	}
	judged, problem := c.judge(ctx, held, margin/2, keys)
	if problem != nil {
		c.fail(w, r, http.StatusInternalServerError, problem.Error())
		return
	}
	c.record(ctx, judged)
	if !c.at.mutates && undecidedKeys(judged) > 0 {
		c.send(w, r, http.StatusOK, response{SystemError: outageMessage(judged)})
		return
	}
	c.send(w, r, http.StatusOK, c.response(judged))
}

// response has one item for each key that was asked for, in order.
func (c *providerCall) response(judged []judgedKey) response {
	items := make([]providerItem, len(judged))
	for i, j := range judged {
		items[i] = c.at.item(c, j)
		items[i].Key = j.key.text // byte for byte (TRUST R45)
	}
	return response{Idempotent: c.at.mutates, Items: items}
}

// read reads and parses the body.
func (c *providerCall) read(ctx context.Context, r *http.Request) ([]string, error) {
	body, release, err := c.server.bodies.read(ctx, r)
	defer release()
	if err != nil {
		return nil, err
	}
	request, err := parseProviderRequest(body)
	if err != nil {
		return nil, err
	}
	c.apiVersion = request.APIVersion
	return request.Request.Keys, nil
}

// fail answers that nothing was decided. Every template that is in use refuses
// on a system error, and Gatekeeper never remembers one (TRUST R45).
func (c *providerCall) fail(w http.ResponseWriter, r *http.Request, status int, words string) {
	level := slog.LevelDebug // anybody can cause these
	if status >= http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	c.server.log.Log(r.Context(), level, "external data not decided", slog.String("door", string(c.at.door)), slog.String("traceID", c.trace), slog.Int("status", status), slog.String("reason", clip(words, maxLine)))
	c.send(w, r, status, response{SystemError: summary(clip(words, maxLine) + " (trace " + c.trace + ")")})
}

func (c *providerCall) send(w http.ResponseWriter, r *http.Request, status int, answer response) {
	body, err := encodeResponse(c.apiVersion, answer)
	if err != nil {
		c.server.log.ErrorContext(r.Context(), "answer not written", slog.String("door", string(c.at.door)), slog.String("traceID", c.trace), slog.String("error", err.Error()))
		status, answer.SystemError, body = http.StatusInternalServerError, "unwritable", []byte(unwritableBody)
	}
	c.written = true
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
	c.server.metrics.provided(c.at.door, answer.SystemError == "", c.server.options.Now().Sub(c.started))
}

// recover answers a request that panicked with a system error and keeps the
// server up (TRUST R48).
func (c *providerCall) recover(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	c.server.panicked(r.Context(), c.at.door, p)
	if c.written { // half an answer would be read as a whole one
		panic(http.ErrAbortHandler)
	}
	c.fail(w, r, http.StatusInternalServerError, "internal error; the request was not decided")
}

// sooner returns how long a decision may take: for the server's own time, or
// for the one that the Provider's URL asks for if that is shorter, less what the
// answer needs to travel.
func sooner(own time.Duration, asked string) (wait, margin time.Duration) {
	if d, err := time.ParseDuration(asked); err == nil && d > 0 && d < own {
		own = d
	}
	return lessMargin(min(own, maxTimeout))
}
