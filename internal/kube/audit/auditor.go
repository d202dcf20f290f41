package audit

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/internal/kube"
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

// NamespaceLabels knows the labels of namespaces. Namespace must return false if
// the namespace is not known, and must be safe for concurrent use.
type NamespaceLabels interface {
	Namespace(name string) (labels map[string]string, known bool)
}

// Metrics is told what a sweep found. Uncovered gets, by namespace, how many
// distinct images no policy covers; namespaces without any are absent.
type Metrics interface {
	Audited(at time.Time)
	Uncovered(images map[string]int)
}

// Events records Kubernetes Events about objects. Event must not block for long.
type Events interface {
	Event(ctx context.Context, about corev1.ObjectReference, eventType, reason, message string)
}

// Workers is how many decisions a sweep makes at once unless it is told
// another number: reviews, which somebody waits for, come first.
const Workers = 2

// Options are the auditor's settings. Client, Decider and Now are required.
type Options struct {
	Client  *kube.Client
	Decider Decider
	// Namespaces tells namespaces' labels; nil: they are not known.
	Namespaces NamespaceLabels
	// Sources read the indexes of images that run under the digest of a platform's
	// manifest; nil: such a manifest counts as other content than its index.
	Sources engine.Sources
	// In limits the auditor to one namespace; empty: all.
	In  string
	Now func() time.Time
	// Log may be nil.
	Log *slog.Logger
	// Metrics and Events may be nil.
	Metrics Metrics
	Events  Events
	// Workers is how many decisions are made at once; zero means [Workers].
	Workers int
	// Eager has the workers not rest between decisions: for a process that has
	// nothing else to do.
	Eager bool
	// Progress, if set, is told how many of the questions of a sweep are
	// answered. It is called from several goroutines, never at once.
	Progress func(done, total int)
}

// Auditor decides anew about running Pods. It is safe for concurrent use; sweeps
// run one after the other.
type Auditor struct {
	options Options
	log     *slog.Logger

	sweeping sync.Mutex               // held by a sweep
	last     map[place]policy.Outcome // decided last; nil: not known
	indexes  indexes
}

// New returns an Auditor. It asks nobody anything yet.
func New(o Options) (*Auditor, error) {
	switch {
	case o.Client == nil:
		return nil, errors.New("audit: expected a client, got nil")
	case o.Decider == nil:
		return nil, errors.New("audit: expected a decider, got nil")
	case o.Now == nil:
		return nil, errors.New("audit: expected a clock, got nil")
	case o.Workers < 0:
		return nil, errors.New("audit: expected zero or more workers, got fewer")
	}
	if o.Workers == 0 {
		o.Workers = Workers
	}
	a := &Auditor{options: o, log: o.Log}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	return a, nil
}

// Sweep decides about every Pod that may run, and tells Metrics and Events. An
// error means that not all Pods could be listed, or that ctx ended: there is
// then no report, since half a report reads like a whole one.
func (a *Auditor) Sweep(ctx context.Context) (Report, error) {
	a.sweeping.Lock()
	defer a.sweeping.Unlock()
	began := a.options.Now()
	l, err := a.list(ctx)
	if err != nil {
		return Report{}, err
	}
	a.indexes.age()
	a.decideAll(ctx, l)
	if err := context.Cause(ctx); err != nil {
		return Report{}, err
	}
	r := report(l)
	r.At = began
	r.Took = a.options.Now().Sub(began)
	a.tell(ctx, r)
	return r, nil
}

// tell passes on what a sweep found.
func (a *Auditor) tell(ctx context.Context, r Report) {
	if m := a.options.Metrics; m != nil {
		m.Audited(r.At)
		m.Uncovered(r.uncoveredImages())
	}
	a.recall(ctx)
	a.changes(ctx, r)
	a.log.InfoContext(ctx, "audited", slog.Int("pods", r.Pods), slog.Int("decisions", r.Decisions), slog.Int("denied", r.Summary.Denied),
		slog.Int("undecided", r.Summary.Undecided), slog.Int("unmatched", r.Summary.Unmatched), slog.Duration("took", r.Took))
}
