package lease

import (
	"context"
	_ "embed" // for the scripts
	"errors"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed lua/workers.lua
	workersSource string
	//go:embed lua/renew.lua
	renewSource string
	//go:embed lua/take.lua
	takeSource string
	//go:embed lua/release.lua
	releaseSource string

	workersScript = redis.NewScript(workersSource)
	renewScript   = redis.NewScript(renewSource)
	takeScript    = redis.NewScript(takeSource)
	releaseScript = redis.NewScript(releaseSource)
)

// call is one run of a script, which touches one key.
type call struct {
	script *redis.Script
	key    string
	args   []any
}

// runAll runs the calls in one round trip, or in two where the server did not have a script. A call that failed has its
// error in its command; the error returned is that of the first.
func runAll(ctx context.Context, client redis.UniversalClient, calls []call) ([]*redis.Cmd, error) {
	commands := make([]*redis.Cmd, len(calls))
	pipe := client.Pipeline()
	for i, c := range calls {
		commands[i] = c.script.EvalSha(ctx, pipe, []string{c.key}, c.args...)
	}
	_, err := pipe.Exec(ctx)
	if err == nil {
		return commands, nil
	}
	for i, c := range calls {
		if redis.HasErrorPrefix(commands[i].Err(), "NOSCRIPT") {
			commands[i] = c.script.Eval(ctx, pipe, []string{c.key}, c.args...)
		}
	}
	if pipe.Len() > 0 {
		_, _ = pipe.Exec(ctx) // each command has its own error
	}
	for _, command := range commands {
		if err := command.Err(); err != nil {
			return commands, err
		}
	}
	return commands, nil
}

var errReply = errors.New("a lease script gave an answer of another form than expected")
