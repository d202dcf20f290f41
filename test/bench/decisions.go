package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/policy"
)

// rounds is how many times each decision is measured; the median is printed.
const rounds = 7

// decisions measures one decision of each kind, cold and warm.
func decisions(ctx context.Context) error {
	fmt.Printf("one decision; the registry answers each request after %s\n", latency)
	fmt.Printf("%-24s %14s %10s %12s %14s %12s\n", "", "cold requests", "in steps", "cold ms", "warm requests", "warm ms")
	for _, kind := range kinds {
		w, err := newWorld(fixture.Options{Referrers: true, Latency: latency})
		if err != nil {
			return err
		}
		var cold, warm []time.Duration
		var requests, steps, again int
		for i := range rounds {
			ref, err := w.image(ctx, kind, fmt.Sprintf("%s:%d", repository(kind), i))
			if err != nil {
				return err
			}
			e, err := w.engine(nil)
			if err != nil {
				return err
			}
			decide := func() (time.Duration, error) {
				w.registry.Reset()
				began := time.Now()
				d := e.Decide(ctx, request(ref))
				took := time.Since(began)
				if d.Outcome() != wants(kind) {
					return 0, fmt.Errorf("%s: want %s, got %s", kind, wants(kind), d.Outcome())
				}
				return took, nil
			}
			took, err := decide()
			if err != nil {
				return err
			}
			cold = append(cold, took)
			requests, steps = len(w.registry.Requests()), fixture.Steps(w.registry.Requests())
			if took, err = decide(); err != nil {
				return err
			}
			warm = append(warm, took)
			again = len(w.registry.Requests())
		}
		w.registry.Close()
		fmt.Printf("%-24s %14d %10d %12s %14d %12s\n", kind, requests, steps, ms(median(cold)), again, ms(median(warm)))
	}
	return nil
}

// burst asks for one new image 500 times at once.
func burst(ctx context.Context) error {
	const callers = 500
	w, err := newWorld(fixture.Options{Referrers: true, Latency: latency})
	if err != nil {
		return err
	}
	defer w.registry.Close()
	ref, err := w.image(ctx, "cosign by tag", "acme/app:burst")
	if err != nil {
		return err
	}
	seen := counter{verified: make(chan struct{}, callers*2)}
	e, err := w.engine(seen)
	if err != nil {
		return err
	}
	w.registry.Reset()
	var running sync.WaitGroup
	wrong := make(chan policy.Outcome, callers)
	began := time.Now()
	for range callers {
		running.Go(func() {
			if d := e.Decide(ctx, request(ref)); d.Outcome() != policy.Allowed {
				wrong <- d.Outcome()
			}
		})
	}
	running.Wait()
	took := time.Since(began)
	if len(wrong) > 0 {
		return fmt.Errorf("burst: %d callers were not allowed", len(wrong))
	}
	fmt.Printf("%d callers ask for one new image at once: %d registry requests, %d verifications (one a signer), all answered after %s ms\n",
		callers, len(w.registry.Requests()), len(seen.verified), ms(took))
	return nil
}
