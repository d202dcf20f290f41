package notation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// executable is a program in memory that, once sealed, nobody can change: what
// was hashed is what runs. It needs no folder to write to, which containers
// often lack.
type executable struct{ file *os.File }

func newExecutable() (*executable, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("notation-plugin", flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3, all such files may be executed
		fd, err = unix.MemfdCreate("notation-plugin", flags)
	}
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	return &executable{os.NewFile(uintptr(fd), "notation-plugin")}, nil
}

func (e *executable) seal() error {
	const all = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	_, err := unix.FcntlInt(e.file.Fd(), unix.F_ADD_SEALS, all)
	return err
}

func (e *executable) close() { _ = e.file.Close() } // its content is gone with it

// command prepares a process in a group of its own. The first extra file is
// always number 3.
func (e *executable) command(ctx context.Context, argument string) *exec.Cmd {
	c := exec.CommandContext(ctx, "/proc/self/fd/3", argument) //nolint:gosec // argument is a command of the protocol
	c.ExtraFiles = []*os.File{e.file}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return c
}

// run starts a process, waits, and kills what is left of its group. A number
// of a process is only used while the process is not yet reaped: afterwards it
// may be another's.
func run(c *exec.Cmd) error {
	var mu sync.Mutex
	reaped := false
	c.Cancel = func() error {
		mu.Lock()
		defer mu.Unlock()
		if reaped {
			return os.ErrProcessDone
		}
		return unix.Kill(-c.Process.Pid, unix.SIGKILL)
	}
	if err := c.Start(); err != nil {
		return err
	}
	for {
		err := unix.Waitid(unix.P_PID, c.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	_ = c.Cancel() // nothing of the group may be left
	mu.Lock()
	reaped = true
	mu.Unlock()
	return c.Wait()
}
