package processtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mpim/streams/streamstest/processtest"
)

// TestMain turns this test binary into the programs under test, chosen by the environment, so that none has to be built.
func TestMain(m *testing.M) {
	switch os.Getenv("PROCESSTEST_ROLE") {
	case "serve":
		serve()
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ready stubborn")
		select {}
	case "fail":
		fmt.Fprintln(os.Stderr, "no such planet")
		os.Exit(3)
	case "parent":
		parent()
	default:
		goleak.VerifyTestMain(m)
	}
}

// serve answers with its process id, and ends with status 0 on SIGTERM.
func serve() {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	listener, err := net.Listen("tcp", os.Getenv("PROCESSTEST_ADDRESS"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ready serve " + listener.Addr().String())
	go func() {
		_ = http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, os.Getpid())
		}))
	}()
	<-terminated
}

// parent starts a child, tells its address, and waits to be killed.
func parent() {
	child, err := processtest.Start(spec(os.Getenv("PROCESSTEST_DIR"), "serve"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	line, err := child.WaitLine(context.Background(), "ready serve ")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ready parent " + strings.Fields(line)[2])
	select {}
}

func spec(directory, role string) processtest.Spec {
	return processtest.Spec{
		Name: role,
		Path: os.Args[0],
		Env:  []string{"PROCESSTEST_ROLE=" + role, "PROCESSTEST_ADDRESS=127.0.0.1:0"},
		Dir:  directory,
	}
}

func start(t *testing.T, s processtest.Spec) *processtest.Process {
	t.Helper()
	process, err := processtest.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := process.Kill(); err != nil {
			t.Error(err)
		}
	})
	return process
}

// get asks the server at an address for its process id, on a connection of its own.
func get(ctx context.Context, address string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address, http.NoBody)
	if err != nil {
		return "", err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func TestKilledProcessComesBackOnTheSamePort(t *testing.T) {
	t.Parallel()
	var process *processtest.Process
	var address string
	err := processtest.OnFreePort(func(port int) error {
		address = fmt.Sprintf("127.0.0.1:%d", port)
		s := spec(t.TempDir(), "serve")
		s.Env = append(s.Env, "PROCESSTEST_ADDRESS="+address)
		s.Ready = func(ctx context.Context) error { _, err := get(ctx, address); return err }
		var err error
		process, err = processtest.Start(s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = process.Kill() })
	first := process.Pid()
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := get(t.Context(), address); err == nil {
		t.Fatal("a killed program answered")
	}
	if err := process.Restart(); err != nil {
		t.Fatal(err)
	}
	got, err := get(t.Context(), address)
	if err != nil || got != strconv.Itoa(process.Pid()) || process.Pid() == first {
		t.Fatalf("answered %q, %v; process %d, before %d", got, err, process.Pid(), first)
	}
	if lines := strings.Count(process.Output(), "ready serve"); lines != 1 {
		t.Fatalf("the output has %d lives, want the present one", lines)
	}
}

func TestStopIsCleanAlsoWhenPaused(t *testing.T) {
	t.Parallel()
	process := start(t, spec(t.TempDir(), "serve"))
	if _, err := process.WaitLine(t.Context(), "ready serve "); err != nil {
		t.Fatal(err)
	}
	if err := process.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := process.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := process.Exit(t.Context()); err != nil {
		t.Fatalf("it ended with %v, want status 0", err)
	}
	if err := errors.Join(process.Stop(), process.Kill(), process.Pause(), process.Continue()); err != nil {
		t.Fatalf("calls on an ended program: %v", err)
	}
}

func TestPausedProcessAnswersNothing(t *testing.T) {
	t.Parallel()
	process := start(t, spec(t.TempDir(), "serve"))
	line, err := process.WaitLine(t.Context(), "ready serve ")
	if err != nil {
		t.Fatal(err)
	}
	address := strings.Fields(line)[2]
	if err := process.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := get(ctx, address); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a paused program: %v", err)
	}
	if err := process.Continue(); err != nil {
		t.Fatal(err)
	}
	if _, err := get(t.Context(), address); err != nil {
		t.Fatal(err)
	}
}

func TestStubbornProcessIsKilled(t *testing.T) {
	t.Parallel()
	s := spec(t.TempDir(), "stubborn")
	s.StopTimeout = 50 * time.Millisecond
	process := start(t, s)
	if _, err := process.WaitLine(t.Context(), "ready stubborn"); err != nil {
		t.Fatal(err)
	}
	if err := process.Stop(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("stop said %v", err)
	}
	<-process.Done()
}

func TestFailedStartShowsTheOutput(t *testing.T) {
	t.Parallel()
	s := spec(t.TempDir(), "fail")
	s.Ready = func(context.Context) error { return errors.New("not yet") }
	_, err := processtest.Start(s)
	if err == nil || !strings.Contains(err.Error(), "no such planet") || !strings.Contains(err.Error(), "exit status 3") {
		t.Fatalf("start said %v", err)
	}
	process := start(t, spec(t.TempDir(), "fail"))
	if _, err := process.WaitLine(t.Context(), "ready"); err == nil || !strings.Contains(err.Error(), "no such planet") {
		t.Fatalf("the wait for a line said %v", err)
	}
	var exit *exec.ExitError
	if err := process.Exit(t.Context()); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatalf("it ended with %v", err)
	}
}

// A foreign server on the port must not be taken for one that ended because it could not bind.
func TestAnotherServerOnThePortIsNotReadiness(t *testing.T) {
	t.Parallel()
	first := start(t, spec(t.TempDir(), "serve"))
	line, err := first.WaitLine(t.Context(), "ready serve ")
	if err != nil {
		t.Fatal(err)
	}
	address := strings.Fields(line)[2]
	s := spec(t.TempDir(), "serve")
	s.Env = append(s.Env, "PROCESSTEST_ADDRESS="+address)
	s.Ready = func(ctx context.Context) error {
		got, err := get(ctx, address)
		if err == nil && got == strconv.Itoa(first.Pid()) {
			return errors.New("that is the other one")
		}
		return err
	}
	if _, err := processtest.Start(s); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Fatalf("start said %v", err)
	}
}

func TestMissingProgramSaysHowToInstallIt(t *testing.T) {
	t.Parallel()
	_, err := processtest.Start(processtest.Spec{Name: "x", Path: "no-such-program", Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "./.ci/test") {
		t.Fatalf("start said %v", err)
	}
}
