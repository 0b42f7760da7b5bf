package checkpoint

import (
	_ "embed"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"

	"mpim/projections"
)

var (
	//go:embed lua/take.lua
	takeLua string
	//go:embed lua/ops.lua
	opsLua string
	//go:embed lua/step.lua
	stepLua string
	//go:embed lua/guarded.lua
	guardedLua string
	//go:embed lua/direct.lua
	directLua string
	//go:embed lua/registry.lua
	registryLua string
	//go:embed lua/hold.lua
	holdLua string
	//go:embed lua/fence.lua
	fenceLua string

	takeScript    = redis.NewScript(takeLua)
	stepScript    = redis.NewScript(opsLua + stepLua)
	guardedScript = redis.NewScript(opsLua + guardedLua)
	directScript  = redis.NewScript(opsLua + directLua)

	registryScript = redis.NewScript(registryLua)
	holdScript     = redis.NewScript(holdLua)
	fenceScript    = redis.NewScript(fenceLua)
)

// Outside marks an error of Redis as not the events' fault, unless the cause is what the key holds or what a script was
// told to write there.
func Outside(err error) error {
	if err == nil {
		return nil
	}
	if reply, ok := errors.AsType[redis.Error](err); ok {
		word, rest, _ := strings.Cut(reply.Error(), " ")
		// Redis and miniredis both name the script in the error of a command that failed inside of it.
		if word == "WRONGTYPE" || word == "ERR" && strings.Contains(rest, "script") {
			return err
		}
	}
	return projections.Outside(err)
}
