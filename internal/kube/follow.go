package kube

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// An Object is one of the API server's, which need not exist.
type Object struct {
	Resource  schema.GroupVersionResource
	Namespace string // empty: it has none
	Name      string
}

// A Duty is to keep a few objects as they should be.
type Duty struct {
	Client  *Client  // required
	Objects []Object // watched, by name alone
	// Look compares with what should be, puts it right, and returns why that
	// could not be done. Required.
	Look func(ctx context.Context) error
	// Faults is told what each look returned. What each watch did goes into the
	// same log. Required.
	Faults *Faults
	// Ticks has it look besides: at what a silent watch missed, and at what is
	// not watched. Nil: never.
	Ticks <-chan time.Time
	// Changed has it look at once. Nil: never.
	Changed <-chan struct{}
	// Rest follows each look that a change caused: somebody who insists on
	// another content does not make us write as fast as they do.
	Rest time.Duration
}

// Follow does the duty until ctx ends, and then waits for what it started. It
// looks at once, after every change of an object, at every tick and at every
// value of Changed: one look at a time, and all changes meanwhile are one more.
//
// No change is missed while the API server answers: where a watch is lost, the
// next one begins at the version that was seen last, or else with a list, after
// which it looks. Between tries to watch are 0.8 s at first, then up to a
// minute.
func (d Duty) Follow(ctx context.Context) {
	changed := make(notices, 1)
	var watching sync.WaitGroup
	defer watching.Wait()
	for _, o := range d.Objects {
		watching.Go(func() { d.watch(ctx, o, changed) })
	}
	for rest := time.Duration(0); ; {
		err := d.Look(ctx)
		if ctx.Err() != nil {
			return
		}
		d.Faults.Note(ctx, err)
		pause(ctx, rest)
		rest = 0
		select {
		case <-ctx.Done():
			return
		case <-d.Ticks:
		case <-d.Changed:
		case <-changed:
			rest = d.Rest
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// watch gives notice of every change of the object until ctx ends.
func (d Duty) watch(ctx context.Context, o Object, changed notices) {
	client := d.Client.Dynamic.Resource(o.Resource).Namespace(o.Namespace)
	faults := &Faults{Log: d.Faults.Log, Duty: "watch " + o.String()}
	named := func(options metav1.ListOptions) metav1.ListOptions {
		options.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, o.Name).String()
		return options
	}
	reflector := cache.NewReflectorWithOptions(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list, err := client.List(ctx, named(options))
			if err != nil && ctx.Err() == nil {
				faults.Note(ctx, err)
			}
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			events, err := client.Watch(ctx, named(options))
			if ctx.Err() == nil {
				faults.Note(ctx, err)
			}
			return events, err
		},
	}, listFirst{}), nil, changed, cache.ReflectorOptions{Name: o.String()})
	quiet := logr.NewContextWithSlogLogger(ctx, slog.New(slog.DiscardHandler)) // what matters of it is logged here
	reflector.RunWithContext(quiet)
}

// listFirst has a reflector list before it watches, rather than try a watch that
// begins with a list: for one object that is as good, and its faults are one.
type listFirst struct{}

// IsWatchListSemanticsUnSupported is what reflectors ask for.
func (listFirst) IsWatchListSemanticsUnSupported() bool { return true }

// String names the object in messages: its resource, and its namespace and name.
func (o Object) String() string {
	return o.Resource.Resource + " " + cache.ObjectName{Namespace: o.Namespace, Name: o.Name}.String()
}

// notices is a copy of an object that keeps nothing of it: each change is a
// value, and those that nobody has read yet are one. It implements
// [cache.ReflectorStore].
type notices chan struct{}

func (n notices) give() error {
	select {
	case n <- struct{}{}:
	default:
	}
	return nil
}

// Add implements [cache.ReflectorStore].
func (n notices) Add(any) error { return n.give() }

// Update implements [cache.ReflectorStore].
func (n notices) Update(any) error { return n.give() }

// Delete implements [cache.ReflectorStore].
func (n notices) Delete(any) error { return n.give() }

// Replace implements [cache.ReflectorStore]. It comes before a watch that does
// not go on from the last one: what happened in between gives no other notice.
func (n notices) Replace([]any, string) error { return n.give() }

// Resync implements [cache.ReflectorStore]; nothing is ever to be done again.
func (notices) Resync() error { return nil }
