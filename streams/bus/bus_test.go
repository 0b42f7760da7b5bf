package bus_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams/bus"
	"mpim/streams/streamstest"
)

const partitions = 4

func TestMain(m *testing.M) { os.Exit(streamstest.Main(m)) }

// stores are what the bus runs on: the embedded store, and a server.
func stores(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{"miniredis": miniredis.RunT(t).Addr(), "redis": streamstest.Server.Addr()}
}

// open empties a store.
func open(t *testing.T, address string) (*redis.Client, *bus.Bus) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: address, DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	if err := client.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	return client, newBus(t, client)
}

func newBus(tb testing.TB, client redis.UniversalClient) *bus.Bus {
	tb.Helper()
	b, err := bus.New(bus.Config{Client: client, Partitions: partitions})
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func connected(gateway string, n int) schema.Connected {
	return schema.Connected{
		Connection: domain.ConnectionID(fmt.Sprintf("c%d", n)), User: domain.UserID(fmt.Sprintf("u%d", n)),
		Session: domain.SessionID(fmt.Sprintf("s%d", n)), Gateway: gateway, Client: "test/1",
	}
}

func TestConnectedGivesTheGatewayALeaseWhereItHasNone(t *testing.T) {
	for name, address := range stores(t) {
		t.Run(name, func(t *testing.T) {
			client, b := open(t, address)
			ctx := t.Context()
			first, absent, err := b.Connected(ctx, 1, connected("g", 1))
			if err != nil || !absent {
				t.Fatalf("first: %v, %v", absent, err)
			}
			second, absent, err := b.Connected(ctx, 1, connected("g", 2), connected("g", 3))
			if err != nil || absent || second.Compare(first) <= 0 {
				t.Fatalf("second: %v after %v, absent %v, %v", second, first, absent, err)
			}
			heads, err := b.PresenceHeads(ctx)
			if err != nil || heads[1] != second || heads[0] != (schema.StreamID{}) {
				t.Fatalf("heads %v, %v", heads, err)
			}
			// A lease that has run out is none.
			old := time.Now().Add(-2 * bus.GatewayLease).UnixMilli()
			if err := client.HSet(ctx, schema.PartitionKey(1, "gateways"), "g", old).Err(); err != nil {
				t.Fatal(err)
			}
			if _, absent, err = b.Connected(ctx, 1, connected("g", 4)); err != nil || !absent {
				t.Fatalf("after the lease ran out: %v, %v", absent, err)
			}
		})
	}
}

func TestManyConnectionsAreSaidInOneCall(t *testing.T) {
	for name, address := range stores(t) {
		t.Run(name, func(t *testing.T) {
			client, b := open(t, address)
			var entries []schema.Connected
			for n := range 250 {
				entries = append(entries, connected("g", n))
			}
			id, absent, err := b.Connected(t.Context(), 0, entries...)
			if err != nil || !absent {
				t.Fatal(absent, err)
			}
			last, err := client.XRevRangeN(t.Context(), schema.PartitionKey(0, "presence"), "+", "-", 1).Result()
			if err != nil || last[0].ID != id.String() || last[0].Values["connection"] != "c249" {
				t.Fatal(last, id, err)
			}
		})
	}
}

func TestRenewTellsWhichLeasesAreGone(t *testing.T) {
	for name, address := range stores(t) {
		t.Run(name, func(t *testing.T) {
			client, b := open(t, address)
			ctx := t.Context()
			for _, partition := range []int{0, 1, 2} {
				if _, _, err := b.Connected(ctx, partition, connected("g", partition)); err != nil {
					t.Fatal(err)
				}
			}
			if gone, err := b.Renew(ctx, "g", []int{0, 1, 2, 3}); err != nil || !slices.Equal(gone, []int{3}) {
				t.Fatalf("gone %v, %v", gone, err)
			}
			old := time.Now().Add(-2 * bus.GatewayLease).UnixMilli()
			if err := client.HSet(ctx, schema.PartitionKey(2, "gateways"), "g", old).Err(); err != nil {
				t.Fatal(err)
			}
			if gone, err := b.Renew(ctx, "g", []int{0, 2}); err != nil || !slices.Equal(gone, []int{2}) {
				t.Fatalf("gone %v, %v", gone, err)
			}
			if err := b.Withdraw(ctx, "g", []int{0, 1}); err != nil {
				t.Fatal(err)
			}
			if gone, err := b.Renew(ctx, "g", []int{0, 1}); err != nil || len(gone) != 2 {
				t.Fatalf("gone %v, %v", gone, err)
			}
		})
	}
}

func TestOnlySilentGatewaysAreExpired(t *testing.T) {
	for name, address := range stores(t) {
		t.Run(name, func(t *testing.T) {
			client, b := open(t, address)
			ctx := t.Context()
			for _, gateway := range []string{"alive", "dead", "back"} {
				if _, _, err := b.Connected(ctx, 0, connected(gateway, 1)); err != nil {
					t.Fatal(err)
				}
			}
			old := time.Now().Add(-2 * bus.GatewayLease).UnixMilli()
			if err := client.HSet(ctx, schema.PartitionKey(0, "gateways"), "dead", old, "back", old).Err(); err != nil {
				t.Fatal(err)
			}
			silent, err := b.Silent(ctx, 0)
			slices.SortFunc(silent, func(a, b bus.SilentGateway) int { return len(a.Gateway) - len(b.Gateway) })
			if err != nil || len(silent) != 2 {
				t.Fatalf("silent %v, %v", silent, err)
			}
			if _, absent, err := b.Connected(ctx, 0, connected("back", 2)); err != nil || !absent {
				t.Fatal(absent, err)
			}
			for _, g := range silent {
				expired, err := b.Expire(ctx, 0, g)
				if err != nil || expired != (g.Gateway == "dead") {
					t.Errorf("%s expired: %v, %v", g.Gateway, expired, err)
				}
				if again, err := b.Expire(ctx, 0, g); err != nil || again {
					t.Errorf("%s expired twice: %v, %v", g.Gateway, again, err)
				}
			}
			last, err := client.XRevRangeN(ctx, schema.PartitionKey(0, "presence"), "+", "-", 1).Result()
			if err != nil || last[0].Values["kind"] != "gateway_expired" || last[0].Values["gateway"] != "dead" {
				t.Fatal(last, err)
			}
		})
	}
}

func TestPresenceStreamsForgetWhatIsOld(t *testing.T) {
	ctx := t.Context()
	client := streamstest.Server.Client()
	if err := client.FlushDB(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	key := schema.PartitionKey(3, "presence")
	old := time.Now().Add(-2 * bus.PresenceKept).UnixMilli()
	for n := range 1000 {
		if err := client.XAdd(ctx, &redis.XAddArgs{
			Stream: key, ID: fmt.Sprintf("%d-%d", old, n+1), Values: schema.GatewayExpired{Gateway: "g"}.Fields(),
		}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := newBus(t, client).Typing(ctx, 3, schema.Typing{Conversation: "d1", User: "u1", Typing: true}); err != nil {
		t.Fatal(err)
	}
	// Whole nodes of a hundred entries go.
	if n := client.XLen(ctx, key).Val(); n > 101 {
		t.Errorf("%d entries are kept", n)
	}
}

func TestFollowPresenceReadsEveryStreamInOrder(t *testing.T) {
	for name, address := range stores(t) {
		t.Run(name, func(t *testing.T) {
			_, b := open(t, address)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			start, err := b.PresenceStart(ctx)
			if err != nil {
				t.Fatal(err)
			}
			const each = 300
			var writers sync.WaitGroup
			for partition := range partitions {
				writers.Go(func() {
					for n := range each {
						if _, _, err := b.Connected(ctx, partition, connected("g", n)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			seen := make([]int, partitions)
			last := make([]schema.StreamID, partitions)
			err = b.FollowPresence(ctx, start, func(entries []schema.PresenceRead) {
				for _, e := range entries {
					if want := connected("g", seen[e.Partition]); e.Entry != want || e.ID.Compare(last[e.Partition]) <= 0 {
						t.Errorf("partition %d: %+v after %v", e.Partition, e, last[e.Partition])
					}
					seen[e.Partition]++
					last[e.Partition] = e.ID
				}
				if slices.Equal(seen, slices.Repeat([]int{each}, partitions)) {
					cancel()
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			writers.Wait()
		})
	}
}

// A blocking read must not hold up a stop: the server is asked to end it.
func TestFollowPresenceStopsAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := newBus(t, streamstest.Server.Client())
	done := make(chan error, 1)
	go func() {
		done <- b.FollowPresence(ctx, make([]schema.StreamID, partitions), func([]schema.PresenceRead) {})
	}()
	deadline := time.Now().Add(5 * time.Second)
	for {
		clients, err := streamstest.Server.Client().ClientList(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		if containsBlocked(clients) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody blocks")
		}
	}
	began := time.Now()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Errorf("stopping took %s", took)
	}
}

func TestMembersAreThoseOfDecisionState(t *testing.T) {
	for name, address := range stores(t) {
		t.Run(name, func(t *testing.T) {
			client, b := open(t, address)
			ctx := t.Context()
			placement := domain.Placement{Partitions: partitions}
			alice, bob := placement.User("alice"), placement.User("bob")
			group, pair, none := placement.Group(alice, "1"), placement.Pair(alice, bob), placement.Group(alice, "2")
			large := map[string]string{"h": "{}", "seq": "2000", "v": "3", "ord": "5"}
			for n := range 1500 {
				large[fmt.Sprintf("m:u%d", n)] = "member;;1-"
				large[fmt.Sprintf("c:u%d", n)] = "1 1"
			}
			set := func(c domain.ConversationID, fields map[string]string) {
				partition, _ := c.Partition()
				if err := client.HSet(ctx, schema.PartitionKey(partition, "agg:"+string(c)), fields).Err(); err != nil {
					t.Fatal(err)
				}
			}
			set(group, large)
			set(pair, map[string]string{"h": "{2}", "seq": "3"})
			got, err := b.Members(ctx, []domain.ConversationID{group, pair, none})
			if err != nil {
				t.Fatal(err)
			}
			if len(got[0]) != 1502 || got[0]["seq"] != "2000" || got[0]["m:u1499"] != "member;;1-" {
				t.Errorf("the group has %d fields", len(got[0]))
			}
			if len(got[1]) != 2 || got[1]["h"] != "{2}" || len(got[2]) != 0 {
				t.Errorf("the pair has %v, the other %v", got[1], got[2])
			}
		})
	}
}

func newServer(t *testing.T) *streamstest.RedisServer {
	t.Helper()
	return streamstest.StartRedis(t)
}

func TestPresenceStartGoesBackAsFarAsTheRegistryLags(t *testing.T) {
	for name, address := range stores(t) {
		t.Run(name, func(t *testing.T) {
			client, b := open(t, address)
			ctx := t.Context()
			behind := time.Now().Add(-40 * time.Minute).UnixMilli()
			for partition, seq := range map[int]string{1: "9", 2: "8"} {
				client.HSet(ctx, schema.PartitionKey(partition, "meta"), "seq", "9")
				client.HSet(ctx, schema.PartitionKey(partition, "checkpoint:presence"), "seq", seq, "id", fmt.Sprintf("%d-0", behind))
			}
			start, err := b.PresenceStart(ctx)
			if err != nil {
				t.Fatal(err)
			}
			ago := func(partition int) time.Duration {
				return time.Since(time.UnixMilli(int64(start[partition].Milliseconds))).Round(time.Minute)
			}
			if ago(0) != 5*time.Minute || ago(1) != 5*time.Minute || ago(2) != 45*time.Minute {
				t.Errorf("it goes back %s, %s and %s", ago(0), ago(1), ago(2))
			}
			// A log with events of which the registry has none at all.
			client.HSet(ctx, schema.PartitionKey(3, "meta"), "seq", "1")
			if start, err = b.PresenceStart(ctx); err != nil || start[3] != (schema.StreamID{}) {
				t.Errorf("it goes back to %v, %v", start[3], err)
			}
		})
	}
}
