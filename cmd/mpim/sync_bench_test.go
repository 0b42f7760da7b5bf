package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/domain/conversation"
	"mpim/handlers/api"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/streamstest"
)

const (
	// awayConversations is how many conversations a user has, awayMessages how many messages each got in a week.
	awayConversations = 200
	awayMessages      = 50
	// awayPage is how many conversations the first page has.
	awayPage = 20
)

// BenchmarkSync measures the time that a gateway takes for the first page of sync, on a real Redis server, for somebody who
// was away for an hour (60 messages in as many of 200 conversations), for a day (1,400 messages) and for a week (10,000).
//
// Beside it stands the limit: the same keys read raw, in as few pipelines as the answers allow. That reads no less than sync
// has to, decides nothing, and waits for nobody.
func BenchmarkSync(b *testing.B) {
	a := newAway(b)
	for _, away := range []struct {
		name          string
		conversations int
		messages      int
	}{{"hour", 60, 1}, {"day", awayConversations, 7}, {"week", awayConversations, awayMessages}} {
		b.Run(away.name, func(b *testing.B) { a.benchmark(b, away.conversations, away.messages) })
	}
	b.Run("everything", func(b *testing.B) { a.benchmark(b, awayConversations, int(a.head)) })
}

// away is an installation in one process, and a user of it who was not there.
type away struct {
	stores  *stores
	gateway *gatewayParts
	ann     api.Caller
	ids     []domain.ConversationID
	head    domain.Seq
}

// newAway starts everything that sync needs, and fills the log.
func newAway(b *testing.B) *away {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	level := new(slog.LevelVar)
	settings := &Settings{
		RedisURL: streamstest.StartRedis(b).URL(), DatabaseURL: "sqlite::memory:", Durability: streams.Appended, Partitions: 16,
		AuthKey: strings.Repeat("bench key ", 4), Drain: time.Second, level: level,
		LimitsTextBytes: 16 << 10, LimitsGroupMembers: 1000, LimitsClientIDBytes: 64,
	}
	logger := slog.New(slog.DiscardHandler)
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	s, err := openStores(ctx, settings, logger)
	must(err)
	_, _, err = s.migrate(ctx, settings.Partitions)
	must(err)
	log, err := s.newLog(settings.Durability)
	must(err)
	worker, err := newConsumers(s, log, "bench", "", []string{"members", "inbox", "recent"}, settings)
	must(err)
	a := &away{stores: s, ann: api.Caller{User: s.identity.Placement().User("ann"), Session: "s-bench"}}
	a.gateway, err = newGatewayParts(s, log, settings, "bench", nil)
	must(err)
	done := make(chan error, 1)
	stages := []stage{{name: "log", stopWithin: time.Second, parts: []func(context.Context) error{log.Run}}}
	stages = append(stages, worker.stages(time.Second)...)
	stages = append(stages, stage{name: "waiter", stopWithin: time.Second, parts: []func(context.Context) error{a.gateway.waiter.Run}})
	go func() { done <- runStages(ctx, logger, stages, func() {}) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
		_ = s.Close()
	})
	a.fill(b)
	return a
}

// call calls an operation and reads its result into out.
func (a *away) call(ctx context.Context, caller api.Caller, method string, params map[string]any, out any) error {
	text, err := json.Marshal(params)
	if err != nil {
		return err
	}
	operation, _ := a.gateway.operations.Lookup(method)
	result, err := operation.Call(ctx, caller, text)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	encoded, err := api.Encode(result)
	if err != nil {
		return err
	}
	return json.Unmarshal(encoded, out)
}

// fill makes the conversations, each with another user, and says everything.
func (a *away) fill(b *testing.B) {
	b.Helper()
	a.register(b)
	ben := api.Caller{User: a.stores.identity.Placement().User("ben"), Session: "s-ben"}
	var made struct {
		Conversation struct{ Conversation domain.ConversationID }
	}
	for n := range awayConversations {
		err := a.call(b.Context(), ben, "group.create", map[string]any{"title": fmt.Sprint("Group ", n), "members": []any{a.ann.User}}, &made)
		if err != nil {
			b.Fatal(err)
		}
		a.ids = append(a.ids, made.Conversation.Conversation)
	}
	var group errgroup.Group
	group.SetLimit(64)
	words := strings.Repeat("some words of a message ", 8)
	for n := range awayMessages {
		for _, id := range a.ids {
			group.Go(func() error {
				return a.call(b.Context(), ben, "message.send", map[string]any{
					"to": map[string]any{"conversation": id}, "client_id": strconv.Itoa(n), "body": map[string]any{"type": "text", "text": words},
				}, &struct{}{})
			})
		}
		if err := group.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	a.head = awayMessages + 1
}

// register makes the two accounts, without the cost of a password.
func (a *away) register(b *testing.B) {
	b.Helper()
	for _, name := range []string{"ann", "ben"} {
		if err := register(b.Context(), a.gateway.operations, name, name, name+"-password"); err != nil {
			b.Fatal(err)
		}
	}
}

type awayAnswer struct {
	Conversations []struct {
		Events   []json.RawMessage
		Complete bool
		Reset    bool
	}
	Next string
}

// benchmark measures a client that misses the last so many messages of so many conversations.
func (a *away) benchmark(b *testing.B, conversations, messages int) {
	b.Helper()
	since := make(map[domain.ConversationID]domain.Seq, len(a.ids))
	for i, id := range a.ids {
		since[id] = a.head
		if i < conversations {
			since[id] -= domain.Seq(messages)
		}
	}
	params, err := json.Marshal(map[string]any{"since": since})
	if err != nil {
		b.Fatal(err)
	}
	operation, _ := a.gateway.operations.Lookup("sync")
	var encoded json.RawMessage
	took := make([]time.Duration, 0, b.N)
	for b.Loop() {
		began := time.Now()
		result, err := operation.Call(b.Context(), a.ann, params)
		if err != nil {
			b.Fatal(err)
		}
		if encoded, err = api.Encode(result); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	b.StopTimer()
	var answer awayAnswer
	if err := json.Unmarshal(encoded, &answer); err != nil {
		b.Fatal(err)
	}
	if len(answer.Conversations) != awayPage || len(answer.Conversations[0].Events) != messages || !answer.Conversations[0].Complete || answer.Next == "" {
		b.Fatalf("the answer is %.300s", encoded)
	}
	limit := a.raw(b, messages, max(20, min(len(took), 200)))
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(took[len(took)/2]), "p50-ms")
	b.ReportMetric(ms(took[len(took)*99/100]), "p99-ms")
	b.ReportMetric(ms(limit), "raw-p50-ms")
	b.ReportMetric(float64(len(encoded))/1024, "KiB/answer")
}

// raw reads what sync reads, times over, and returns the median.
func (a *away) raw(b *testing.B, messages, times int) time.Duration {
	b.Helper()
	client, ctx := a.stores.redis, b.Context()
	took := make([]time.Duration, times)
	for n := range took {
		began := time.Now()
		_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for partition := range a.stores.identity.Partitions {
				p.HGet(ctx, schema.PartitionKey(partition, "meta"), "seq")
				for _, projection := range []string{"members", "inbox", "recent"} {
					p.HGet(ctx, schema.PartitionKey(partition, "checkpoint:"+projection), "seq")
				}
			}
			p.HGetAll(ctx, "user:conversations:{"+string(a.ann.User)+"}")
			return nil
		})
		if err == nil {
			_, err = client.Pipelined(ctx, func(p redis.Pipeliner) error {
				a.rawEntries(ctx, p, messages)
				return nil
			})
		}
		if err != nil && err != redis.Nil { //nolint:errorlint // the library returns it as it is
			b.Fatal(err)
		}
		took[n] = time.Since(began)
	}
	slices.Sort(took)
	return took[len(took)/2]
}

func (a *away) rawEntries(ctx context.Context, p redis.Pipeliner, messages int) {
	user := string(a.ann.User)
	for i, id := range a.ids {
		partition, _ := id.Partition()
		p.HMGet(ctx, schema.PartitionKey(partition, "inbox:"+string(id)), "h", "u", "kind", "x", "c:"+user, "a:"+user, "m:"+user, "m:all", "r:"+user)
		if i < awayPage {
			p.Get(ctx, schema.PartitionKey(partition, "last:"+string(id)))
			p.HMGet(ctx, schema.PartitionKey(partition, "agg:"+id.Aggregate().String()), conversation.Fields(a.ann.User)...)
			p.LRange(ctx, schema.PartitionKey(partition, "recent:"+string(id)), -int64(messages), -1)
		}
	}
	partition, _ := a.ann.User.Partition()
	p.HMGet(ctx, schema.PartitionKey(partition, "agg:"+a.ann.User.Aggregate().String()), account.ProfileFields()...)
}
