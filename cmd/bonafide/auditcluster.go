package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/internal/kube"
	"github.com/bonafide-dev/bonafide/internal/kube/policies"
	"github.com/bonafide-dev/bonafide/internal/policyset"
)

const (
	// clusterTimeout bounds how long a command waits for all policies of a cluster:
	// a watch that may not be made is tried again for ever.
	clusterTimeout = 30 * time.Second
	// refusedTimeout bounds how long it waits where the API server refuses some of
	// them.
	refusedTimeout = 5 * time.Second
	// healthTick is how often it looks whether that is so.
	healthTick = 500 * time.Millisecond
	// greetTimeout bounds the first question to the API server.
	greetTimeout = 10 * time.Second
)

// greet asks the API server whether it is there, and for whom it takes us.
// Another fault than these two is met again by what follows.
func greet(ctx context.Context, client *kube.Client) error {
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	_, err := client.Typed.Discovery().RESTClient().Get().AbsPath("/version").DoRaw(ctx)
	var status apierrors.APIStatus
	switch {
	case err == nil:
		return nil
	case apierrors.IsUnauthorized(err):
		return hintError{fmt.Errorf("reach the API server: %w", err), "log in again: the API server does not accept the kubeconfig's credentials"}
	case !errors.As(err, &status): // nobody has answered as an API server does
		return hintError{fmt.Errorf("reach the API server: %w", err), "check that the cluster of the kubeconfig's context can be reached from here; --context names another"}
	}
	return nil
}

// clusterSet reads what the cluster's objects say now.
func clusterSet(ctx context.Context, client *kube.Client, options policyset.Options) (policies.Set, error) {
	reading, cancel := context.WithTimeout(ctx, clusterTimeout)
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
	watched := make(chan []policies.Unreadable, 1)
	go func() {
		watched <- refused(reading, source)
		cancel()
	}()
	if err := source.Run(reading); err != nil {
		return policies.Set{}, err
	}
	cancel()
	unreadable := <-watched
	switch {
	case first != nil:
		return *first, nil
	case ctx.Err() != nil:
		return policies.Set{}, context.Cause(ctx)
	case len(unreadable) > 0:
		return policies.Set{}, hintError{unreadableError(unreadable), "ask for the rights to list and watch policies, namespaces and custom resource definitions"}
	}
	err = fmt.Errorf("expected the policies of the cluster within %v, got no answer or too few of them", clusterTimeout)
	return policies.Set{}, hintError{err, "check that the API server can be reached, and that you may list and watch policies, namespaces and custom resource definitions"}
}

// refused waits until ctx ends or the API server has refused something for some
// time, and returns what.
func refused(ctx context.Context, source *policies.Source) []policies.Unreadable {
	ticker := time.NewTicker(healthTick)
	defer ticker.Stop()
	var found []policies.Unreadable
	for since := time.Duration(0); since < refusedTimeout; since += healthTick {
		select {
		case <-ctx.Done():
			return found
		case <-ticker.C:
		}
		if found = source.Health().Unreadable; len(found) == 0 {
			since = 0
		}
	}
	return found
}

// unreadableError says what of the cluster's policies cannot be read: in full of
// the first kind, as the others lack the same as a rule.
type unreadableError []policies.Unreadable

func (e unreadableError) Error() string {
	said := "the policies of the cluster cannot be read: " + e[0].Message
	if more := len(e) - 1; more > 0 {
		said += " (and so for " + plural(more, "other kind", "other kinds") + ")"
	}
	return said
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
