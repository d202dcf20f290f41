package rig

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
	"time"
)

// The bounds of a child's start. The API server needs 8 s alone on two cores;
// a loaded machine gets a multiple of that.
const (
	startTimeout = 3 * time.Minute
	pollInterval = 50 * time.Millisecond
	startTries   = 4 // another process may take the port first
)

// errExited says that a child ended before it was ready.
var errExited = errors.New("ended before it was ready")

// Poll calls condition until it returns nil, and then returns nil. It gives up
// when ctx ends, with the last error of the condition.
func Poll(ctx context.Context, condition func(context.Context) error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	var last error
	for {
		err := condition(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil { // not the end of ctx itself, which says nothing
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w, while waiting: %w", context.Cause(ctx), last)
		case <-ticker.C:
		}
	}
}

// Eventually waits until the condition returns nil, and fails tb with its last
// error after two minutes.
func Eventually(tb testing.TB, what string, condition func(context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), takeUpTimeout)
	defer cancel()
	if err := Poll(ctx, condition); err != nil {
		tb.Fatalf("%s: %v", what, err)
	}
}

// ready waits until condition holds for the child.
func (p *process) ready(ctx context.Context, condition func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("%s is not ready after %s", p.name, startTimeout))
	defer cancel()
	go func() {
		select {
		case <-p.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := Poll(ctx, condition)
	if err == nil {
		return nil
	}
	select {
	case <-p.done:
		return fmt.Errorf("%s %w: %w\n%s", p.name, errExited, p.err, p.tail())
	default:
	}
	return fmt.Errorf("%s: %w\n%s", p.name, err, p.tail())
}

// onFreePort calls start with a free loopback port until it succeeds or fails
// for another reason than that the child ended, as it does when the port was
// taken in between.
func onFreePort(ctx context.Context, start func(port int) error) error {
	var last error
	for range startTries {
		port, err := freePort(ctx)
		if err != nil {
			return err
		}
		if last = start(port); !errors.Is(last, errExited) {
			return last
		}
	}
	return last
}

// freePort picks a port below the kernel's ephemeral range, so that neither an
// outgoing connection nor a listener on port 0 takes it before the child does.
func freePort(ctx context.Context) (int, error) {
	const first, last, tries = 20000, 29999, 100
	var lastErr error
	for range tries {
		port := first + rand.IntN(last-first+1) // #nosec G404 -- a port need not be unpredictable
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
		if err != nil {
			lastErr = err
			continue
		}
		return port, listener.Close()
	}
	return 0, fmt.Errorf("find a free port between %d and %d: %w", first, last, lastErr)
}

const loopback = "127.0.0.1"

func addressOf(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }
