package credentials

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/bonafide-dev/bonafide/evidence"
)

// key names an object of a namespace.
type key struct{ namespace, name string }

// cache remembers what was read for a short time, errors never. What is asked
// for by many at once is read once. It is bounded by entries and by bytes, and
// forgets what was used least recently.
type cache[V any] struct {
	now     func() time.Time
	reads   *semaphore.Weighted
	size    func(V) int
	flights singleflight.Group

	mu    sync.Mutex
	bytes int
	order *list.List // of *held[V], the most recently used first
	items map[key]*list.Element
}

type held[V any] struct {
	key   key
	value V
	size  int
	until time.Time
}

func newCache[V any](now func() time.Time, reads *semaphore.Weighted, size func(V) int) *cache[V] {
	return &cache[V]{now: now, reads: reads, size: size, order: list.New(), items: make(map[key]*list.Element)}
}

// get returns what read gives, or gave a short time ago. The flight has its own
// time: a caller that goes away does not end it (TRUST R38).
func (c *cache[V]) get(ctx context.Context, k key, read func(context.Context) (v V, found bool, err error)) (V, error) {
	var none V
	if v, found := c.lookup(k); found {
		return v, nil
	}
	done := c.flights.DoChan(k.namespace+"/"+k.name, func() (any, error) {
		flight, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		if err := c.reads.Acquire(flight, 1); err != nil {
			return none, unreadable("object", k.namespace, k.name, err)
		}
		defer c.reads.Release(1)
		v, found, err := read(flight)
		if err == nil {
			c.store(k, v, found)
		}
		return v, err
	})
	select {
	case <-ctx.Done():
		return none, gone(ctx)
	case result := <-done:
		v, _ := result.Val.(V) // the zero value comes with an error
		return v, result.Err
	}
}

func (c *cache[V]) lookup(k key) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var none V
	element, found := c.items[k]
	if !found {
		return none, false
	}
	h := heldIn[V](element)
	if !c.now().Before(h.until) {
		c.drop(element)
		return none, false
	}
	c.order.MoveToFront(element)
	return h.value, true
}

func (c *cache[V]) store(k key, v V, found bool) {
	life := absentLife
	if found {
		life = foundLife
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, there := c.items[k]; there {
		c.drop(element)
	}
	h := &held[V]{key: k, value: v, size: c.size(v), until: c.now().Add(life)}
	c.items[k] = c.order.PushFront(h)
	c.bytes += h.size
	for c.order.Len() > maxHeld || c.bytes > maxHeldBytes {
		c.drop(c.order.Back())
	}
}

func (c *cache[V]) drop(element *list.Element) {
	h := heldIn[V](element)
	c.order.Remove(element)
	delete(c.items, h.key)
	c.bytes -= h.size
}

func heldIn[V any](e *list.Element) *held[V] {
	h, _ := e.Value.(*held[V]) // the list holds nothing else
	return h
}

// gone is for a caller that stopped waiting.
func gone(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &evidence.Problem{Reason: evidence.DeadlineExceeded, Err: context.DeadlineExceeded}
	}
	return &evidence.Problem{Reason: evidence.Cancelled, Err: context.Canceled}
}
