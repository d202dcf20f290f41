package policies

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// lists are the two ways to read a resource; every client has them.
type lists struct {
	list  func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error)
}

// mirror is a copy of the objects of one resource, each reduced to a T. It keeps
// what it has while the API server is away. It implements
// [cache.ReflectorStore] and [cache.ReflectorBookmarkStore], and is safe for
// concurrent use.
type mirror[T any] struct {
	// reduce makes a T of an object; old is what was kept of it before, or zero. It
	// reports whether the difference matters.
	reduce func(object runtime.Object, old T) (T, bool)
	// changed is called, without the lock, after what matters changed and after the
	// first complete copy.
	changed func()
	now     func() time.Time

	mu     sync.Mutex
	items  map[string]T // by namespace/name
	synced bool
	err    error // of the last request, nil if that succeeded
	// heard is when the API server last told something: a complete list, an event,
	// or a bookmark, which says that there was none.
	heard time.Time
	begun time.Time          // when the watch began that is
	again context.CancelFunc // ends it, for another
}

// retries are the pauses between a watch that is lost and the next. client-go's
// own grow to a minute, in which a deny list would not be in force.
func retries() *wait.Backoff {
	return &wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 1, Steps: 5, Cap: maxRetry}
}

// maxRetry bounds the pause, before its jitter, which doubles it at most.
const maxRetry = 5 * time.Second

// start begins to copy until stop is called, which does not wait. name is the one
// object that is copied; empty is all.
func (m *mirror[T]) start(ctx context.Context, from lists, name string, wait *sync.WaitGroup) (stop func()) {
	ctx, stop = context.WithCancel(ctx)
	ctx = logr.NewContextWithSlogLogger(ctx, slog.New(slog.DiscardHandler)) // the Source reports what matters of each try
	narrow := func(o metav1.ListOptions) metav1.ListOptions {
		if name != "" {
			o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
		}
		return o
	}
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			found, err := from.list(ctx, narrow(o))
			m.failed(ctx, err)
			return found, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			events, err := from.watch(ctx, narrow(o))
			m.failed(ctx, err)
			return events, err
		},
	}
	// One for all: it knows the version that it saw last, and asks for none before.
	reflector := cache.NewReflectorWithOptions(source, nil, m, cache.ReflectorOptions{Name: "policies", Backoff: retries()})
	wait.Go(func() {
		for ctx.Err() == nil {
			running, end := context.WithCancel(ctx)
			m.begin(end)
			reflector.RunWithContext(running)
			end()
		}
	})
	return stop
}

func (m *mirror[T]) begin(again context.CancelFunc) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.begun, m.again = m.now(), again
}

// last returns when the API server was last heard of these objects; false before
// they were read once.
func (m *mirror[T]) last() (heard time.Time, synced bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.heard, m.synced
}

// renew begins to copy anew if nothing was heard since then: what has an open
// connection may yet be lost.
func (m *mirror[T]) renew(since time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.again != nil && m.heard.Before(since) && m.begun.Before(since) {
		m.again()
	}
}

// failed remembers how the last request ended.
func (m *mirror[T]) failed(ctx context.Context, err error) {
	if ctx.Err() == nil && m.ended(err) {
		m.changed()
	}
}

// ended reports whether a request ended otherwise than the one before it.
func (m *mirror[T]) ended(err error) (news bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	news = (err == nil) != (m.err == nil)
	m.err = err
	return news
}

// state returns the error of the last request, and whether there is a complete
// copy.
func (m *mirror[T]) state() (synced bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.synced, m.err
}

func (m *mirror[T]) get(key string) (T, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	item, found := m.items[key]
	return item, found
}

// all returns the items by their keys.
func (m *mirror[T]) all() map[string]T {
	m.mu.Lock()
	defer m.mu.Unlock()
	items := make(map[string]T, len(m.items))
	for key, item := range m.items {
		items[key] = item
	}
	return items
}

// Add implements [cache.ReflectorStore].
func (m *mirror[T]) Add(o any) error { return m.Update(o) }

// Update implements [cache.ReflectorStore].
func (m *mirror[T]) Update(o any) error {
	key, err := cache.MetaNamespaceKeyFunc(o)
	if err != nil {
		return err
	}
	if m.put(key, o.(runtime.Object)) {
		m.changed()
	}
	return nil
}

// put takes over an object, and reports whether that makes a difference.
func (m *mirror[T]) put(key string, o runtime.Object) (differs bool) {
	m.mu.Lock()
	defer m.mu.Unlock() // also if reduce panics
	old, known := m.items[key]
	item, differs := m.reduce(o, old)
	if m.items == nil {
		m.items = make(map[string]T)
	}
	m.items[key], m.heard = item, m.now()
	return differs || !known
}

// Delete implements [cache.ReflectorStore].
func (m *mirror[T]) Delete(o any) error {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(o)
	if err != nil {
		return err
	}
	m.drop(key)
	m.changed()
	return nil
}

func (m *mirror[T]) drop(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.items, key)
	m.heard = m.now()
}

// Replace implements [cache.ReflectorStore]: it ends each complete copy, also
// those after the watch was lost.
func (m *mirror[T]) Replace(objects []any, _ string) error {
	differs, err := m.replace(objects)
	if err != nil {
		return err
	}
	if differs {
		m.changed()
	}
	return nil
}

func (m *mirror[T]) replace(objects []any) (differs bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock() // also if reduce panics
	items := make(map[string]T, len(objects))
	differs = !m.synced
	for _, o := range objects {
		key, err := cache.MetaNamespaceKeyFunc(o)
		if err != nil {
			return false, err
		}
		old, known := m.items[key]
		item, other := m.reduce(o.(runtime.Object), old)
		items[key] = item
		differs = differs || other || !known
	}
	differs = differs || len(items) != len(m.items)
	m.items, m.synced, m.heard = items, true, m.now()
	return differs, nil
}

// Bookmark implements [cache.ReflectorBookmarkStore].
func (m *mirror[T]) Bookmark(string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard = m.now()
	return nil
}

// Resync implements [cache.ReflectorStore]; nothing is ever to be done again.
func (*mirror[T]) Resync() error { return nil }

// objectKey is the key of an object in a mirror.
func objectKey(namespace, name string) string {
	return cache.ObjectName{Namespace: namespace, Name: name}.String()
}
