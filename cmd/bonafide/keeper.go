package main

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/bonafide-dev/bonafide/internal/trust"
	"github.com/bonafide-dev/bonafide/registry"
	"github.com/bonafide-dev/bonafide/sigstore"
)

const (
	// publicGood is the name of Sigstore's public instance in --trusted-root.
	publicGood = "public-good"
	// fetchTimeout bounds how long a command waits for trust material from afar:
	// a TUF repository takes some ten requests.
	fetchTimeout = 30 * time.Second
)

// newKeeper keeps the trust material that policies want from afar: TUF mirrors
// through the client, keys from key management services. Hosts are those that
// the operator named, and with insecure those that may be asked without TLS.
// Without a client no mirror is asked.
func newKeeper(client *registry.Client, allow, insecure []string, report func(trust.Status)) *trust.Keeper {
	services := newKeyServices(named(slices.Concat(allow, insecure)))
	o := trust.Options{
		Now:       time.Now,
		PlainHTTP: named(insecure),
		PublicKey: services.PublicKey,
		CheckKey:  services.check,
		CheckTrustedRoot: func(raw []byte) error {
			_, err := sigstore.NewTrustedRoot(raw)
			return err
		},
		Dir:    trust.CacheDir(os.Getenv, os.UserCacheDir),
		Report: report,
	}
	if client != nil {
		o.Transport = client.Mirrors()
	}
	return trust.New(o)
}

// fetched loads what wants trust material, asks for that material, and loads
// again if there is news.
func fetched[T any](ctx context.Context, keeper *trust.Keeper, load func() (T, error)) (T, error) {
	before := keeper.Revision()
	loaded, err := load()
	if err != nil {
		return loaded, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	keeper.Fetch(ctx)
	if keeper.Revision() == before {
		return loaded, nil
	}
	return load()
}

// reportTrust writes what is new about trust material to the log.
func reportTrust(ctx context.Context, log *slog.Logger) func(trust.Status) {
	return func(s trust.Status) {
		attributes := []any{slog.String("source", s.Name), slog.String("sha256", s.Digest)}
		if s.CacheErr != nil {
			log.WarnContext(ctx, "trust material is not kept on disk", slog.String("source", s.Name), slog.String("error", s.CacheErr.Error()))
		}
		switch {
		case s.Err != nil && s.Known:
			log.WarnContext(ctx, "trust material could not be looked at; the last good one stays in use", append(attributes, slog.Bool("stale", s.Stale), slog.Time("ends", s.Ends), slog.String("error", s.Err.Error()))...)
		case s.Err != nil:
			log.ErrorContext(ctx, "trust material is not known; what needs it is undecided", append(attributes, slog.String("error", s.Err.Error()))...)
		default:
			log.InfoContext(ctx, "trust material is in use", attributes...)
		}
	}
}
