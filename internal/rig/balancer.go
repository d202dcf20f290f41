package rig

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// A Balancer is one address before several replicas, as a Service is: it passes
// connections on, each to the next replica that takes it. What has been sent to
// a replica is never sent to another.
type Balancer struct {
	URL string // https, at loopback

	mu       sync.Mutex
	replicas []string // host:port
	next     atomic.Uint64
	refused  atomic.Int64
}

// StartBalancer listens until tb ends. It has no replicas yet.
func StartBalancer(tb testing.TB) *Balancer {
	tb.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(tb.Context(), "tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		tb.Fatal(err)
	}
	b := &Balancer{URL: "https://" + listener.Addr().String()}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { b.pass(ctx, connection) })
		}
	})
	tb.Cleanup(func() {
		cancel()
		_ = listener.Close() // Accept then ends
		running.Wait()
	})
	return b
}

// Use sets the replicas, by URL.
func (b *Balancer) Use(replicas ...*Bonafide) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.replicas = nil
	for _, r := range replicas {
		b.replicas = append(b.replicas, r.URL[len("https://"):])
	}
}

// Refused is how many connections no replica took.
func (b *Balancer) Refused() int64 { return b.refused.Load() }

func (b *Balancer) pass(ctx context.Context, from net.Conn) {
	defer func() { _ = from.Close() }() // it has nothing more to say
	to := b.dial(ctx)
	if to == nil {
		b.refused.Add(1)
		return
	}
	defer func() { _ = to.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = from.Close(); _ = to.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(to, from); _ = to.Close() })
	both.Go(func() { _, _ = io.Copy(from, to); _ = from.Close() })
	both.Wait()
}

func (b *Balancer) dial(ctx context.Context) net.Conn {
	b.mu.Lock()
	replicas := b.replicas
	b.mu.Unlock()
	first := b.next.Add(1)
	for i := range replicas {
		address := replicas[(first+uint64(i))%uint64(len(replicas))]
		connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return connection
		}
	}
	return nil
}
