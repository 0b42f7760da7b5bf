package inbox_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"mpim/domain"
	"mpim/projections/checkpoint/checkpointtest"
	"mpim/projections/projectionstest"
	"mpim/streams/streamstest"
)

func TestAnyBatchingGivesTheSameInboxes(t *testing.T) {
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

func TestKilledServerLosesNothing(t *testing.T) {
	t.Parallel()
	log := projectionstest.NewLog(3)
	for i := range 3000 {
		c := []domain.ConversationID{group, pair}[i%2].Aggregate()
		actor := []domain.UserID{alice, bob}[i%3%2]
		switch {
		case i%10 == 9 && log.Seq(c) > 3:
			log.Append(t, c, actor, &domain.MessageRecalled{Message: log.Seq(c)})
		case i%7 == 6 && log.Seq(c) > 3:
			log.Append(t, c, actor, &domain.ReceiptMoved{
				Session: "s1", DeliveredSeq: log.Seq(c), DeliveredOrdinal: 1, ReadSeq: log.Seq(c) - 1, ReadOrdinal: 1,
			})
		default:
			log.Append(t, c, actor, sent("hello", string(bob)))
		}
	}
	server := streamstest.StartRedis(t, streamstest.With("appendfsync", "always"))
	checkpointtest.Killed(t, server, open, log)
}

func sent(text string, mentions ...string) *domain.MessageSent {
	return &domain.MessageSent{
		ClientID: "c1", Body: domain.Body{Type: domain.TextBody, Text: text}, Mentions: mentions,
	}
}

func draw(tb testing.TB, r *rapid.T, log *projectionstest.Log) {
	tb.Helper()
	ordinals := map[domain.Aggregate]int64{}
	for range rapid.IntRange(1, 40).Draw(r, "events") {
		c := rapid.SampledFrom([]domain.ConversationID{group, pair}).Draw(r, "conversation").Aggregate()
		actor := rapid.SampledFrom([]domain.UserID{alice, bob}).Draw(r, "actor")
		if rapid.IntRange(0, 9).Draw(r, "settings") == 0 {
			truth := rapid.SampledFrom([]*bool{nil, new(true), new(false)})
			log.Append(tb, alice.Aggregate(), alice, &domain.SettingsChanged{
				Conversation: group, Pinned: truth.Draw(r, "pinned"), Muted: truth.Draw(r, "muted"),
			})
			continue
		}
		seq := domain.Seq(rapid.Int64Range(0, int64(log.Seq(c))).Draw(r, "seq"))
		record := log.Append(tb, c, actor, drawFact(r, seq, ordinals[c]))
		ordinals[c] = max(ordinals[c], record.Ordinal)
	}
}

func drawFact(r *rapid.T, seq domain.Seq, ordinal int64) domain.Fact {
	text := rapid.SampledFrom([]string{"", "é 👋 '\\\"<&>"}).Draw(r, "text")
	user := rapid.SampledFrom([]domain.UserID{alice, bob}).Draw(r, "user")
	body := domain.Body{Type: domain.TextBody, Text: text}
	switch rapid.IntRange(0, 18).Draw(r, "fact") {
	case 13, 14, 15:
		return &domain.MessageReacted{
			Message: max(seq, 1), Emoji: rapid.SampledFrom([]string{"👍", "a b", "1 2"}).Draw(r, "emoji"), Removed: rapid.Bool().Draw(r, "removed"),
		}
	case 0:
		return &domain.ConversationCreated{Kind: domain.GroupConversation, Title: text}
	case 1:
		return &domain.ConversationUpdated{Title: &text, Announcement: &text}
	case 2:
		return &domain.MemberAdded{User: user}
	case 3:
		return &domain.MemberRemoved{User: user}
	case 4:
		return &domain.MemberLeft{User: user}
	case 5:
		return &domain.MessageRecalled{Message: seq}
	case 6:
		return &domain.MessageExpired{Message: seq}
	case 7, 8:
		return &domain.MessageEdited{Message: seq, Body: body}
	case 9, 10:
		session := rapid.SampledFrom([]domain.SessionID{"", "s1", "s2", "s3"}).Draw(r, "session")
		return &domain.ReceiptMoved{
			Session: session, DeliveredSeq: seq, DeliveredOrdinal: min(int64(seq), ordinal),
			ReadSeq: seq / 2, ReadOrdinal: min(int64(seq)/2, ordinal),
		}
	case 11:
		return &domain.ConversationDissolved{}
	case 12:
		return &domain.MemberRoleChanged{User: user, Role: domain.Admin}
	default:
		mentions := [][]string{nil, nil, {string(alice)}, {string(bob), string(bob)}, {string(bob), domain.MentionAll}}
		message := sent(text, rapid.SampledFrom(mentions).Draw(r, "mentions")...)
		if rapid.Bool().Draw(r, "expires") {
			message.ExpiresAt = new(domain.NewInstant(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)))
		}
		return message
	}
}

func TestWhatWasParkedIsRetriedInOrder(t *testing.T) {
	t.Parallel()
	checkpointtest.Retried(t, streamstest.Server.Client(), open, draw)
}
