package rig

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// A Registry is a running CNCF distribution registry. It speaks plain HTTP,
// keeps everything in memory and has no referrers API, so that clients need
// the fallback tag of the OCI distribution specification.
type Registry struct {
	Host string // "127.0.0.1:PORT"
}

// StartRegistry runs a registry for tb and stops it when tb ends.
func StartRegistry(tb testing.TB) *Registry {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context())
	executable, err := Binary(ctx, "registry")
	if err != nil {
		tb.Fatal(err)
	}
	var p *process
	r := &Registry{}
	folder := tb.TempDir()
	err = onFreePort(ctx, func(port int) error {
		r.Host = addressOf(port)
		p, err = startRegistry(ctx, folder, executable, r.Host)
		return err
	})
	if err != nil {
		tb.Fatalf("start a registry: %v", err)
	}
	tb.Cleanup(func() {
		p.stop()
		if tb.Failed() {
			tb.Log(p.tail())
		}
	})
	return r
}

func startRegistry(ctx context.Context, folder, executable, host string) (*process, error) {
	config := filepath.Join(folder, "registry.yaml")
	mark := rand.Text()
	text := fmt.Sprintf(`version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {inmemory: {}, delete: {enabled: true}}
http: {addr: %q, headers: {%s: [%s]}}
`, host, markHeader, mark)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p, err := startProcess(ctx, folder, executable, "serve", config)
	if err != nil {
		return nil, err
	}
	if err := p.ready(ctx, func(ctx context.Context) error { return answers(ctx, "http://"+host+"/v2/", mark) }); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// markHeader tells our registry from another that took the port first.
const markHeader = "X-Rig"

// answersOK asks a health endpoint.
func answersOK(ctx context.Context, url string) error { return answers(ctx, url, "") }

func answers(ctx context.Context, url, mark string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: expected status 200, got %d", url, response.StatusCode)
	}
	if got := response.Header.Get(markHeader); got != mark {
		return fmt.Errorf("GET %s: expected %s %q, got %q", url, markHeader, mark, got)
	}
	return nil
}
