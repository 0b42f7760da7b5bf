package presence_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mpim/domain"
	"mpim/projections/checkpoint/checkpointtest"
	"mpim/projections/projectionstest"
	"mpim/streams/streamstest"
)

func TestAnyBatchingGivesTheSamePresence(t *testing.T) {
	t.Parallel()
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		checkpointtest.AnyBatching(t, streamstest.Server.Client(), open, draw)
	})
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		checkpointtest.AnyBatching(t, streamstest.Miniredis(t), open, draw)
	})
}

func TestStalledWorkerTakesNothingBack(t *testing.T) {
	t.Parallel()
	checkpointtest.Stalled(t, streamstest.Server.Addr(), open, draw)
}

func TestKilledServerLosesNothing(t *testing.T) {
	t.Parallel()
	log := projectionstest.NewLog(3)
	log.Start(time.Now())
	for i := range 3000 {
		user := []domain.UserID{alice, carol}[i%2]
		id := domain.ConnectionID(fmt.Sprintf("c%d", i/4))
		if i%4 < 2 {
			log.Append(t, user.Aggregate(), user, connected(id, "g1"))
		} else {
			log.Append(t, user.Aggregate(), user, disconnected(id, "lost"))
		}
	}
	server := streamstest.StartRedis(t, streamstest.With("appendfsync", "always"))
	checkpointtest.Killed(t, server, open, log)
}

func connected(id domain.ConnectionID, gateway string) *domain.SessionConnected {
	return &domain.SessionConnected{Session: "s1", Connection: id, Gateway: gateway, Client: "test/1"}
}

func disconnected(id domain.ConnectionID, reason string) *domain.SessionDisconnected {
	return &domain.SessionDisconnected{Session: "s1", Connection: id, Gateway: "g1", Reason: reason}
}

func draw(tb testing.TB, r *rapid.T, log *projectionstest.Log) {
	tb.Helper()
	if rapid.Bool().Draw(r, "future") {
		log.Start(time.Now().Add(time.Hour)) // so that graces have not passed
	}
	for range rapid.IntRange(1, 40).Draw(r, "events") {
		user := rapid.SampledFrom([]domain.UserID{alice, carol}).Draw(r, "user")
		id := rapid.SampledFrom([]domain.ConnectionID{"c1", "c2", "c3"}).Draw(r, "connection")
		var fact domain.Fact
		switch rapid.IntRange(0, 4).Draw(r, "fact") {
		case 0, 1:
			fact = connected(id, "g1")
		case 2, 3:
			fact = disconnected(id, rapid.SampledFrom([]string{"closed", "lost", "expired"}).Draw(r, "reason"))
		default:
			fact = &domain.SessionRevoked{Session: "s1"}
		}
		log.Append(tb, user.Aggregate(), user, fact)
	}
}
