package streams

import (
	"context"
	"crypto/sha1" //nolint:gosec // the name Redis gives to scripts
	_ "embed"
	"encoding/hex"
	"errors"
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
	server Server
	source string

	mu    sync.Mutex
	runID string
	sha   string
}

// prepare reads the run id and loads the script under it. It returns the run id that it was loaded under before, "" at
// first, and the one now.
func (s *runScript) prepare(ctx context.Context, client redis.Scripter) (before, now string, err error) {
	runID, err := s.server.RunID(ctx)
	if err != nil {
		return "", "", err
	}
	text := "-- run " + runID + "\n" + s.source
	sum := sha1.Sum([]byte(text)) //nolint:gosec // the name Redis gives to scripts
	s.mu.Lock()
	before = s.runID
	s.runID, s.sha = runID, hex.EncodeToString(sum[:])
	s.mu.Unlock()
	if err := client.ScriptLoad(ctx, text).Err(); err != nil {
		return before, runID, err
	}
	// A server that restarted in between has the script of its life before, and would not be missed.
	now, err = s.server.RunID(ctx)
	if err == nil && now != runID {
		err = errRestarted
	}
	return before, now, err
}

var errRestarted = errors.New("redis restarted while the append script was loaded")

// sameServer says whether the server is still in the life that the script was loaded in.
func (s *runScript) sameServer(ctx context.Context) (bool, error) {
	runID, err := s.server.RunID(ctx)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return runID == s.runID, nil
}

// scriptOf returns the name of the script that eval sent the call with.
func scriptOf(call []any) string {
	sha, _ := call[1].(string)
	return sha
}

// eval runs the script with what assemble returned. Where the server does not know it, the caller decides whether to
// prepare it anew.
func (s *runScript) eval(ctx context.Context, client processor, call []any) (string, error) {
	s.mu.Lock()
	call[1] = s.sha
	s.mu.Unlock()
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
