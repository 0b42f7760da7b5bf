package processtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Defaults of Spec.
const (
	DefaultReadyTimeout = 30 * time.Second
	DefaultStopTimeout  = 30 * time.Second
)

// pollInterval is how often readiness and output are looked at.
const pollInterval = 10 * time.Millisecond

// pauseTimeout bounds the wait for a program to halt; a thread in the middle of a disk write halts only after it.
const pauseTimeout = 10 * time.Second

// Spec says which program to start and how to tell that it serves.
type Spec struct {
	// Name is what errors call the program, such as "redis-server".
	Name string
	// Path is the executable. A bare name is looked up by Find.
	Path string
	// Args are the arguments without the program's name.
	Args []string
	// Env is added to this process's environment and wins over it.
	Env []string
	// Dir is the working directory, and where the output is kept as <Name>.log. It must exist, and is not removed.
	Dir string
	// Ready reports nil once the program serves. It is called again and again, each time with a context of at most one
	// second. It should make sure that it talks to this program and not to another one that holds its port. Nil means
	// that a started program counts as ready; WaitLine then waits for what it prints.
	Ready func(ctx context.Context) error
	// ReadyTimeout bounds the wait for Ready, DefaultReadyTimeout if zero.
	ReadyTimeout time.Duration
	// StopTimeout bounds the wait after SIGTERM before Stop kills, DefaultStopTimeout if zero.
	StopTimeout time.Duration
}

// Process is one program under a test's control. Between Kill or Stop and Restart it does not run. Methods may be called
// from several goroutines.
type Process struct {
	spec Spec

	mu   sync.Mutex
	life *life
}

// life is one run of the program, from its start to its end.
type life struct {
	process *os.Process
	from    int64         // where in the log file the output of this life begins
	done    chan struct{} // closed once the program has ended and was reaped
	err     error         // how it ended; set before done is closed
}

// ending says how an ended life ended, as an error even where the exit status was 0.
func (l *life) ending() error {
	if l.err == nil {
		return errors.New("it ended with exit status 0")
	}
	return fmt.Errorf("it ended: %w", l.err)
}

// Start starts the program and waits until it is ready. The error of a program that ended or did not become ready
// carries the end of its output, and nothing is left running.
func Start(spec Spec) (*Process, error) {
	if spec.ReadyTimeout == 0 {
		spec.ReadyTimeout = DefaultReadyTimeout
	}
	if spec.StopTimeout == 0 {
		spec.StopTimeout = DefaultStopTimeout
	}
	path, err := Find(spec.Path)
	if err != nil {
		return nil, err
	}
	spec.Path = path
	p := &Process{spec: spec}
	if err := p.Restart(); err != nil {
		return nil, err
	}
	return p, nil
}

// Restart starts the program again with the same arguments and waits until it is ready. If it still runs it is stopped
// first, as by Stop.
func (p *Process) Restart() error {
	if err := p.Stop(); err != nil {
		return err
	}
	l, err := p.launch()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.spec.Name, err)
	}
	p.mu.Lock()
	p.life = l
	p.mu.Unlock()
	if err := p.waitReady(l); err != nil {
		output := p.Tail()
		return errors.Join(fmt.Errorf("start %s: %w; its output ends with:\n%s", p.spec.Name, err, output), p.Kill())
	}
	return nil
}

func (p *Process) launch() (*life, error) {
	log, err := os.OpenFile(p.LogPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	info, err := log.Stat()
	if err != nil {
		return nil, err
	}
	command := exec.Command(p.spec.Path, p.spec.Args...) // not CommandContext: it outlives the call
	command.Dir = p.spec.Dir
	command.Env = append(os.Environ(), p.spec.Env...)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = dieWithParent()

	l := &life{from: info.Size(), done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel's "parent" is the thread that started the program, so that thread must live as long as the program
		// does: no other goroutine may get hold of it and end it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(l.done)
		err := command.Start()
		l.process = command.Process
		started <- err
		if err == nil {
			l.err = command.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return l, nil
}

func (p *Process) waitReady(l *life) error {
	if p.spec.Ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.spec.ReadyTimeout)
	defer cancel()
	return p.poll(ctx, l, func() error {
		attempt, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return p.spec.Ready(attempt)
	})
}

// poll calls try until it returns nil, the context ends or the life does. An ended life counts first: another program on
// the same port may be what answers.
func (p *Process) poll(ctx context.Context, l *life, try func() error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := try()
		select {
		case <-l.done:
			return l.ending()
		default:
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-l.done:
		case <-ticker.C:
		}
	}
}

// WaitLine waits until the program, in its present life, has printed a whole line that begins with prefix, and returns
// that line. It fails when the program ends first.
func (p *Process) WaitLine(ctx context.Context, prefix string) (string, error) {
	l := p.current()
	if l == nil {
		return "", fmt.Errorf("%s does not run", p.spec.Name)
	}
	var found string
	look := func() error {
		for line := range strings.Lines(p.output(l)) {
			if strings.HasPrefix(line, prefix) && strings.HasSuffix(line, "\n") {
				found = strings.TrimRight(line, "\r\n")
				return nil
			}
		}
		return fmt.Errorf("no line %q", prefix)
	}
	err := p.poll(ctx, l, look)
	if err != nil && look() != nil { // a program may print its line and end at once
		return "", fmt.Errorf("wait for %s: %w; its output ends with:\n%s", p.spec.Name, err, p.Tail())
	}
	return found, nil
}

func (p *Process) current() *life {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life
}

// Kill sends SIGKILL and waits until the program is reaped. It does nothing when the program does not run.
func (p *Process) Kill() error {
	l := p.current()
	if err := p.signal(l, syscall.SIGKILL); err != nil {
		return err
	}
	if l != nil {
		<-l.done
	}
	return nil
}

// Stop sends SIGTERM, also to a paused program, and waits until the program is reaped; after Spec.StopTimeout it kills
// it and says so in the error. It does nothing when the program does not run. How the program ended is told by Exit.
func (p *Process) Stop() error {
	l := p.current()
	if l == nil {
		return nil
	}
	// In this order: the pending SIGTERM is what a paused program sees first when it goes on.
	if err := errors.Join(p.signal(l, syscall.SIGTERM), p.signal(l, syscall.SIGCONT)); err != nil {
		return err
	}
	timer := time.NewTimer(p.spec.StopTimeout)
	defer timer.Stop()
	select {
	case <-l.done:
		return nil
	case <-timer.C:
		err := fmt.Errorf("%s did not stop within %s and was killed; its output ends with:\n%s",
			p.spec.Name, p.spec.StopTimeout, p.Tail())
		return errors.Join(err, p.Kill())
	}
}

// Pause sends SIGSTOP: the program keeps its connections and answers nothing until Continue. On Linux every thread has
// halted when Pause returns.
func (p *Process) Pause() error {
	l := p.current()
	if err := p.signal(l, syscall.SIGSTOP); err != nil || l == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), pauseTimeout)
	defer cancel()
	err := p.poll(ctx, l, func() error { return halted(l.process.Pid) })
	select {
	case <-l.done: // it ended meanwhile, and what has ended needs no pause
		return nil
	default:
	}
	if err != nil {
		return fmt.Errorf("pause %s: %w", p.spec.Name, err)
	}
	return nil
}

// Continue lets a paused program go on.
func (p *Process) Continue() error { return p.signal(p.current(), syscall.SIGCONT) }

// Signal sends any other signal. It does nothing when the program does not run.
func (p *Process) Signal(signal os.Signal) error { return p.signal(p.current(), signal) }

func (p *Process) signal(l *life, signal os.Signal) error {
	if l == nil {
		return nil
	}
	if err := l.process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to %s: %w", signal, p.spec.Name, err)
	}
	return nil
}

// Done returns a channel that is closed when the program's present life has ended.
func (p *Process) Done() <-chan struct{} {
	if l := p.current(); l != nil {
		return l.done
	}
	closed := make(chan struct{})
	close(closed)
	return closed
}

// Exit waits until the program's present life has ended and returns nil for exit status 0, else an *exec.ExitError or
// what went wrong; the context's error if that ends first.
func (p *Process) Exit(ctx context.Context) error {
	l := p.current()
	if l == nil {
		return nil
	}
	select {
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Pid returns the process id of the present life, which may have ended, or 0 when there never was one.
func (p *Process) Pid() int {
	if l := p.current(); l != nil {
		return l.process.Pid
	}
	return 0
}

// Dir returns the working directory.
func (p *Process) Dir() string { return p.spec.Dir }

// LogPath returns the file that holds everything the program has printed in all its lives.
func (p *Process) LogPath() string { return filepath.Join(p.spec.Dir, p.spec.Name+".log") }

// Output returns what the program has printed in its present life, stdout and stderr together.
func (p *Process) Output() string {
	if l := p.current(); l != nil {
		return p.output(l)
	}
	return ""
}

func (p *Process) output(l *life) string {
	data, err := os.ReadFile(p.LogPath())
	if err != nil || int64(len(data)) < l.from {
		return ""
	}
	return string(data[l.from:])
}

// tailLines is how much of the output errors carry: enough for a Go panic's first goroutine.
const tailLines = 60

// Tail returns the last lines of Output.
func (p *Process) Tail() string {
	lines := strings.SplitAfter(p.Output(), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "")
}
