package engine

import (
	"container/list"
	"sync"
	"time"
)

// cache is a least-recently-used cache bounded in bytes. An entry larger than
// an eighth of the bound is not kept, so that one hostile answer cannot flush
// the rest.
type cache[K comparable, V any] struct {
	mu      sync.Mutex
	bound   int
	used    int
	entries map[K]*list.Element
	order   *list.List // of entry[K, V], most recently used first
}

type entry[K comparable, V any] struct {
	key     K
	value   V
	size    int
	expires time.Time
}

// entryOverhead is what an entry costs beside its value: the map's and the
// list's cells and the key's strings, measured on amd64 and rounded up.
const entryOverhead = 400

func newCache[K comparable, V any](bound int) *cache[K, V] {
	return &cache[K, V]{bound: bound, entries: map[K]*list.Element{}, order: list.New()}
}

// get returns the value of key if it has one that is alive at now.
func (c *cache[K, V]) get(key K, now time.Time) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var zero V
	element, found := c.entries[key]
	if !found {
		return zero, false
	}
	e := element.Value.(entry[K, V])
	if !now.Before(e.expires) {
		c.drop(element)
		return zero, false
	}
	c.order.MoveToFront(element)
	return e.value, true
}

// largest is the part of a cache that one entry may fill: a statement around a
// bill of materials weighs megabytes, and one must not push out all others.
const largest = 4

// put remembers value until expires; size is its cost in bytes. What is least
// used and dead at now makes room.
func (c *cache[K, V]) put(key K, value V, size int, now, expires time.Time) {
	size += entryOverhead
	if size > c.bound/largest {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, found := c.entries[key]; found {
		c.drop(element)
	}
	c.entries[key] = c.order.PushFront(entry[K, V]{key: key, value: value, size: size, expires: expires})
	c.used += size
	for c.used > c.bound || c.order.Len() > 1 && !now.Before(c.order.Back().Value.(entry[K, V]).expires) {
		c.drop(c.order.Back())
	}
}

func (c *cache[K, V]) remove(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, found := c.entries[key]; found {
		c.drop(element)
	}
}

func (c *cache[K, V]) drop(element *list.Element) {
	e := element.Value.(entry[K, V])
	c.order.Remove(element)
	delete(c.entries, e.key)
	c.used -= e.size
}
