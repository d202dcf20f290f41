package policies

import (
	"context"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
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
// [cache.ReflectorStore], and is safe for concurrent use.
type mirror[T any] struct {
	// reduce makes a T of an object; old is what was kept of it before, or zero. It
	// reports whether the difference matters.
	reduce func(object runtime.Object, old T) (T, bool)
	// changed is called, without the lock, after what matters changed and after the
	// first complete copy.
	changed func()

	mu     sync.Mutex
	items  map[string]T // by namespace/name
	synced bool
	err    error // of the last request, nil if that succeeded
}

// start begins to copy until stop is called, which does not wait. name is the one
// object that is copied; empty is all.
func (m *mirror[T]) start(ctx context.Context, from lists, name string, wait *sync.WaitGroup) (stop func()) {
	ctx, stop = context.WithCancel(ctx)
	narrow := func(o metav1.ListOptions) metav1.ListOptions {
		if name != "" {
			o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
		}
		return o
	}
	reflector := cache.NewReflectorWithOptions(&cache.ListWatch{
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
	}, nil, m, cache.ReflectorOptions{Name: "policies"})
	wait.Go(func() { reflector.RunWithContext(ctx) })
	return stop
}

// failed remembers how the last request ended.
func (m *mirror[T]) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	m.mu.Lock()
	news := (err == nil) != (m.err == nil)
	m.err = err
	m.mu.Unlock()
	if news {
		m.changed()
	}
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
	m.mu.Lock()
	old, known := m.items[key]
	item, differs := m.reduce(o.(runtime.Object), old)
	if m.items == nil {
		m.items = make(map[string]T)
	}
	m.items[key] = item
	m.mu.Unlock()
	if differs || !known {
		m.changed()
	}
	return nil
}

// Delete implements [cache.ReflectorStore].
func (m *mirror[T]) Delete(o any) error {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(o)
	if err != nil {
		return err
	}
	m.mu.Lock()
	delete(m.items, key)
	m.mu.Unlock()
	m.changed()
	return nil
}

// Replace implements [cache.ReflectorStore]: it ends each complete copy, also
// those after the watch was lost.
func (m *mirror[T]) Replace(objects []any, _ string) error {
	items := make(map[string]T, len(objects))
	m.mu.Lock()
	differs := !m.synced
	for _, o := range objects {
		key, err := cache.MetaNamespaceKeyFunc(o)
		if err != nil {
			m.mu.Unlock()
			return err
		}
		old, known := m.items[key]
		item, other := m.reduce(o.(runtime.Object), old)
		items[key] = item
		differs = differs || other || !known
	}
	differs = differs || len(items) != len(m.items)
	m.items, m.synced = items, true
	m.mu.Unlock()
	if differs {
		m.changed()
	}
	return nil
}

// Resync implements [cache.ReflectorStore]; nothing is ever to be done again.
func (*mirror[T]) Resync() error { return nil }

// objectKey is the key of an object in a mirror.
func objectKey(namespace, name string) string {
	return cache.ObjectName{Namespace: namespace, Name: name}.String()
}
