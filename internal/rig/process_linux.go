package rig

import "syscall"

// ownGroup keeps the terminal's signals from the child and has the kernel kill
// it if the test process dies without cleaning up, as after a test's time-out.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
