package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	admission "k8s.io/api/admissionregistration/v1"

	"github.com/bonafide-dev/bonafide/internal/kube/leader"
	"github.com/bonafide-dev/bonafide/internal/kube/registration"
)

// How often certificates and registrations are looked at without a notice, and
// how often the metrics are told about the policies.
const (
	upkeep               = time.Minute
	registrationInterval = 10 * time.Second
	healthInterval       = time.Second
)

const (
	// auditPause is between a change of rules and the sweep that shows what came of
	// it: changes come together, and a sweep decides about everything that runs.
	auditPause = 30 * time.Second
	// auditShare is how many times as long as the last sweep that pause is at least:
	// whoever keeps changing a policy of their own has the registries asked a tenth
	// of the time at most.
	auditShare = 9
)

// work follows the cluster until ctx ends.
func (v *service) work(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { v.cluster.events.Run(ctx) })
	running.Go(func() {
		if err := v.cluster.policies.Run(ctx); err != nil && ctx.Err() == nil {
			v.log.ErrorContext(ctx, "policies of the cluster are not followed any more", slog.String("error", err.Error()))
		}
	})
	if v.cluster.certificates != nil {
		running.Go(func() { v.keepCertificate(ctx) })
	}
	running.Go(func() { v.warm(ctx) })
	running.Go(func() { v.reportHealth(ctx) })
	err := leader.Run(ctx, leader.Options{
		Client: v.cluster.client, Namespace: v.options.namespace(), Identity: v.cluster.identity, Log: v.log, Lead: v.lead,
	})
	if err != nil && ctx.Err() == nil {
		v.log.ErrorContext(ctx, "this replica cannot lead", slog.String("error", err.Error()))
	}
}

// keepCertificate follows the certificate that the replicas share.
func (v *service) keepCertificate(ctx context.Context) {
	ticker := time.NewTicker(upkeep)
	defer ticker.Stop()
	v.cluster.certificates.Run(ctx, ticker.C)
}

// reportHealth tells the metrics how far the cluster's policies are known.
func (v *service) reportHealth(ctx context.Context) {
	ticker := time.NewTicker(healthInterval)
	defer ticker.Stop()
	for {
		health := v.cluster.policies.Health()
		unreadable := make([]string, 0, len(health.Unreadable))
		for _, u := range health.Unreadable {
			unreadable = append(unreadable, u.Resource)
		}
		v.metrics.PoliciesSynced(health.Synced, unreadable)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// warm proves, before anybody asks, what already runs.
func (v *service) warm(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-v.cluster.settled:
	}
	warmed, err := v.cluster.auditor.Warm(ctx)
	if err != nil {
		if ctx.Err() == nil {
			v.log.WarnContext(ctx, "proofs were not warmed", slog.String("error", err.Error()))
		}
		return
	}
	v.log.InfoContext(ctx, "proofs are warm", slog.Any("warmed", warmed))
}

// lead is what one replica does for all: it registers the webhooks, writes
// statuses, and audits.
func (v *service) lead(ctx context.Context) {
	v.log.InfoContext(ctx, "this replica leads: it registers webhooks, writes statuses and audits")
	defer v.cluster.swept.Store(nil) // of the next term, what others wrote meanwhile counts
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { v.register(ctx) })
	running.Go(func() { v.cluster.policies.KeepStatus(ctx) })
	if v.options.auditInterval > 0 {
		running.Go(func() { v.audit(ctx) })
	}
}

// audit sweeps at intervals, and soon after rules have changed; the first time
// at once.
func (v *service) audit(ctx context.Context) {
	ticker := time.NewTicker(v.options.auditInterval)
	defer ticker.Stop()
	select {
	case <-ctx.Done():
		return
	case <-v.cluster.settled:
	}
	v.cluster.auditor.Resume()
	for {
		select {
		case <-v.cluster.ruled: // what changed by now is in this sweep
		default:
		}
		report, err := v.cluster.auditor.Sweep(ctx)
		if err == nil {
			v.cluster.swept.Store(&report)
			_, err = v.cluster.auditor.Write(ctx, report)
		}
		if err != nil && ctx.Err() == nil {
			v.log.ErrorContext(ctx, "the audit is not complete", slog.String("error", err.Error()))
		}
		if !v.auditAgain(ctx, ticker.C, report.Took) {
			return
		}
	}
}

// auditAgain waits until it is time for another sweep after one that took so
// long; false if ctx ended first.
func (v *service) auditAgain(ctx context.Context, ticks <-chan time.Time, took time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-ticks:
		return true
	case <-v.cluster.ruled:
	}
	pause := time.NewTimer(max(auditPause, auditShare*took))
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-ticks:
	case <-pause.C:
	}
	return true
}

// register keeps the webhooks registered, if this server is to do so.
func (v *service) register(ctx context.Context) {
	if v.cluster.mutating == nil {
		return
	}
	ticker := time.NewTicker(registrationInterval)
	defer ticker.Stop()
	o := registration.Options{
		Client: v.cluster.client, CABundle: v.caBundle, Log: v.log, Events: v.cluster.events, Ticks: ticker.C,
		Config: func() (*admission.MutatingWebhookConfiguration, *admission.ValidatingWebhookConfiguration) {
			return v.cluster.mutating, v.cluster.validating
		},
	}
	if v.cluster.certificates != nil {
		o.Changed = v.cluster.certificates.Changed()
	}
	if err := registration.Run(ctx, o); err != nil {
		v.log.ErrorContext(ctx, "webhooks are not registered", slog.String("error", err.Error()))
	}
}

// caBundle is what callers are to verify our certificate with. Beside a mounted
// certificate it is the file ca.crt, as cert-manager mounts it; without that file
// nothing is registered, and the log says so.
func (v *service) caBundle() []byte {
	if v.cluster.certificates != nil {
		return v.cluster.certificates.CABundle()
	}
	bundle, err := os.ReadFile(filepath.Join(filepath.Dir(v.options.cert), "ca.crt"))
	if err != nil {
		return nil
	}
	return bundle
}
