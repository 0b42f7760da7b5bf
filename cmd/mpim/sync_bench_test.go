package main

import (
	"context"
	"encoding/json"
	"fmt"
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

// away is a user who was not there.
type away struct {
	*inProcess

	ann, ben api.Caller
	ids      []domain.ConversationID
	head     domain.Seq
}

// newAway starts everything that sync needs, and fills the log.
func newAway(b *testing.B) *away {
	b.Helper()
	a := &away{inProcess: startInProcess(b, "members", "inbox", "recent")}
	for name, caller := range map[string]*api.Caller{"ann": &a.ann, "ben": &a.ben} {
		var err error
		if *caller, err = a.user(b.Context(), name); err != nil {
			b.Fatal(err)
		}
	}
	a.fill(b)
	return a
}

// fill makes the conversations, each with another user, and says everything.
func (a *away) fill(b *testing.B) {
	b.Helper()
	var made struct {
		Conversation struct{ Conversation domain.ConversationID }
	}
	for n := range awayConversations {
		err := a.call(b.Context(), a.ben, "group.create", map[string]any{"title": fmt.Sprint("Group ", n), "members": []any{a.ann.User}}, &made)
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
				return a.call(b.Context(), a.ben, "message.send", map[string]any{
					"to": map[string]any{"conversation": id}, "client_id": strconv.Itoa(n), "body": map[string]any{"type": "text", "text": words},
				}, nil)
			})
		}
		if err := group.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	a.head = awayMessages + 1
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
