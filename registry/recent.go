package registry

import (
	"container/list"
	"sync"
)

// recent is a map of bounded length that forgets what was used least
// recently. It is safe for concurrent use.
type recent[K comparable, V any] struct {
	mu    sync.Mutex
	max   int
	order *list.List // of *entry[K, V], the most recently used first
	items map[K]*list.Element
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func newRecent[K comparable, V any](maximum int) *recent[K, V] {
	return &recent[K, V]{max: maximum, order: list.New(), items: make(map[K]*list.Element)}
}

func (r *recent[K, V]) get(key K) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lookup(key)
}

func (r *recent[K, V]) lookup(key K) (V, bool) {
	element, found := r.items[key]
	if !found {
		var none V
		return none, false
	}
	r.order.MoveToFront(element)
	return valueOf[K, V](element).value, true
}

func (r *recent[K, V]) put(key K, value V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.store(key, value)
}

func (r *recent[K, V]) store(key K, value V) {
	if element, found := r.items[key]; found {
		valueOf[K, V](element).value = value
		r.order.MoveToFront(element)
		return
	}
	r.items[key] = r.order.PushFront(&entry[K, V]{key: key, value: value})
	if r.order.Len() > r.max {
		oldest := r.order.Back()
		r.order.Remove(oldest)
		delete(r.items, valueOf[K, V](oldest).key)
	}
}

// getOrPut returns the value of key, made by create if there is none.
func (r *recent[K, V]) getOrPut(key K, create func() V) V {
	r.mu.Lock()
	defer r.mu.Unlock()
	if value, found := r.lookup(key); found {
		return value
	}
	value := create()
	r.store(key, value)
	return value
}

func (r *recent[K, V]) remove(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if element, found := r.items[key]; found {
		r.order.Remove(element)
		delete(r.items, key)
	}
}

func valueOf[K comparable, V any](e *list.Element) *entry[K, V] {
	v, _ := e.Value.(*entry[K, V]) // the list holds nothing else
	return v
}
