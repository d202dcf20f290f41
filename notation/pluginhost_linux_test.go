package notation_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/notation"
)

// listen returns where plugins report to, and their connections.
func listen(t *testing.T) (address string, connections <-chan net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, l, err)
	t.Cleanup(func() { l.Close() })
	accepted := make(chan net.Conn, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	}()
	return l.Addr().String(), accepted
}

// gone waits for the other end to be dead.
func gone(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("want the process to be gone, got %v", err)
	}
}

// noChildren fails the test if a process of ours is left, dead or alive.
func noChildren(t *testing.T) {
	t.Helper()
	if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); !errors.Is(err, syscall.ECHILD) {
		t.Errorf("want no child, got %d and %v", pid, err)
	}
}

func TestR30HangingPluginIsKilledWithItsChildren(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	for name, tc := range map[string]struct {
		ends func(i installation, ctx context.Context) (context.Context, context.CancelFunc)
		want evidence.Reason
	}{
		"Timeout": {
			ends: func(i installation, ctx context.Context) (context.Context, context.CancelFunc) {
				i.host.SetTimeout(2 * time.Second)
				return context.WithCancel(ctx)
			},
			want: evidence.PluginFailed,
		},
		"Deadline": {
			ends: func(_ installation, ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, 2*time.Second)
			},
			want: evidence.DeadlineExceeded,
		},
	} {
		t.Run(name, func(t *testing.T) {
			address, connections := listen(t)
			i := install(t).with("mode", "Hang", "dial", address)
			it := item(t, image("content"), p.leaf, fixture.NotationOptions{Attributes: callsFor("acme")})
			ctx, cancel := tc.ends(i, t.Context())
			defer cancel()
			if got := verdictOf(ctx, newSigner(t, i.allowed(p)), it); got != tc.want {
				t.Errorf("want %q, got %q", tc.want, got)
			}
			for range 2 { // the plugin and its child
				gone(t, <-connections)
			}
			noChildren(t)
		})
	}
}

func TestR30CancelledCallerKillsThePlugin(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	address, connections := listen(t)
	i := install(t).with("mode", "Hang", "dial", address)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := make(chan evidence.Reason)
	s, it := newSigner(t, i.allowed(p)), item(t, image("content"), p.leaf, fixture.NotationOptions{Attributes: callsFor("acme")})
	go func() { got <- verdictOf(ctx, s, it) }()
	first, second := <-connections, <-connections
	cancel()
	if r := <-got; r != evidence.Cancelled {
		t.Errorf("want Cancelled, got %q", r)
	}
	gone(t, first)
	gone(t, second)
	noChildren(t)
}

// TestR30ChildIsNotLeftBehind: a plugin that answers and leaves a process with
// its streams neither keeps us waiting nor gets away with it.
func TestR30ChildIsNotLeftBehind(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	address, connections := listen(t)
	i := install(t).with("mode", "LeaveChild", "dial", address)
	it := item(t, image("content"), p.leaf, fixture.NotationOptions{Attributes: callsFor("acme")})
	verified(t, newSigner(t, i.allowed(p)), image("content"), it, "")
	noChildren(t)
	select { // it may have been killed before it could report
	case c := <-connections:
		gone(t, c)
	default:
	}
}

func TestR30PoolIsBounded(t *testing.T) {
	const places = 4
	p := newPKI(t, fixture.CertificateOptions{})
	address, connections := listen(t)
	hanging := install(t).with("mode", "Hang", "dial", address)
	it := item(t, image("content"), p.leaf, fixture.NotationOptions{Attributes: callsFor("acme")})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan evidence.Reason)
	s := newSigner(t, hanging.allowed(p))
	for range places {
		go func() { done <- verdictOf(ctx, s, it) }()
	}
	var held []net.Conn    // one that nobody held would be collected, and its end would end the plugin
	for range 2 * places { // each with its child
		held = append(held, <-connections)
	}

	quick := hanging.with()
	quick.record = filepath.Join(t.TempDir(), "record")
	quick = quick.with()
	late, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	if got := verdictOf(late, newSigner(t, quick.allowed(p)), it); got != evidence.DeadlineExceeded {
		t.Errorf("want one more to wait for a place, got %q", got)
	}
	if runs := quick.runs(t); len(runs) > 0 {
		t.Errorf("want one more not to run, got %v", runs)
	}
	cancel()
	for range places {
		<-done
	}
	for _, c := range held {
		gone(t, c)
	}
	verified(t, newSigner(t, quick.allowed(p)), image("content"), it, "")
	noChildren(t)
}

// TestR30WhatWasHashedRuns: neither the installed file nor the copy can be
// changed under a plugin's feet.
func TestR30WhatWasHashedRuns(t *testing.T) {
	i := install(t)
	program, err := i.host.Load(i.plugin)
	must(t, program, err)
	defer program.Close()
	installed := filepath.Join(i.dir, "acme", "notation-acme")
	if err := errors.Join(os.Chmod(installed, 0o700), os.WriteFile(installed, []byte("other"), 0o700)); err != nil {
		t.Fatal(err)
	}
	var start [4]byte
	if _, err := program.ReadAt(start[:], 0); err != nil || string(start[:]) != "\x7fELF" {
		t.Errorf("want the copy to be what was installed, got %q and %v", start, err)
	}
	if _, err := program.WriteAt([]byte("x"), 0); !errors.Is(err, syscall.EPERM) {
		t.Errorf("want the copy to be sealed, got %v", err)
	}
	if err := program.Truncate(0); !errors.Is(err, syscall.EPERM) {
		t.Errorf("want the copy to be sealed, got %v", err)
	}
	if _, err := i.host.Load(notation.Plugin{Name: "acme", SHA256: i.plugin.SHA256}); err == nil {
		t.Error("want the changed file to be refused")
	}
}

// TestR30NamedPipeDoesNotWait: a pipe in a program's place has no writer.
func TestR30NamedPipeDoesNotWait(t *testing.T) {
	i := install(t)
	installed := filepath.Join(i.dir, "acme", "notation-acme")
	if err := errors.Join(os.Remove(installed), syscall.Mkfifo(installed, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err := i.host.Load(i.plugin); err == nil {
		t.Error("want a pipe to be refused")
	}
}
