//go:build !linux

package notation

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
)

// executable is a program in a folder that only we can enter.
type executable struct {
	file   *os.File
	folder string
}

func newExecutable() (*executable, error) {
	folder, err := os.MkdirTemp("", "notation-plugin-") // mode 0700
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(folder, "plugin.exe"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o700) //nolint:gosec // a program, in a folder of ours alone
	if err != nil {
		_ = os.RemoveAll(folder)
		return nil, err
	}
	return &executable{file: f, folder: folder}, nil
}

// seal reopens the file for reading: what is open for writing does not run.
func (e *executable) seal() error {
	if err := e.file.Close(); err != nil {
		return err
	}
	f, err := os.Open(e.file.Name())
	if err != nil {
		return err
	}
	e.file = f
	return nil
}

func (e *executable) close() {
	_ = e.file.Close()
	_ = os.RemoveAll(e.folder)
}

func (e *executable) command(ctx context.Context, argument string) *exec.Cmd {
	return exec.CommandContext(ctx, e.file.Name(), argument) //nolint:gosec // both are ours
}

func run(c *exec.Cmd) error { return c.Run() }
