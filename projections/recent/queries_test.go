package recent_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/projectionstest"
	"mpim/projections/recent"
	"mpim/schema"
	"mpim/streams/streamstest"
)

// world is a log that is folded into live recent events.
type world struct {
	*testing.T
	client  *redis.Client
	log     *projectionstest.Log
	p       *recent.Projection
	queries *recent.Queries
	folded  int64
}

func newWorld(t *testing.T, client *redis.Client) *world {
	t.Helper()
	w := &world{
		T: t, client: client, log: projectionstest.NewLog(3),
		p: recent.New(recent.Config{Client: client, Partitions: 16}), queries: recent.NewQueries(client),
	}
	if _, err := w.p.Take(t.Context(), 3, 1); err != nil {
		t.Fatal(err)
	}
	return w
}

func onBoth(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(newWorld(t, streamstest.StartRedis(t).Client()))
	})
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		test(newWorld(t, streamstest.Miniredis(t)))
	})
}

func (w *world) append(c domain.ConversationID, fact domain.Fact) *schema.Record {
	w.Helper()
	return w.log.Append(w.T, c.Aggregate(), alice, fact)
}

// fold folds what was appended.
func (w *world) fold() {
	w.Helper()
	end := int64(len(w.log.Records))
	if err := w.p.Apply(w.Context(), projections.Step{Batch: *w.log.Batch(1, w.folded+1, end)}); err != nil {
		w.Fatal(err)
	}
	w.folded = end
}

func (w *world) since(c domain.ConversationID, after domain.Seq, limit int) recent.Events {
	w.Helper()
	found, err := w.queries.Since(w.Context(), c, after, limit)
	if err != nil {
		w.Fatal(err)
	}
	return found
}

func TestEventsAreReadAsClientsSeeThem(t *testing.T) {
	t.Parallel()
	onBoth(t, func(w *world) {
		w.append(group, &domain.ConversationCreated{Kind: domain.GroupConversation, Title: "<x> \"é\""})
		r := w.append(group, sent("hello"))
		w.append(group, &domain.ReceiptMoved{ReadSeq: 2, ReadOrdinal: 1})
		w.append(pair, sent("elsewhere"))
		w.fold()
		found := w.since(group, 0, 10)
		if len(found.Events) != 2 || !found.Whole || found.Head != 2 {
			w.Fatalf("got %+v", found)
		}
		want := `{"conversation":"` + string(group) + `","seq":2,"event":"` + string(r.ID) + `","type":"message.sent","at":"` +
			r.At.Format(schema.TimeFormat) + `","actor":"` + string(alice) + `","data":` + string(r.Data) + `}`
		if got := string(found.Events[1].JSON()); got != want {
			w.Errorf("got  %s\nwant %s", got, want)
		}
		if !json.Valid(found.Events[0].JSON()) {
			w.Errorf("got %s", found.Events[0].JSON())
		}
		h, err := found.Events[1].Header()
		if err != nil || h.Event != r.ID || h.Type != r.Type || !h.At.Equal(r.At) || h.Actor != alice || found.Events[1].Ordinal != 1 {
			w.Errorf("got %+v, %v", h, err)
		}
	})
}

func TestRangesSayWhatIsAtHand(t *testing.T) {
	t.Parallel()
	onBoth(t, func(w *world) {
		const n = recent.Size + 100
		for range n {
			w.append(group, sent("x"))
		}
		w.fold()
		for _, test := range []struct {
			after       domain.Seq
			limit       int
			first, last domain.Seq
			whole       bool
		}{
			{0, 10, 101, 110, false},
			{99, 10, 101, 110, false},
			{100, 10, 101, 110, true},
			{500, 3, 501, 503, true},
			{n - 2, 100, n - 1, n, true},
			{n, 10, 0, 0, true},
			{n + 5, 10, 0, 0, true},
		} {
			found := w.since(group, test.after, test.limit)
			var first, last domain.Seq
			if len(found.Events) > 0 {
				first, last = found.Events[0].Seq, found.Events[len(found.Events)-1].Seq
			}
			if first != test.first || last != test.last || found.Whole != test.whole || found.Head != n {
				w.Errorf("after %d: got %d to %d, whole %v, head %d", test.after, first, last, found.Whole, found.Head)
			}
		}
		both, err := w.queries.Ranges(w.Context(), []recent.Range{{pair, 0, 5}, {group, n - 1, 5}})
		if err != nil || len(both[0].Events) != 0 || both[0].Whole || both[0].Head != 0 || len(both[1].Events) != 1 {
			w.Errorf("got %+v, %v", both, err)
		}
		ttl := w.client.PTTL(w.Context(), schema.PartitionKey(3, "recent:"+string(group))).Val()
		if ttl > recent.TTL || ttl < recent.TTL-time.Minute {
			w.Errorf("kept for %v", ttl)
		}
		if _, err := w.queries.Since(w.Context(), "nonsense", 0, 1); domain.CodeOf(err) != domain.NotFound {
			w.Errorf("got %v", err)
		}
	})
}

func TestWhatIsRecalledIsGoneForEveryone(t *testing.T) {
	t.Parallel()
	onBoth(t, func(w *world) {
		const secret = "secret"
		edit := func(m domain.Seq) *domain.MessageEdited {
			return &domain.MessageEdited{Message: m, Body: domain.Body{Type: domain.TextBody, Text: secret}}
		}
		w.append(group, sent(secret))  // 1
		w.append(group, edit(1))       // 2
		w.append(group, sent("other")) // 3
		w.fold()
		w.append(group, edit(1)) // 4
		w.append(group, &domain.MessageRecalled{Message: 1})
		w.append(group, edit(1)) // 6: crossed the recall
		w.fold()
		w.append(group, edit(1)) // 7
		w.fold()
		found := w.since(group, 0, 10)
		for i, gone := range []bool{true, true, false, true, false, true, true} {
			e := found.Events[i]
			if e.Gone != gone || strings.Contains(string(e.JSON()), secret) || !json.Valid(e.JSON()) {
				w.Errorf("event %d: %s", e.Seq, e.JSON())
			}
		}
		if got := string(found.Events[0].JSON()); !strings.Contains(got, `"data":{"body":null,"client_id":"c1"}`) {
			w.Errorf("got %s", got)
		}
		for seq, want := range map[domain.Seq]recent.Facts{
			1: {Seq: 1, Type: domain.TypeMessageSent, Sender: alice, Gone: true, Ordinal: 1},
			3: {Seq: 3, Type: domain.TypeMessageSent, Sender: alice, Kind: domain.TextBody, Ordinal: 2},
			5: {Seq: 5, Type: domain.TypeMessageRecalled, Sender: alice, Ordinal: 2},
		} {
			got, ok, err := w.queries.Get(w.Context(), group, seq)
			want.At = w.log.Records[seq-1].At
			if err != nil || !ok || got != want {
				w.Errorf("got %+v, %v, %v, want %+v", got, ok, err, want)
			}
		}
		for _, seq := range []domain.Seq{0, 8} {
			if got, ok, err := w.queries.Get(w.Context(), group, seq); ok || err != nil {
				w.Errorf("event %d: got %+v, %v", seq, got, err)
			}
		}
	})
}

func TestBrokenDataIsTheEventsFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t, streamstest.Miniredis(t))
	w.append(group, sent("x")).Data = json.RawMessage(`{"body":`)
	err := w.p.Apply(t.Context(), projections.Step{Batch: *w.log.Batch(1, 1, 1)})
	if err == nil || projections.IsOutside(err) {
		t.Errorf("got %v", err)
	}
	w.log.Records[0].Type, w.log.Records[0].Data = "message.invented", json.RawMessage(`{}`)
	if err := w.p.Apply(t.Context(), projections.Step{Batch: *w.log.Batch(1, 1, 1)}); !projections.IsOutside(err) {
		t.Errorf("a type of a newer mpim: got %v", err)
	}
}
