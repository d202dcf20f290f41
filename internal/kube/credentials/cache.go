package credentials

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/bonafide-dev/bonafide/evidence"
)

// key names an object of a namespace.
type key struct{ namespace, name string }

// answer is what the API server holds. It is found, absent, or refused: an object
// that is no good to us.
type answer[V any] struct {
	value   V
	found   bool
	refused error
}

// cache remembers answers for a short time, errors never. A refusal is an answer,
// or else each image of a workload that names the object would have it read again.
// What is asked for by many at once is read once. It is bounded by entries and by bytes, and
// forgets what was used least recently.
type cache[V any] struct {
	now     func() time.Time
	reads   *reads
	size    func(V) int
	flights singleflight.Group

	mu    sync.Mutex
	bytes int
	order *list.List // of *held[V], the most recently used first
	items map[key]*list.Element
}

type held[V any] struct {
	key    key
	answer answer[V]
	size   int
	until  time.Time
}

func newCache[V any](now func() time.Time, reads *reads, size func(V) int) *cache[V] {
	return &cache[V]{now: now, reads: reads, size: size, order: list.New(), items: make(map[key]*list.Element)}
}

// get returns what read gives, or gave a short time ago. The flight has its own
// time: a caller that goes away does not end it (TRUST R38).
func (c *cache[V]) get(ctx context.Context, k key, read func(context.Context) (answer[V], error)) (V, error) {
	if a, found := c.lookup(k); found {
		return a.value, a.refused
	}
	done := c.flights.DoChan(k.namespace+"/"+k.name, func() (any, error) {
		flight, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		leave, err := c.reads.enter(flight, k.namespace)
		if err != nil {
			return answer[V]{}, unreadable("object", k.namespace, k.name, err)
		}
		defer leave()
		a, err := read(flight)
		if err == nil {
			c.store(k, a)
		}
		return a, err
	})
	select {
	case <-ctx.Done():
		var none V
		return none, gone(ctx)
	case result := <-done:
		a, _ := result.Val.(answer[V]) // the zero one comes with an error
		if result.Err != nil {
			return a.value, result.Err
		}
		return a.value, a.refused
	}
}

func (c *cache[V]) lookup(k key) (answer[V], bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, found := c.items[k]
	if !found {
		return answer[V]{}, false
	}
	h := heldIn[V](element)
	if !c.now().Before(h.until) {
		c.drop(element)
		return answer[V]{}, false
	}
	c.order.MoveToFront(element)
	return h.answer, true
}

func (c *cache[V]) store(k key, a answer[V]) {
	life := absentLife
	if a.found {
		life = foundLife
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, there := c.items[k]; there {
		c.drop(element)
	}
	h := &held[V]{key: k, answer: a, size: c.size(a.value), until: c.now().Add(life)}
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
