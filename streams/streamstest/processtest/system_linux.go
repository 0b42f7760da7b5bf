package processtest

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// dieWithParent has the kernel kill the program when this process ends, even by SIGKILL or a test time-out's panic.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// halted reports nil once all threads of a child have stopped after SIGSTOP, which takes effect a little after it was
// sent. The state is only looked at, so that the one who waits for the child's end still gets to see that.
func halted(pid int) error {
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, pid, &info, unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT, nil); err != nil {
		return err
	}
	if info.Signo == 0 {
		return errors.New("it still runs")
	}
	return nil
}
