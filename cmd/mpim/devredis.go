package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// devRedis is a Redis that `mpim dev` started.
type devRedis struct {
	url  string
	stop func()
	// embedded says that it is in this process.
	embedded bool
}

// startRedis starts an in-process store, or with a directory a redis-server that keeps its append-only file there.
func startRedis(ctx context.Context, directory string) (devRedis, string, error) {
	if directory == "" {
		store := miniredis.NewMiniRedis()
		store.ClockTTL(true)
		if err := store.Start(); err != nil {
			return devRedis{}, "", err
		}
		return devRedis{url: "redis://" + store.Addr() + "/0", stop: store.Close, embedded: true}, "memory", nil
	}
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return devRedis{}, "", errors.New("--data needs a redis-server: install it (`apt-get install redis-server` or `brew install redis`), or set MPIM_REDIS_URL")
	}
	absolute, err := filepath.Abs(filepath.Join(directory, "redis"))
	if err != nil {
		return devRedis{}, "", err
	}
	if err := os.MkdirAll(absolute, 0o700); err != nil {
		return devRedis{}, "", err
	}
	port, err := freePort(ctx)
	if err != nil {
		return devRedis{}, "", err
	}
	child, err := startRedisChild(ctx, path, absolute, port)
	return child, "a redis-server child, in " + absolute, err
}

func startRedisChild(ctx context.Context, path, directory string, port int) (devRedis, error) {
	// The child outlives the context: the process still needs it while it stops.
	command := exec.CommandContext(context.WithoutCancel(ctx), path, //nolint:gosec // the path was looked up
		"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", directory,
		"--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction")
	// Ctrl-C reaches the whole group of a terminal; the child must go last.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return devRedis{}, fmt.Errorf("start %s: %w", path, err)
	}
	exited := make(chan struct{})
	var exit error
	go func() {
		exit = command.Wait()
		close(exited)
	}()
	stop := func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(10 * time.Second):
			_ = command.Process.Kill()
			<-exited
		}
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	client := redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1})
	defer func() { _ = client.Close() }()
	limit, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		if client.Ping(limit).Err() == nil {
			return devRedis{url: "redis://" + address + "/0", stop: stop}, nil
		}
		select {
		case <-exited:
			return devRedis{}, fmt.Errorf("redis-server in %s ended at once (%w): another one may be using the directory", directory, exit)
		case <-limit.Done():
			stop()
			return devRedis{}, fmt.Errorf("redis-server in %s did not answer: %w", directory, context.Cause(limit))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func freePort(ctx context.Context) (int, error) {
	listener, err := listen(ctx, "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return port, listener.Close()
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, as crypto/rand says
	return b
}
