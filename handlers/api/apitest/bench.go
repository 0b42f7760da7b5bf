package apitest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/handlers/api"
	"mpim/handlers/auth"
	"mpim/handlers/command/commandtest"
	"mpim/projections"
	"mpim/projections/contacts"
	"mpim/projections/history"
	"mpim/projections/inbox"
	"mpim/projections/members"
	"mpim/projections/notices"
	"mpim/projections/presence"
	"mpim/projections/projectionstest"
	"mpim/projections/receipts"
	"mpim/projections/recent"
	"mpim/projections/search"
	"mpim/schema"
)

// Partitions is how many the log of a bench has.
const Partitions = 4

// Password is that of every user a bench registers.
const Password = "correct horse"

// Bench is an installation with its operations.
type Bench struct {
	Log        *commandtest.Log
	Placement  domain.Placement
	Operations *api.Operations
	Registry   *api.Registry
	Gate       *auth.Gate
	Attempts   *Attempts
	Typed      []schema.Typing
	// Redis has what the projections keep.
	Redis *miniredis.Miniredis

	mu          sync.Mutex
	now         time.Time
	epoch       string
	held        map[string]bool
	projections []projections.Projection
	applied     map[string][]int64
}

// New returns a bench. Configure, where it is not nil, changes the configuration before it is used.
func New(tb testing.TB, configure func(*api.Config)) *Bench {
	tb.Helper()
	b := &Bench{
		Log: commandtest.New(Partitions), Placement: domain.Placement{Partitions: Partitions},
		Attempts: &Attempts{}, now: time.Now().Truncate(time.Millisecond), epoch: "1",
		held: make(map[string]bool), applied: make(map[string][]int64),
	}
	b.Redis = miniredis.RunT(tb)
	client := redis.NewClient(&redis.Options{Addr: b.Redis.Addr()})
	tb.Cleanup(func() { _ = client.Close() })
	db := projectionstest.Open(tb, "sqlite::memory:")
	b.projections = []projections.Projection{
		members.New(members.Config{Client: client, Partitions: Partitions}),
		inbox.New(inbox.Config{Client: client, Partitions: Partitions}),
		recent.New(recent.Config{Client: client, Partitions: Partitions}),
		presence.New(presence.Config{Client: client, Partitions: Partitions}),
		history.New(db),
		contacts.New(db),
		receipts.New(db),
		search.New(db),
		notices.New(db),
	}
	tokens, err := auth.NewTokens(auth.TokensConfig{Key: []byte(strings.Repeat("k", auth.MinKeyBytes))})
	if err != nil {
		tb.Fatal(err)
	}
	passwords, err := auth.NewPasswords(auth.PasswordsConfig{Params: auth.PasswordParams{Memory: 8, Iterations: 1}, Concurrent: 2})
	if err != nil {
		tb.Fatal(err)
	}
	config := api.Config{
		Log: b.Log, Placement: b.Placement, Durability: "appended", Epoch: b.Epoch, EpochNumber: b.epochNumber,
		Tokens: tokens, Passwords: passwords, Attempts: b.Attempts,
		Members: members.NewQueries(client), Inbox: inbox.NewQueries(client), Recent: recent.NewQueries(client),
		History: history.NewQueries(db), Contacts: contacts.NewQueries(db), Search: search.NewQueries(db),
		Notices: notices.NewQueries(db), Receipts: receipts.NewQueries(db), Gateways: b, Presence: presence.NewQueries(client), Choices: presence.NewChoices(client, nil),
		Waiter: waiter{b}, Typing: typing{b}, Limits: conversation.DefaultLimits(), Now: b.Now,
	}
	if configure != nil {
		configure(&config)
	}
	if b.Operations, err = api.New(config); err != nil {
		tb.Fatal(err)
	}
	b.Registry, b.Gate = b.Operations.Registry(), auth.NewGate(tokens, b.Log)
	return b
}

// Now is the time on the bench: that of its making, and a millisecond more at each look.
func (b *Bench) Now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(time.Millisecond)
	return b.now
}

// Pass lets time pass.
func (b *Bench) Pass(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// Epoch is the log's.
func (b *Bench) Epoch() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.epoch
}

func (b *Bench) epochNumber() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int64(len(b.epoch))
}

// Gateways returns two, the more loaded one first.
func (b *Bench) Gateways(context.Context) ([]schema.GatewayLoad, error) {
	return []schema.GatewayLoad{{ID: "g1", URL: "http://one.test", Load: 0.5}, {ID: "g2", URL: "http://two.test", Load: 0.25}}, nil
}

// Repair changes the epoch.
func (b *Bench) Repair() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.epoch += "+"
}

// Hold keeps projections from going on until Release.
func (b *Bench) Hold(names ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range names {
		b.held[name] = true
	}
}

// Release lets all projections go on.
func (b *Bench) Release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.held)
}

// Fold brings all projections that are not held to the head of the log.
func (b *Bench) Fold(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.projections {
		if b.held[p.Name()] {
			continue
		}
		for partition := range Partitions {
			if err := b.fold(ctx, p, partition); err != nil {
				return fmt.Errorf("fold %s: %w", p.Name(), err)
			}
		}
	}
	return nil
}

const token = 1

func (b *Bench) fold(ctx context.Context, p projections.Projection, partition int) error {
	applied := b.applied[p.Name()]
	if applied == nil {
		applied = make([]int64, Partitions)
		b.applied[p.Name()] = applied
		for partition := range Partitions {
			if _, err := p.Take(ctx, partition, token); err != nil {
				return err
			}
		}
	}
	records := b.Log.Records(partition, applied[partition])
	if len(records) == 0 {
		return nil
	}
	last := records[len(records)-1]
	step := projections.Step{At: last.At, Batch: schema.Batch{
		Partition: partition, Token: token, From: records[0].Seq, To: last.Seq, StreamID: last.StreamID,
	}}
	for _, record := range records {
		if p.Handles(record.Type) {
			step.Records = append(step.Records, record)
		}
	}
	applied[partition] = last.Seq
	return p.Apply(ctx, step)
}

// Call folds, calls an operation with the params, which are encoded first, and returns the result as a client gets it.
func (b *Bench) Call(tb testing.TB, caller api.Caller, method string, params any) (map[string]any, error) {
	tb.Helper()
	if err := b.Fold(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	operation, ok := b.Registry.Lookup(method)
	if !ok {
		tb.Fatalf("there is no operation %s", method)
	}
	text, ok := params.(string)
	if !ok {
		encoded, err := json.Marshal(params)
		if err != nil {
			tb.Fatal(err)
		}
		text = string(encoded)
	}
	result, err := operation.Call(tb.Context(), caller, json.RawMessage(text))
	if err != nil {
		return nil, err
	}
	encoded, err := api.Encode(result)
	if err != nil {
		tb.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(encoded, &answer); err != nil {
		tb.Fatalf("%s answers %s: %v", method, encoded, err)
	}
	return answer, nil
}

// Must is Call where nothing may go wrong.
func (b *Bench) Must(tb testing.TB, caller api.Caller, method string, params any) map[string]any {
	tb.Helper()
	answer, err := b.Call(tb, caller, method, params)
	if err != nil {
		tb.Fatalf("%s %v: %v", method, params, err)
	}
	return answer
}

// User registers a user and logs it in.
func (b *Bench) User(tb testing.TB, name string) api.Caller {
	tb.Helper()
	b.Must(tb, api.Caller{RemoteAddr: "192.0.2.1"}, "account.register", P{"username": name, "password": Password})
	return b.Login(tb, name)
}

// Login logs a user in.
func (b *Bench) Login(tb testing.TB, name string) api.Caller {
	tb.Helper()
	answer := b.Must(tb, api.Caller{RemoteAddr: "192.0.2.1"}, "session.create", P{"username": name, "password": Password})
	session, _ := answer["session"].(string)
	return api.Caller{User: b.Placement.User(name), Session: domain.SessionID(session), RemoteAddr: "192.0.2.1"}
}

// Administrator registers a user who is one, and logs it in.
func (b *Bench) Administrator(tb testing.TB, name string) api.Caller {
	tb.Helper()
	b.Must(tb, api.Caller{Operator: true}, "admin.user.create", P{"username": name, "password": Password, "administrator": true})
	return b.Login(tb, name)
}

// P are parameters.
type P = map[string]any

// Code returns the code of an error, "" for none.
func Code(err error) domain.Code {
	if err == nil {
		return ""
	}
	return domain.CodeOf(err)
}
