package notation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"syscall"
	"time"

	framework "github.com/notaryproject/notation-plugin-framework-go/plugin"
)

// Bounds of running plugins (TRUST R30). A plugin is the operator's program,
// but it works on a stranger's certificates and asks strangers' services.
const (
	// pluginTimeout bounds all that one signature asks of a plugin, the wait for
	// a place included. It leaves an admission webhook of 10 s time to decide.
	pluginTimeout = 5 * time.Second
	// maxPluginProcesses bounds the plugins that run at the same time.
	maxPluginProcesses = 4
	// maxPluginFile bounds an executable in bytes: it is copied into memory. Those
	// in use have 10 to 70 MiB.
	maxPluginFile = 128 << 20
	// maxPluginAnswer and maxPluginComplaint bound stdout and stderr in bytes. An
	// answer has some hundred.
	maxPluginAnswer    = 1 << 20
	maxPluginComplaint = 64 << 10
	// pluginGrace is how long the streams of a killed plugin may stay open.
	pluginGrace = time.Second
)

// PluginHost runs verification plugins, at most four at a time, each for at
// most five seconds. It is safe for concurrent use. The nil PluginHost runs
// none.
//
// A plugin is a program of the operator's at <directory>/<name>/notation-<name>.
// The bytes that are hashed are the bytes that are executed: they are copied
// first, on Linux into sealed memory, elsewhere into a private folder. Scripts
// are refused, since a digest of one says nothing about its interpreter. A
// plugin runs without a shell, in the root folder, and with nothing in its
// environment but what the operator gave. On Linux what it started is killed
// with it, unless it left the process group; elsewhere the plugin alone is.
type PluginHost struct {
	directory   string
	environment []string
	places      chan struct{}
	timeout     time.Duration
}

// NewPluginHost returns a host of the plugins in a folder, which is looked at
// when a signature calls for one. The environment of plugins, as "NAME=value",
// is usually empty; nothing is inherited.
func NewPluginHost(directory string, environment []string) (*PluginHost, error) {
	if directory == "" {
		return nil, errors.New("notation plugins: expected a folder, got none")
	}
	own := make([]string, len(environment)) // never nil: to os/exec that would mean ours
	copy(own, environment)
	return &PluginHost{directory: directory, environment: own, places: make(chan struct{}, maxPluginProcesses), timeout: pluginTimeout}, nil
}

// verify asks a plugin about a signature. The request lacks the capabilities,
// which the plugin's metadata tell; wanted picks among them.
func (h *PluginHost) verify(ctx context.Context, p *Plugin, request framework.VerifySignatureRequest, wanted func(metadata) ([]framework.Capability, error)) (response, error) {
	if h == nil {
		return response{}, p.failed("an installation", "none: no folder of plugins is configured", nil)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, h.timeout, fmt.Errorf("no answer within %s", h.timeout))
	defer cancel()
	select {
	case h.places <- struct{}{}:
		defer func() { <-h.places }()
	case <-ctx.Done():
		return response{}, p.failed("a turn", "none", context.Cause(ctx))
	}
	e, err := h.load(p)
	if err != nil {
		return response{}, p.failed("the executable", "", err)
	}
	defer e.close()
	answer, err := h.ask(ctx, p, e, framework.GetMetadataRequest{PluginConfig: p.Config})
	if err != nil {
		return response{}, p.failed("metadata", "", err)
	}
	m, err := readMetadata(p.Name, answer)
	if err != nil {
		return response{}, p.failed("metadata", "", err)
	}
	asked, err := wanted(m)
	if err != nil || len(asked) == 0 {
		return response{}, err
	}
	request.ContractVersion, request.PluginConfig = framework.ContractVersion, p.Config
	request.TrustPolicy.SignatureVerification = asked
	if answer, err = h.ask(ctx, p, e, request); err != nil {
		return response{}, p.failed("an answer", "", err)
	}
	r, err := readResponse(answer, asked, m.capabilities)
	if err != nil {
		return response{}, p.failed("an answer", "", err)
	}
	return r, nil
}

// load copies the executable to where nobody changes it any more, and only then
// compares it with the digest.
func (h *PluginHost) load(p *Plugin) (*executable, error) {
	root, err := os.OpenRoot(h.directory)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// Opening a named pipe must not wait for a writer.
	f, err := root.OpenFile(path.Join(p.Name, framework.BinaryPrefix+p.Name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(errors.New("expected a regular file"), err)
	}
	e, err := newExecutable()
	if err != nil {
		return nil, fmt.Errorf("make a place for the executable: %w", err)
	}
	if err := e.fill(f, p.SHA256); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *executable) fill(from io.Reader, want string) error {
	n, err := io.Copy(e.file, io.LimitReader(from, maxPluginFile+1))
	switch {
	case err != nil:
		return fmt.Errorf("copy executable: %w", err)
	case n > maxPluginFile:
		return fmt.Errorf("expected at most %d bytes, got more", maxPluginFile)
	}
	if err := e.seal(); err != nil {
		return fmt.Errorf("seal executable: %w", err)
	}
	var start [2]byte
	if _, err := e.file.ReadAt(start[:], 0); err == nil && string(start[:]) == "#!" {
		return errors.New("expected a native executable, got a script")
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(e.file, 0, n)); err != nil {
		return fmt.Errorf("read executable: %w", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != want {
		return fmt.Errorf("expected SHA-256 %s, got %s", want, got)
	}
	return nil
}

// ask runs one command of a plugin (plugin-extensibility.md, "Plugin contract"):
// the request on stdin, the answer on stdout, exit code 0.
func (h *PluginHost) ask(ctx context.Context, p *Plugin, e *executable, request framework.Request) ([]byte, error) {
	input, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("write request: %w", err)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stdout := &bounded{most: maxPluginAnswer, over: func() { stop(fmt.Errorf("expected at most %d bytes of output, got more", maxPluginAnswer)) }}
	stderr := &bounded{most: maxPluginComplaint, over: func() { stop(fmt.Errorf("expected at most %d bytes of error output, got more", maxPluginComplaint)) }}
	process := e.command(ctx, string(request.Command()))
	process.Args[0] = framework.BinaryPrefix + p.Name
	process.Dir, process.Env = "/", slices.Clip(h.environment)
	process.Stdin, process.Stdout, process.Stderr = bytes.NewReader(input), stdout, stderr
	process.WaitDelay = pluginGrace
	err = run(process)
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil, fmt.Errorf("%s: %w", exit.ProcessState, readRefusal(stderr.content.Bytes()))
	}
	if err != nil {
		return nil, err
	}
	return stdout.content.Bytes(), nil
}

// bounded keeps what is written to it, and calls over once it is too much.
type bounded struct {
	content bytes.Buffer
	most    int
	over    func()
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if b.content.Len()+len(p) > b.most {
		b.over()
		return 0, errors.New("too long")
	}
	return b.content.Write(p)
}
