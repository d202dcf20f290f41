package trust

import (
	"context"
	"fmt"
	"time"
)

// Run looks at what is due until ctx is done, and returns once nothing is under
// way. Ticks come every [Interval].
func (k *Keeper) Run(ctx context.Context, ticks <-chan time.Time) {
	var all []<-chan struct{}
	for {
		all = append(under(all), k.start(ctx)...)
		k.report()
		select {
		case <-ctx.Done():
			for _, done := range all {
				<-done
			}
			return
		case <-ticks:
		}
	}
}

// under are the looks that are still under way.
func under(all []<-chan struct{}) []<-chan struct{} {
	var left []<-chan struct{}
	for _, done := range all {
		select {
		case <-done:
		default:
			left = append(left, done)
		}
	}
	return left
}

// Fetch looks at everything that was asked for and is due, once, and returns
// when that is done or ctx is. It is for programs that run once: they load what
// they need, Fetch, and load again if the revision has changed.
func (k *Keeper) Fetch(ctx context.Context) {
	for _, done := range k.start(ctx) {
		select {
		case <-done:
		case <-ctx.Done():
			return
		}
	}
	k.report()
}

// start begins a look at all that is due, and returns what ends with each look
// that it began or found under way.
func (k *Keeper) start(ctx context.Context) []<-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.options.Now()
	var all []<-chan struct{}
	for _, e := range k.entries {
		switch {
		case ctx.Err() != nil:
		case e.done != nil:
			all = append(all, e.done)
		case !now.Before(e.due):
			e.done = make(chan struct{})
			all = append(all, e.done)
			go k.look(ctx, e)
		}
	}
	return all
}

// look looks at one source.
func (k *Keeper) look(ctx context.Context, e *entry) {
	m, err := k.ask(ctx, e.source)
	var cacheErr error
	if err == nil {
		cacheErr = e.source.save()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil || ctx.Err() == nil { // that the caller went away says nothing about the source
		e.settle(m, err, k.options.Now())
	}
	if err == nil {
		e.cacheErr = cacheErr
	}
	close(e.done)
	e.done = nil
}

// ask fetches within bounds of number and time. Whatever a library does with
// hostile bytes, it does not end the process (TRUST R48).
func (k *Keeper) ask(ctx context.Context, s source) (m material, err error) {
	select {
	case k.slots <- struct{}{}:
		defer func() { <-k.slots }()
	case <-ctx.Done():
		return material{}, ctx.Err()
	}
	slow := fmt.Errorf("expected an answer within %s, got none", k.options.Timeout)
	bounded, cancel := context.WithTimeoutCause(ctx, k.options.Timeout, slow)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			m, err = material{}, fmt.Errorf("panic: %v", p)
		}
	}()
	m, err = s.fetch(bounded, k.options.Now())
	if err != nil {
		m = material{}
		if context.Cause(bounded) == slow { //nolint:errorlint // the very one
			err = slow
		}
	}
	return m, err
}

// report tells what is new.
func (k *Keeper) report() {
	if k.options.Report == nil {
		return
	}
	var news []Status
	k.mu.Lock()
	now := k.options.Now()
	for _, e := range k.entries {
		if e.done == nil && e.news(now) {
			news = append(news, e.status(now))
		}
	}
	k.mu.Unlock()
	for _, s := range news {
		k.options.Report(s)
	}
}
