package push_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"mpim/domain"
	"mpim/handlers/push"
	"mpim/schema"
)

// Who gets what is for one user, some, a group, a gateway, everybody, or by condition.
func TestRecipients(t *testing.T) {
	group := conversationIn(3, 0)
	ann, ben, cat, dan := user(1), user(2), user(3), user(4)
	for name, test := range map[string]struct {
		to   string
		want []uint32
	}{
		"one user":                          {fmt.Sprintf(`{"users":[%q]}`, ann), []uint32{11, 12}},
		"some users, one of them two times": {fmt.Sprintf(`{"users":[%q,%q,%q]}`, ben, dan, ben), []uint32{21, 41}},
		"nobody":                            {`{"users":[]}`, nil},
		"a group":                           {fmt.Sprintf(`{"conversation":%q}`, group), []uint32{11, 12, 21}},
		"members with a role":               {fmt.Sprintf(`{"conversation":%q,"roles":["owner","admin"]}`, group), []uint32{11, 12}},
		"a group that is none":              {fmt.Sprintf(`{"conversation":%q}`, conversationIn(3, 1)), nil},
		"no id":                             {`{"conversation":"x"}`, nil},
		"everybody":                         {`"all"`, nil},
		"everybody on a gateway":            {`{"gateway":"g2"}`, []uint32{12, 31}},
		"devices of a kind":                 {`{"client":"phone"}`, []uint32{12, 41}},
		"devices of a kind of a group":      {fmt.Sprintf(`{"conversation":%q,"client":"phone"}`, group), []uint32{12}},
		"a user's at a gateway":             {fmt.Sprintf(`{"users":[%q],"gateway":"g1"}`, ann), []uint32{11}},
		"what cannot be read":               {`{"users":1}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m, members := newMemory(), newStory(3)
			for _, c := range []struct {
				user    domain.UserID
				gateway string
				number  uint32
				client  string
			}{
				{ann, "g1", 11, "desk/1.0"}, {ann, "g2", 12, "phone/2.1"}, {ben, "g1", 21, ""}, {cat, "g2", 31, "phones/1"}, {dan, "g1", 41, "phone"},
			} {
				connected := connectionOf(c.user, c.gateway, c.number)
				connected.Client = c.client
				partition, _ := c.user.Partition()
				m.say(partition, connected)
			}
			members.append(t, group.Aggregate(), ann, &domain.ConversationCreated{
				Kind: domain.GroupConversation, Members: []domain.MemberRole{{User: ann, Role: domain.Owner}, {User: ben, Role: domain.Member}},
			})
			members.append(t, group.Aggregate(), ann, &domain.MemberAdded{User: cat})
			members.append(t, group.Aggregate(), ann, &domain.MemberRemoved{User: cat})
			members.publishState(m)
			partition, _ := ann.Partition()
			s := newStory(partition)
			r := s.append(t, ann.Aggregate(), ann, &domain.NoticePublished{Title: "T", Text: "x <y>", To: json.RawMessage(test.to), Priority: "high"})
			o := run(t, push.Config{Bus: m})
			take(t, o, partition, 1)
			if err := handle(o, s.batch(1, 1, 1)); err != nil {
				t.Fatal(err)
			}
			var got []uint32
			sent := m.sent(t)
			if test.to == `"all"` {
				if all := sent[""]; len(all) != 1 || len(all[0].Items) != 1 || all[0].Items[0].Class != schema.ClassNotice || len(sent) != 1 {
					t.Errorf("sent %v, want one message for all gateways", sent)
				}
				return
			}
			for _, envelopes := range sent {
				for number, items := range received(envelopes) {
					got = append(got, number)
					want := fmt.Sprintf(`{"event":%q,"title":"T","text":"x <y>","at":%q,"priority":"high"}`, r.ID, r.At.Format(schema.TimeFormat))
					var frame struct {
						Method string
						Params json.RawMessage
					}
					err := json.Unmarshal(items[0].Frame, &frame)
					if err != nil || len(items) != 1 || items[0].Class != schema.ClassNotice || frame.Method != "notice" || !sameJSON(t, frame.Params, want) {
						t.Errorf("%d items, the first is %s, want params %s", len(items), items[0].Frame, want)
					}
				}
			}
			if slices.Sort(got); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func sameJSON(t *testing.T, a json.RawMessage, b string) bool {
	t.Helper()
	var one, two any
	if err := json.Unmarshal(a, &one); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(b), &two); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(one) == fmt.Sprint(two)
}

// An owner that is behind leaves out receipts long before it leaves out events.
func TestReceiptsAreLeftOutBeforeEvents(t *testing.T) {
	m, s := newMemory(), newStory(1)
	id := conversationIn(1, 0)
	alice := user(1)
	m.connect(alice, "g", 1)
	s.append(t, id.Aggregate(), alice, created(alice))
	for range 30 {
		s.append(t, id.Aggregate(), alice, text("x"))
		s.append(t, id.Aggregate(), alice, &domain.ReceiptMoved{ReadSeq: s.heads[id], ReadOrdinal: 1})
	}
	s.publishState(m)
	o := run(t, push.Config{Bus: m, SkipEvents: 80, SkipAge: time.Hour, Beat: 5 * time.Millisecond})
	take(t, o, 1, 1)
	m.set(func() { m.heads[1] = schema.Checkpoint{Seq: 61, StreamID: s.records[60].StreamID} })
	count := func() (events, receipts int) {
		for _, items := range received(m.sent(t)["g"]) {
			for _, item := range items {
				switch item.Class {
				case schema.ClassEvent:
					events++
				case schema.ClassReceipt:
					receipts++
				default:
				}
			}
		}
		return events, receipts
	}
	// Ten events behind is an eighth of what makes it skip.
	eventually(t, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.published) > 3
	})
	if err := handle(o, s.batch(1, 1, 41)); err != nil {
		t.Fatal(err)
	}
	if events, receipts := count(); events != 21 || receipts != 0 {
		t.Errorf("20 events behind, %d events and %d receipts were pushed", events, receipts)
	}
	if err := handle(o, s.batch(1, 42, 61)); err != nil {
		t.Fatal(err)
	}
	if events, receipts := count(); events != 10 || receipts != 1 {
		t.Errorf("at the head, %d events and %d receipts were pushed", events, receipts)
	}
}
