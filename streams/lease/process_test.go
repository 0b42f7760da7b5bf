package lease_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"mpim/streams/lease"
	"mpim/streams/streamstest"
	"mpim/streams/streamstest/processtest"
)

// workerAddress makes the test binary a worker process: it holds leases on the server at that address and prints what
// becomes of them.
const workerAddress = "LEASE_TEST_WORKER_ADDRESS"

func TestMain(m *testing.M) {
	if address := os.Getenv(workerAddress); address != "" {
		if err := work(address); err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func work(address string) error {
	client := redis.NewClient(&redis.Options{Addr: address, ContextTimeoutEnabled: true})
	defer client.Close()
	m, err := lease.New(lease.Config{
		Client: client, Partitions: partitions, Worker: "process" + strconv.Itoa(os.Getpid()),
		TTL: ttl, Renew: renew, Margin: margin,
	})
	if err != nil {
		return err
	}
	m.Handle("history", func(ctx context.Context, l lease.Lease) {
		fmt.Println("taken", l.Partition, time.Now().UnixMilli())
		<-ctx.Done()
		word := "handed"
		if errors.Is(context.Cause(ctx), lease.ErrLost) {
			word = "lost"
		}
		fmt.Println(word, l.Partition, time.Now().UnixMilli())
	})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return m.Run(ctx)
}

func startProcess(t *testing.T, address string) *processtest.Process {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := processtest.Start(processtest.Spec{
		Name: "worker", Path: path, Env: []string{workerAddress + "=" + address}, Dir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	})
	if _, err := p.WaitLine(t.Context(), "taken"); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProcessKilled(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t)
	c := newCluster(t, tcp(t, server))
	p := startProcess(t, server.Addr())
	c.start("a", nil, "history")
	c.awaitShares("history", map[string]int{"a": 8})
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	c.awaitShares("history", map[string]int{"a": 16})
	t.Logf("taken over %s after the kill, with a TTL of %s", time.Since(began), ttl)
}

func TestProcessStoppedCleanly(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t)
	c := newCluster(t, tcp(t, server))
	p := startProcess(t, server.Addr())
	c.start("a", nil, "history")
	c.awaitShares("history", map[string]int{"a": 8})
	began := time.Now()
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	c.awaitShares("history", map[string]int{"a": 16})
	t.Logf("taken over %s after SIGTERM", time.Since(began))
	if output := p.Output(); strings.Contains(output, "lost") || strings.Contains(output, "failed") {
		t.Errorf("the worker printed:\n%s", output)
	}
}

// A process that is suspended for longer than its leases live notices when it runs again, before it hears from Redis.
func TestProcessSuspended(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t)
	c := newCluster(t, tcp(t, server))
	p := startProcess(t, server.Addr())
	c.start("a", nil, "history")
	c.awaitShares("history", map[string]int{"a": 8})
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	c.awaitShares("history", map[string]int{"a": 16})
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	resumed := time.Now()
	if err := p.Continue(); err != nil {
		t.Fatal(err)
	}
	line, err := p.WaitLine(t.Context(), "lost")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(line)
	noticed, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("noticed %d ms after it was let go", noticed-resumed.UnixMilli())
	if err := server.Continue(); err != nil {
		t.Fatal(err)
	}
	c.awaitShares("history", map[string]int{"a": 8}) // it has its share again
}
