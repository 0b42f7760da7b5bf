package streams

import (
	"context"
	_ "embed" // for the scripts
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

var (
	//go:embed lua/close.lua
	closeLua string
	//go:embed lua/alive.lua
	aliveLua string
	//go:embed lua/ask.lua
	askLua string
	//go:embed lua/fork.lua
	forkLua string
)

const (
	appendersKey = "appenders"
	seenName     = "seen"
	// aliveEvery is how often an appender says that it is alive, and looks whether the server runs anew.
	aliveEvery = time.Second
)

// ErrNewEpoch says that the log was repaired, so that it goes on under another epoch: everything that was known of it is
// to be forgotten, and the log opened anew.
var ErrNewEpoch = errors.New("the log was repaired and goes on under a new epoch")

// prepare closes what was not closed yet since the server began to run, then loads the script. Unless it was done
// meanwhile: failed is the script that the server did not know.
func (l *Log) prepare(ctx context.Context, failed loadedScript) error {
	l.preparing.Lock()
	defer l.preparing.Unlock()
	if failed != l.script.current() {
		return nil
	}
	return l.config.Client.Watch(ctx, func(tx *redis.Tx) error {
		run, err := l.config.Server.RunID(ctx, tx)
		if err != nil {
			return err
		}
		return l.prepareOver(ctx, tx, run)
	})
}

// prepareOver does so over the connection that the run id came from. A connection ends with the server: what is closed, and what
// is loaded, is of that run and of no other.
func (l *Log) prepareOver(ctx context.Context, at redis.Cmdable, run string) error {
	_, err := at.Pipelined(ctx, func(p redis.Pipeliner) error {
		for partition := range l.appenders {
			keys := []string{schema.PartitionKey(partition, metaName), schema.PartitionKey(partition, seenName)}
			p.Eval(ctx, l.config.Server.Always(closeLua), keys, l.config.Identity.ID, run)
		}
		return nil
	})
	if err != nil {
		return err
	}
	// First the gates, or something could be appended with the script before this process was counted.
	for _, a := range l.appenders {
		a.gate.shut(run)
	}
	before := l.script.current().run
	if err := l.script.load(ctx, at, run); err != nil {
		return err
	}
	if before != "" && before != run {
		l.config.Logger.Warn("redis restarted or another one was promoted: appends go on where nothing is missing that was seen",
			slog.String("run_id_before", before), slog.String("run_id", run))
	}
	return nil
}

// kick has the log looked at now.
func (l *Log) kick() {
	select {
	case l.kicked <- struct{}{}:
	default:
	}
}

// Superseded says whether the log was repaired since, so that this process has to open it anew: Run ends with ErrNewEpoch.
func (l *Log) Superseded() bool { return l.over.Load() }

// replace removes the registrations of earlier lives, where none of them can live.
func (l *Log) replace(ctx context.Context) error {
	if !l.config.Sole {
		return nil
	}
	registered, err := l.config.Client.HKeys(ctx, appendersKey).Result()
	if err != nil {
		return err
	}
	for _, life := range registered {
		if strings.HasPrefix(life, l.config.Name+".") && life != l.life {
			if err := l.config.Client.HDel(ctx, appendersKey, life).Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// leave says that this process appends no more, so that nobody waits for it.
func (l *Log) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := l.config.Client.HDel(ctx, appendersKey, l.life).Err(); err != nil {
		l.config.Logger.Warn("redis could not be told that this process appends no more", slog.Any("error", err))
	}
}
