package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// Decider decides whether images may run. Decide must return by the context's
// deadline, with one decision for each image of the request, in its order, and
// must be safe for concurrent use. [engine.Engine] is one.
type Decider interface {
	Decide(ctx context.Context, r engine.Request) engine.Decision
}

// DeciderFunc is a function that is a [Decider].
type DeciderFunc func(ctx context.Context, r engine.Request) engine.Decision

// Decide calls f.
func (f DeciderFunc) Decide(ctx context.Context, r engine.Request) engine.Decision { return f(ctx, r) }

// Unmatched says what the admission doors do with an image that no policy
// covers (TRUST R20). The zero value warns.
type Unmatched uint8

// The choices.
const (
	UnmatchedWarn  Unmatched = iota // admit, and say so to the user
	UnmatchedAllow                  // admit silently
	UnmatchedDeny
)

// ParseUnmatched reads "allow", "warn" or "deny".
func ParseUnmatched(s string) (Unmatched, error) {
	for _, u := range []Unmatched{UnmatchedWarn, UnmatchedAllow, UnmatchedDeny} {
		if s == u.String() {
			return u, nil
		}
	}
	return UnmatchedDeny, errors.New("server: expected allow, warn or deny")
}

// String returns the choice as [ParseUnmatched] reads it.
func (u Unmatched) String() string {
	switch u {
	case UnmatchedAllow:
		return "allow"
	case UnmatchedDeny:
		return "deny"
	case UnmatchedWarn:
	}
	return "warn"
}

// Options are the server's settings. Decider, GetCertificate, Ready and Now are
// required; the zero values of the others are the defaults.
type Options struct {
	Decider Decider
	// Parser reads image references and patterns; it must be the decider's, so
	// that both know the same aliases of hosts (TRUST R11). The zero Parser knows
	// Docker Hub's.
	Parser imageref.Parser
	// GetCertificate returns the certificate of the doors' port for a
	// handshake; see [SelfSigned] and [CertificateFiles].
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// AdmissionClients, if set, returns the authorities whose client
	// certificates may use the admission paths. Nil asks for no certificate. It
	// must be cheap: it is called for each request; a pool that it has returned
	// must not be changed.
	AdmissionClients func() *x509.CertPool
	// GatekeeperClients is as AdmissionClients, for the paths of Gatekeeper's
	// external data.
	GatekeeperClients func() *x509.CertPool
	// GatekeeperTimeout is how long Gatekeeper waits for an answer. Zero means
	// [DefaultGatekeeperTimeout]; a Provider's URL may ask for less with
	// "?timeout=".
	GatekeeperTimeout time.Duration
	// Policies looks at objects of our own kinds when they are written. Nil: nobody
	// is told before they are loaded.
	Policies PolicyForms
	// CheckImages are the settings of /checkimages.
	CheckImages CheckImagesOptions
	// Unmatched is what happens to images that no enforcing policy covers.
	Unmatched Unmatched
	// Namespaces knows the labels of namespaces. Nil: no labels are known.
	Namespaces NamespaceLabels
	// ObserveOnly makes the admission doors decide and report, and neither deny
	// nor patch: everything is admitted, errors included. Users are warned of what
	// would be denied, and log, metrics and audit annotations say what was decided.
	// The other doors answer as ever: whoever asks there enforces, and must never
	// read that something is verified that is not (TRUST R48).
	ObserveOnly bool
	// BreakGlass, if set, is called for each object that an exception which breaks
	// glass has lifted a policy from, dry runs aside. It must not block.
	BreakGlass func(ctx context.Context, exception policy.Origin, object string)
	// Ready returns why requests cannot be decided yet, or nil. It is what
	// /readyz answers by.
	Ready func() error
	// Now is the clock.
	Now func() time.Time
	// Logger may be nil: nothing is logged.
	Logger *slog.Logger
	// Metrics may be nil: nobody sees them.
	Metrics *Metrics
	// ReadTimeout bounds how long a request may take to arrive. Zero means
	// [DefaultReadTimeout].
	ReadTimeout time.Duration
	// ShutdownDelay is how long the doors stay open after /readyz has begun to
	// answer 503, so that callers learn to go elsewhere. Zero means none.
	ShutdownDelay time.Duration
	// DrainTimeout bounds how long requests under way may take to finish once
	// the doors are closed. Zero means [DefaultDrainTimeout].
	DrainTimeout time.Duration
}

// Times that [Options] leave open.
const (
	// DefaultReadTimeout is the timeout that Kubernetes gives a webhook unless
	// it is told another: a caller that sends longer has given up on itself.
	DefaultReadTimeout = 10 * time.Second
	// DefaultDrainTimeout fits into the 30 s that kubelet grants a Pod.
	DefaultDrainTimeout = 20 * time.Second
)

// Server answers at the doors. It is safe for concurrent use.
type Server struct {
	options     Options
	log         *slog.Logger
	metrics     *Metrics
	clients     *clientCheck // of the admission paths; nil: no certificate is asked for
	gatekeepers *clientCheck // of the external data paths
	slots       chan struct{}
	reading     places // of /checkimages
	conditions  places // of /checkimages
	forms       places // of the policies' door
	asked       places // of the policies' door
	bodies      *bodyReader
	draining    drainFlag
}

// New returns a Server. An error names the option that is missing.
func New(o Options) (*Server, error) {
	switch {
	case o.Decider == nil:
		return nil, errors.New("server: expected a decider, got nil")
	case o.GetCertificate == nil:
		return nil, errors.New("server: expected a source of certificates, got nil")
	case o.Ready == nil:
		return nil, errors.New("server: expected a readiness check, got nil")
	case o.Now == nil:
		return nil, errors.New("server: expected a clock, got nil")
	case o.GatekeeperTimeout < 0 || o.ReadTimeout < 0 || o.ShutdownDelay < 0 || o.DrainTimeout < 0:
		return nil, errors.New("server: expected times of zero or more, got a negative one")
	}
	if o.GatekeeperTimeout == 0 {
		o.GatekeeperTimeout = DefaultGatekeeperTimeout
	}
	if err := o.CheckImages.complete(); err != nil {
		return nil, err
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = DefaultReadTimeout
	}
	if o.DrainTimeout == 0 {
		o.DrainTimeout = DefaultDrainTimeout
	}
	s := &Server{
		options: o, log: o.Logger, metrics: o.Metrics, bodies: newBodyReader(),
		slots: make(chan struct{}, maxInFlight), reading: make(places, maxReading), conditions: make(places, maxConditionHolders),
		forms: make(places, maxForms), asked: make(places, maxFormsAsked),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.metrics == nil {
		s.metrics = NewMetrics()
	}
	s.metrics.observing(o.ObserveOnly)
	if o.AdmissionClients != nil {
		s.clients = &clientCheck{roots: o.AdmissionClients, now: o.Now}
	}
	if o.GatekeeperClients != nil {
		s.gatekeepers = &clientCheck{roots: o.GatekeeperClients, now: o.Now}
	}
	return s, nil
}

// Doors returns the handler of the doors' port. It wants requests that came
// over TLS if client certificates are asked for.
func (s *Server) Doors() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /admission/mutate", s.admission(mutate))
	mux.Handle("POST /admission/validate", s.admission(validate))
	if s.options.Policies != nil {
		mux.Handle("POST "+policyPath, s.admission(policies))
	}
	s.providers(mux)
	mux.Handle("/checkimages", s.checkImages())
	return mux
}

// Status returns the handler of the metrics port.
func (s *Server) Status() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", s.metrics.handler())
	return mux
}
