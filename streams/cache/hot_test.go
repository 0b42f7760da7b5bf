package cache_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"mpim/streams/cache"
	"mpim/streams/streamstest"
)

// A cache that was lost is filled again, what was asked for most first, without anybody asking.
func TestWarmsWhatIsHot(t *testing.T) {
	t.Parallel()
	own, log := streamstest.StartRedis(t, streamstest.With("appendonly", "no")), streamstest.StartRedis(t)
	client := own.Client()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c, s := open(t, cache.Config{Client: client, Hot: log.Client()}), &source{value: "one"}
	loads := map[cache.Kind]cache.Load{cache.UserInfo: s.load}
	hot := numbered("hot", 200)
	for range 200 {
		if _, err := c.GetMany(ctx, cache.UserInfo, hot, s.load); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.Run(ctx)
	}()
	until := func(what string, check func() bool) {
		t.Helper()
		limit := time.After(20 * time.Second)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for !check() {
			select {
			case <-ticker.C:
			case <-limit:
				t.Fatalf("never: %s", what)
			}
		}
	}
	until("it is told what is hot", func() bool { return log.Client().ZCard(ctx, "cache:hot").Val() > 150 })
	if err := client.FlushAll(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		_ = c.KeepWarm(ctx, loads)
	}()
	until("it is warm", func() bool { return client.DBSize(ctx).Val() > 150 })
	before := s.ids.Load()
	if _, err := c.GetMany(ctx, cache.UserInfo, hot, s.load); err != nil {
		t.Fatal(err)
	}
	if missed := s.ids.Load() - before; missed > 50 {
		t.Errorf("%d of 200 were missing", missed)
	}
	cancel()
	<-done
	<-kept
}

func TestVerify(t *testing.T) {
	t.Parallel()
	client := streamstest.StartRedis(t).Client()
	c, s := open(t, cache.Config{Client: client}), &source{value: "one"}
	loads := map[cache.Kind]cache.Load{cache.UserInfo: s.load, cache.UserFriends: s.load, cache.GroupInfo: s.load}
	if _, err := c.GetMany(t.Context(), cache.UserInfo, numbered("v", 250), s.load); err != nil {
		t.Fatal(err)
	}
	if checked, different, err := c.Verify(t.Context(), loads, false); err != nil || checked < 250 || len(different) != 0 {
		t.Fatalf("%d checked, %v differ, %v", checked, different, err)
	}
	if err := client.Set(t.Context(), cache.UserInfo.Key("v7"), "vsomething else", 0).Err(); err != nil {
		t.Fatal(err)
	}
	_, different, err := c.Verify(t.Context(), loads, true)
	if err != nil || !slices.Equal(different, []cache.Difference{{Kind: cache.UserInfo, ID: "v7"}}) {
		t.Errorf("%v differ, %v", different, err)
	}
	wantValue(t, c, s, "v7", "one of v7")
	stat, err := c.Stat(t.Context())
	if err != nil || stat.Entries[cache.UserInfo] != 250 {
		t.Errorf("%+v, %v", stat, err)
	}
}
