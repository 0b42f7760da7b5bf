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
	// The server names its directory without links, and is known by that.
	if absolute, err = filepath.EvalSymlinks(absolute); err != nil {
		return devRedis{}, "", err
	}
	lock, err := lockDirectory(absolute)
	if err != nil {
		return devRedis{}, "", err
	}
	if err := endOrphan(ctx, absolute); err != nil {
		return devRedis{}, "", errors.Join(err, lock.Close())
	}
	port, err := freePort(ctx)
	if err != nil {
		return devRedis{}, "", errors.Join(err, lock.Close())
	}
	// Before the server runs: one that is left behind while it loads must be found too.
	if err := os.WriteFile(portFile(absolute), []byte(strconv.Itoa(port)), 0o600); err != nil {
		return devRedis{}, "", errors.Join(err, lock.Close())
	}
	child, err := startRedisChild(ctx, path, absolute, port)
	if err != nil {
		return devRedis{}, "", errors.Join(err, lock.Close())
	}
	end := child.stop
	child.stop = func() {
		end()
		_ = lock.Close()
	}
	return child, "a redis-server child, in " + absolute, nil
}

// lockDirectory keeps a second process from the directory: two servers would write the same append-only file.
func lockDirectory(directory string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Clean(filepath.Join(directory, "lock")), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is in use by another `mpim dev`: stop that one, or choose another directory", directory), lock.Close())
	}
	return lock, nil
}

func portFile(directory string) string { return filepath.Join(directory, "port") }

// endOrphan stops the server of an earlier life that was killed and left it behind.
func endOrphan(ctx context.Context, directory string) error {
	port, err := os.ReadFile(filepath.Clean(portFile(directory)))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	client := redis.NewClient(&redis.Options{Addr: net.JoinHostPort("127.0.0.1", string(port)), MaxRetries: -1})
	defer func() { _ = client.Close() }()
	limit, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	kept, err := client.ConfigGet(limit, "dir").Result()
	for redis.IsLoadingError(err) && limit.Err() == nil {
		kept, err = client.ConfigGet(limit, "dir").Result()
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("port %s may belong to a redis-server that an earlier `mpim dev` left behind in %s, and it does not answer (%w): end it by hand", port, directory, err)
	}
	if kept["dir"] != directory {
		return nil // somebody else has the port now
	}
	_ = client.Shutdown(limit).Err() // it answers nothing
	for client.Ping(limit).Err() == nil {
		select {
		case <-limit.Done():
			return fmt.Errorf("the redis-server that an earlier `mpim dev` left behind in %s does not stop: end it by hand", directory)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
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
