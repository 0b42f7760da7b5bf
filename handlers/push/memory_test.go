package push_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/handlers/push"
	"mpim/schema"
)

// Times and names that need not differ.
var (
	placement = domain.Placement{Partitions: partitions}
	noon      = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
)

const partitions = 4

// memory is a Bus that has all in memory, and keeps what is published.
type memory struct {
	mu        sync.Mutex
	presence  []schema.PresenceRead // of all partitions
	arrived   chan struct{}
	members   map[domain.ConversationID]domain.Fields
	heads     map[int]schema.Checkpoint
	published []schema.Outgoing
	saved     []schema.PushCheckpoint
	loads     int
	// hold keeps presence streams from being read until it is closed; nil holds nothing.
	hold chan struct{}
	// failing makes publishing fail.
	failing  bool
	attempts int
	// discard keeps nothing, for benchmarks.
	discard bool
	bytes   int
}

func newMemory() *memory {
	return &memory{
		arrived: make(chan struct{}, 1), members: make(map[domain.ConversationID]domain.Fields),
		heads: make(map[int]schema.Checkpoint),
	}
}

func (m *memory) PresenceStart(context.Context) ([]schema.StreamID, error) {
	return make([]schema.StreamID, partitions), nil
}

func (m *memory) Connections(context.Context, int, func(domain.ConnectionID, schema.Connection)) error {
	return nil
}

func (m *memory) PresenceHeads(context.Context) ([]schema.StreamID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	heads := make([]schema.StreamID, partitions)
	for _, e := range m.presence {
		heads[e.Partition] = e.ID
	}
	return heads, nil
}

func (m *memory) FollowPresence(ctx context.Context, _ []schema.StreamID, apply func([]schema.PresenceRead)) error {
	for read := 0; ; {
		if m.hold != nil {
			<-m.hold
		}
		m.mu.Lock()
		entries := slices.Clone(m.presence[read:])
		m.mu.Unlock()
		if read += len(entries); len(entries) > 0 {
			apply(entries)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-m.arrived:
		}
	}
}

// say appends an entry to a presence stream.
func (m *memory) say(partition int, e schema.PresenceEntry) {
	m.mu.Lock()
	id := schema.StreamID{Milliseconds: 1, Counter: uint64(len(m.presence) + 1)}
	m.presence = append(m.presence, schema.PresenceRead{Partition: partition, ID: id, Entry: e})
	m.mu.Unlock()
	select {
	case m.arrived <- struct{}{}:
	default:
	}
}

func (m *memory) TakeCheckpoint(context.Context, int, int64) (schema.Checkpoint, bool, error) {
	return schema.Checkpoint{}, true, nil
}

func (m *memory) SaveCheckpoints(_ context.Context, saves []schema.PushCheckpoint) ([]schema.PushCheckpoint, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saved = append(m.saved, saves...)
	return nil, nil
}

func (m *memory) LogHeads(_ context.Context, numbers []int) ([]schema.Checkpoint, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	heads := make([]schema.Checkpoint, len(numbers))
	for i, number := range numbers {
		heads[i] = m.heads[number]
	}
	return heads, nil
}

func (m *memory) After(context.Context, int, string) (schema.StreamID, bool, error) {
	return schema.StreamID{}, true, nil
}

func (m *memory) Members(_ context.Context, ids []domain.ConversationID) ([]domain.Fields, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	states := make([]domain.Fields, len(ids))
	for i, id := range ids {
		states[i] = m.members[id]
	}
	m.loads += len(ids)
	return states, nil
}

func (m *memory) Publish(_ context.Context, messages []schema.Outgoing) ([]schema.Outgoing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.attempts++
	if m.failing {
		return messages, domain.Errorf(domain.Unavailable, "not now")
	}
	if m.discard {
		for i := range messages {
			m.bytes += len(messages[i].Payload)
		}
		return nil, nil
	}
	m.published = append(m.published, messages...)
	return nil, nil
}

// sent returns the envelopes published since it was called last, by gateway, and drops heartbeats.
func (m *memory) sent(t fatal) map[string][]*schema.Envelope {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	envelopes := make(map[string][]*schema.Envelope)
	for _, o := range m.published {
		if e, ok := decode(t, o.Payload).(*schema.Envelope); ok {
			envelopes[o.Gateway] = append(envelopes[o.Gateway], e)
		}
	}
	m.published = nil
	return envelopes
}

// heard returns the last heartbeat that a gateway got, or nil.
func (m *memory) heard(t fatal, gateway string) *schema.Heartbeat {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range slices.Backward(m.published) {
		if h, ok := decode(t, o.Payload).(*schema.Heartbeat); ok && o.Gateway == gateway {
			return h
		}
	}
	return nil
}

func decode(t fatal, payload []byte) schema.Push {
	t.Helper()
	p, err := schema.DecodePush(payload)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// story is a log of one partition that is written by hand, with the decision state that follows from it.
type story struct {
	partition int
	records   []*schema.Record
	states    map[domain.ConversationID]conversation.State
	heads     map[domain.ConversationID]domain.Seq
}

func newStory(partition int) *story {
	return &story{
		partition: partition, states: make(map[domain.ConversationID]conversation.State),
		heads: make(map[domain.ConversationID]domain.Seq),
	}
}

// append adds an event.
func (s *story) append(t fatal, a domain.Aggregate, actor domain.UserID, fact domain.Fact) *schema.Record {
	t.Helper()
	data, err := schema.EncodeFact(fact)
	if err != nil {
		t.Fatal(err)
	}
	seq := int64(len(s.records) + 1)
	r := &schema.Record{
		Position: domain.Position{Partition: s.partition, Seq: seq},
		StreamID: fmt.Sprintf("%d-0", noon.UnixMilli()+seq), ID: domain.NewEventID(noon, fmt.Appendf(nil, "%010d", seq)),
		Type: fact.EventType(), Version: 1, At: noon, Actor: actor, Aggregate: a, Data: data,
	}
	id := a.Conversation()
	if fact.Sequenced() {
		s.heads[id]++
		r.ConversationSeq = s.heads[id]
		s.states[id] = conversation.Evolve(s.states[id], domain.Event{At: noon, Actor: actor, Seq: r.ConversationSeq, Data: fact})
	}
	s.records = append(s.records, r)
	return r
}

// fields returns the decision state of a conversation as the append script would have stored it.
func (s *story) fields(id domain.ConversationID) domain.Fields {
	state := s.states[id]
	header, _ := conversation.Store(state, domain.HeaderField)
	fields := domain.Fields{domain.HeaderField: header, domain.SeqField: s.heads[id].String()}
	for user := range state.Members {
		fields["m:"+string(user)], _ = conversation.Store(state, "m:"+string(user))
	}
	return fields
}

// publishState lets a Bus know the decision state as it is now.
func (s *story) publishState(m *memory) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id := range s.states {
		m.members[id] = s.fields(id)
	}
}

// batch returns the records from one sequence to another.
func (s *story) batch(token, from, to int64) *schema.Batch {
	return &schema.Batch{
		Partition: s.partition, Token: token, From: from, To: to,
		StreamID: s.records[to-1].StreamID, Records: s.records[from-1 : to],
	}
}

func handle(o *push.Owner, b *schema.Batch) error { return handleWithin(context.Background(), o, b) }

func handleWithin(ctx context.Context, o *push.Owner, b *schema.Batch) error {
	msg := message.NewMessage("", nil)
	msg.SetContext(schema.WithBatch(ctx, b))
	return o.Handle(msg) //nolint:contextcheck // the message carries it
}

// run runs an owner until the test ends.
func run(t *testing.T, config push.Config) *push.Owner {
	t.Helper()
	o, stop := start(t, config)
	t.Cleanup(stop)
	return o
}

// take takes a partition, and all that is connected with it.
func take(t fatal, o *push.Owner, partition int, token int64) schema.Checkpoint {
	t.Helper()
	c, err := o.Take(context.Background(), partition, token)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// connectionOf returns what is said of a user's connection to a gateway.
func connectionOf(user domain.UserID, gateway string, number uint32) schema.Connected {
	entropy := []byte{0, 0, 0, 0, 0, 0, 0, 0, byte(number >> 24), byte(number >> 16), byte(number >> 8), byte(number)}
	return schema.Connected{
		Connection: domain.NewConnectionID(user, entropy), User: user, Gateway: gateway,
		Session: domain.NewSessionID(user, entropy),
	}
}

// connect says that a user is connected to a gateway.
func (m *memory) connect(user domain.UserID, gateway string, number uint32) schema.Connected {
	partition, _ := user.Partition()
	c := connectionOf(user, gateway, number)
	m.say(partition, c)
	return c
}

// conversationIn returns a group's id in a partition.
func conversationIn(partition, n int) domain.ConversationID {
	for i := 0; ; i++ {
		id := placement.Group("u", fmt.Sprint(n, " ", i))
		if p, _ := id.Partition(); p == partition {
			return id
		}
	}
}

func user(n int) domain.UserID { return placement.User(fmt.Sprintf("user%d", n)) }

func created(users ...domain.UserID) *domain.ConversationCreated {
	c := &domain.ConversationCreated{Kind: domain.GroupConversation}
	for _, u := range users {
		c.Members = append(c.Members, domain.MemberRole{User: u, Role: domain.Member})
	}
	return c
}

func text(s string) *domain.MessageSent {
	return &domain.MessageSent{ClientID: "c", Body: domain.Body{Type: domain.TextBody, Text: s}}
}

// frame is a push as a client reads it.
type frame struct {
	Method string `json:"method"`
	Params struct {
		Conversation domain.ConversationID `json:"conversation"`
		Seq          domain.Seq            `json:"seq"`
		Type         domain.EventType      `json:"type"`
		User         domain.UserID         `json:"user"`
		Delivered    domain.Seq            `json:"delivered_seq"`
		Read         domain.Seq            `json:"read_seq"`
		Typing       bool                  `json:"typing"`
		Data         json.RawMessage       `json:"data"`
	} `json:"params"`
}

func parse(t fatal, b []byte) frame {
	t.Helper()
	var f frame
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return f
}

// received is what each connection gets of envelopes, in order.
func received(envelopes []*schema.Envelope) map[uint32][]schema.Item {
	got := make(map[uint32][]schema.Item)
	for _, e := range envelopes {
		for _, item := range e.Items {
			for _, number := range item.Connections {
				got[number] = append(got[number], item)
			}
		}
	}
	return got
}
