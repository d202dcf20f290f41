package engine_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

func TestWarmDecisionAsksNothing(t *testing.T) {
	h := newHarness(t, engine.Options{}, enforce(t, &signer{name: "release"}))
	h.registry.sign(t, "reg.test/app", h.registry.push(t, "reg.test/app:1", "a"), "release")
	h.ask(t.Context(), "reg.test/app:1")
	before := h.registry.count("")
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
		t.Fatalf("want allowed, got %s", d.Outcome)
	}
	if n := h.registry.count("") - before; n != 0 {
		t.Errorf("registry requests of a warm decision: want 0, got %d", n)
	}
}

func TestOneVerificationForABurst(t *testing.T) {
	var verified atomic.Int64
	gate := make(chan struct{})
	h := newHarness(t, engine.Options{}, enforce(t, &signer{name: "release", verified: func() { verified.Add(1) }}))
	h.registry.sign(t, "reg.test/app", h.registry.push(t, "reg.test/app:1", "a"), "release")
	h.registry.setFault(func(context.Context, string) error { <-gate; return nil })
	var asking, done sync.WaitGroup
	for range 500 {
		asking.Add(1)
		done.Go(func() {
			asking.Done()
			if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
				t.Errorf("want allowed, got %s", d.Outcome)
			}
		})
	}
	asking.Wait()
	close(gate)
	done.Wait()
	if n := verified.Load(); n != 1 {
		t.Errorf("verifications of 500 requests: want 1, got %d", n)
	}
	if n := h.registry.count(""); n > 4 {
		t.Errorf("registry requests of 500 requests: want at most 4, got %d", n)
	}
}

func TestR34AnotherSignerNeedsAnotherProof(t *testing.T) {
	h := newHarness(t, engine.Options{}, enforce(t, &signer{name: "old"}))
	h.registry.sign(t, "reg.test/app", h.registry.push(t, "reg.test/app:1", "a"), "old")
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
		t.Fatalf("want allowed, got %s", d.Outcome)
	}
	h.Swap(engine.NewSnapshot([]policy.Policy{enforce(t, &signer{name: "new"})}))
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Denied {
		t.Errorf("after the key was replaced: want denied, got %s", d.Outcome)
	}
}

func TestR34RepositoryIsPartOfAScopedProof(t *testing.T) {
	scoped := &signer{name: "release", perRepository: true}
	h := newHarness(t, engine.Options{}, enforce(t, scoped))
	digest := h.registry.push(t, "reg.test/a:1", "same")
	h.registry.push(t, "reg.test/b:1", "same")
	h.registry.sign(t, "reg.test/a", digest, "release")
	if d := h.ask(t.Context(), "reg.test/a:1"); d.Outcome != policy.Allowed {
		t.Fatalf("want allowed, got %s", d.Outcome)
	}
	if d := h.ask(t.Context(), "reg.test/b:1"); d.Outcome != policy.Denied {
		t.Errorf("another repository under a signer that looks at it: want denied, got %s", d.Outcome)
	}
}

func TestR35ProofsExpire(t *testing.T) {
	cases := map[string]struct {
		reason   string
		expires  time.Duration // of the proof itself; 0: never
		advance  time.Duration
		remember policy.OnUndecided
		want     policy.Outcome
	}{
		"WithinTTL":             {"the registry is down and the proof lives", 0, 29 * time.Minute, policy.DenyUndecided, policy.Allowed},
		"PastTTL":               {"past its life the proof is none", 0, 31 * time.Minute, policy.DenyUndecided, policy.Undecided},
		"PastOwnExpiry":         {"a proof ends with its signature", 5 * time.Minute, 6 * time.Minute, policy.DenyUndecided, policy.Undecided},
		"ProvenBefore":          {"within a day, for a policy that says so", 0, 23 * time.Hour, policy.AllowIfProvenBefore, policy.Allowed},
		"ProvenTooLongAgo":      {"not after a day", 0, 25 * time.Hour, policy.AllowIfProvenBefore, policy.Undecided},
		"ProvenBeforeButEnded":  {"never past the signature's own expiry", 2 * time.Hour, 3 * time.Hour, policy.AllowIfProvenBefore, policy.Undecided},
		"ProvenBeforeOtherMode": {"Allow does not read old proofs", 0, 2 * time.Hour, policy.AllowUndecidedUnsafe, policy.Undecided},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := &signer{name: "release"}
			p := enforce(t, s)
			p.OnUndecided = c.remember
			h := newHarness(t, engine.Options{}, p)
			if c.expires > 0 {
				s.expires = h.clock.Now().Add(c.expires)
			}
			digest := h.registry.push(t, "reg.test/app:1", "a")
			h.registry.sign(t, "reg.test/app", digest, "release")
			ref := "reg.test/app@" + digest.String()
			if d := h.ask(t.Context(), ref); d.Outcome != policy.Allowed {
				t.Fatalf("want allowed, got %s", d.Outcome)
			}
			h.clock.advance(c.advance)
			h.registry.setFault(func(context.Context, string) error {
				return &evidence.Problem{Reason: evidence.RegistryUnreachable, Host: "reg.test"}
			})
			d := h.ask(t.Context(), ref)
			if d.Outcome != c.want {
				t.Errorf("%s: want %s, got %s", c.reason, c.want, d.Outcome)
			}
		})
	}
}

func TestR35WhatIsNoLongerProvenIsForgotten(t *testing.T) {
	s := &signer{name: "release"}
	p := enforce(t, s)
	p.OnUndecided = policy.AllowIfProvenBefore
	h := newHarness(t, engine.Options{}, p)
	digest := h.registry.push(t, "reg.test/app:1", "a")
	h.registry.sign(t, "reg.test/app", digest, "release")
	ref := "reg.test/app@" + digest.String()
	h.ask(t.Context(), ref)
	h.clock.advance(time.Hour)
	s.err = &evidence.Problem{Reason: evidence.CertificateRevoked}
	if d := h.ask(t.Context(), ref); d.Outcome != policy.Denied {
		t.Fatalf("revoked: want denied, got %s", d.Outcome)
	}
	s.err = nil
	h.clock.advance(time.Minute)
	h.registry.setFault(func(context.Context, string) error {
		return &evidence.Problem{Reason: evidence.RegistryUnreachable, Host: "reg.test"}
	})
	if d := h.ask(t.Context(), ref); d.Outcome != policy.Undecided {
		t.Errorf("proven before, then revoked, now down: want undecided, got %s", d.Outcome)
	}
}

func TestR36TagsAndListsAreKeptPerCredential(t *testing.T) {
	h := newHarness(t, engine.Options{}, enforce(t, &signer{name: "release"}))
	h.registry.identity = func(p evidence.Puller) string { return p.Namespace }
	h.registry.push(t, "reg.test/app:1", "a") // unsigned: a negative
	for _, namespace := range []string{"a", "b", "a", "b"} {
		r := request("reg.test/app:1")
		r.Puller.Namespace = namespace
		if o := h.Decide(t.Context(), r).Outcome(); o != policy.Denied {
			t.Fatalf("want denied, got %s", o)
		}
	}
	if n := h.registry.count("manifest reg.test/app:1"); n != 2 {
		t.Errorf("resolves by two credentials, twice each: want 2, got %d", n)
	}
	if n := h.registry.count("referrers"); n != 2 {
		t.Errorf("referrer lists by two credentials, twice each: want 2, got %d", n)
	}
}

func TestR37UndecidedIsNeverRemembered(t *testing.T) {
	h := newHarness(t, engine.Options{}, enforce(t, &signer{name: "release"}))
	h.registry.sign(t, "reg.test/app", h.registry.push(t, "reg.test/app:1", "a"), "release")
	h.registry.setFault(func(_ context.Context, what string) error {
		return &evidence.Problem{Reason: evidence.RegistryUnavailable, Host: "reg.test"}
	})
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Undecided {
		t.Fatalf("want undecided, got %s", d.Outcome)
	}
	h.registry.setFault(nil)
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
		t.Errorf("once the registry is back: want allowed, got %s", d.Outcome)
	}
}

func TestR37NegativesLiveForSeconds(t *testing.T) {
	h := newHarness(t, engine.Options{}, enforce(t, &signer{name: "release"}))
	digest := h.registry.push(t, "reg.test/app:1", "a")
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Denied {
		t.Fatalf("want denied, got %s", d.Outcome)
	}
	h.registry.sign(t, "reg.test/app", digest, "release")
	h.clock.advance(11 * time.Second)
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
		t.Errorf("signed in the meantime: want allowed, got %s", d.Outcome)
	}
}

func TestR38OneCallerDoesNotEndTheFlightOfOthers(t *testing.T) {
	h := newHarness(t, engine.Options{}, enforce(t, &signer{name: "release"}))
	h.registry.sign(t, "reg.test/app", h.registry.push(t, "reg.test/app:1", "a"), "release")
	arrived, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	h.registry.setFault(func(ctx context.Context, _ string) error {
		once.Do(func() { close(arrived) })
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	first, giveUp := context.WithCancel(t.Context())
	impatient, patient := make(chan policy.Outcome, 1), make(chan policy.Outcome, 1)
	go func() { impatient <- h.ask(first, "reg.test/app:1").Outcome }()
	<-arrived
	boarded := make(chan struct{})
	go func() { close(boarded); patient <- h.ask(t.Context(), "reg.test/app:1").Outcome }()
	<-boarded
	giveUp()
	if got := <-impatient; got != policy.Undecided {
		t.Errorf("the caller that gave up: want undecided, got %s", got)
	}
	close(gate)
	if got := <-patient; got != policy.Allowed {
		t.Errorf("the caller that waited: want allowed, got %s", got)
	}
}

func TestR1MemoryIsBounded(t *testing.T) {
	h := newHarness(t, engine.Options{}, enforce(t, &signer{name: "release"}))
	for i := range 2000 {
		h.ask(t.Context(), fmt.Sprintf("reg.test/app:%d", i))
	}
	// Every image above is absent: nothing may be remembered of it, and a later
	// push is seen at once.
	h.registry.sign(t, "reg.test/app", h.registry.push(t, "reg.test/app:7", "a"), "release")
	if d := h.ask(t.Context(), "reg.test/app:7"); d.Outcome != policy.Allowed {
		t.Errorf("want allowed, got %s", d.Outcome)
	}
}

func BenchmarkWarmDecision(b *testing.B) {
	h := newHarness(b, engine.Options{}, enforce(b, &signer{name: "release"}))
	h.registry.sign(b, "reg.test/app", h.registry.push(b, "reg.test/app:1", "a"), "release")
	h.ask(b.Context(), "reg.test/app:1")
	b.ReportAllocs()
	for b.Loop() {
		if d := h.ask(b.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
			b.Fatal(d.Outcome)
		}
	}
}
