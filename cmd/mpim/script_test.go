package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mpim/streams/streamstest"
)

// scriptTime bounds each wait of a script.
const scriptTime = 20 * time.Second

// scriptVariables are what a script may set, and what processes that serve are given.
var scriptVariables = []string{
	"MPIM_REDIS_URL", "MPIM_DATABASE_URL", "MPIM_AUTH_KEY", "MPIM_DURABILITY", "MPIM_CONFIG", "MPIM_LOG_LEVEL", "MPIM_PARTITIONS", "MPIM_LOG_KEEP", "MPIM_AUDIT_SIGN_EVERY",
}

// TestScripts runs the command line as an operator does: each script against a database of a real Redis, and SQLite.
func TestScripts(t *testing.T) {
	server := streamstest.StartRedis(t, streamstest.With("databases", "64"))
	unsafe := streamstest.StartRedis(t, streamstest.With("maxmemory-policy", "allkeys-lru"))
	var databases atomic.Int64
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			database := databases.Add(1)
			env.Setenv("MPIM_REDIS_URL", fmt.Sprintf("redis://%s/%d", server.Addr(), database))
			env.Setenv("EMPTY_REDIS", fmt.Sprintf("redis://%s/%d", server.Addr(), 32+database))
			env.Setenv("MPIM_DATABASE_URL", "sqlite://"+filepath.Join(env.WorkDir, "mpim.db"))
			env.Setenv("MPIM_AUTH_KEY", "a key of the tests that is long enough")
			env.Setenv("UNSAFE_REDIS", unsafe.URL())
			env.Values[partsKey{}] = make(map[string]*served)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": scriptExits, "shape": scriptShape, "await-ok": scriptAwaitOK, "begin": scriptBegin, "ended": scriptEnded, "serve": scriptServe, "await": scriptAwait, "stop-serving": scriptStop,
			"signal": scriptSignal, "chat": scriptChat, "send": scriptSend, "lines": scriptLines, "value": scriptValue,
		},
	})
}

// scriptExits runs a command that must exit with a code: exits 2 mpim log tali.
func scriptExits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("%v exits with %d, want %s", args[1:], code, args[0])
	}
}

// scriptAwaitOK runs a command until it exits with 0: await-ok mpim doctor.
func scriptAwaitOK(ts *testscript.TestScript, _ bool, args []string) {
	limit := time.After(scriptTime)
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-limit:
			ts.Fatalf("%v: %v", args, err)
		}
	}
}

// scriptLines counts lines: lines stdout 3.
func scriptLines(ts *testscript.TestScript, _ bool, args []string) {
	if n := strings.Count(ts.ReadFile(args[0]), "\n"); strconv.Itoa(n) != args[1] {
		ts.Fatalf("%s has %d lines, want %s", args[0], n, args[1])
	}
}

// scriptValue keeps what a pattern's group finds in a variable: value EVENT stdout '"event":"([^"]+)"'.
func scriptValue(ts *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile(args[2]).FindStringSubmatch(ts.ReadFile(args[1]))
	if len(found) != 2 {
		ts.Fatalf("%s has no %s", args[1], args[2])
	}
	ts.Setenv(args[0], found[1])
}

// scriptShape compares each JSON document of a file with a shape: shape stdout line.json. A shape is JSON whose strings name
// types, whose arrays have the shape of each element, and whose objects name all members; a name may end in "?".
func scriptShape(ts *testscript.TestScript, _ bool, args []string) {
	var want any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &want))
	decoder := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	documents := 0
	for ; decoder.More(); documents++ {
		var got any
		ts.Check(decoder.Decode(&got))
		if err := fits(want, got, "$"); err != nil {
			ts.Fatalf("document %d: %v", documents+1, err)
		}
	}
	if documents == 0 {
		ts.Fatalf("%s has no JSON", args[0])
	}
}

func fits(want, got any, at string) error {
	switch want := want.(type) {
	case string:
		if name := typeName(got); want != "any" && !slices.Contains(strings.Split(want, "|"), name) {
			return fmt.Errorf("%s is %v, want %s", at, got, want)
		}
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) == 0 {
			return fmt.Errorf("%s is %v, want a list with something in it", at, got)
		}
		for n, element := range list {
			if err := fits(want[0], element, fmt.Sprintf("%s[%d]", at, n)); err != nil {
				return err
			}
		}
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is %v, want an object", at, got)
		}
		rest := maps.Clone(object)
		for name, member := range want {
			name, optional := strings.CutSuffix(name, "?")
			value, there := object[name]
			delete(rest, name)
			if !there && !optional {
				return fmt.Errorf("%s has no %s", at, name)
			}
			if there {
				if err := fits(member, value, at+"."+name); err != nil {
					return err
				}
			}
		}
		if len(rest) > 0 {
			return fmt.Errorf("%s has members that it should not have: %v", at, rest)
		}
	}
	return nil
}

func typeName(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case float64:
		return "number"
	case bool:
		return "bool"
	case []any:
		return "list"
	default:
		return "object"
	}
}

type partsKey struct{}

// served is a process that serves while the script goes on. What it writes is in NAME.out and NAME.err.
type served struct {
	command *exec.Cmd
	exited  chan struct{}
}

func parts(ts *testscript.TestScript) map[string]*served {
	return ts.Value(partsKey{}).(map[string]*served) //nolint:forcetypeassert // Setup puts it there
}

// scriptBegin starts a process: begin NAME mpim log tail -f.
func scriptBegin(ts *testscript.TestScript, _ bool, args []string) {
	name := args[0]
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	command := exec.CommandContext(context.Background(), path, args[2:]...)
	command.Dir = ts.Getenv("WORK")
	command.Env = []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("WORK"), "TMPDIR=" + ts.Getenv("TMPDIR")}
	for _, variable := range scriptVariables {
		command.Env = append(command.Env, variable+"="+ts.Getenv(variable))
	}
	out, err := os.Create(ts.MkAbs(name + ".out"))
	ts.Check(err)
	errs, err := os.Create(ts.MkAbs(name + ".err"))
	ts.Check(err)
	command.Stdout, command.Stderr = out, errs
	ts.Check(command.Start())
	part := &served{command: command, exited: make(chan struct{})}
	go func() {
		_ = command.Wait() // the code is in ProcessState
		close(part.exited)
	}()
	ts.Defer(func() {
		_ = command.Process.Kill() // it may have ended
		<-part.exited
		_, _ = out.Close(), errs.Close()
	})
	parts(ts)[name] = part
}

// scriptServe starts a process and waits for its line "ready": serve dev mpim dev --addr 127.0.0.1:0 sets $dev to its URL.
func scriptServe(ts *testscript.TestScript, neg bool, args []string) {
	scriptBegin(ts, neg, args)
	name := args[0]
	await(ts, name+".out", `(?m)^ready `, parts(ts)[name].exited)
	ready := regexp.MustCompile(`(?m)^ready \S+ (\S+)$`).FindStringSubmatch(ts.ReadFile(name + ".out"))
	if ready == nil {
		ts.Fatalf("%s is not ready:\n%s", name, ts.ReadFile(name+".err"))
	}
	ts.Setenv(name, ready[1])
}

// scriptStop ends a process as an orchestrator does, and wants it to exit with 0.
func scriptStop(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(parts(ts)[args[0]].command.Process.Signal(syscall.SIGTERM))
	scriptEnded(ts, neg, []string{args[0], "0"})
}

// scriptEnded waits until a process has ended, with a code: ended NAME 0.
func scriptEnded(ts *testscript.TestScript, _ bool, args []string) {
	part := parts(ts)[args[0]]
	select {
	case <-part.exited:
	case <-time.After(scriptTime):
		ts.Fatalf("%s does not stop", args[0])
	}
	if code := part.command.ProcessState.ExitCode(); strconv.Itoa(code) != args[1] {
		ts.Fatalf("%s exits with %d, want %s:\n%s", args[0], code, args[1], ts.ReadFile(args[0]+".err"))
	}
}

// scriptSignal sends SIGHUP or SIGINT to a process: signal dev HUP.
func scriptSignal(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "INT": syscall.SIGINT}
	ts.Check(parts(ts)[args[0]].command.Process.Signal(signals[args[1]]))
}

// scriptAwait waits until a file has what a pattern describes: await dev.err 'setting changed'.
func scriptAwait(ts *testscript.TestScript, _ bool, args []string) {
	await(ts, args[0], args[1], nil)
}

func await(ts *testscript.TestScript, file, pattern string, ended <-chan struct{}) {
	wanted := regexp.MustCompile(pattern)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(scriptTime)
	for !wanted.MatchString(ts.ReadFile(file)) {
		select {
		case <-ticker.C:
		case <-ended:
			return
		case <-limit:
			ts.Fatalf("%s never has %s:\n%s", file, pattern, ts.ReadFile(file))
		}
	}
}

// scriptChat has alice and bob talk: chat $dev. In the log are then their accounts, three messages of one conversation, an
// edit of the second, a receipt, and a group of both. It sets ALICE, BOB, CONVERSATION, GROUP and EVENT, the first message's.
func scriptChat(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), scriptTime)
	defer cancel()
	base := args[0]
	alice, err := register(ctx, base, "alice")
	ts.Check(err)
	bob, err := register(ctx, base, "bob")
	ts.Check(err)
	var sent struct{ Conversation, Event, Position string }
	call := func(token, method, path string, body map[string]any) {
		_, err := rest(ctx, method, base+path, token, body, &sent)
		ts.Check(err)
	}
	text := func(s string) map[string]any { return map[string]any{"type": "text", "text": s} }
	message := func(to, id, s string) map[string]any {
		return map[string]any{"to": map[string]any{"user": to}, "client_id": id, "body": text(s)}
	}
	call(alice.Token, "POST", "/v1/messages", message(bob.User.ID, "1", "hello"))
	ts.Setenv("EVENT", sent.Event)
	ts.Setenv("CONVERSATION", sent.Conversation)
	call(bob.Token, "POST", "/v1/messages", message(alice.User.ID, "2", "hi there"))
	call(alice.Token, "POST", "/v1/messages", message(bob.User.ID, "3", "how are you?"))
	var got struct{ Conversation json.RawMessage }
	_, err = rest(ctx, "GET", base+"/v1/conversations/"+sent.Conversation+"?after_position="+sent.Position, alice.Token, nil, &got)
	ts.Check(err)
	var first struct {
		HeadSeq int `json:"head_seq"`
	}
	ts.Check(json.Unmarshal(got.Conversation, &first))
	call(bob.Token, "PATCH", fmt.Sprintf("/v1/conversations/%s/messages/%d", sent.Conversation, first.HeadSeq-1), map[string]any{"body": text("hi, Alice")})
	call(bob.Token, "POST", "/v1/conversations/"+ts.Getenv("CONVERSATION")+"/receipts", map[string]any{"read_seq": first.HeadSeq})
	var group struct{ Conversation struct{ Conversation string } }
	_, err = rest(ctx, "POST", base+"/v1/groups", alice.Token, map[string]any{"title": "Both", "members": []string{bob.User.ID}}, &group)
	ts.Check(err)
	ts.Setenv("GROUP", group.Conversation.Conversation)
	ts.Setenv("ALICE", alice.User.ID)
	ts.Setenv("BOB", bob.User.ID)
}

// scriptSend sends messages as alice, the last of which must be refused where a code is given: send $dev 5 rate_limited.
func scriptSend(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), scriptTime)
	defer cancel()
	alice, err := register(ctx, args[0], "alice")
	ts.Check(err)
	bob, err := register(ctx, args[0], "bob")
	ts.Check(err)
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	refused := ""
	for range n {
		_, err := rest(ctx, "POST", args[0]+"/v1/messages", alice.Token, map[string]any{
			"to": map[string]any{"user": bob.User.ID}, "client_id": strconv.FormatInt(time.Now().UnixNano(), 36),
			"body": map[string]any{"type": "text", "text": "again"},
		}, nil)
		if refused = codeOf(err); err != nil && refused == "" {
			ts.Fatalf("%v", err)
		}
	}
	if want := append(args, "")[2]; refused != want {
		ts.Fatalf("the last of %d messages got %q, want %q", n, refused, want)
	}
}
