package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// tailBytes is how much of a child's log is shown: the last words say why.
const tailBytes = 8 << 10

// klogInfo are the lines of the API server that say nothing of a failure.
var klogInfo = regexp.MustCompile(`^I\d{4} `)

// A process is a child that runs until it is stopped. Its output goes to a file.
type process struct {
	name   string
	pid    int
	log    string
	cancel context.CancelFunc
	done   chan struct{} // closed once the child is gone
	err    error         // how it ended; valid after done
}

// A command is what a child runs.
type command struct {
	folder     string // its working folder, where its log is written too
	executable string
	args       []string
	env        []string // beside what this process has
}

// startProcess starts the executable in its own process group, in folder.
func startProcess(ctx context.Context, folder, executable string, args ...string) (*process, error) {
	return command{folder: folder, executable: executable, args: args}.start(ctx)
}

// start starts the command in its own process group.
func (c command) start(ctx context.Context) (*process, error) {
	name := filepath.Base(c.executable)
	p := &process{name: name, log: filepath.Join(c.folder, name+".log"), done: make(chan struct{})}
	output, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	ctx, p.cancel = context.WithCancel(ctx)
	// #nosec G204 -- the executable is one that this package built.
	cmd := exec.CommandContext(ctx, c.executable, c.args...)
	cmd.Dir = c.folder
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = ownGroup()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	started := make(chan error)
	go p.run(cmd, output, started)
	if err := <-started; err != nil {
		p.cancel()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.pid = cmd.Process.Pid
	return p, nil
}

// run holds one thread for the child's whole life: the kernel kills a child
// when the thread that started it ends, not when the process does.
func (p *process) run(cmd *exec.Cmd, output *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer output.Close() // the child has its own descriptor
	defer close(p.done)
	err := cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = cmd.Wait()
}

// stop kills the child and waits until it is gone. What it would have written
// is thrown away with the test, so nothing is gained by asking kindly.
func (p *process) stop() {
	p.cancel()
	<-p.done
}

// interrupt asks the child to end, as a cluster does, and waits until it is
// gone. It returns an error unless it ended with exit code 0. A child that takes
// too long is killed.
func (p *process) interrupt() error {
	select {
	case <-p.done: // its number may be another's by now
		return p.err
	default:
	}
	if err := syscall.Kill(p.pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	select {
	case <-p.done:
		return p.err
	case <-time.After(takeUpTimeout):
		p.stop()
		return fmt.Errorf("%s runs %s after it was interrupted", p.name, takeUpTimeout)
	}
}

// tail returns the last lines of the child's log, for a failure's report.
func (p *process) tail() string {
	file, err := os.Open(p.log)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	if size, err := file.Seek(0, io.SeekEnd); err == nil {
		_, err = file.Seek(max(0, size-tailBytes), io.SeekStart)
		if err != nil {
			return err.Error()
		}
	}
	text, err := io.ReadAll(io.LimitReader(file, tailBytes))
	if err != nil {
		return err.Error()
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if !klogInfo.MatchString(line) {
			lines = append(lines, line)
		}
	}
	return fmt.Sprintf("--- %s, the end of its log:\n%s", p.name, strings.TrimSpace(strings.Join(lines, "")))
}
