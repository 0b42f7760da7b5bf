package push_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/handlers/push"
	"mpim/schema"
)

func TestFramesAreThoseOfTheProtocol(t *testing.T) {
	m, s := newMemory(), newStory(1)
	id := conversationIn(1, 0)
	alice, bob := user(1), user(2)
	m.connect(alice, "g1", 7)
	m.connect(alice, "g2", 9)
	m.connect(bob, "g1", 8)
	s.append(t, id.Aggregate(), alice, created(alice, bob))
	s.append(t, id.Aggregate(), alice, text(`"hi"`))
	s.append(t, id.Aggregate(), bob, &domain.ReceiptMoved{DeliveredSeq: 2, DeliveredOrdinal: 1})
	s.append(t, id.Aggregate(), bob, &domain.ReceiptMoved{ReadSeq: 2, ReadOrdinal: 1, Session: "s"})
	s.publishState(m)
	o := run(t, push.Config{Bus: m})
	take(t, o, 1, 5)
	if err := handle(o, s.batch(5, 1, 4)); err != nil {
		t.Fatal(err)
	}
	sent := m.sent(t)
	if len(sent["g1"]) != 1 || len(sent["g2"]) != 1 {
		t.Fatalf("sent %v", sent)
	}
	e := sent["g1"][0]
	if e.Partition != 1 || e.Token != 5 || e.Number != 1 || e.Start != 0 || e.Seq != 4 {
		t.Errorf("envelope %+v", e)
	}
	got := received(sent["g1"])
	if len(got[7]) != 3 || len(got[8]) != 3 || len(received(sent["g2"])[9]) != 3 {
		t.Fatalf("got %v", got)
	}
	want := []string{
		fmt.Sprintf(`{"jsonrpc":"2.0","method":"event","params":{"conversation":%q,"seq":1,"event":%q,"type":"conversation.created",`+
			`"at":"2026-05-04T12:00:00.000Z","actor":%q,"data":%s}}`, id, s.records[0].ID, alice, s.records[0].Data),
		fmt.Sprintf(`{"jsonrpc":"2.0","method":"event","params":{"conversation":%q,"seq":2,"event":%q,"type":"message.sent",`+
			`"at":"2026-05-04T12:00:00.000Z","actor":%q,"data":{"client_id":"c","body":{"type":"text","text":"\"hi\""}}}}`,
			id, s.records[1].ID, alice),
		fmt.Sprintf(`{"jsonrpc":"2.0","method":"receipt","params":{"conversation":%q,"user":%q,"delivered_seq":2,"read_seq":2}}`, id, bob),
	}
	for i, item := range got[8] {
		if string(item.Frame) != want[i] {
			t.Errorf("frame %d is\n%s\nwant\n%s", i, item.Frame, want[i])
		}
	}
}

// Who came after a message learns that it was changed, and nothing of what it says; who left gets the event that says so,
// and nothing after.
func TestWhatAMemberMayNotSeeIsNotPushed(t *testing.T) {
	m, s := newMemory(), newStory(1)
	id := conversationIn(1, 0)
	old, late, gone := user(1), user(2), user(3)
	for n, u := range []domain.UserID{old, late, gone} {
		m.connect(u, "g", uint32(n+1))
	}
	a := id.Aggregate()
	s.append(t, a, old, created(old, gone))
	s.append(t, a, old, text("secret"))
	s.append(t, a, old, &domain.MemberAdded{User: late})
	s.append(t, a, old, &domain.MemberRemoved{User: gone})
	s.append(t, a, old, &domain.MessageEdited{Message: 2, Body: domain.Body{Type: domain.TextBody, Text: "other secret"}})
	s.append(t, a, old, text("public"))
	s.append(t, a, old, &domain.MessageEdited{Message: 6, Body: domain.Body{Type: domain.TextBody, Text: "public too"}})
	s.publishState(m)
	o := run(t, push.Config{Bus: m})
	take(t, o, 1, 1)
	if err := handle(o, s.batch(1, 1, 7)); err != nil {
		t.Fatal(err)
	}
	sent := m.sent(t)["g"]
	got := received(sent)
	want := map[uint32][]domain.Seq{1: {1, 2, 3, 4, 5, 6, 7}, 2: {3, 4, 5, 6, 7}, 3: {1, 2, 3, 4}}
	for number, seqs := range want {
		var have []domain.Seq
		for _, item := range got[number] {
			f := parse(t, item.Frame)
			have = append(have, f.Params.Seq)
			if number == 2 && bytes.Contains(item.Frame, []byte("secret")) {
				t.Errorf("it was told %s", item.Frame)
			}
			if number == 2 && f.Params.Seq == 5 && string(f.Params.Data) != `{"message":2}` {
				t.Errorf("the change of what it does not see says %s", f.Params.Data)
			}
		}
		if fmt.Sprint(have) != fmt.Sprint(seqs) {
			t.Errorf("connection %d got %v, want %v", number, have, seqs)
		}
	}
	if n := len(sent[0].Items); n != 8 {
		t.Errorf("%d frames were made for 7 events, one of them in two variants", n)
	}
}

// However a history of coming and going is cut into batches, and however far the decision state is ahead of them, each
// event goes to those in whose windows it is.
func TestEveryEventGoesToThoseWhoMaySeeIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		users := []domain.UserID{user(0), user(1), user(2), user(3), user(4)}
		m, s := newMemory(), newStory(2)
		for n, u := range users {
			m.connect(u, "g", uint32(n))
		}
		ids := []domain.ConversationID{conversationIn(2, 0), conversationIn(2, 1)}
		for _, id := range ids {
			s.append(t, id.Aggregate(), users[0], created(users[:2]...))
		}
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			id := rapid.SampledFrom(ids).Draw(t, "conversation")
			u := rapid.SampledFrom(users).Draw(t, "user")
			var fact domain.Fact
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0, 1:
				fact = &domain.MemberAdded{User: u}
				if s.states[id].Windows(u).Open() {
					fact = &domain.MemberLeft{User: u}
				}
			case 2:
				fact = &domain.MessageRecalled{Message: domain.Seq(rapid.Int64Range(1, int64(s.heads[id])).Draw(t, "message"))}
			default:
				fact = text("x")
			}
			s.append(t, id.Aggregate(), u, fact)
		}
		s.publishState(m) // as far ahead as can be; each batch that loads nothing folds
		o, stop := start(t, push.Config{Bus: m, CachedMembers: rapid.SampledFrom([]int{1, 1000}).Draw(t, "cached")})
		defer stop()
		take(t, o, 2, 1)
		for from := int64(1); from <= int64(len(s.records)); {
			to := rapid.Int64Range(from, int64(len(s.records))).Draw(t, "to")
			if err := handle(o, s.batch(1, from, to)); err != nil {
				t.Fatal(err)
			}
			from = to + 1
		}
		got := received(m.sent(t)["g"])
		for n, u := range users {
			var want []string
			for _, r := range s.records {
				windows := s.states[r.Conversation()].Windows(u)
				if !windows.Contains(r.ConversationSeq) {
					continue
				}
				want = append(want, fmt.Sprint(r.Conversation(), r.ConversationSeq))
			}
			var have []string
			for _, item := range got[uint32(n)] {
				f := parse(t, item.Frame)
				have = append(have, fmt.Sprint(f.Params.Conversation, f.Params.Seq))
			}
			if fmt.Sprint(have) != fmt.Sprint(want) {
				t.Fatalf("user %d got %v\nwant %v", n, have, want)
			}
		}
	})
}

// A roster that was loaded early and folded forward says the same as one that is loaded late.
func TestRostersFoldForward(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		users := []domain.UserID{user(0), user(1), user(2)}
		m, s := newMemory(), newStory(2)
		for n, u := range users {
			m.connect(u, "g", uint32(n))
		}
		id := conversationIn(2, 0)
		o, stop := start(t, push.Config{Bus: m})
		defer stop()
		take(t, o, 2, 1)
		s.append(t, id.Aggregate(), users[0], created(users[0]))
		s.publishState(m)
		done := int64(0)
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			u := rapid.SampledFrom(users).Draw(t, "user")
			fact := domain.Fact(&domain.MemberAdded{User: u})
			if s.states[id].Windows(u).Open() {
				fact = &domain.MemberRemoved{User: u}
			}
			s.append(t, id.Aggregate(), users[0], fact)
			if rapid.Bool().Draw(t, "handle") {
				// Loaded is what the state was at first: all after it is folded.
				if err := handle(o, s.batch(1, done+1, int64(len(s.records)))); err != nil {
					t.Fatal(err)
				}
				done = int64(len(s.records))
			}
		}
		if m.loads > 1 {
			t.Fatalf("members were read %d times", m.loads)
		}
		for n, items := range received(m.sent(t)["g"]) {
			for _, item := range items {
				f := parse(t, item.Frame)
				if !s.states[id].Windows(users[n]).Contains(f.Params.Seq) {
					t.Fatalf("user %d got %d, sees %v", n, f.Params.Seq, s.states[id].Windows(users[n]))
				}
			}
		}
	})
}

func TestReceiptsOfLargeGroupsAreNotPushed(t *testing.T) {
	for _, size := range []int{conversation.LargeGroup, conversation.LargeGroup + 1} {
		m, s := newMemory(), newStory(1)
		id := conversationIn(1, 0)
		var users []domain.UserID
		for n := range size {
			users = append(users, user(n))
		}
		m.connect(users[0], "g", 1)
		s.append(t, id.Aggregate(), users[0], created(users...))
		s.append(t, id.Aggregate(), users[0], text("x"))
		for range 3 {
			s.append(t, id.Aggregate(), users[1], &domain.ReceiptMoved{ReadSeq: 2})
		}
		s.publishState(m)
		o := run(t, push.Config{Bus: m})
		take(t, o, 1, 1)
		if err := handle(o, s.batch(1, 1, 5)); err != nil {
			t.Fatal(err)
		}
		receipts := 0
		for _, item := range received(m.sent(t)["g"])[1] {
			if item.Class == schema.ClassReceipt {
				receipts++
			}
		}
		if want := 1; size > conversation.LargeGroup && receipts != 0 || size <= conversation.LargeGroup && receipts != want {
			t.Errorf("%d receipts in a group of %d", receipts, size)
		}
	}
}

func TestRevokedSessionsAndSuspendedUsersAreClosed(t *testing.T) {
	m, s := newMemory(), newStory(0)
	alice := inPartition(0, 0)
	first, second := m.connect(alice, "g", 1), m.connect(alice, "g", 2)
	s.append(t, alice.Aggregate(), alice, &domain.SessionRevoked{Session: first.Session})
	s.append(t, alice.Aggregate(), "", &domain.AccountSuspended{})
	o := run(t, push.Config{Bus: m})
	take(t, o, 0, 1)
	if err := handle(o, s.batch(1, 1, 1)); err != nil {
		t.Fatal(err)
	}
	expectClosed(t, m, "g", map[uint32]uint16{1: 4101})
	// A connection of a revoked session that is folded only now is closed too.
	third := connectionOf(alice, "g", 3)
	third.Session = first.Session
	m.say(0, third)
	eventually(t, func() bool { return len(m.peek(t, "g")) > 0 })
	expectClosed(t, m, "g", map[uint32]uint16{3: 4101})
	if err := handle(o, s.batch(1, 2, 2)); err != nil {
		t.Fatal(err)
	}
	expectClosed(t, m, "g", map[uint32]uint16{1: 4102, 2: 4102, 3: 4102})
	_ = second
}

func TestWhatConcernsUsersIsPushedToThemAlone(t *testing.T) {
	m, s := newMemory(), newStory(1)
	pair := conversationIn(1, 0).Aggregate()
	alice, bob, admin := inPartition(1, 1), inPartition(1, 2), inPartition(1, 3)
	for n, u := range []domain.UserID{alice, bob, admin, alice} {
		m.connect(u, "g", uint32(n+1))
	}
	name := "Alice"
	s.append(t, pair, alice, &domain.ContactRequested{User: bob, Message: "it is \"me\""})
	s.append(t, pair, bob, &domain.ContactAccepted{User: alice})
	s.append(t, pair, alice, &domain.ContactRemarked{User: bob, Remark: "neighbour"})
	s.append(t, pair, bob, &domain.UserBlocked{User: alice})
	s.append(t, alice.Aggregate(), admin, &domain.AccountUpdated{DisplayName: &name})
	s.append(t, alice.Aggregate(), alice, &domain.AccountPasswordChanged{PasswordHash: "hash"})
	o := run(t, push.Config{Bus: m})
	take(t, o, 1, 1)
	if err := handle(o, s.batch(1, 1, 6)); err != nil {
		t.Fatal(err)
	}
	frame := func(typ domain.EventType, actor domain.UserID, data string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","method":"account","params":{"type":%q,"actor":%q,"data":%s}}`, typ, actor, data)
	}
	asked := frame(domain.TypeContactRequested, alice, fmt.Sprintf(`{"user":%q,"message":"it is \"me\""}`, bob))
	accepted := frame(domain.TypeContactAccepted, bob, fmt.Sprintf(`{"user":%q}`, alice))
	toAlice := []string{
		asked, accepted, frame(domain.TypeContactRemarked, alice, fmt.Sprintf(`{"user":%q,"remark":"neighbour"}`, bob)),
		frame(domain.TypeAccountUpdated, admin, `{"display_name":"Alice"}`),
	}
	want := map[uint32][]string{
		1: toAlice, 4: toAlice, 2: {asked, accepted, frame(domain.TypeUserBlocked, bob, fmt.Sprintf(`{"user":%q}`, alice))},
	}
	got := make(map[uint32][]string)
	for number, items := range received(m.sent(t)["g"]) {
		for _, item := range items {
			got[number] = append(got[number], string(item.Frame))
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTypingGoesToTheOthersAndIsNotCounted(t *testing.T) {
	m, s := newMemory(), newStory(1)
	id := conversationIn(1, 0)
	alice, bob, stranger := user(1), user(2), user(3)
	for n, u := range []domain.UserID{alice, bob, stranger} {
		m.connect(u, "g", uint32(n+1))
	}
	s.append(t, id.Aggregate(), alice, created(alice, bob))
	s.publishState(m)
	o := run(t, push.Config{Bus: m})
	take(t, o, 1, 1)
	m.say(1, schema.Typing{Conversation: id, User: stranger, Typing: true})
	m.say(1, schema.Typing{Conversation: id, User: alice, Typing: true})
	eventually(t, func() bool { return len(m.peek(t, "g")) > 0 })
	envelopes := m.sent(t)["g"]
	got := received(envelopes)
	want := fmt.Sprintf(`{"jsonrpc":"2.0","method":"typing","params":{"conversation":%q,"user":%q,"typing":true}}`, id, alice)
	if len(got) != 1 || len(got[2]) != 1 || string(got[2][0].Frame) != want || envelopes[0].Number != 0 {
		t.Errorf("got %v", got)
	}
}

// One envelope for a gateway, and in it one frame, whatever the size of the group.
func TestAGroupOfAThousandCostsOneFrame(t *testing.T) {
	m, s := newMemory(), newStory(1)
	id := conversationIn(1, 0)
	var users []domain.UserID
	for n := range 1000 {
		users = append(users, user(n))
		m.connect(users[n], fmt.Sprint("g", n%3), uint32(rand.IntN(1<<20)<<10|n))
	}
	s.append(t, id.Aggregate(), users[0], created(users...))
	for range 10 {
		s.append(t, id.Aggregate(), users[0], text("x"))
	}
	s.publishState(m)
	o := run(t, push.Config{Bus: m})
	take(t, o, 1, 1)
	if err := handle(o, s.batch(1, 1, 1)); err != nil {
		t.Fatal(err)
	}
	m.sent(t)
	if err := handle(o, s.batch(1, 2, 11)); err != nil {
		t.Fatal(err)
	}
	sent, deliveries := m.sent(t), 0
	if len(sent) != 3 {
		t.Errorf("%d gateways", len(sent))
	}
	for _, envelopes := range sent {
		if len(envelopes) != 1 || len(envelopes[0].Items) != 10 {
			t.Errorf("%d envelopes", len(envelopes))
		}
		for _, item := range envelopes[0].Items {
			deliveries += len(item.Connections)
		}
	}
	if deliveries != 10_000 {
		t.Errorf("%d deliveries", deliveries)
	}
	if m.loads != 1 {
		t.Errorf("members were read %d times", m.loads)
	}
}

func TestEventsThatCannotBeReadAreLeftOut(t *testing.T) {
	m, s := newMemory(), newStory(1)
	id := conversationIn(1, 0)
	alice := user(1)
	m.connect(alice, "g", 1)
	s.append(t, id.Aggregate(), alice, created(alice))
	s.append(t, id.Aggregate(), alice, text("x")).Data = json.RawMessage(`{"client_id":`)
	s.append(t, id.Aggregate(), alice, &domain.MessageRecalled{}).Data = json.RawMessage(`[]`)
	s.append(t, id.Aggregate(), alice, text("x")).Version = 99
	s.append(t, id.Aggregate(), alice, text("x")).Type = "message.sung"
	s.append(t, id.Aggregate(), alice, text("fine"))
	s.publishState(m)
	o := run(t, push.Config{Bus: m})
	take(t, o, 1, 1)
	if err := handle(o, s.batch(1, 1, 6)); err != nil {
		t.Fatal(err)
	}
	var seqs []domain.Seq
	for _, item := range received(m.sent(t)["g"])[1] {
		seqs = append(seqs, parse(t, item.Frame).Params.Seq)
	}
	if fmt.Sprint(seqs) != "[1 6]" {
		t.Errorf("got %v", seqs)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, config := range map[string]push.Config{
		"Bus":           {Partitions: 1, Worker: "w"},
		"Partitions":    {Bus: newMemory(), Worker: "w"},
		"Worker":        {Bus: newMemory(), Partitions: 1},
		"Beat":          {Bus: newMemory(), Partitions: 1, Worker: "w", Beat: -1},
		"EnvelopeBytes": {Bus: newMemory(), Partitions: 1, Worker: "w", EnvelopeBytes: schema.MaxPushBytes},
		"EnvelopeItems": {Bus: newMemory(), Partitions: 1, Worker: "w", EnvelopeItems: -1},
	} {
		if _, err := push.New(config); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("a wrong %s gives %v", name, err)
		}
	}
	registry := prometheus.NewRegistry()
	if _, err := push.New(push.Config{Bus: newMemory(), Partitions: 1, Worker: "w", Registerer: registry}); err != nil {
		t.Error(err)
	}
}
