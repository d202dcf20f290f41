package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// replica is a running `bonafide serve` of a cluster.
type replica struct {
	command *exec.Cmd
	folder  string
	url     string // of the review that is measured
	client  *http.Client
	log     *events
	ready   time.Duration // from the start of the process
}

// startReplica starts the program for the cluster of a kubeconfig and waits until
// it is ready.
func startReplica(ctx context.Context, binary, kubeconfig, registry string, flags ...string) (*replica, error) {
	folder, err := os.MkdirTemp("", "bonafide-bench-")
	if err != nil {
		return nil, err
	}
	doors, status, err := freePorts()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	ca := filepath.Join(folder, "ca.crt")
	args := slices.Concat([]string{
		"serve", "--kubeconfig", kubeconfig, "--system-namespace", systemNamespace, "--webhook-url", "https://" + doors,
		"--listen", doors, "--metrics-listen", status, "--write-ca", ca, "--insecure-registry", registry,
	}, flags)
	r := &replica{folder: folder, url: "https://" + doors + "/admission/mutate?timeout=10s", log: &events{changed: make(chan struct{})}}
	r.command = exec.CommandContext(ctx, binary, args...) //nolint:gosec // the caller names the program to measure
	r.command.Env = append(os.Environ(), "KUBERNETES_SERVICE_HOST=", "HTTP_PROXY=", "HTTPS_PROXY=")
	output, err := r.command.StderrPipe()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	began := time.Now()
	if err := r.command.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	go r.log.read(output)
	if err := ready(ctx, "http://"+status+"/readyz"); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	r.ready = time.Since(began)
	if r.client, err = trusting(ca); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

// stop interrupts the program, as a cluster does, and waits until it is gone.
func (r *replica) stop() error {
	err := r.command.Process.Signal(os.Interrupt)
	<-r.log.ended() // all was read: Wait closes the pipe
	return errors.Join(err, r.command.Wait(), os.RemoveAll(r.folder))
}

func (r *replica) resident() memoryUse { return memoryOf(r.command.Process.Pid) }

// events are the lines of a replica's log that the benchmark waits for.
type events struct {
	mu      sync.Mutex
	lines   []event
	over    bool
	changed chan struct{} // closed when there is another line, or no more
}

// event is one line, with what the messages hold that are waited for.
type event struct {
	Time    time.Time `json:"time"`
	Level   string    `json:"level"`
	Message string    `json:"msg"`

	Pods      int           `json:"pods"`
	Decisions int           `json:"decisions"`
	Denied    int           `json:"denied"`
	Undecided int           `json:"undecided"`
	Unmatched int           `json:"unmatched"`
	Took      time.Duration `json:"took"`
	Warmed    struct {
		Images, Left int
		Took         time.Duration
	} `json:"warmed"`
}

// The messages.
const (
	loaded  = "policies loaded"
	audited = "audited"
	warmed  = "proofs are warm"
)

// read takes the lines of interest, and shows errors.
func (e *events) read(output io.Reader) {
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line event
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line.Level == "ERROR" {
			fmt.Fprintln(os.Stderr, lines.Text())
			continue
		}
		if slices.Contains([]string{loaded, audited, warmed}, line.Message) {
			e.add(&line)
		}
	}
	e.add(nil)
}

func (e *events) add(line *event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if line == nil {
		e.over = true
	} else {
		e.lines = append(e.lines, *line)
	}
	close(e.changed)
	e.changed = make(chan struct{})
}

// state returns the lines of a message so far, whether that is all, and when to
// look again.
func (e *events) state(message string) (found []event, over bool, changed <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, line := range e.lines {
		if line.Message == message {
			found = append(found, line)
		}
	}
	return found, e.over, e.changed
}

// ended is closed when there are no more lines.
func (e *events) ended() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			_, over, changed := e.state("")
			if over {
				return
			}
			<-changed
		}
	}()
	return done
}

// patience bounds the wait for a line.
const patience = 10 * time.Minute

// await waits until a message was logged n times, and returns the nth.
func (e *events) await(ctx context.Context, message string, n int) (event, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		found, over, changed := e.state(message)
		if len(found) >= n {
			return found[n-1], nil
		}
		if over {
			return event{}, fmt.Errorf("expected %q %d times in the log, got %d and the end", message, n, len(found))
		}
		select {
		case <-ctx.Done():
			return event{}, fmt.Errorf("waiting for %q in the log: %w", message, ctx.Err())
		case <-changed:
		}
	}
}

// count returns how often a message was logged.
func (e *events) count(message string) int {
	found, _, _ := e.state(message)
	return len(found)
}

// memoryUse is a process's resident memory in MiB, now and at most.
type memoryUse struct{ now, peak float64 }

func (m memoryUse) String() string { return fmt.Sprintf("%.0f (at most %.0f)", m.now, m.peak) }

func memoryOf(pid int) memoryUse {
	var m memoryUse
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return m
	}
	for line := range strings.Lines(string(raw)) {
		switch name, rest, _ := strings.Cut(line, ":"); name {
		case "VmRSS":
			m.now = mebibytes(rest)
		case "VmHWM":
			m.peak = mebibytes(rest)
		}
	}
	return m
}
