package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/internal/kube/policies"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/policy"
)

// rules are what is decided by: from files and from the cluster together.
type rules struct {
	mu      sync.Mutex
	files   policyset.Set
	cluster policies.Set
	awaited bool // the cluster's, which have not come yet: nothing is decided (TRUST R18)
}

// all returns them; false if some have not come yet.
func (r *rules) all() (engine.Rules, bool) {
	return engine.Rules{
		Policies:   slices.Concat(r.files.Policies, r.cluster.Policies),
		Exceptions: slices.Concat(r.files.Exceptions, r.cluster.Exceptions),
		Denials:    slices.Concat(r.files.Denials, r.cluster.Denials),
	}, !r.awaited
}

// objects are the Secrets and ConfigMaps of the files.
func (r *rules) objects() dialect.Objects {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.files.Objects
}

// filesChanged takes over the files' policies, if they load.
func (v *service) filesChanged(ctx context.Context, set policyset.Set, err error) {
	if err != nil {
		v.metrics.PoliciesFailed()
		v.log.ErrorContext(ctx, "policies do not load; the last good ones stay", slog.String("error", err.Error()))
		return
	}
	v.rules.mu.Lock()
	v.rules.files = set
	v.rules.mu.Unlock()
	v.adopt(ctx)
}

// clusterChanged takes over the cluster's policies.
func (v *service) clusterChanged(ctx context.Context, set policies.Set) {
	v.rules.mu.Lock()
	v.rules.cluster, v.rules.awaited = set, false
	v.rules.mu.Unlock()
	v.reportReadiness(ctx, set.Results)
	v.adopt(ctx)
	v.cluster.settling.Do(func() { close(v.cluster.settled) })
}

// reportReadiness says which objects are not in force as they are written.
func (v *service) reportReadiness(ctx context.Context, results []policies.Result) {
	type count struct{ ready, not int }
	counts := map[string]count{}
	for _, r := range results {
		c := counts[r.Kind]
		if r.Ready {
			c.ready++
		} else {
			c.not++
			v.log.WarnContext(ctx, "not ready", slog.String("object", r.String()), slog.String("reason", r.Reason), slog.String("message", r.Message))
		}
		counts[r.Kind] = c
	}
	for kind, c := range counts {
		v.metrics.PolicyReady(kind, c.ready, c.not)
	}
}

// adopt makes the rules the ones that are decided by.
func (v *service) adopt(ctx context.Context) {
	v.rules.mu.Lock()
	defer v.rules.mu.Unlock()
	all, complete := v.rules.all()
	if !complete {
		return
	}
	v.engine.Swap(engine.NewSnapshotOf(all))
	v.trust.Sweep()
	v.metrics.PoliciesLoaded(all.Policies, time.Now())
	v.log.InfoContext(ctx, "policies loaded", slog.Int("policies", len(all.Policies)), slog.Int("exceptions", len(all.Exceptions)), slog.Int("denyLists", len(all.Denials)))
	for _, p := range all.Policies {
		v.reportNotes(ctx, p)
	}
}

// reportNotes says where a policy is weakened (TRUST R19).
func (v *service) reportNotes(ctx context.Context, p policy.Policy) {
	for _, n := range p.Notes {
		if n.Weakening {
			v.log.WarnContext(ctx, "policy is weakened", slog.String("policy", p.Origin.String()), slog.String("field", n.Path), slog.String("note", n.Text))
		}
	}
}

// pullSecret finds pull secrets among the documents of --policy, and then in
// the cluster.
func (v *service) pullSecret(ctx context.Context, namespace, name string) ([]byte, error) {
	if v.rules == nil {
		return nil, nil
	}
	objects := v.rules.objects()
	secret, err := objects.Secret(namespace, name)
	switch {
	case errors.Is(err, dialect.ErrNoMaterial) && v.cluster != nil:
		return v.cluster.credentials.PullSecret(ctx, namespace, name)
	case errors.Is(err, dialect.ErrNoMaterial):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if config := secret.Data[".dockerconfigjson"]; config != nil {
		return config, nil
	}
	return secret.Data[".dockercfg"], nil
}
