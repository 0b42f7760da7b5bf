package checkpoint_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/checkpoint"
	"mpim/projections/projectionstest"
	"mpim/schema"
	"mpim/streams/streamstest"
)

// onBoth runs a test on a real server and on miniredis.
func onBoth(t *testing.T, test func(t *testing.T, client *redis.Client)) {
	t.Helper()
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, streamstest.StartRedis(t).Client())
	})
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
		t.Cleanup(func() { _ = client.Close() })
		test(t, client)
	})
}

const (
	partition = 3
	group     = domain.ConversationID("g0123456789abcdefghjk03")
	alice     = domain.UserID("u0123456789abcdefghja03")
)

func newRedis(client redis.UniversalClient) *checkpoint.Redis {
	return checkpoint.NewRedis(checkpoint.RedisConfig{Client: client, Name: "toy", Version: 2, Partitions: 4})
}

func messages(t *testing.T, n int) *projectionstest.Log {
	t.Helper()
	log := projectionstest.NewLog(partition)
	for range n {
		log.Append(t, group.Aggregate(), alice, &domain.MessageSent{Body: domain.Body{Type: domain.TextBody, Text: "x"}})
	}
	return log
}

func stepOf(log *projectionstest.Log, token, from, to int64) projections.Step {
	return projections.Step{Batch: *log.Batch(token, from, to), At: log.Records[to-1].At}
}

// count is a fold that notes each record, by itself and outside of the partition.
func count(c *checkpoint.Redis) checkpoint.Fold {
	return func(_ context.Context, records []*schema.Record, w *checkpoint.Writes) error {
		for _, r := range records {
			seq := strconv.FormatInt(r.Seq, 10)
			w.HSet(c.Key(partition, "toy"), seq, "1")
			key := c.OutsideKey("toys", "a")
			w.Guarded(key, 0).Do(r.Seq, "HINCRBY", key, "sum", "1")
		}
		return nil
	}
}

func take(t *testing.T, c *checkpoint.Redis, token, want int64) {
	t.Helper()
	at, err := c.Take(t.Context(), partition, token)
	if err != nil || at.Seq != want {
		t.Fatalf("took %+v, %v, want %d", at, err, want)
	}
}

func check(t *testing.T, client redis.UniversalClient, c *checkpoint.Redis, want int64) {
	t.Helper()
	length, err := client.HLen(t.Context(), c.Key(partition, "toy")).Result()
	if err != nil || length != want {
		t.Errorf("%d records inside, %v, want %d", length, err, want)
	}
	sum, err := client.HGet(t.Context(), c.OutsideKey("toys", "a"), "sum").Int64()
	if want > 0 && (err != nil || sum != want) {
		t.Errorf("%d records outside, %v, want %d", sum, err, want)
	}
}

func TestStepIsAppliedExactlyOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		t.Helper()
		c, log := newRedis(client), messages(t, 10)
		take(t, c, 5, 0)
		for range 2 {
			if err := c.Apply(t.Context(), stepOf(log, 5, 1, 4), count(c)); err != nil {
				t.Fatal(err)
			}
		}
		check(t, client, c, 4)
		// What overlaps with what was done goes on behind it.
		if err := c.Apply(t.Context(), stepOf(log, 5, 3, 6), count(c)); err != nil {
			t.Fatal(err)
		}
		check(t, client, c, 6)
		for name, step := range map[string]projections.Step{
			"a gap":           stepOf(log, 5, 8, 9),
			"an older token":  stepOf(log, 4, 7, 9),
			"a token unknown": stepOf(log, 6, 7, 9),
		} {
			if err := c.Apply(t.Context(), step, count(c)); !errors.Is(err, projections.ErrDeposed) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		check(t, client, c, 6)
		take(t, c, 6, 6)
		if _, err := c.Take(t.Context(), partition, 5); !errors.Is(err, projections.ErrDeposed) {
			t.Errorf("taken with an older token: %v", err)
		}
	})
}

func TestLongStepGoesOnBehindThePieceThatWasDone(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		t.Helper()
		const n = 1300
		c, log := newRedis(client), messages(t, n)
		take(t, c, 1, 0)
		poison := errors.New("poison")
		var pieces []int
		fold := func(ctx context.Context, records []*schema.Record, w *checkpoint.Writes) error {
			pieces = append(pieces, len(records))
			if len(pieces) == 2 {
				return poison
			}
			return count(c)(ctx, records, w)
		}
		if err := c.Apply(t.Context(), stepOf(log, 1, 1, n), fold); !errors.Is(err, poison) || projections.IsOutside(err) {
			t.Fatalf("got %v", err)
		}
		take(t, c, 1, 512)
		if err := c.Apply(t.Context(), stepOf(log, 1, 1, n), fold); err != nil {
			t.Fatal(err)
		}
		// The first piece is folded once more, and found to be done.
		if want := []int{512, 512, 512, 512, 276}; !slices.Equal(pieces, want) {
			t.Errorf("pieces of %v, want %v", pieces, want)
		}
		check(t, client, c, n)
		status, err := c.Status(t.Context())
		if err != nil || len(status.Partitions) != 1 || status.Version != 2 {
			t.Fatalf("got %+v, %v", status, err)
		}
		at, last := status.Partitions[0], log.Records[n-1]
		if at.Partition != partition || at.Checkpoint.Seq != n || at.Checkpoint.StreamID != last.StreamID || !at.At.Equal(last.At) {
			t.Errorf("got %+v", at)
		}
		if time.Since(at.UpdatedAt) > time.Minute {
			t.Errorf("updated at %v", at.UpdatedAt)
		}
	})
}

func TestParkedEventsArePutAsideWithTheCheckpoint(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		t.Helper()
		c, log := newRedis(client), messages(t, 3)
		take(t, c, 1, 0)
		step := stepOf(log, 1, 1, 3)
		key := projections.KeyOf(log.Records[2])
		step.Records, step.Parked = step.Records[:2], []projections.Parked{{Record: log.Records[2], Key: key, Reason: "poison"}}
		for range 2 {
			if err := c.Apply(t.Context(), step, count(c)); err != nil {
				t.Fatal(err)
			}
		}
		take(t, c, 1, 3)
		keys, err := c.Parked(t.Context(), partition)
		if err != nil || !slices.Equal(keys, []projections.Key{key}) {
			t.Errorf("parked keys %v, %v", keys, err)
		}
		status, err := c.Status(t.Context())
		if err != nil || status.Parked != 1 {
			t.Errorf("%d parked, %v", status.Parked, err)
		}
		// A step of nothing but parked records, as when a conversation is parked already.
		log = messages(t, 4)
		step = stepOf(log, 1, 4, 4)
		step.Records, step.Parked = nil, []projections.Parked{{Record: log.Records[3], Key: key}}
		if err := c.Apply(t.Context(), step, count(c)); err != nil {
			t.Fatal(err)
		}
		take(t, c, 1, 4)
	})
}

func TestFailuresAreToldApart(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		t.Helper()
		c, log := newRedis(client), messages(t, 3)
		take(t, c, 1, 0)
		step := stepOf(log, 1, 1, 3)
		if err := client.Set(t.Context(), c.Key(partition, "text"), "x", 0).Err(); err != nil {
			t.Fatal(err)
		}
		fold := func(command, key string, args ...string) checkpoint.Fold {
			return func(_ context.Context, _ []*schema.Record, w *checkpoint.Writes) error {
				w.Do(command, key, args...)
				return nil
			}
		}
		for name, broken := range map[string]checkpoint.Fold{
			"a key of another type":      fold("HSET", c.Key(partition, "text"), "a", "b"),
			"a command that is none":     fold("NONE", c.Key(partition, "toy")),
			"arguments that are missing": fold("HSET", c.Key(partition, "toy"), "a"),
			"another partition":          fold("HSET", c.Key(partition+1, "toy"), "a", "b"),
		} {
			if err := c.Apply(t.Context(), step, broken); err == nil || projections.IsOutside(err) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		take(t, c, 1, 0)
		// Scripts are loaded again where a server has forgotten them.
		if err := client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if err := c.Apply(t.Context(), step, count(c)); err != nil {
			t.Fatal(err)
		}
		check(t, client, c, 3)
	})
}

func TestFullRedisIsNotTheEventsFault(t *testing.T) {
	t.Parallel()
	client := streamstest.StartRedis(t).Client()
	c, log := newRedis(client), messages(t, 3)
	take(t, c, 1, 0)
	if err := client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.Apply(t.Context(), stepOf(log, 1, 1, 3), count(c)); !projections.IsOutside(err) {
		t.Errorf("got %v", err)
	}
	if err := client.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.Apply(t.Context(), stepOf(log, 1, 1, 3), count(c)); err != nil {
		t.Fatal(err)
	}
	check(t, client, c, 3)
}

func TestWrites(t *testing.T) {
	t.Parallel()
	type write struct {
		command string
		args    []string
	}
	for name, test := range map[string]struct {
		writes []write
		want   map[string]string
	}{
		"MERGE raises each pair by itself": {
			[]write{{"MERGE", []string{"f", "5", "3", "0", "0"}}, {"MERGE", []string{"f", "4", "9", "7", "6"}}, {"MERGE", []string{"f", "0", "0", "0", "0"}}},
			map[string]string{"f": "5 3 7 6"},
		},
		"NEWER keeps the highest": {
			[]write{{"NEWER", []string{"f", "10", "a b"}}, {"NEWER", []string{"f", "9", "c"}}, {"NEWER", []string{"g", "1", ""}}},
			map[string]string{"f": "10 a b", "g": "1 "},
		},
		"MARK drops who is furthest behind, but not who was given": {
			[]write{{"MARK", []string{"f", "b", "5", "2"}}, {"MARK", []string{"f", "a", "7", "2"}}, {"MARK", []string{"f", "b", "4", "2"}}, {"MARK", []string{"f", "c", "1", "2"}}},
			map[string]string{"f": "a 7 c 1"},
		},
		"INSERT keeps the highest, CUT takes the lowest": {
			[]write{{"INSERT", []string{"f", "3", "2", "4"}}, {"INSERT", []string{"f", "3", "4", "6", "8"}}, {"CUT", []string{"f", "4"}}, {"INSERT", []string{"g", "3", "1"}}, {"CUT", []string{"g", "1"}}, {"CUT", []string{"none", "1"}}},
			map[string]string{"f": "6 8"},
		},
		"TALLY counts a word once for each": {
			[]write{
				{"TALLY", []string{"f", "a", "2", "3", "x", "1"}},
				{"TALLY", []string{"f", "b", "2", "4", "x", "1"}},
				{"TALLY", []string{"f", "b", "2", "5", "y", "1"}},
				{"TALLY", []string{"f", "a", "2", "6", "x", "0"}},
				{"TALLY", []string{"f", "b", "2", "7", "x", "1"}},
				{"TALLY", []string{"f", "b", "1", "8", "z", "1"}},
			},
			map[string]string{"f": "2 6 x 1 y 1", "b": "2 x y"},
		},
		"TALLY begins anew with a higher number": {
			[]write{{"TALLY", []string{"f", "a", "2", "3", "x", "1"}}, {"TALLY", []string{"f", "b", "9", "10", "y", "1"}}, {"TALLY", []string{"f", "b", "9", "11", "y", "0"}}},
			map[string]string{"f": "9 11", "a": "2 x"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, client *redis.Client) {
				t.Helper()
				var d checkpoint.Direct
				for _, w := range test.writes {
					d.Do(w.command, "key", w.args...)
				}
				if err := d.Send(t.Context(), client); err != nil {
					t.Fatal(err)
				}
				got, err := client.HGetAll(t.Context(), "key").Result()
				if err != nil || !maps.Equal(got, test.want) {
					t.Errorf("got %v, %v, want %v", got, err, test.want)
				}
			})
		})
	}
}

func TestPutKeepsNumbersConsecutive(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		t.Helper()
		put := func(number int, letters ...string) {
			t.Helper()
			args := []string{"3000", strconv.Itoa(number)}
			for i, letter := range letters {
				args = append(args, fmt.Sprintf("%d %s", number+i, letter))
			}
			var d checkpoint.Direct
			d.Do("PUT", "key", args...)
			if err := d.Send(t.Context(), client); err != nil {
				t.Fatal(err)
			}
		}
		want := func(elements ...string) {
			t.Helper()
			got, err := client.LRange(t.Context(), "key", 0, -1).Result()
			if err != nil || !slices.Equal(got, elements) {
				t.Fatalf("got %v, %v, want %v", got, err, elements)
			}
		}
		put(4, "a", "b")
		want("4 a", "5 b")
		put(5, "B", "c")
		want("4 a", "5 B", "6 c")
		put(3, "too old", "A")
		want("4 A", "5 B", "6 c")
		put(8, "d")
		want("8 d")
		many := make([]string, 3500)
		put(9, many...)
		if n := client.LLen(t.Context(), "key").Val(); n != 3000 {
			t.Errorf("%d elements", n)
		}
		put(3508, "last")
		if last := client.LIndex(t.Context(), "key", -1).Val(); last != "3508 last" {
			t.Errorf("the last is %q", last)
		}
	})
}

func TestLargeHashesAreSetInPieces(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, client *redis.Client) {
		t.Helper()
		c, log := newRedis(client), messages(t, 2)
		take(t, c, 1, 0)
		const n = 2500
		pairs, fields := make([]string, 0, 2*n), make([]string, 0, n)
		for i := range n {
			pairs = append(pairs, strconv.Itoa(i), "1")
			fields = append(fields, strconv.Itoa(i))
		}
		inside, outside := c.Key(partition, "toy"), c.OutsideKey("toys", "a")
		err := c.Apply(t.Context(), stepOf(log, 1, 1, 1), func(_ context.Context, _ []*schema.Record, w *checkpoint.Writes) error {
			w.HSet(inside, pairs...)
			w.Guarded(outside, time.Hour).HSet(1, pairs...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if a, b := client.HLen(t.Context(), inside).Val(), client.HLen(t.Context(), outside).Val(); a != n || b != n+1 {
			t.Errorf("%d fields inside and %d outside", a, b)
		}
		if ttl := client.PTTL(t.Context(), outside).Val(); ttl < time.Minute || ttl > time.Hour {
			t.Errorf("lives for %v", ttl)
		}
		err = c.Apply(t.Context(), stepOf(log, 1, 2, 2), func(_ context.Context, _ []*schema.Record, w *checkpoint.Writes) error {
			w.HDel(inside, fields...)
			w.Guarded(outside, time.Hour).HDel(2, fields...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if a, b := client.HLen(t.Context(), inside).Val(), client.HGetAll(t.Context(), outside).Val(); a != 0 ||
			!maps.Equal(b, map[string]string{checkpoint.GuardField(partition): "2"}) {
			t.Errorf("%d fields inside, %v outside", a, b)
		}
	})
}
