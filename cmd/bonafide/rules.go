package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/internal/kube/policies"
	"github.com/bonafide-dev/bonafide/internal/policyset"
)

// rules are what is decided by: from files and from the cluster together.
type rules struct {
	mu      sync.Mutex
	files   policyset.Set
	cluster policies.Set
	awaited bool // the cluster's, which have not come yet: nothing is decided (TRUST R18)
}

// all returns them; false if some have not come yet. The caller holds mu.
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
	v.notices.ready(ctx, set.Results)
	v.adopt(ctx)
	v.cluster.settling.Do(func() { close(v.cluster.settled) })
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
	v.notices.weakened(ctx, all.Policies)
	if v.cluster != nil {
		select {
		case v.cluster.ruled <- struct{}{}:
		default: // a sweep is due anyway
		}
	}
}

// ready returns why nothing can be decided yet; nil once something can.
func (v *service) ready() error {
	if v.engine.Snapshot() != nil {
		return nil
	}
	if v.cluster != nil {
		for _, u := range v.cluster.policies.Health().Unreadable {
			return fmt.Errorf("no policies are loaded yet: %s: %s", u.Resource, u.Message)
		}
	}
	return errors.New("no policies are loaded yet")
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
