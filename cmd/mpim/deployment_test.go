package main_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mpim/projections/database"
	"mpim/projections/projectionstest"
	"mpim/projections/userkeys"
	"mpim/schema/seal"
	"mpim/streams/streamstest"
	"mpim/streams/streamstest/processtest"
)

// binary builds the real program once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	directory, err := os.MkdirTemp("", "mpim-binary-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(directory, "mpim")
	output, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build mpim: %w\n%s", err, output)
	}
	return path, nil
})

// sealKey protects the keys of users in every deployment.
const sealKey = "test key that wraps those of users"

// openerOf opens what a deployment has sealed.
func openerOf(tb testing.TB, db *database.DB) *seal.Ring {
	tb.Helper()
	wrapping, err := seal.NewWrapping(sealKey)
	if err != nil {
		tb.Fatal(err)
	}
	ring, err := seal.NewRing(seal.Config{Store: userkeys.Store{DB: db}, Wrapping: wrapping})
	if err != nil {
		tb.Fatal(err)
	}
	return ring
}

// deployment is MPIM as people run it: real servers, and each part a process of its own.
type deployment struct {
	path     string
	redis    *streamstest.RedisServer
	database *projectionstest.MariaDBServer
	env      []string
	gateways []*part
	workers  []*part
}

// part is one process of the deployment. URL is the same in every life of it.
type part struct {
	*processtest.Process
	url   string
	admin string
}

// layout is what a deployment consists of.
type layout struct {
	gateways, workers int
	// server is the Redis to use, one of its own where it is nil; fsynced asks for that durability.
	server  *streamstest.RedisServer
	fsynced bool
	// redisURL is the address that the processes use instead of the server's own, lastWorkerURL that of the last worker.
	redisURL, lastWorkerURL string
	// databaseURL is a database to use instead of one in a MariaDB of its own.
	databaseURL string
	env         []string
}

// deploy starts everything, and waits until the first gateway is ready to serve.
func deploy(tb testing.TB, l layout) *deployment {
	tb.Helper()
	path, err := binary()
	if err != nil {
		tb.Fatal(err)
	}
	d := &deployment{path: path, redis: l.server}
	if l.databaseURL == "" {
		d.database = projectionstest.StartMariaDB(tb)
		l.databaseURL = d.database.URL(d.database.CreateDatabase(tb))
	}
	if d.redis == nil {
		d.redis = streamstest.StartRedis(tb)
	}
	redisURL := l.redisURL
	if redisURL == "" {
		redisURL = d.redis.URL()
	}
	durability := "appended"
	if l.fsynced {
		durability = "fsynced"
	}
	d.env = append([]string{
		"MPIM_REDIS_URL=" + redisURL,
		"MPIM_DATABASE_URL=" + l.databaseURL,
		"MPIM_AUTH_KEY=" + strings.Repeat("test key ", 5),
		"MPIM_SEAL_KEY=" + sealKey,
		"MPIM_DURABILITY=" + durability,
		"MPIM_LIMITS_REGISTER_PER_HOUR=0", "MPIM_LIMITS_LOGIN_PER_MINUTE=0", "MPIM_LIMITS_SEND_PER_SECOND=0",
		"HOME=" + os.Getenv("HOME"), "PATH=" + os.Getenv("PATH"),
	}, l.env...)
	if output, err := d.run(tb.Context(), "migrate", "up"); err != nil {
		tb.Fatalf("migrate up: %v\n%s", err, output)
	}
	for n := range l.workers {
		var env []string
		if n == l.workers-1 && l.lastWorkerURL != "" {
			env = []string{"MPIM_REDIS_URL=" + l.lastWorkerURL}
		}
		d.workers = append(d.workers, d.start(tb, fmt.Sprintf("worker%d", n), "worker", env...))
	}
	for n := range l.gateways {
		d.gateways = append(d.gateways, d.start(tb, fmt.Sprintf("gateway%d", n), "gateway"))
	}
	d.waitReady(tb)
	return d
}

// start starts one part on ports of its own.
func (d *deployment) start(tb testing.TB, name, role string, env ...string) *part {
	tb.Helper()
	p := &part{}
	err := processtest.OnFreePort(func(port int) error {
		adminPort, err := processtest.FreePort()
		if err != nil {
			return err
		}
		p.url, p.admin = fmt.Sprintf("http://127.0.0.1:%d", port), fmt.Sprintf("http://127.0.0.1:%d", adminPort)
		args := []string{role, "--id", name, "--admin-addr", strings.TrimPrefix(p.admin, "http://")}
		if role == "gateway" {
			args = append(args, "--addr", strings.TrimPrefix(p.url, "http://"))
		}
		p.Process, err = processtest.Start(processtest.Spec{
			Name: name, Path: d.path, Args: args, Env: append(slices.Clone(d.env), env...), Dir: tb.TempDir(), StopTimeout: 30 * time.Second,
		})
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Second)
		defer cancel()
		_, err = p.WaitLine(ctx, "ready "+role+" ")
		if err != nil {
			_ = p.Kill()
		}
		return err
	})
	if err != nil {
		tb.Fatalf("start %s: %v", name, err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("%s printed at the end:\n%s", name, p.Tail())
		}
		_ = p.Kill()
	})
	return p
}

// run runs a command of the binary to its end.
func (d *deployment) run(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, d.path, args...)
	command.Env = d.env
	output, err := command.Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(output), fmt.Errorf("mpim %s: %w: %s", strings.Join(args, " "), err, failed.Stderr)
	}
	return string(output), err
}

// waitReady waits until every gateway says that it is ready.
func (d *deployment) waitReady(tb testing.TB) {
	tb.Helper()
	for _, g := range d.gateways {
		waitFor(tb, 30*time.Second, "the gateway is ready", func() error {
			var checks map[string]string
			_, err := rest(tb.Context(), "GET", g.admin+"/readyz", "", nil, &checks)
			return err
		})
	}
}

// waitFor polls until check returns nil, and fails the test with its last error when the time is up.
func waitFor(tb testing.TB, limit time.Duration, what string, check func() error) {
	tb.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline.C:
			tb.Fatalf("not within %s: %s: %v", limit, what, err)
		case <-tick.C:
		}
	}
}
