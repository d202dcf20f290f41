package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// images is how many distinct images the memory is measured after.
const images = 10_000

// memory starts the program as users do and measures how long it takes to be
// ready and what it holds after many images.
func memory(ctx context.Context, binary string) error {
	w, err := newWorld(fixture.Options{Referrers: true})
	if err != nil {
		return err
	}
	defer w.registry.Close()
	dir, err := os.MkdirTemp("", "bonafide-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	policies, ca := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "ca.crt")
	if err := os.WriteFile(policies, []byte(w.policy), 0o600); err != nil {
		return err
	}
	doors, status, err := freePorts()
	if err != nil {
		return err
	}
	server := exec.CommandContext(ctx, binary, "serve", //nolint:gosec // the caller names the program to measure
		"--policy", policies, "--listen", doors, "--metrics-listen", status,
		"--write-ca", ca, "--insecure-registry", w.registry.Host(), "--log-level", "error")
	server.Stderr = os.Stderr
	server.Env = append(os.Environ(), "KUBECONFIG=")
	began := time.Now()
	if err := server.Start(); err != nil {
		return err
	}
	defer func() {
		_ = server.Process.Signal(os.Interrupt)
		_ = server.Wait()
	}()
	if err := ready(ctx, "http://"+status+"/readyz"); err != nil {
		return err
	}
	fmt.Printf("ready after %s ms, %.0f MiB resident\n", ms(time.Since(began)), resident(server.Process.Pid))
	client, err := trusting(ca)
	if err != nil {
		return err
	}
	if err := fill(ctx, w, client, "https://"+doors+"/admission/mutate?timeout=10s"); err != nil {
		return err
	}
	fmt.Printf("after %d distinct images: %.0f MiB resident\n", images, resident(server.Process.Pid))
	return nil
}

// fill pushes, signs and asks for many images.
func fill(ctx context.Context, w *world, client *http.Client, url string) error {
	next := make(chan int)
	failed := make(chan error, 16)
	var running sync.WaitGroup
	for range cap(failed) {
		running.Go(func() {
			for i := range next {
				ref, err := w.image(ctx, "cosign by tag", fmt.Sprintf("acme/app-%d:1", i))
				if err != nil {
					failed <- err
					return
				}
				body, err := review(ref)
				if err == nil {
					err = post(ctx, client, url, body)
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	defer running.Wait()
	defer close(next)
	for i := range images {
		select {
		case next <- i:
		case err := <-failed:
			return err
		}
	}
	return nil
}

func freePorts() (string, string, error) {
	var found []string
	for range 2 {
		var config net.ListenConfig
		l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return "", "", err
		}
		defer l.Close()
		found = append(found, l.Addr().String())
	}
	return found[0], found[1], nil
}

// ready waits until the address answers 200.
func ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("the server did not become ready")
		}
	}
}

func trusting(ca string) (*http.Client, error) {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}, ForceAttemptHTTP2: true}}, nil
}

// resident is the process's resident memory in MiB.
func resident(pid int) float64 { return memoryOf(pid).now }

// mebibytes reads "123 kB" as /proc has it.
func mebibytes(text string) float64 {
	number, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	kib, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0
	}
	return kib / 1024
}
