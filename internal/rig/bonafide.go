package rig

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// BonafideOptions say how a `bonafide serve` runs.
type BonafideOptions struct {
	Policies string // a file or a folder; may be empty with a Kubeconfig
	Registry string // host of the registry that it asks over plain HTTP; may be empty
	// Kubeconfig is the file of the cluster that it serves; empty: it knows none.
	Kubeconfig string
	Flags      []string // further flags of bonafide serve
	Env        []string // beside what this process has
}

// A Bonafide is a running `bonafide serve` whose policies are loaded.
type Bonafide struct {
	URL      string // of the doors, "https://127.0.0.1:PORT"
	Metrics  string // of the metrics port, "http://127.0.0.1:PORT"
	CAFile   string // path of CABundle
	CABundle []byte // PEM: issuer of its serving certificate, which it makes itself

	process *process
	killed  bool
}

// Kill ends it at once, as a node that fails does.
func (b *Bonafide) Kill() {
	b.killed = true
	b.process.stop()
}

// Stop ends it as a cluster does, and fails tb unless it ends cleanly.
func (b *Bonafide) Stop(tb testing.TB) {
	tb.Helper()
	b.killed = true
	if err := b.process.interrupt(); err != nil {
		tb.Errorf("bonafide serve: want a clean end, got %v\n%s", err, b.process.tail())
	}
}

// Log returns what it has printed so far.
func (b *Bonafide) Log(tb testing.TB) string {
	tb.Helper()
	text, err := os.ReadFile(b.process.log)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// StartBonafide runs `bonafide serve` for tb. When tb ends it interrupts it, as
// a cluster does, and fails tb unless it ends cleanly.
func (s *Shared) StartBonafide(tb testing.TB, o BonafideOptions) *Bonafide {
	tb.Helper()
	executable := s.Command(tb)
	ctx := context.WithoutCancel(tb.Context())
	folder := tb.TempDir()
	b := &Bonafide{CAFile: filepath.Join(folder, "ca.crt")}
	err := onFreePort(ctx, func(port int) error { return b.run(ctx, folder, executable, o, port) })
	if err != nil {
		tb.Fatalf("start bonafide serve: %v", err)
	}
	tb.Cleanup(func() {
		if b.killed {
			return
		}
		if err := b.process.interrupt(); err != nil {
			tb.Errorf("bonafide serve: want a clean end, got %v", err)
		}
		if tb.Failed() {
			tb.Log(b.process.tail())
		}
	})
	if b.CABundle, err = os.ReadFile(b.CAFile); err != nil {
		tb.Fatal(err)
	}
	return b
}

// flags are those of the options that are set.
func (o BonafideOptions) flags() []string {
	var flags []string
	for _, f := range [][2]string{{"--policy", o.Policies}, {"--insecure-registry", o.Registry}, {"--kubeconfig", o.Kubeconfig}} {
		if f[1] != "" {
			flags = append(flags, f[0], f[1])
		}
	}
	return flags
}

func (b *Bonafide) run(ctx context.Context, folder, executable string, o BonafideOptions, port int) error {
	metrics, err := freePort(ctx)
	if err != nil {
		return err
	}
	b.URL, b.Metrics = "https://"+addressOf(port), "http://"+addressOf(metrics)
	c := command{
		folder: folder, executable: executable,
		args: slices.Concat([]string{
			"serve", "--write-ca", b.CAFile, "--listen", addressOf(port), "--metrics-listen", addressOf(metrics), "--log-format", "text",
		}, o.flags(), o.Flags),
		env: slices.Concat([]string{"KUBERNETES_SERVICE_HOST=", "HTTPS_PROXY=", "HTTP_PROXY="}, o.Env),
	}
	if b.process, err = c.start(ctx); err != nil {
		return err
	}
	err = b.process.ready(ctx, func(ctx context.Context) error { return answersOK(ctx, b.Metrics+"/readyz") })
	if err != nil {
		b.process.stop()
	}
	return err
}

// Command returns the path of the bonafide command, built from this tree by the
// first call.
func (s *Shared) Command(tb testing.TB) string {
	tb.Helper()
	file, err := s.command.get(func() (string, error) { return buildCommand(context.WithoutCancel(tb.Context())) })
	if err != nil {
		tb.Fatalf("build bonafide: %v", err)
	}
	return file
}

const commandPackage = "./cmd/bonafide"

// buildCommand builds into a new folder, which the caller removes. It uses the
// Go command's cache, and none of [Binary]'s: the source changes all the time.
func buildCommand(ctx context.Context) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	if err := dependOn(ctx, root, commandPackage); err != nil {
		return "", err
	}
	folder, err := os.MkdirTemp("", "bonafide-")
	if err != nil {
		return "", err
	}
	file := filepath.Join(folder, "bonafide")
	if _, err := goOutput(ctx, root, "build", "-o", file, commandPackage); err != nil {
		return "", errors.Join(err, os.RemoveAll(folder))
	}
	return file, nil
}

// dependOn reads the folders of a package's source. The Go command remembers
// what a test read, and runs it again once that changes; of the command that a
// test runs it would know nothing.
func dependOn(ctx context.Context, root, pkg string) error {
	folders, err := goOutput(ctx, root, "list", "-deps", "-f", "{{with .Module}}{{if .Main}}{{$.Dir}}{{end}}{{end}}", pkg)
	if err != nil {
		return err
	}
	for folder := range strings.Lines(string(folders)) {
		if _, err := os.ReadDir(strings.TrimSpace(folder)); err != nil {
			return err
		}
	}
	return nil
}
