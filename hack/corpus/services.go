package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// How long a service may take to answer, and how often it is asked.
const (
	serviceStart = 30 * time.Second
	servicePoll  = 50 * time.Millisecond
)

// service is one of Sigstore's servers, on loopback.
type service struct {
	name string
	url  string
	cmd  *exec.Cmd
	log  string // file
}

// serviceSpec says how to start one.
type serviceSpec struct {
	name, binary string
	args         func(ports [3]string) []string // the first for HTTP, the others for whatever else it opens
	ready        string                         // a path that answers 200
}

// serve starts a service and waits until it is ready.
func (w *workshop) serve(ctx context.Context, s serviceSpec) (*service, error) {
	ports, err := freePorts()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(w.scratch, s.name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(s.binary, s.args(ports)...) //nolint:gosec,noctx // the tools are the operator's own, and stop ends them
	cmd.Dir, cmd.Stdout, cmd.Stderr = w.scratch, log, log
	cmd.Env = append(os.Environ(), "HOME="+w.scratch)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.name, err)
	}
	running := &service{name: s.name, url: "http://127.0.0.1:" + ports[0], cmd: cmd, log: log.Name()}
	w.services = append(w.services, running)
	if err := running.wait(ctx, s.ready); err != nil {
		return nil, err
	}
	return running, nil
}

// wait asks until the service answers.
func (s *service) wait(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, serviceStart)
	defer cancel()
	tick := time.NewTicker(servicePoll)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("expected status 200, got %s", response.Status)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			said, _ := os.ReadFile(s.log) // of help if it can be read
			return fmt.Errorf("wait for %s: %w\n%s", s.name, err, bytes.TrimSpace(said))
		}
	}
}

// stop ends what serve started.
func (w *workshop) stop() error {
	var errs error
	for _, s := range w.services {
		errs = errors.Join(errs, s.cmd.Process.Kill())
		_ = s.cmd.Wait() // it was killed
		if w.verbose {
			said, _ := os.ReadFile(s.log)
			fmt.Printf("%s:\n%s\n", s.name, said)
		}
	}
	w.services = nil
	return errs
}

// freePorts returns ports of loopback that nobody listens on.
func freePorts() (ports [3]string, err error) {
	for i := range ports {
		listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return ports, err
		}
		defer listener.Close()
		_, ports[i], err = net.SplitHostPort(listener.Addr().String())
		if err != nil {
			return ports, err
		}
	}
	return ports, nil
}
