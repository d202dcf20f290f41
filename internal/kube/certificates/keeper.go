package certificates

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/bonafide-dev/bonafide/internal/kube"
)

const (
	// DefaultSecret is the Secret's name unless the options say otherwise.
	DefaultSecret = "bonafide-tls" // #nosec G101 -- a name
	// RotateAnnotation on the Secret asks for a renewal; the package's comment
	// lists its values.
	RotateAnnotation = "bonafide.dev/rotate"
	// DefaultCALife is what cluster operators are used to.
	DefaultCALife = 365 * 24 * time.Hour
	// DefaultLeafLife is too.
	DefaultLeafLife = 90 * 24 * time.Hour
	// DefaultOverlap is far longer than a new bundle needs to reach the webhook
	// configurations and every API server, which watch them: seconds.
	DefaultOverlap = time.Hour
	// maxHosts bounds the names of a certificate: a service has four, and a
	// roll-out may hold the old and the new.
	maxHosts = 32
	// restAfterChange is between two looks that changes caused: ten a second are
	// enough to follow, and little for an API server.
	restAfterChange = 100 * time.Millisecond
)

// ErrNone says that there is no certificate yet.
var ErrNone = errors.New("certificates: there is no certificate yet")

// Recorder takes Events. It must return at once and not fail. A nil Recorder is
// no Events.
type Recorder interface {
	Event(ctx context.Context, about corev1.ObjectReference, kind, reason, message string)
}

// Options are what a [Keeper] needs.
type Options struct {
	Client    *kube.Client     // required
	Namespace string           // the system namespace; required
	Secret    string           // empty: [DefaultSecret]
	Hosts     []string         // DNS names and addresses of the leaf, at least one
	Now       func() time.Time // required
	Log       *slog.Logger     // required
	Events    Recorder         // nil: none

	CALife   time.Duration // zero: [DefaultCALife]
	LeafLife time.Duration // zero: [DefaultLeafLife]; at most CALife
	// Overlap is how long a new authority is published before it issues, and an
	// old one after its last certificate was replaced. Zero: [DefaultOverlap], or
	// a twelfth of LeafLife if that is shorter. At most a sixth of LeafLife, so
	// that a leaf outlives the rotation of its authority.
	Overlap time.Duration
	// Spread, if given, is asked before a new authority issues whether all
	// callers have the bundle; the rotation waits while it returns an error, as
	// long as the leaf in use is valid.
	Spread func(ctx context.Context, bundle []byte) error
}

// A Keeper has the newest certificate of the Secret. It is safe for concurrent
// use; Start is called once, before Run.
type Keeper struct {
	options Options
	lives   lives
	current atomic.Pointer[content]
	changed chan struct{}

	faults *kube.Faults

	mu      sync.Mutex // one look at the Secret at a time
	seen    sighting
	repairs repairs
	refused string // what was said of the order that is none
}

// New returns a keeper that has no certificate yet. It contacts nothing.
func New(o Options) (*Keeper, error) {
	switch {
	case o.Client == nil || o.Namespace == "" || o.Now == nil || o.Log == nil:
		return nil, errors.New("certificates: expected a client, a namespace, a clock and a log")
	case len(o.Hosts) == 0 || len(o.Hosts) > maxHosts:
		return nil, fmt.Errorf("certificates: expected 1 to %d hosts, got %d", maxHosts, len(o.Hosts))
	}
	if o.Secret == "" {
		o.Secret = DefaultSecret
	}
	l := lives{ca: o.CALife, leaf: o.LeafLife, overlap: o.Overlap}
	if l.ca == 0 {
		l.ca = DefaultCALife
	}
	if l.leaf == 0 {
		l.leaf = min(DefaultLeafLife, l.ca)
	}
	if l.overlap == 0 {
		l.overlap = min(DefaultOverlap, l.leaf/12)
	}
	if l.leaf <= 0 || l.leaf > l.ca || l.overlap <= 0 || l.overlap > l.leaf/6 {
		return nil, fmt.Errorf("certificates: expected an overlap of at most a sixth of the leaf's life, and that within the authority's, got %s, %s and %s", l.overlap, l.leaf, l.ca)
	}
	k := &Keeper{options: o, lives: l, changed: make(chan struct{}, 1)}
	k.faults = &kube.Faults{Log: o.Log.With("secret", k.name()), Duty: "keep the certificate's Secret"}
	return k, nil
}

// Get returns the current certificate, or [ErrNone] before Start returned. It is
// a [tls.Config.GetCertificate] and never blocks.
func (k *Keeper) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := k.current.Load(); c != nil {
		return c.serving(), nil
	}
	return nil, ErrNone
}

// CABundle returns the PEM of the authorities that callers are to trust, or nil
// before Start returned.
func (k *Keeper) CABundle() []byte {
	if c := k.current.Load(); c != nil {
		return c.bundle()
	}
	return nil
}

// NotAfter returns when the current certificate ends, or the zero time.
func (k *Keeper) NotAfter() time.Time {
	if c := k.current.Load(); c != nil {
		return c.leaf.certificate.NotAfter
	}
	return time.Time{}
}

// Changed delivers a value after the certificate or the bundle changed. Changes
// that nobody has read yet are one. It is for a single reader.
func (k *Keeper) Changed() <-chan struct{} { return k.changed }

// The bounds of the waits between tries of Start.
const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 15 * time.Second
)

// Start returns as soon as there is a certificate, which it makes if need be.
// Faults are logged and tried again; the error is that ctx ended.
func (k *Keeper) Start(ctx context.Context) error {
	wait := firstRetry
	for {
		err := k.sync(ctx)
		if err == nil || (k.current.Load() != nil && ctx.Err() == nil) {
			return nil
		}
		k.faults.Note(ctx, err)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("certificates: no certificate yet: %w, after: %w", context.Cause(ctx), err)
		case <-timer.C:
		}
		wait = min(2*wait, lastRetry)
	}
}

// Run follows the Secret until ctx ends: at every change, by a watch, and at
// every tick, which is when certificates are renewed and what a silent watch
// missed is seen. Once a minute suffices. Faults are logged, and the certificate
// in memory stays.
func (k *Keeper) Run(ctx context.Context, ticks <-chan time.Time) {
	kube.Duty{
		Client: k.options.Client, Look: k.sync, Faults: k.faults, Ticks: ticks, Rest: restAfterChange,
		Objects: []kube.Object{{Resource: corev1.SchemeGroupVersion.WithResource("secrets"), Namespace: k.options.Namespace, Name: k.options.Secret}},
	}.Follow(ctx)
}

func (k *Keeper) name() string { return k.options.Namespace + "/" + k.options.Secret }
