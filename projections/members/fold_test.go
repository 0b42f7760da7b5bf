package members_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"mpim/domain"
	"mpim/projections/checkpoint/checkpointtest"
	"mpim/projections/projectionstest"
	"mpim/streams/streamstest"
)

func TestAnyBatchingGivesTheSameMembers(t *testing.T) {
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
	for i := range 3000 {
		c := []domain.ConversationID{group, pair}[i%2].Aggregate()
		user := []domain.UserID{alice, bob}[i%3%2]
		switch i % 5 {
		case 0, 3:
			log.Append(t, c, alice, &domain.MemberAdded{User: user})
		case 1:
			log.Append(t, c, alice, &domain.MemberRemoved{User: user})
		case 2:
			log.Append(t, c, alice, &domain.UserBlocked{User: user})
		default:
			log.Append(t, c, alice, &domain.MemberRoleChanged{User: user, Role: domain.Admin})
		}
	}
	server := streamstest.StartRedis(t, streamstest.With("appendfsync", "always"))
	checkpointtest.Killed(t, server, open, log)
}

func draw(tb testing.TB, r *rapid.T, log *projectionstest.Log) {
	tb.Helper()
	for range rapid.IntRange(1, 40).Draw(r, "events") {
		c := rapid.SampledFrom([]domain.ConversationID{group, pair}).Draw(r, "conversation").Aggregate()
		actor := rapid.SampledFrom([]domain.UserID{alice, bob}).Draw(r, "actor")
		log.Append(tb, c, actor, drawFact(r, c))
	}
}

func drawScheduled(r *rapid.T, of domain.Aggregate) domain.ScheduledID {
	return domain.Placement{}.Scheduled(of.Conversation(), alice, rapid.SampledFrom([]string{"1", "2"}).Draw(r, "scheduled"))
}

func drawFact(r *rapid.T, of domain.Aggregate) domain.Fact {
	user := rapid.SampledFrom([]domain.UserID{alice, bob}).Draw(r, "user")
	switch rapid.IntRange(0, 18).Draw(r, "fact") {
	case 0:
		return &domain.ConversationCreated{
			Kind: domain.GroupConversation, Members: []domain.MemberRole{{User: user, Role: domain.Owner}},
		}
	case 1:
		return &domain.ConversationCreated{Kind: domain.DirectConversation, Members: []domain.MemberRole{
			{User: alice, Role: domain.Member}, {User: bob, Role: domain.Member},
		}}
	case 2, 3, 4:
		return &domain.MemberAdded{User: user}
	case 5:
		return &domain.MemberJoined{User: user}
	case 6, 7:
		return &domain.MemberRemoved{User: user}
	case 8:
		return &domain.MemberLeft{User: user}
	case 9:
		return &domain.MemberRoleChanged{User: user, Role: domain.Admin}
	case 10:
		return &domain.MemberMuted{User: user, Until: new(domain.NewInstant(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)))}
	case 11:
		return &domain.MemberMuted{User: user}
	case 12:
		return &domain.ConversationDissolved{}
	case 13:
		return &domain.ContactRequested{User: user}
	case 14:
		return &domain.UserBlocked{User: user}
	case 15:
		return &domain.ScheduleCreated{Scheduled: drawScheduled(r, of), DeliverAt: domain.NewInstant(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))}
	case 16:
		return &domain.ScheduleFired{Scheduled: drawScheduled(r, of), Message: 1}
	case 17:
		return rapid.SampledFrom([]domain.Fact{
			&domain.ScheduleCancelled{Scheduled: drawScheduled(r, of)}, &domain.ScheduleFailed{Scheduled: drawScheduled(r, of)},
		}).Draw(r, "ends")
	default:
		return &domain.MessageSent{Body: domain.Body{Type: domain.TextBody, Text: "hello"}}
	}
}

func TestWhatWasParkedIsRetriedInOrder(t *testing.T) {
	t.Parallel()
	checkpointtest.Retried(t, streamstest.Server.Client(), open, draw)
}
