package main

import (
	"context"
	"log/slog"
	"sync"

	"github.com/bonafide-dev/bonafide/internal/kube/policies"
	"github.com/bonafide-dev/bonafide/policy"
)

// readiness is told how many objects of each kind are in force.
type readiness interface {
	PolicyReady(kind string, ready, notReady int)
}

// notices says once what is wrong with policies, and again when it is another
// thing: every change of any policy brings all of them. It is safe for concurrent
// use.
type notices struct {
	log     *slog.Logger
	metrics readiness

	mu    sync.Mutex
	not   map[string]string // the objects that are not ready, and why
	kinds map[string]bool   // that were counted last
	weak  map[weakness]bool
}

// weakness is where a policy asks for less.
type weakness struct{ policy, field, note string }

func newNotices(log *slog.Logger, metrics readiness) *notices {
	return &notices{log: log, metrics: metrics}
}

// ready says which objects are not in force as they are written, and which are
// so again, and counts them by kind. A kind that has lost its last object counts
// none.
func (n *notices) ready(ctx context.Context, results []policies.Result) {
	type count struct{ ready, not int }
	counts := map[string]count{}
	not := map[string]string{}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range results {
		c := counts[r.Kind]
		name, why := r.String(), r.Reason+": "+r.Message
		before, was := n.not[name]
		if r.Ready {
			c.ready++
			if was {
				n.log.InfoContext(ctx, "ready again", slog.String("object", name))
			}
		} else {
			c.not++
			not[name] = why
			if before != why {
				n.log.WarnContext(ctx, "not ready", slog.String("object", name), slog.String("reason", r.Reason), slog.String("message", r.Message))
			}
		}
		counts[r.Kind] = c
	}
	n.not = not
	for kind := range n.kinds {
		if _, has := counts[kind]; !has {
			n.metrics.PolicyReady(kind, 0, 0)
		}
	}
	n.kinds = map[string]bool{}
	for kind, c := range counts {
		n.kinds[kind] = true
		n.metrics.PolicyReady(kind, c.ready, c.not)
	}
}

// weakened says where policies are weakened (TRUST R19), each once for as long as
// it is so.
func (n *notices) weakened(ctx context.Context, all []policy.Policy) {
	weak := map[weakness]bool{}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range all {
		for _, note := range p.Notes {
			w := weakness{p.Origin.String(), note.Path, note.Text}
			if !note.Weakening || weak[w] {
				continue
			}
			weak[w] = true
			if !n.weak[w] {
				n.log.WarnContext(ctx, "policy is weakened", slog.String("policy", w.policy), slog.String("field", w.field), slog.String("note", w.note))
			}
		}
	}
	n.weak = weak
}
