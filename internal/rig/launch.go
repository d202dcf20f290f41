package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// LaunchBonafide is [Shared.StartBonafide] for a server that may never become
// ready, such as one that lacks a right: it returns as soon as the process runs.
// Its CABundle is unknown, and CAFile may not exist yet.
func (s *Shared) LaunchBonafide(tb testing.TB, o BonafideOptions) *Bonafide {
	tb.Helper()
	executable := s.Command(tb)
	ctx := context.WithoutCancel(tb.Context())
	folder := tb.TempDir()
	b := &Bonafide{CAFile: filepath.Join(folder, "ca.crt")}
	if err := b.launch(ctx, folder, executable, o); err != nil {
		tb.Fatalf("start bonafide serve: %v", err)
	}
	tb.Cleanup(func() {
		if !b.killed {
			if err := b.process.interrupt(); err != nil {
				tb.Errorf("bonafide serve: want a clean end, got %v", err)
			}
		}
		if tb.Failed() {
			tb.Log(b.process.tail())
		}
	})
	return b
}

func (b *Bonafide) launch(ctx context.Context, folder, executable string, o BonafideOptions) error {
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	metrics, err := freePort(ctx)
	if err != nil {
		return err
	}
	b.URL, b.Metrics = "https://"+addressOf(port), "http://"+addressOf(metrics)
	b.process, err = command{
		folder: folder, executable: executable,
		args: slices.Concat([]string{
			"serve", "--write-ca", b.CAFile, "--listen", addressOf(port), "--metrics-listen", addressOf(metrics), "--log-format", "text",
		}, o.flags(), o.Flags),
		env: slices.Concat([]string{"KUBERNETES_SERVICE_HOST=", "HTTPS_PROXY=", "HTTP_PROXY="}, o.Env),
	}.start(ctx)
	return err
}

// Ready reports whether it says that it can decide.
func (b *Bonafide) Ready(ctx context.Context) error {
	select {
	case <-b.process.done:
		return fmt.Errorf("%w: %w", errExited, b.process.err)
	default:
		return answersOK(ctx, b.Metrics+"/readyz")
	}
}

// Text is [Bonafide.Log] for those who wait for a line.
func (b *Bonafide) Text() (string, error) {
	text, err := os.ReadFile(b.process.log)
	return string(text), err
}
