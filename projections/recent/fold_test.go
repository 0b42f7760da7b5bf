package recent_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"mpim/domain"
	"mpim/projections/checkpoint/checkpointtest"
	"mpim/projections/projectionstest"
	"mpim/streams/streamstest"
)

func TestAnyBatchingGivesTheSameEvents(t *testing.T) {
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
	log.Start(time.Now().Add(-time.Hour))
	for i := range 3000 {
		c := []domain.ConversationID{group, pair}[i%2].Aggregate()
		if i%10 == 9 && log.Seq(c) > 3 {
			log.Append(t, c, alice, &domain.MessageRecalled{Message: log.Seq(c) - 2})
			continue
		}
		log.Append(t, c, alice, sent("hello"))
	}
	server := streamstest.StartRedis(t, streamstest.With("appendfsync", "always"))
	checkpointtest.Killed(t, server, open, log)
}

func sent(text string) *domain.MessageSent {
	return &domain.MessageSent{ClientID: "c1", Body: domain.Body{Type: domain.TextBody, Text: text}}
}

func draw(tb testing.TB, r *rapid.T, log *projectionstest.Log) {
	tb.Helper()
	for range rapid.IntRange(1, 40).Draw(r, "events") {
		c := rapid.SampledFrom([]domain.ConversationID{group, pair}).Draw(r, "conversation").Aggregate()
		message := domain.Seq(rapid.Int64Range(1, int64(log.Seq(c))+2).Draw(r, "message"))
		log.Append(tb, c, alice, drawFact(r, message))
	}
}

func drawFact(r *rapid.T, message domain.Seq) domain.Fact {
	text := rapid.SampledFrom([]string{"", "é 👋 '\\\"<&>", `"type":"message.edited","at":`}).Draw(r, "text")
	body := domain.Body{Type: domain.TextBody, Text: text}
	switch rapid.IntRange(0, 10).Draw(r, "fact") {
	case 0:
		return &domain.ConversationCreated{Kind: domain.GroupConversation, Title: text}
	case 1:
		return &domain.MemberAdded{User: bob}
	case 2, 3:
		return &domain.MessageRecalled{Message: message}
	case 4:
		return &domain.MessageExpired{Message: message}
	case 5, 6:
		return &domain.MessageEdited{Message: message, Body: body}
	case 7:
		return &domain.ReceiptMoved{ReadSeq: message}
	default:
		return sent(text)
	}
}

func TestWhatWasParkedIsRetriedInOrder(t *testing.T) {
	t.Parallel()
	checkpointtest.Retried(t, streamstest.Server.Client(), open, draw)
}
