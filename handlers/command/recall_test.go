package command_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"mpim/domain"
	"mpim/handlers/command"
	"mpim/schema"
)

// recorded returns the records that a commit becomes.
func recorded(t *testing.T, commit domain.Commit) []*schema.Record {
	t.Helper()
	drafts, err := schema.Drafts(commit, nil)
	if err != nil {
		t.Fatal(err)
	}
	records := make([]*schema.Record, len(drafts))
	for i, d := range drafts {
		d.Sequenced = false // only its place in the partition is told
		metadata := slices.Clone(d.Metadata)
		if commit.Events[i].Sequenced() {
			metadata[0] -= 2
		}
		d.Metadata = metadata
		r, err := schema.DecodeRecord(0, "1-1", string(d.ID), d.Placed(int64(i+1)), d.Payload)
		if err != nil {
			t.Fatal(err)
		}
		records[i] = &r
	}
	return records
}

// What is recalled from events is what the request was identified as.
func TestRecall(t *testing.T) {
	t.Parallel()
	pair := placement.Pair(alice, placement.User("bob"))
	at := now.Truncate(time.Millisecond)
	body := domain.Body{Type: domain.CustomBody, Data: json.RawMessage(`{"a": "<b>",  "é":1}`)}
	expires := domain.NewInstant(at.Add(90 * time.Second))
	created := &domain.ConversationCreated{Kind: domain.DirectConversation}
	sent := command.Sent{ClientID: "c", Body: body, ReplyTo: 3, Mentions: []string{"x", "y", "x"}, ExpiresInS: 90}
	message := &domain.MessageSent{ClientID: "c", Body: body, ReplyTo: 3, Mentions: []string{"x", "y"}, ExpiresAt: &expires}
	scheduled := command.Scheduled{ClientID: "c", Body: body, DeliverAt: at.Add(time.Hour)}
	request := func(r *domain.Request, err error) *domain.Request {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for name, test := range map[string]struct {
		request *domain.Request
		of      domain.Aggregate
		events  []domain.Fact
	}{
		"message":       {request(sent.Request(placement, group, alice)), group.Aggregate(), []domain.Fact{message}},
		"first message": {request(sent.Request(placement, pair, alice)), pair.Aggregate(), []domain.Fact{created, message}},
		"to all": {
			request(command.Sent{ClientID: "c", Mentions: []string{"x", "all"}}.Request(placement, group, alice)), group.Aggregate(),
			[]domain.Fact{&domain.MessageSent{ClientID: "c", Mentions: []string{"all"}}},
		},
		"scheduled": {
			request(scheduled.Request(placement, group, alice)), group.Aggregate(),
			[]domain.Fact{&domain.ScheduleCreated{ClientID: "c", Body: body, DeliverAt: domain.NewInstant(at.Add(time.Hour))}},
		},
		"group": {
			request(command.Identify(placement, "group.create", alice, "c", "content")), group.Aggregate(),
			[]domain.Fact{&domain.ConversationCreated{Kind: domain.GroupConversation, Title: "Tea"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			records := recorded(t, domain.Commit{Aggregate: test.of, Request: test.request, At: at, Actor: alice, Events: test.events})
			got, ok := command.Recall(placement, records)
			if !ok || got != *test.request {
				t.Errorf("recalled %x, %v, want %x", got, ok, *test.request)
			}
			// The same by somebody who sent no client id with it, as timers and imports do.
			records = recorded(t, domain.Commit{Aggregate: test.of, Entropy: make([]byte, 16), At: at, Actor: alice, Events: test.events})
			if got, ok := command.Recall(placement, records); ok {
				t.Errorf("recalled %x where there was no request", got)
			}
		})
	}
}

// The form of what is hashed can never change while requests are remembered.
func TestSentIsHashedAsEver(t *testing.T) {
	t.Parallel()
	content := json.RawMessage(`{"to":{},"client_id":"c","body":{"type":"text","text":"hi"},"reply_to":3,"mentions":["x"],"expires_in_s":5}`)
	want, _ := command.Identify(placement, string(group), alice, "c", content)
	got, err := command.Sent{
		ClientID: "c", Body: domain.Body{Type: "text", Text: "hi"}, ReplyTo: 3, Mentions: []string{"x"}, ExpiresInS: 5,
	}.Request(placement, group, alice)
	if err != nil || *got != *want {
		t.Errorf("%x, %v, want %x", got, err, want)
	}
}
