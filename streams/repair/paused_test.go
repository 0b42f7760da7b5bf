package repair_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

// pause calls then when a command is called for the first time.
type pause struct {
	command string
	then    func()
	once    sync.Once
}

func (*pause) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (p *pause) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == p.command {
			p.once.Do(p.then)
		}
		return next(ctx, cmd)
	}
}

func (*pause) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// TestPausedRepairer pauses a repairer about to clear a partition until another one has repaired the log, and people have written.
func TestPausedRepairer(t *testing.T) {
	w := newWorld(t)
	w.say(t, "a", "b", "c")
	w.archived(t)
	if err := w.client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	late := w.repairer()
	client := w.Client()
	client.AddHook(&pause{command: "scan", then: func() {
		if _, err := w.repairer().Run(t.Context()); err != nil {
			t.Error(err)
		}
		w.say(t, "d")
	}})
	late.Client = client
	if _, err := late.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "FENCED") {
		t.Errorf("the late one says %v, want that it is fenced", err)
	}
	w.sound(t, "a", "b", "c", "d")
}
