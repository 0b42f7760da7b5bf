package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/handlers/api"
	"mpim/handlers/command"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/streamstest"
)

// inProcess is a worker and the operations of a gateway in this process, on a real Redis server: to count and to measure what
// they do without sockets in between.
type inProcess struct {
	stores  *stores
	log     *streams.Log
	gateway *gatewayParts
	redis   *streamstest.RedisServer
}

// startInProcess starts the consumers that are named, and everything they need.
func startInProcess(tb testing.TB, names ...string) *inProcess {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	server := streamstest.StartRedis(tb)
	settings := &Settings{
		RedisURL: server.URL(), DatabaseURL: "sqlite::memory:", Durability: streams.Appended, Partitions: 16,
		AuthKey: strings.Repeat("test key ", 4), Drain: time.Second, level: new(slog.LevelVar), cacheBytes: newCacheBytes(0),
		LimitsTextBytes: 16 << 10, LimitsGroupMembers: 100_000, LimitsClientIDBytes: 64,
	}
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	s, err := openStores(ctx, settings, slog.New(slog.DiscardHandler))
	must(err)
	_, _, err = s.migrate(ctx, settings.Partitions)
	must(err)
	p := &inProcess{stores: s, redis: server}
	p.log, err = s.newLog(settings.Durability, "test")
	must(err)
	worker, err := newConsumers(s, p.log, "test", "", names, settings)
	must(err)
	p.gateway, err = newGatewayParts(s, p.log, settings, "test", nil)
	must(err)
	stages := []stage{{name: "log", stopWithin: time.Second, parts: []func(context.Context) error{p.log.Run}}}
	stages = append(stages, worker.stages(time.Second)...)
	stages = append(stages, stage{name: "waiter", stopWithin: time.Second, parts: []func(context.Context) error{p.gateway.waiter.Run}})
	done := make(chan error, 1)
	go func() { done <- runStages(ctx, s.logger, stages, func() {}) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
		_ = s.Close()
	})
	return p
}

// call calls an operation and reads its result into out, unless that is nil.
func (p *inProcess) call(ctx context.Context, caller api.Caller, method string, params, out any) error {
	text, err := json.Marshal(params)
	if err != nil {
		return err
	}
	operation, ok := p.gateway.operations.Lookup(method)
	if !ok {
		return fmt.Errorf("there is no operation %s", method)
	}
	result, err := operation.Call(ctx, caller, text)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	encoded, err := api.Encode(result)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(encoded, out)
}

// user makes an account with a session, without the cost of a password.
func (p *inProcess) user(ctx context.Context, name string) (api.Caller, error) {
	user := p.stores.identity.Placement().User(name)
	caller := api.Caller{User: user, Session: domain.NewSessionID(user, entropy())}
	err := p.give(ctx, user, account.Register{Stamp: domain.NewStamp(user, time.Now()), Username: name, PasswordHash: "none"})
	if err != nil {
		return caller, err
	}
	return caller, p.give(ctx, user, account.CreateSession{
		Stamp: domain.NewStamp(user, time.Now()), Session: caller.Session, RefreshHash: "none", Verified: "none",
	})
}

// connect says that a user is connected to a gateway, as that would, in the log and to the push owners.
func (p *inProcess) connect(ctx context.Context, caller api.Caller, gateway string, number uint32) (id domain.ConnectionID, err error) {
	id = domain.NewConnectionID(caller.User, append(entropy()[:8], byte(number>>24), byte(number>>16), byte(number>>8), byte(number)))
	partition, _ := caller.User.Partition()
	err = p.give(ctx, caller.User, account.Connect{
		Stamp: domain.NewStamp(caller.User, time.Now()), Session: caller.Session, Connection: id, Gateway: gateway,
	})
	if err != nil {
		return id, err
	}
	_, _, err = p.stores.bus.Connected(ctx, partition, schema.Connected{
		Connection: id, User: caller.User, Session: caller.Session, Gateway: gateway,
	})
	return id, err
}

func (p *inProcess) give(ctx context.Context, user domain.UserID, c account.Command) error {
	_, err := command.Execute(ctx, p.log, command.Account, command.Request[account.Command]{
		Aggregate: user.Aggregate(), Command: c, Entropy: entropy(),
	})
	return err
}

func entropy() []byte {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails, as crypto/rand says
	return b
}
