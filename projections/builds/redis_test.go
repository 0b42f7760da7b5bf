package builds_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/builds"
	"mpim/projections/checkpoint"
	"mpim/schema"
	"mpim/streams/streamstest"
)

// inKeys is the projection in Redis: what was sent, in a hash of each partition, and once more in one of the user.
type inKeys struct {
	client *redis.Client
	live   *checkpoint.Live
}

func newRedisWorld(t *testing.T, client *redis.Client) *world {
	t.Helper()
	w := newLogs(t)
	w.store = inKeys{client, checkpoint.NewLive(client, "sent")}
	return w
}

func (s inKeys) family(version int) *builds.Family {
	return &builds.Family{
		Registry: checkpoint.RedisBuilds{Client: s.client, Partitions: partitions}, AtOnce: true,
		Code: checkpoint.RedisCode{
			Client: s.client, Projection: "sent", Number: version, Partitions: partitions,
			New:    func(b builds.Build) checkpoint.RedisProjection { return s.open(b, version) },
			Single: []string{"rows"}, Outside: []string{"sent"},
		},
	}
}

func (s inKeys) open(b builds.Build, version int) *keyed {
	return &keyed{
		checkpoint.NewRedis(checkpoint.RedisConfig{Client: s.client, Name: "sent", Version: version, Partitions: partitions, Build: b}), version,
	}
}

// rows reads what the user has, and after that what the partitions have: never less, for that is written later.
func (s inKeys) rows(ctx context.Context) (n, least, most int, err error) {
	var versions []int
	err = s.live.Read(ctx, func(ctx context.Context, r *checkpoint.Reading) error {
		inside := make([]*redis.MapStringStringCmd, partitions)
		var outside *redis.MapStringStringCmd
		err := r.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := range inside {
				inside[i] = p.HGetAll(ctx, r.Key(i, "rows"))
			}
			return nil
		})
		if err == nil {
			err = r.Pipelined(ctx, func(p redis.Pipeliner) error {
				outside = p.HGetAll(ctx, r.OutsideKey("sent", string(alice)))
				return nil
			})
		}
		if err != nil {
			return err
		}
		versions = versions[:0]
		for _, part := range inside {
			for _, text := range part.Val() {
				version, _ := strconv.Atoi(text)
				versions = append(versions, version)
			}
		}
		n = len(versions)
		for field, text := range outside.Val() {
			if !strings.HasPrefix(field, "~") {
				version, _ := strconv.Atoi(text)
				versions = append(versions, version)
			}
		}
		if len(versions) < 2*n {
			return fmt.Errorf("%d rows inside, and %d outside", n, len(versions)-n)
		}
		return nil
	})
	if len(versions) > 0 {
		least, most = slices.Min(versions), slices.Max(versions)
	}
	return n, least, most, err
}

func (s inKeys) left(ctx context.Context, build int) ([]string, error) {
	c := s.open(builds.Build{Name: "sent", Number: build}, 1)
	keys, err := c.Keys(ctx, c.OutsideKey("sent", "")[:len(c.OutsideKey("sent", ""))-1])
	for p := range partitions {
		some, failed := c.Keys(ctx, c.Key(p, "rows"))
		keys, err = append(keys, some...), errors.Join(err, failed)
	}
	return keys, err
}

// keyed feeds a build.
type keyed struct {
	*checkpoint.Redis
	version int
}

func (*keyed) Handles(t domain.EventType) bool { return t == domain.TypeMessageSent }

func (k *keyed) Apply(ctx context.Context, step projections.Step) error {
	return k.Redis.Apply(ctx, step, func(_ context.Context, records []*schema.Record, w *checkpoint.Writes) error {
		version := strconv.Itoa(k.version)
		for _, r := range records {
			w.HSet(k.Key(r.Partition, "rows"), strconv.FormatInt(r.Seq, 10), version)
			w.Guarded(k.OutsideKey("sent", string(alice)), 0).HSet(r.Seq, r.String(), version)
		}
		return nil
	})
}

func (k *keyed) Dump(ctx context.Context, partition int) (map[string]string, error) {
	all, err := k.Client().HGetAll(ctx, k.Key(partition, "rows")).Result()
	if err != nil {
		return nil, err
	}
	outside, err := k.Client().HGetAll(ctx, k.OutsideKey("sent", string(alice))).Result()
	for field, value := range outside {
		if strings.HasPrefix(field, strconv.Itoa(partition)+":") {
			all[field] = value
		}
	}
	return all, err
}

// What was begun before there were registries is build 1, of the first version and live; its keys stay where they are.
func TestADeploymentWithoutARegistry(t *testing.T) {
	t.Parallel()
	client := streamstest.StartRedis(t).Client()
	w := newRedisWorld(t, client)
	w.append(20)
	s, _ := w.store.(inKeys)
	old := s.open(builds.Build{}, 1)
	for p := range partitions {
		if _, err := old.Take(t.Context(), p, 1); err != nil {
			t.Fatal(err)
		}
		if err := old.Apply(t.Context(), projections.Step{Batch: *w.logs[p].Batch(1, 1, 20)}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(text string, states ...projections.State) {
		t.Helper()
		standing, err := w.family(2).Standing(t.Context())
		if err != nil || len(standing.Builds) != len(states) {
			t.Fatalf("%s: %+v, %v", text, standing, err)
		}
		for i, b := range standing.Builds {
			if b.State != states[i] || b.Number != i+1 || b.Version != i+1 {
				t.Errorf("%s: %+v is %s, want %s", text, b, b.State, states[i])
			}
		}
		if n, least, most, err := w.rows(t.Context()); err != nil || n != 60 || least != most {
			t.Errorf("%s: %d rows of versions %d to %d, %v", text, n, least, most, err)
		}
	}
	want("as it was found", projections.Live)
	if fed, err := w.family(2).Feeds(t.Context()); err != nil || len(fed) != 0 {
		t.Errorf("the next version feeds %+v, %v", fed, err)
	}
	if written, err := client.Exists(t.Context(), schema.BuildsKey("sent")).Result(); err != nil || written != 0 {
		t.Errorf("looking wrote something down: %v", err)
	}
	w.start()
	want("with a build beside it", projections.Live, projections.Backfilling)
	w.work(2)
	w.await("the second build is ready", func() bool { return w.state(2) == projections.Ready })
	w.promote()
	want("promoted", projections.Kept, projections.Live)
	if live, err := client.HGet(t.Context(), schema.BuildsKey("sent"), schema.LiveField).Result(); err != nil || live != "2 2" {
		t.Errorf("the pointer is %q, %v", live, err)
	}
}

// Where the live build is always ahead, it is held still until the next one has come as far; where that does not happen it
// goes on, and nothing has changed.
func TestALiveBuildIsHeldStillToSwitch(t *testing.T) {
	t.Parallel()
	client := streamstest.StartRedis(t).Client()
	w := newRedisWorld(t, client)
	s, _ := w.store.(inKeys)
	registry := checkpoint.RedisBuilds{Client: client, Partitions: partitions}
	first := builds.Build{Name: "sent", Number: 1, Version: 1, State: projections.Live}
	second := builds.Build{Name: "sent", Number: 2, Version: 2, State: projections.Ready}
	for _, b := range []builds.Build{first, second} {
		if err := registry.Add(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	const events = 6000
	w.append(events)
	live, next := s.open(first, 1), s.open(second, 2)
	step := func(k *keyed, seq int64) error {
		return k.Apply(t.Context(), projections.Step{Batch: *w.logs[1].Batch(1, seq, seq)})
	}
	for _, k := range []*keyed{live, next} {
		if _, err := k.Take(t.Context(), 1, 1); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var longest time.Duration
	moving := make(chan struct{})
	group.Go(func() { // never waits for the other
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for seq := int64(1); seq <= events; seq++ {
			began := time.Now()
			if err := step(live, seq); err != nil {
				t.Error(err)
				return
			}
			longest = max(longest, time.Since(began))
			if seq == 1 {
				close(moving)
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
	<-moving
	if err := registry.Switch(t.Context(), first, second); !errors.Is(err, builds.ErrBehind) {
		t.Errorf("a build that nobody feeds was switched to: %v", err)
	}
	group.Go(func() {
		for seq := int64(1); ctx.Err() == nil && seq <= events; seq++ {
			for ctx.Err() == nil && position(t, client, live) < seq { //nolint:contextcheck // it takes the test's
			}
			if err := step(next, seq); err != nil {
				t.Error(err)
				return
			}
		}
	})
	if err := registry.Switch(t.Context(), first, second); err != nil {
		t.Error(err)
	}
	cancel()
	group.Wait()
	t.Logf("the live build stood still for %s at most", longest)
	if longest < time.Second || longest > 4*time.Second {
		t.Errorf("it stood still for %s", longest)
	}
}

// position returns how far a build is in partition 1.
func position(t *testing.T, client *redis.Client, k *keyed) int64 {
	t.Helper()
	seq, err := client.HGet(context.WithoutCancel(t.Context()), k.Key(1, "checkpoint:sent"), "seq").Int64()
	if err != nil {
		t.Error(err)
	}
	return seq
}

// A build is dropped on a server that is full, without holding it up, with nothing of others; who fed it is deposed.
func TestDroppingOnAFullServer(t *testing.T) {
	t.Parallel()
	client := streamstest.StartRedis(t).Client()
	w := newRedisWorld(t, client)
	s, _ := w.store.(inKeys)
	w.append(30)
	w.work(1)
	w.await("the first build is full", func() bool { n, _, _, _ := w.rows(t.Context()); return n == 90 })
	w.start()
	stop := w.work(2)
	w.await("the second build is ready", func() bool { return w.state(2) == projections.Ready })
	stop()
	second := s.open(builds.Build{Name: "sent", Number: 2}, 2)
	for n := range 20_000 {
		some := make([]any, 0, 400)
		for range 20 {
			n++
			some = append(some, second.OutsideKey("sent", strconv.Itoa(n)), "x")
		}
		if n%1000 == 0 {
			if err := client.MSet(t.Context(), append(some, "sent.20:sent:{x}", "x", "{other}:sent.2:y", "x")...).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	big := make([]any, 0, 200_000)
	for n := range 100_000 {
		big = append(big, strconv.Itoa(n), "some value that takes more than a few bytes of the memory of the server")
	}
	for some := range slices.Chunk(big, 2000) {
		if err := client.HSet(t.Context(), second.OutsideKey("sent", "big"), some...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.ConfigSet(t.Context(), "maxmemory", "1mb").Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Set(t.Context(), "more", "x", 0).Err(); err == nil {
		t.Fatal("the server is not full")
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var worst time.Duration
	group.Go(func() {
		for ctx.Err() == nil {
			began := time.Now()
			if client.Ping(ctx).Err() == nil {
				worst = max(worst, time.Since(began))
			}
		}
	})
	if err := w.family(2).Remove(t.Context(), 2); err != nil {
		t.Error(err)
	}
	cancel()
	group.Wait()
	t.Logf("others waited for %s at most", worst)
	if left, err := w.left(t.Context(), 2); err != nil || len(left) != 0 || w.state(2) != projections.Dropped {
		t.Errorf("left are %d keys, %v; the build is %s", len(left), err, w.state(2))
	}
	if n, err := client.Exists(t.Context(), "sent.20:sent:{x}", "{other}:sent.2:y").Result(); err != nil || n != 2 {
		t.Errorf("%d keys of others are left of 2, %v", n, err)
	}
	if n, least, most, err := w.rows(t.Context()); err != nil || n != 90 || least != 1 || most != 1 {
		t.Errorf("the live build has %d rows of versions %d to %d, %v", n, least, most, err)
	}
	if err := client.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Take(t.Context(), 0, time.Now().UnixMilli()); !errors.Is(err, projections.ErrDeposed) {
		t.Errorf("a dropped build was taken: %v", err)
	}
}

// What has seen lost events is fenced, and another takes its place by itself.
func TestReplacingWhatSawLostEvents(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *world) {
		t.Helper()
		w.append(30)
		w.work(1)
		w.await("the first build is full", func() bool { n, _, _, _ := w.rows(t.Context()); return n == 90 })
		f := w.family(1)
		never := func(projections.Status) bool { return false }
		if fenced, err := f.Replace(t.Context(), never); err != nil || len(fenced) != 0 {
			t.Fatalf("fenced %v, %v", fenced, err)
		}
		above := func(bound int64) func(projections.Status) bool {
			return func(s projections.Status) bool { return s.Applied() > bound }
		}
		for range 2 {
			if _, err := f.Replace(t.Context(), above(60)); err != nil {
				t.Fatal(err)
			}
			if w.state(1) != projections.Fenced {
				t.Fatalf("the build is %s", w.state(1))
			}
		}
		w.await("another is live and full", func() bool {
			w.append(1)
			n, _, _, err := w.rows(t.Context())
			return err == nil && n >= 90 && w.state(2) == projections.Live
		})
		first := builds.Build{Name: "sent", Number: 1, Version: 1, State: projections.Fenced}
		if status, err := f.Open(first).Status(t.Context()); err != nil || status.Applied() != 0 {
			t.Errorf("the fenced build claims to have seen events: %+v, %v", status, err)
		}
		w.await("the fenced one is dropped", func() bool { return f.Remove(t.Context(), 1) == nil }) // views follow first
	})
}

// What is compared is the same, and what was tampered with is found.
func TestVerifyInRedis(t *testing.T) {
	t.Parallel()
	client := streamstest.StartRedis(t).Client()
	w := newRedisWorld(t, client)
	s, _ := w.store.(inKeys)
	w.append(700)
	w.work(1)
	w.await("it is fed", func() bool { n, _, _, _ := w.rows(t.Context()); return n == 2100 })
	verify := func() map[string]string {
		found := make(map[string]string)
		err := w.family(1).Verify(t.Context(), w, func(int64) {}, func(d builds.Difference) error {
			found[d.Where] = d.Live + " | " + d.Fresh
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	for range 2 {
		if found := verify(); len(found) != 0 {
			t.Errorf("found %q", found)
		}
	}
	if err := client.HSet(t.Context(), s.open(builds.Build{}, 1).Key(1, "rows"), "9", "7").Err(); err != nil {
		t.Fatal(err)
	}
	if found := verify(); !maps.Equal(found, map[string]string{"partition 1, 9": "7 | 1"}) {
		t.Errorf("found %q", found)
	}
	if keys, err := client.Keys(t.Context(), "*"+strconv.Itoa(builds.Aside)+"*").Result(); err != nil || len(keys) != 0 {
		t.Errorf("left are %v, %v", keys, err)
	}
}
