//go:build !linux

package processtest

import "syscall"

// dieWithParent is only to be had on Linux. Elsewhere a test binary that is killed leaves its programs running.
func dieWithParent() *syscall.SysProcAttr { return nil }

// halted takes a program for halted at once where the system cannot be asked about its threads.
func halted(int) error { return nil }
