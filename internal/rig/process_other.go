//go:build unix && !linux

package rig

import "syscall"

// ownGroup keeps the terminal's signals from the child. Only Linux can also
// tie its life to ours.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
