package trust_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/internal/trust"
)

// TestVirtualSigstoresMirror follows a mirror over HTTP through its days: another
// implementation of the repository than the one that the other tests forge.
func TestVirtualSigstoresMirror(t *testing.T) {
	repo := testca.NewTUF(t, testca.TUFOptions{})
	repo.Publish(testca.TrustedRootTarget, []byte("first"))
	clock := &clock{now: time.Now()} // the repository's expiry is reckoned from today
	o := trust.Options{
		Now: clock.Now, Transport: http.DefaultTransport, Dir: t.TempDir(),
		PlainHTTP: func(host string) bool { return strings.HasPrefix(host, "127.0.0.1:") },
	}
	k := trust.New(o)
	spec := dialect.TUFSpec{Mirror: repo.URL(), Root: repo.Root()}
	_, _ = k.TrustedRoot(spec)
	days := []struct {
		name   string
		happen func()
		want   string
		fails  bool
	}{
		{"Start", func() {}, "first", false},
		{"Publication", func() { repo.Publish(testca.TrustedRootTarget, []byte("second")) }, "second", false},
		{"Rotation", repo.RotateRoot, "second", false},
		{"Down", func() { repo.Publish(testca.TrustedRootTarget, []byte("third")); repo.FailAll(testca.Broken) }, "second", true},
		{"Up", func() { repo.FailAll(testca.Healthy) }, "third", false},
		{"Rollback", repo.RollBack, "third", true},
		{"Forward", func() {
			repo.Publish(testca.TrustedRootTarget, []byte("x"))
			repo.Publish(testca.TrustedRootTarget, []byte("fourth"))
		}, "fourth", false},
		{"Endless", func() { repo.FailAll(testca.Endless) }, "fourth", true},
		{"Cut", func() { repo.FailAll(testca.Cut) }, "fourth", true},
		{"Changed", func() { repo.FailAll(testca.Changed) }, "fourth", true},
		{"WrongKey", func() { repo.FailAll(testca.Healthy); repo.SignWrongly(testca.RoleTimestamp, true) }, "fourth", true},
		{"RightKey", func() { repo.SignWrongly(testca.RoleTimestamp, false) }, "fourth", false},
		{"Freeze", func() { repo.Expire(testca.RoleTimestamp, clock.Now().Add(-time.Hour)) }, "fourth", true},
		{"Thaw", func() { repo.Expire(testca.RoleTimestamp, clock.Now().Add(30*day)) }, "fourth", false},
		{"Missing", func() { repo.Remove(testca.TrustedRootTarget) }, "fourth", true},
		{"Restored", func() { repo.Publish(testca.TrustedRootTarget, []byte("fifth")) }, "fifth", false},
		{"Usurped", repo.UsurpRoot, "fifth", true},
	}
	for _, d := range days {
		d.happen()
		clock.add(2 * time.Hour)
		k.Fetch(t.Context())
		got, err := k.TrustedRoot(spec)
		if s := k.Status()[0]; string(got) != d.want || (s.Err != nil) != d.fails {
			t.Errorf("%s: TrustedRoot() = %q, %v, the look failed by %v; want %q, failed: %t", d.name, got, err, s.Err, d.want, d.fails)
		}
		offline := o
		offline.Transport = nil
		if got, err := trust.New(offline).TrustedRoot(spec); string(got) != d.want {
			t.Errorf("%s: TrustedRoot() = %q, %v after a restart offline, want %q", d.name, got, err, d.want)
		}
	}
}

// TestR1MirrorThatHangs is given up on.
func TestR1MirrorThatHangs(t *testing.T) {
	repo := testca.NewTUF(t, testca.TUFOptions{TrustedRoot: []byte("root")})
	repo.FailAll(testca.Hanging)
	k := trust.New(trust.Options{
		Now: newClock().Now, Transport: http.DefaultTransport, Timeout: 50 * time.Millisecond, PlainHTTP: func(string) bool { return true },
	})
	spec := dialect.TUFSpec{Mirror: repo.URL(), Root: repo.Root()}
	_, _ = k.TrustedRoot(spec)
	k.Fetch(t.Context())
	if got, err := k.TrustedRoot(spec); got != nil || !strings.Contains(err.Error(), "50ms") {
		t.Errorf("TrustedRoot() = %q, %v, want it given up within the time allowed", got, err)
	}
}
