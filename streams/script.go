package streams

import (
	"context"
	"crypto/sha1" //nolint:gosec // the name Redis gives to scripts
	_ "embed"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed lua/append.lua
	appendLua string
	//go:embed lua/create.lua
	createLua string
)

// runScript is a script whose text names the server's run id, so that a restarted or promoted server does not know it
// and answers NOSCRIPT: the moment to ask whether it lost something.
type runScript struct {
	source string

	mu     sync.Mutex
	loaded loadedScript
}

// loadedScript is the script as one run of a server knows it.
type loadedScript struct{ run, sha string }

// load loads the script over a connection to the server whose run id it is.
func (s *runScript) load(ctx context.Context, at redis.Cmdable, run string) error {
	text := "local RUN = " + strconv.Quote(run) + "\n" + s.source
	sum := sha1.Sum([]byte(text)) //nolint:gosec // the name Redis gives to scripts
	if err := at.ScriptLoad(ctx, text).Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded = loadedScript{run: run, sha: hex.EncodeToString(sum[:])}
	return nil
}

func (s *runScript) current() loadedScript {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loaded
}

// eval runs the script with what assemble returned. Where the server does not know it, the caller decides whether to
// prepare it anew.
func (s loadedScript) eval(ctx context.Context, client processor, call []any) (string, error) {
	call[1] = s.sha
	cmd := redis.NewCmd(ctx, call...)
	cmd.SetFirstKeyPos(3)
	_ = client.Process(ctx, cmd) // the command keeps its error
	return cmd.Text()
}

type processor interface {
	Process(ctx context.Context, cmd redis.Cmder) error
}

// isNoScript says whether the server does not know the script.
func isNoScript(err error) bool { return redis.HasErrorPrefix(err, "NOSCRIPT") }

// replyKind returns the first word of an error that the server answered, "" for one that it did not.
func replyKind(err error) string {
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return ""
	}
	word, _, _ := strings.Cut(reply.Error(), " ")
	return word
}
