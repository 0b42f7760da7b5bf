package reactor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"mpim/domain"
	"mpim/handlers/reactor"
	"mpim/handlers/webhook"
	"mpim/projections/deadletters"
	"mpim/schema"
)

const (
	ann, bob, cid = domain.UserID("u00000000000000000000" + "01"), domain.UserID("u00000000000000000001" + "01"), domain.UserID("u00000000000000000002" + "01")
	pair          = "d0000000000000000000002"
	group         = "g0000000000000000000002"
)

// world stands in for all that an offline hook asks.
type world struct {
	fields    domain.Fields
	connected map[domain.UserID]bool
	muted     map[domain.UserID]bool
	requests  []webhook.Request
	answers   []error
	letters   []deadletters.Letter
	full      int
	lettersDo error
}

func (w *world) Load(_ context.Context, _ domain.Aggregate, fields []string) (domain.Fields, error) {
	if fields == nil {
		w.full++
		return w.fields, nil
	}
	return domain.Fields{fields[0]: w.fields[fields[0]]}, nil
}

func (w *world) Connected(_ context.Context, users []domain.UserID) ([]bool, error) {
	return look(users, w.connected), nil
}

func (w *world) Muted(_ context.Context, _ domain.ConversationID, users []domain.UserID) ([]bool, error) {
	return look(users, w.muted), nil
}

func look(users []domain.UserID, marked map[domain.UserID]bool) []bool {
	all := make([]bool, len(users))
	for i, user := range users {
		all[i] = marked[user]
	}
	return all
}

func (w *world) Send(_ context.Context, r webhook.Request) error {
	w.requests = append(w.requests, r)
	if len(w.answers) == 0 {
		return nil
	}
	err := w.answers[0]
	w.answers = w.answers[1:]
	return err
}

func (w *world) Put(_ context.Context, letters []deadletters.Letter) error {
	if w.lettersDo == nil {
		w.letters = append(w.letters, letters...)
	}
	return w.lettersDo
}

// annAndBob is the direct conversation of the two.
func annAndBob() domain.Fields {
	return domain.Fields{domain.HeaderField: fmt.Sprintf(`{"kind":"direct","created_at":1,"users":[%q,%q],"member_count":2}`, ann, bob)}
}

// sent returns a message of ann as the stock subscriber delivers it.
func sent(t *testing.T, aggregate domain.Aggregate, at time.Time) *message.Message {
	t.Helper()
	data, err := schema.EncodeFact(&domain.MessageSent{ClientID: "1", Body: domain.Body{Type: domain.TextBody, Text: "hello"}})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(map[string]any{"at": at.UTC().Format(schema.TimeFormat), "actor": ann, "data": data})
	if err != nil {
		t.Fatal(err)
	}
	m := message.NewMessage("01event", payload)
	m.Metadata = message.Metadata{
		schema.TypeKey: string(domain.TypeMessageSent), schema.VersionKey: "1", schema.AggregateKey: aggregate.String(),
		schema.PartitionSeqKey: "7", schema.SeqKey: "5", schema.OrdinalKey: "1",
	}
	return m
}

func (w *world) handle(t *testing.T, m *message.Message) error {
	t.Helper()
	r, err := reactor.New(reactor.Config{Letters: w, Handler: reactor.NewOffline(reactor.OfflineConfig{
		URL: "http://example.org", Secret: []byte("secret"), States: w, Connections: w, Mutes: w, Poster: w, MostMembers: 3,
	})})
	if err != nil {
		t.Fatal(err)
	}
	return r.Partition(2)(m)
}

func TestOfflineHookTellsWhoIsTold(t *testing.T) {
	t.Parallel()
	groupOf := func(count int, members map[domain.UserID]string) domain.Fields {
		fields := domain.Fields{domain.HeaderField: fmt.Sprintf(`{"kind":"group","created_at":1,"member_count":%d}`, count)}
		for user, windows := range members {
			fields["m:"+string(user)] = "member;;" + windows
		}
		return fields
	}
	direct, many := domain.Aggregate{Kind: domain.Pair, ID: pair}, domain.Aggregate{Kind: domain.Group, ID: group}
	for name, c := range map[string]struct {
		aggregate domain.Aggregate
		fields    domain.Fields
		connected domain.UserID
		muted     domain.UserID
		age       time.Duration
		want      []domain.UserID
	}{
		"pair":                  {direct, annAndBob(), "", "", 0, []domain.UserID{bob}},
		"connected":             {direct, annAndBob(), bob, "", 0, nil},
		"the sender is offline": {direct, annAndBob(), bob, "", 0, nil},
		"muted":                 {direct, annAndBob(), "", bob, 0, nil},
		"too old":               {direct, annAndBob(), "", "", 2 * time.Hour, nil},
		"group":                 {many, groupOf(3, map[domain.UserID]string{ann: "1-", bob: "1-", cid: "1-"}), "", "", 0, []domain.UserID{bob, cid}},
		"left before":           {many, groupOf(3, map[domain.UserID]string{ann: "1-", bob: "1-4", cid: "1-"}), "", "", 0, []domain.UserID{cid}},
		"joined afterwards":     {many, groupOf(3, map[domain.UserID]string{ann: "1-", bob: "6-", cid: "1-"}), "", "", 0, []domain.UserID{cid}},
		"left since":            {many, groupOf(3, map[domain.UserID]string{ann: "1-", bob: "1-6", cid: "1-"}), cid, "", 0, nil},
		"large group":           {many, groupOf(4, map[domain.UserID]string{ann: "1-", bob: "1-", cid: "1-"}), "", "", 0, nil},
	} {
		w := &world{fields: c.fields, connected: map[domain.UserID]bool{c.connected: true}, muted: map[domain.UserID]bool{c.muted: true}}
		if err := w.handle(t, sent(t, c.aggregate, time.Now().Add(-c.age))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name == "large group" && w.full > 0 {
			t.Error("all members of a large group were read")
		}
		if len(c.want) == 0 {
			if len(w.requests) > 0 {
				t.Errorf("%s: %s was sent", name, w.requests[0].Body)
			}
			continue
		}
		if len(w.requests) != 1 {
			t.Errorf("%s: %d requests", name, len(w.requests))
			continue
		}
		r := w.requests[0]
		var body struct {
			Type string
			Data struct {
				Recipients []domain.UserID
				Event      schema.Line
			}
		}
		if err := json.Unmarshal(r.Body, &body); err != nil || body.Type != "message.offline" || !slices.Equal(body.Data.Recipients, c.want) ||
			body.Data.Event.Event != "01event" || r.ID != "offline.01event" || r.Headers["Idempotency-Key"] != "01event" {
			t.Errorf("%s: %s %v %s, %v; want %v", name, r.ID, r.Headers, r.Body, err, c.want)
		}
	}
}

func TestTriesAgainAndGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("connection refused")
		w := &world{fields: annAndBob(), answers: []error{down, down, down}}
		direct := domain.Aggregate{Kind: domain.Pair, ID: pair}
		if err := w.handle(t, sent(t, direct, time.Now())); err != nil || len(w.requests) != 4 || len(w.letters) != 0 {
			t.Errorf("%v after %d requests, dead letters %v", err, len(w.requests), w.letters)
		}
		w = &world{fields: annAndBob(), answers: slices.Repeat([]error{down}, 1000)}
		began := time.Now()
		if err := w.handle(t, sent(t, direct, time.Now())); err != nil || len(w.letters) != 1 {
			t.Fatalf("%v, dead letters %v", err, w.letters)
		}
		if l := w.letters[0]; l.ID() != "offline@2:7" || l.Failures != len(w.requests) || l.Failures < 5 || l.Reason != down.Error() ||
			time.Since(began).Round(time.Second) != 2*time.Minute || l.LastFailedAt.Sub(l.FirstFailedAt).Round(time.Second) != 2*time.Minute {
			t.Errorf("dead letter %+v after %s", l, time.Since(began))
		}
		// What the service refuses as such is not tried again.
		w = &world{fields: annAndBob(), answers: []error{&webhook.RefusedError{Status: 422}}}
		if err := w.handle(t, sent(t, direct, time.Now())); err != nil || len(w.requests) != 1 || len(w.letters) != 1 {
			t.Errorf("%v after %d requests, dead letters %v", err, len(w.requests), w.letters)
		}
		// While the dead letter cannot be written the event is not acknowledged.
		w = &world{fields: annAndBob(), answers: []error{&webhook.RefusedError{Status: 422}}, lettersDo: errors.New("no database")}
		if err := w.handle(t, sent(t, direct, time.Now())); err == nil {
			t.Error("it was acknowledged and is nowhere")
		}
	})
}

func TestBrokenEventGoesToTheDeadLetters(t *testing.T) {
	t.Parallel()
	w := &world{}
	m := message.NewMessage("01event", nil)
	m.Metadata.Set(reactor.BrokenKey, "unmarshal metadata fail")
	if err := w.handle(t, m); err != nil || len(w.letters) != 1 || w.letters[0].Reason != "unmarshal metadata fail" {
		t.Errorf("%v, dead letters %+v", err, w.letters)
	}
	m = sent(t, domain.Aggregate{Kind: domain.Pair, ID: pair}, time.Now())
	m.Payload = []byte("{")
	if err := w.handle(t, m); err != nil || len(w.letters) != 2 || w.letters[1].Seq != 7 {
		t.Errorf("%v, dead letters %+v", err, w.letters)
	}
}
