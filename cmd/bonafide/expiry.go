package main

import (
	"context"
	"log/slog"
	"time"
)

const (
	// expiryInterval is how often the end of the certificate is looked at.
	expiryInterval = time.Minute
	// expiresSoon is when somebody has to look: whoever renews certificates does so
	// when a third of their life is left, days or weeks before.
	expiresSoon = 24 * time.Hour
)

// expiry says once that the certificate ends soon, and once that it has ended.
type expiry struct {
	log  *slog.Logger
	said string
}

// look judges a certificate that is valid until then.
func (e *expiry) look(ctx context.Context, until, now time.Time) {
	level, line := slog.LevelInfo, ""
	switch left := until.Sub(now); {
	case left <= 0:
		level, line = slog.LevelError, "the certificate of the webhooks has expired: callers refuse it, and no review is answered; look at what renews it"
	case left <= expiresSoon:
		level, line = slog.LevelWarn, "the certificate of the webhooks ends within a day and was not renewed; look at what renews it"
	case e.said != "":
		e.log.InfoContext(ctx, "the certificate of the webhooks was renewed", slog.Time("until", until))
	}
	if line != "" && line != e.said {
		e.log.LogAttrs(ctx, level, line, slog.Time("until", until))
	}
	e.said = line
}

// watchExpiry follows the end of the certificate until ctx ends.
func (v *service) watchExpiry(ctx context.Context) {
	ticker := time.NewTicker(expiryInterval)
	defer ticker.Stop()
	e := expiry{log: v.log}
	for now := time.Now(); ; {
		until := v.expires()
		v.metrics.CertificateExpires(until)
		e.look(ctx, until, now)
		select {
		case <-ctx.Done():
			return
		case now = <-ticker.C:
		}
	}
}
