package server

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// DefaultCheckImagesTimeout is how long a decision at /checkimages may take
// unless [Options] say otherwise. Kyverno itself waits 30 s, but the API server
// gives Kyverno's webhook 10 s unless it is told another.
const DefaultCheckImagesTimeout = 10 * time.Second

const checkimages door = "checkimages"

// CheckImagesOptions are the settings of /checkimages. The zero value knows no
// trust policy, so that the door verifies nothing.
type CheckImagesOptions struct {
	// TrustPolicies reports whether a trust policy has the name. It must be cheap.
	TrustPolicies func(name string) bool
	// DefaultTrustPolicy is the name for requests without one; "" is none.
	DefaultTrustPolicy string
	// TokenReviewer tells who asks. Nil asks for no token.
	TokenReviewer TokenReviewer
	// AllowedUsers may ask if there is a TokenReviewer. Nil means the service
	// accounts of Kyverno's admission and reports controllers.
	AllowedUsers []string
	// Timeout bounds the time to an answer, at most 30 s. Zero means
	// [DefaultCheckImagesTimeout].
	Timeout time.Duration
}

// complete fills in the defaults.
func (o *CheckImagesOptions) complete() error {
	if o.Timeout < 0 || o.Timeout > maxTimeout {
		return fmt.Errorf("server: expected a timeout of /checkimages of at most %s, got %s", maxTimeout, o.Timeout)
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultCheckImagesTimeout
	}
	if o.AllowedUsers == nil {
		o.AllowedUsers = defaultAllowedUsers()
	}
	return nil
}

// checkImages answers the protocol of Nirmata's extension services for Kyverno.
// A policy of Kyverno's posts its variable `images` and the name of a trust
// policy; the answer is 200 with a patch for each image that was verified, or a
// text with any other status, which Kyverno reports as the failure of the
// policy's context. 200 says that every image that had to be verified was. It has
// no patch for two kinds of images that are not: those that the caller's
// imageReferences leave out, and those that the trust policy skips.
//
// The field "metadata" is read and never believed: the service that this door
// stands in for skips images that it names, and it is the value of an
// annotation, which whoever writes the Pod can write (TRUST R46).
func (s *Server) checkImages() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &checkCall{server: s, started: s.options.Now()}
		defer c.recover(w, r)
		c.serve(w, r)
	})
}

// checkCall is one HTTP request at /checkimages.
type checkCall struct {
	server  *Server
	started time.Time
	grace   time.Duration // that a decider has after the deadline
	asked   checkRequest
}

// failure is an answer that is not 200.
type failure struct {
	status int
	text   string
}

func notAcceptable(text string) *failure { return &failure{http.StatusNotAcceptable, text} }

func busy() *failure {
	return &failure{http.StatusServiceUnavailable, "too many requests under way; this one was not decided"}
}

// Bounds on requests that cost more than their bytes.
const (
	// maxReading is how many requests are parsed, matched and compiled at once:
	// that takes a processor up to a second, and the admission doors need it too.
	maxReading = 4
	// maxConditionHolders is how many requests hold compiled conditions at once,
	// some megabytes each, until their images are decided.
	maxConditionHolders = 32
)

func (c *checkCall) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		text(w, http.StatusMethodNotAllowed, "Method Not Allowed")
		return
	}
	s := c.server
	ctx, cancel := c.deadline(r.Context())
	defer cancel()
	slot, ok := s.enter(ctx)
	if !ok {
		w.Header().Set("Retry-After", "1")
		text(w, http.StatusServiceUnavailable, busy().text)
		return
	}
	defer slot.leave()
	results, failed := c.answer(ctx, r, slot)
	if failed != nil {
		if failed.status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		c.refuse(ctx, w, failed)
		return
	}
	c.accept(ctx, w, results)
}

// answer is the steps of a request in their order.
func (c *checkCall) answer(ctx context.Context, r *http.Request, held *slot) ([]checkResult, *failure) {
	if failed := c.server.authorize(ctx, r.Header); failed != nil {
		return nil, failed
	}
	if err := c.server.options.Ready(); err != nil { // TRUST R18
		return nil, &failure{http.StatusInternalServerError, "not ready: " + clip(err.Error(), maxLine)}
	}
	if failed := c.read(ctx, r); failed != nil {
		return nil, failed
	}
	if failed := c.chooseTrustPolicy(); failed != nil {
		return nil, failed
	}
	if len(c.asked.attestations) > 0 {
		release, ok := c.server.conditions.take(ctx)
		if !ok {
			return nil, busy()
		}
		held.with(release)
	}
	request, failed := c.question(ctx)
	if failed != nil {
		return nil, failed
	}
	if len(request.Images) == 0 { // the caller's imageReferences name none of them
		return []checkResult{}, nil
	}
	d, _ := c.server.ask(ctx, asked{door: checkimages, held: held, grace: c.grace, request: request})
	return c.results(ctx, d)
}

// deadline leaves a margin of the time that the answer may take (TRUST R45).
func (c *checkCall) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	given := c.server.options.CheckImages.Timeout
	margin := min(max(given/10, minMargin), maxMargin)
	c.grace = margin / 2
	return context.WithTimeout(ctx, given-margin)
}

// read reads the body, of whatever Content-Type: Kyverno sends none.
func (c *checkCall) read(ctx context.Context, r *http.Request) *failure {
	body, release, err := c.server.bodies.read(ctx, r)
	defer release()
	if err != nil {
		return &failure{statusOf(err), err.Error()}
	}
	done, ok := c.server.reading.take(ctx)
	if !ok {
		return busy()
	}
	defer done()
	asked, err := parseCheck(body, c.server.options.Parser)
	if err != nil {
		return notAcceptable(err.Error())
	}
	c.asked = asked
	return nil
}

// chooseTrustPolicy settles which trust policy is meant, and that there is one.
func (c *checkCall) chooseTrustPolicy() *failure {
	const prefix = "failed to create notation verifier: "
	o := &c.server.options.CheckImages
	if c.asked.trustPolicy == "" {
		c.asked.trustPolicy = o.DefaultTrustPolicy
	}
	name := c.asked.trustPolicy
	if name == "" {
		return notAcceptable(prefix + "no trust policy specified, please specify a trust policy in request or set DEFAULT_TRUST_POLICY env")
	}
	if o.TrustPolicies == nil || !o.TrustPolicies(name) {
		return notAcceptable(prefix + "no trust policy found for trust policy " + clip(name, maxName))
	}
	return nil
}

// refuse answers with a text.
func (c *checkCall) refuse(ctx context.Context, w http.ResponseWriter, f *failure) {
	line := clip(f.text, maxMessage)
	c.server.log.LogAttrs(ctx, slog.LevelInfo, "denied",
		slog.String("door", string(checkimages)), slog.String("trustPolicy", clip(c.asked.trustPolicy, maxName)), slog.Int("status", f.status), slog.String("message", line))
	text(w, f.status, line)
	c.server.metrics.answered(checkimages, false, c.server.options.Now().Sub(c.started))
}

// checkResponse is the body of a 200.
type checkResponse struct {
	Verified bool          `json:"verified"`
	Results  []checkResult `json:"results"`
}

// accept answers that every image that was asked for is verified.
func (c *checkCall) accept(ctx context.Context, w http.ResponseWriter, results []checkResult) {
	body, err := json.MarshalIndent(checkResponse{Verified: true, Results: results}, "  ", "  ")
	if err != nil {
		c.refuse(ctx, w, &failure{http.StatusInternalServerError, "the answer could not be written"})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
	c.server.metrics.answered(checkimages, true, c.server.options.Now().Sub(c.started))
}

// recover answers a request that panicked and keeps the server up (TRUST R48).
func (c *checkCall) recover(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	c.server.panicked(r.Context(), checkimages, p)
	c.server.metrics.decided(checkimages, policy.Undecided, evidence.Internal)
	text(w, http.StatusInternalServerError, "internal error; the request was not decided")
}
