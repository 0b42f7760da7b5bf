package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"mpim/schema"
	"mpim/streams"
)

// Who is forgotten early and sends again is heard twice: that there is no room is to be known.
func TestDoctorTellsOfRequestsForgottenEarly(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	s := &stores{redis: client, identity: streams.Identity{Partitions: 4}}
	d := &doctor{invocation: &invocation{ctx: t.Context()}}
	d.examineRequests(s)
	for partition, n := range map[int]string{1: "20", 3: "3"} {
		if err := server.Set(schema.PartitionKey(partition, "requests-dropped"), n); err != nil {
			t.Fatal(err)
		}
	}
	d.examineRequests(s)
	if len(d.findings) != 2 || !d.findings[0].OK {
		t.Fatalf("findings are %+v", d.findings)
	}
	if found := d.findings[1]; found.OK || !strings.HasPrefix(found.Found, "23 requests were forgotten before a day had passed") || found.Do == "" {
		t.Errorf("found %+v", found)
	}
}

// Nobody starts with a clock that makes requests old before their time, not even on a laptop.
func TestCheckSafetyComparesClocks(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	s := &stores{redis: client, server: streams.EmbeddedServer{}, logger: slog.New(slog.DiscardHandler)}
	for _, unsafe := range []bool{false, true} {
		server.SetTime(time.Now())
		if err := s.checkSafety(t.Context(), streams.Appended, unsafe); err != nil {
			t.Errorf("unsafe %v: %v", unsafe, err)
		}
		server.SetTime(time.Now().Add(3 * time.Hour))
		if err := s.checkSafety(t.Context(), streams.Appended, unsafe); err == nil || !strings.Contains(err.Error(), "behind that of redis") {
			t.Errorf("unsafe %v: three hours behind gives %v", unsafe, err)
		}
	}
	server.SetTime(time.Now())
	// The embedded store does not sync each append.
	if err := s.checkSafety(t.Context(), streams.Fsynced, false); err == nil {
		t.Error("a store that is not safe is accepted")
	}
	if err := s.checkSafety(t.Context(), streams.Fsynced, true); err != nil {
		t.Errorf("allowed, it is refused: %v", err)
	}
}
