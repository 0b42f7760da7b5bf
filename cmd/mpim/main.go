// Command mpim is an event-sourced chat backend on Redis Streams: gateway, workers and the tools of those who run it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl-C ends at once what does not stop at the first.
	context.AfterFunc(ctx, stop)
	code := run(ctx, system{args: os.Args[1:], env: os.Environ(), stdout: os.Stdout, stderr: os.Stderr})
	stop()
	os.Exit(code)
}
