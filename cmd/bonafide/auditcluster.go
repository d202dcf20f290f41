package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/internal/kube"
	"github.com/bonafide-dev/bonafide/internal/kube/policies"
	"github.com/bonafide-dev/bonafide/internal/policyset"
)

// clusterTimeout bounds how long a command waits for all policies of a cluster:
// a watch that may not be made is tried again for ever.
const clusterTimeout = 30 * time.Second

// clusterSet reads what the cluster's objects say now.
func clusterSet(ctx context.Context, client *kube.Client, options policyset.Options) (policies.Set, error) {
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	var first *policies.Set
	source, err := policies.New(policies.Options{
		Client: client, Dialects: options.Dialects, Revision: func() uint64 { return 0 }, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Changed: func(s policies.Set) {
			if first == nil {
				first = &s
				cancel()
			}
		},
	})
	if err != nil {
		return policies.Set{}, err
	}
	if err := source.Run(ctx); err != nil {
		return policies.Set{}, err
	}
	switch {
	case first != nil:
		return *first, nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err := fmt.Errorf("expected the policies of the cluster within %v, got no answer or too few of them", clusterTimeout)
		return policies.Set{}, hintError{err, "check that the API server can be reached, and that you may list and watch policies, namespaces and custom resource definitions"}
	}
	return policies.Set{}, ctx.Err()
}

// clusterRules are the rules of the cluster, with a note on each that is not in
// force as it is written.
func clusterRules(ctx context.Context, client *kube.Client, options policyset.Options) (engine.Rules, []string, error) {
	set, err := clusterSet(ctx, client, options)
	if err != nil {
		return engine.Rules{}, nil, err
	}
	var notes []string
	for _, r := range set.Results {
		if !r.Ready {
			notes = append(notes, fmt.Sprintf("%s is not ready: %s: %s", r, r.Reason, r.Message))
		}
	}
	return engine.Rules{Policies: set.Policies, Exceptions: set.Exceptions, Denials: set.Denials}, notes, nil
}
