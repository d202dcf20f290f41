package policies

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/internal/kube"
)

const (
	// DefaultDebounce is how long changes are gathered before they are compiled
	// together: short against the two seconds in which a change is in force, long
	// against the parts of one `kubectl apply`.
	DefaultDebounce = 100 * time.Millisecond
	// DefaultStatusInterval is how often figures are written to a status at most, and
	// how soon a status is tried again that could not be written.
	DefaultStatusInterval = time.Minute
	// lookInterval is how often what nobody tells is looked at: trust material
	// from afar, exceptions that end, and objects that are late.
	lookInterval = 500 * time.Millisecond
	// watchesPerSecond and watchesAtOnce limit how fast watches are begun: each
	// Secret that is named takes one, and all are begun at the start.
	watchesPerSecond = 200
	watchesAtOnce    = 400
)

// Options are what a [Source] works with. Client, Dialects, Now, Log and Changed
// are required.
type Options struct {
	Client *kube.Client
	// Dialects read the objects; no two may read one kind.
	Dialects []dialect.Dialect
	// Revision changes whenever the dialects' signers would be others of the same
	// documents. Nil never changes. It is asked from Run alone.
	Revision func() uint64
	Now      func() time.Time
	Log      *slog.Logger
	// Changed receives each set that is in effect from then on. The first is the
	// first that is complete. It is called from Run alone.
	Changed func(Set)
	// Debounce is how long changes are gathered; 0 is [DefaultDebounce].
	Debounce time.Duration
	// Required are the definitions without which a cluster is not complete: before
	// all of them are there nothing is handed out, and what is missing is in the log
	// and in [Source.Health]. Others may be absent. Each must be among
	// [Definitions].
	Required []schema.GroupResource
	// Counts, if set, returns about how many images of running Pods a policy decided
	// in the last audit, and how many of those it denies or would deny, for its
	// status; false if this process has not audited. It must be safe for concurrent
	// use.
	Counts func(kind, namespace, name string) (matched, denied int64, known bool)
	// StatusInterval is how often figures are written; 0 is [DefaultStatusInterval].
	StatusInterval time.Duration
}

// Source watches a cluster's objects. Make one with [New]. Its methods are safe
// for concurrent use.
type Source struct {
	options  Options
	dynamic  dynamic.Interface
	metadata metadata.Interface

	kick       chan struct{} // holds a token if something changed
	namespaces *mirror[map[string]string]
	kinds      []*watched
	references *references
	wait       sync.WaitGroup // for the watches

	// The state of Run.
	entries  map[entryKey]*entry
	complete bool              // once: the first set was handed out
	until    time.Time         // when the set is another by time alone
	troubles map[string]string // by resource: what the log said last
	stale    bool              // the log says that what is known is old

	mu      sync.Mutex
	health  Health
	set     *Set          // the last; nil before the first
	renewed chan struct{} // closed when there is another
}

type entryKey struct {
	resource        schema.GroupResource
	namespace, name string
}

// New returns a Source, which asks the API server for nothing before it runs.
func New(o Options) (*Source, error) {
	if o.Client == nil || o.Now == nil || o.Log == nil || o.Changed == nil || len(o.Dialects) == 0 {
		return nil, errors.New("policies: expected a client, dialects, a clock, a log and whom to tell of changes")
	}
	if o.Debounce <= 0 {
		o.Debounce = DefaultDebounce
	}
	if o.StatusInterval <= 0 {
		o.StatusInterval = DefaultStatusInterval
	}
	if o.Revision == nil {
		o.Revision = func() uint64 { return 0 }
	}
	config := rest.CopyConfig(o.Client.Config)
	config.QPS, config.Burst, config.RateLimiter = watchesPerSecond, watchesAtOnce, nil
	config.WarningHandler = rest.NoWarnings{} // deprecated kinds are what some policies are written in
	s := &Source{
		options: o, kick: make(chan struct{}, 1), entries: make(map[entryKey]*entry), troubles: make(map[string]string),
		renewed: make(chan struct{}),
	}
	var errs [3]error
	var typed kubernetes.Interface
	s.dynamic, errs[0] = dynamic.NewForConfig(config)
	s.metadata, errs[1] = metadata.NewForConfig(config)
	typed, errs[2] = kubernetes.NewForConfig(config)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	s.namespaces = &mirror[map[string]string]{reduce: reduceNamespace, changed: s.changed, now: o.Now}
	s.references = &references{client: typed, now: o.Now, changed: s.changed, wait: &s.wait, watched: make(map[reference]*watchedReference)}
	for i, d := range o.Dialects {
		for _, k := range kindsOf(d) {
			k.dialect = i
			s.kinds = append(s.kinds, &watched{
				kind: k, required: slices.Contains(o.Required, k.resource),
				definition: &mirror[definition]{reduce: reduceDefinition, changed: s.changed, now: o.Now},
			})
		}
	}
	for _, r := range o.Required {
		if !slices.ContainsFunc(s.kinds, func(w *watched) bool { return w.resource == r }) {
			return nil, fmt.Errorf("policies: expected only kinds that a dialect reads to be required, got %q", r)
		}
	}
	return s, nil
}

// Namespace returns the labels of a namespace, not to be changed, and whether
// the namespace is known: it exists, and was read.
func (s *Source) Namespace(name string) (labels map[string]string, known bool) {
	return s.namespaces.get(name)
}

func reduceNamespace(o runtime.Object, _ map[string]string) (map[string]string, bool) {
	labels := make(map[string]string) // not nil: none are known to be there
	if m, is := o.(*metav1.PartialObjectMetadata); is {
		for name, value := range m.Labels {
			labels[name] = value
		}
	}
	return labels, false // they are asked for with each request
}

// changed wakes Run.
func (s *Source) changed() {
	select {
	case s.kick <- struct{}{}:
	default: // it is about to wake
	}
}

// Run watches until ctx ends, and returns only then, without error, when every
// watch has ended. It may be called once.
func (s *Source) Run(ctx context.Context) error {
	defer s.wait.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.begin(ctx)
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	revision := s.options.Revision()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			s.freshen(ctx)
			now := s.options.Revision()
			if now == revision && !s.late() {
				continue
			}
			revision = now
		case <-s.kick:
			if !pause(ctx, s.options.Debounce) {
				return nil
			}
		}
		s.look(ctx)
	}
}

// pause waits for a while; false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// begin watches what is there in every cluster.
func (s *Source) begin(ctx context.Context) {
	namespaces := s.metadata.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	s.namespaces.start(ctx, lists{
		list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return namespaces.List(ctx, o)
		},
		watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return namespaces.Watch(ctx, o)
		},
	}, "", &s.wait)
	for _, w := range s.kinds {
		w.definition.start(ctx, resourceLists(s.dynamic, definitions), w.resource.String(), &s.wait)
	}
}

// late reports whether time alone makes a difference: an object that is waited
// for may be given up, or an exception has ended.
func (s *Source) late() bool {
	if !s.until.IsZero() && !s.options.Now().Before(s.until) {
		return true
	}
	for _, e := range s.entries {
		if e.settling {
			return true
		}
	}
	return false
}
