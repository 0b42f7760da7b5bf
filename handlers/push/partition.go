package push

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/projections"
	"mpim/schema"
)

// partition is a partition that this process pushes under a lease.
type partition struct {
	owner  *Owner
	number int
	token  int64
	logger *slog.Logger

	// mu is held while a batch, or what is typed, is worked on.
	mu        sync.Mutex
	place     schema.Checkpoint // up to where the partition is pushed
	start     int64
	numbers   map[string]uint64 // of the last envelope to each gateway
	rosters   *rosters
	gathering gathering
	batches   uint64
	late      bool // only what is urgent is pushed

	// told is what others may be told: it moves when a batch is out, and not while it is on its way.
	toldMu sync.Mutex
	told   standing
	head   schema.Checkpoint // where the log ends, as far as is known

	saved int64 // the sequence of the saved checkpoint; the owner's rounds guard it
}

// standing is how far a partition is pushed.
type standing struct {
	schema.Checkpoint
	start   int64
	numbers map[string]uint64
}

func newPartition(o *Owner, number int, token int64, from schema.Checkpoint) *partition {
	p := &partition{
		owner: o, number: number, token: token,
		logger:    o.logger.With(slog.Int("partition", number), slog.Int64("token", token)),
		place:     from,
		start:     from.Seq,
		numbers:   make(map[string]uint64),
		rosters:   newRosters(o.config.CachedMembers),
		gathering: gathering{registry: o.registry},
	}
	p.saved = -1
	p.told = standing{Checkpoint: from, start: from.Seq, numbers: make(map[string]uint64)}
	return p
}

// handle pushes a batch.
func (p *partition) handle(ctx context.Context, b *schema.Batch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case b.To <= p.place.Seq:
		return nil
	case b.From > p.place.Seq+1:
		return fmt.Errorf("push: batch %d to %d of partition %d follows %d: %w", b.From, b.To, p.number, p.place.Seq, projections.ErrDeposed)
	}
	if p.lags(b, 1) {
		p.skip(b)
		return nil
	}
	records := b.Records[p.place.Seq+1-b.From:]
	p.batches++
	p.late = p.lags(b, lateShare)
	if p.owner.registry.isEmpty() {
		return p.passOver(b, records)
	}
	out := newOutbox(p.owner.config.EnvelopeBytes, p.owner.config.EnvelopeItems)
	if err := p.fill(ctx, out, records); err != nil {
		return err
	}
	p.place = schema.Checkpoint{Seq: b.To, StreamID: b.StreamID}
	p.owner.publish(ctx, out.seal(func(gateway string, e *schema.Envelope) {
		p.address(e)
		if gateway != "" { // what is for all of them is not counted
			p.numbers[gateway]++
			e.Number = p.numbers[gateway]
		}
	}))
	p.tell(out.gateways)
	p.metrics().pushed(len(records), out)
	p.rosters.trim()
	return nil
}

// passOver handles a batch that nobody is there to get. Who is a member is read again when somebody is.
func (p *partition) passOver(b *schema.Batch, records []*schema.Record) error {
	p.rosters = newRosters(p.owner.config.CachedMembers)
	nobody := newOutbox(p.owner.config.EnvelopeBytes, p.owner.config.EnvelopeItems)
	for _, r := range records {
		if r.Aggregate.Kind == domain.Account {
			p.account(nobody, r)
		}
	}
	p.place = schema.Checkpoint{Seq: b.To, StreamID: b.StreamID}
	p.tell(nil)
	p.metrics().pushed(len(records), nobody)
	return nil
}

// address fills in whose envelope it is.
func (p *partition) address(e *schema.Envelope) {
	e.Partition, e.Token, e.Start, e.Seq = p.number, p.token, p.start, p.place.Seq
}

// tell makes public what was sent to the given gateways, and how far.
func (p *partition) tell(gateways []string) {
	p.toldMu.Lock()
	defer p.toldMu.Unlock()
	p.told.Checkpoint, p.told.start = p.place, p.start
	for _, gateway := range gateways {
		p.told.numbers[gateway] = p.numbers[gateway]
	}
}

// standing returns what may be told.
func (p *partition) standing() standing {
	p.toldMu.Lock()
	defer p.toldMu.Unlock()
	s := p.told
	s.numbers = maps.Clone(s.numbers)
	return s
}

// knows notes where the log ends.
func (p *partition) knows(head schema.Checkpoint) {
	p.toldMu.Lock()
	defer p.toldMu.Unlock()
	p.head = head
}

// lateShare is the share of what makes an owner skip events that makes it leave out what is less urgent: typing, and then
// receipts.
const lateShare = 8

// lags says whether more than a share of what makes an owner skip events has happened since the batch. At the whole of it
// clients are better off when they ask.
func (p *partition) lags(b *schema.Batch, share int64) bool {
	p.toldMu.Lock()
	head := p.head
	p.toldMu.Unlock()
	return p.owner.lags(head, b.To, b.Records[0].StreamID, share)
}

// skip passes over a batch.
func (p *partition) skip(b *schema.Batch) {
	p.metrics().skipped.Add(float64(b.To - b.From + 1))
	p.logger.Warn("pushing is behind: events are skipped, and clients resynchronise",
		slog.Int64("from_seq", b.From), slog.Int64("to_seq", b.To))
	p.jump(schema.Checkpoint{Seq: b.To, StreamID: b.StreamID})
}

// jump goes on at another place. A number that is never sent tells every gateway that it missed something.
func (p *partition) jump(to schema.Checkpoint) {
	p.place, p.start = to, to.Seq
	gateways := p.owner.registry.gatewayIDs()
	for _, gateway := range gateways {
		p.numbers[gateway]++
	}
	// Rosters were not folded over what was skipped.
	p.rosters = newRosters(p.owner.config.CachedMembers)
	p.tell(gateways)
}

// retake returns where the partition stands, for a reader that begins again. Where the log does not go on from there it
// is left for the end of the log.
func (p *partition) retake(ctx context.Context) (schema.Checkpoint, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	from, err := p.owner.startOf(ctx, p.number, p.place)
	if err != nil {
		return from, fmt.Errorf("push: end of partition %d: %w", p.number, err)
	}
	if from != p.place {
		p.jump(from)
	}
	return from, nil
}

func (p *partition) metrics() *metrics { return p.owner.metrics }

// fill puts what records have for anybody into an outbox.
func (p *partition) fill(ctx context.Context, out *outbox, records []*schema.Record) error {
	if err := p.load(ctx, needed(records)); err != nil {
		return err
	}
	var moved receipts
	for _, r := range records {
		switch {
		case r.Conversation() != "" && r.ConversationSeq > 0:
			p.event(out, r)
		case r.Type == domain.TypeReceiptMoved:
			moved.add(r)
		default:
			p.account(out, r)
			p.personal(out, r)
			if err := p.notice(ctx, out, r); err != nil {
				return err
			}
		}
	}
	if p.late {
		p.metrics().shed.Add(float64(len(moved.list)))
		return nil
	}
	p.receipts(out, moved)
	return nil
}

// needed returns the conversations whose members have to be known for records.
func needed(records []*schema.Record) []domain.ConversationID {
	var ids []domain.ConversationID
	seen := make(map[domain.ConversationID]bool)
	for _, r := range records {
		if id := r.Conversation(); id != "" && !seen[id] && (r.ConversationSeq > 0 || r.Type == domain.TypeReceiptMoved) {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// load reads the rosters that are not there, all in one go.
func (p *partition) load(ctx context.Context, ids []domain.ConversationID) error {
	var missing []domain.ConversationID
	for _, id := range ids {
		if p.rosters.get(id) == nil {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	began := time.Now()
	states, err := p.owner.config.Bus.Members(ctx, missing)
	if err != nil {
		return fmt.Errorf("members of %d conversations of partition %d: %w", len(missing), p.number, err)
	}
	for i, id := range missing {
		state, err := conversation.Load(states[i])
		if err != nil || !state.Exists() {
			// Without members nobody gets anything; the log says why.
			p.logger.Error("decision state of a conversation cannot be read",
				slog.String("conversation", string(id)), slog.Any("error", err))
		}
		p.rosters.add(&roster{id: id, state: state, head: state.Head})
	}
	p.metrics().loaded(len(missing), time.Since(began))
	return nil
}

// event pushes an event of a conversation to those who may see it.
func (p *partition) event(out *outbox, r *schema.Record) {
	members := p.rosters.get(r.Conversation())
	data, err := p.content(members, r)
	if err != nil {
		// Its clients see a gap, and ask. Who is a member now the decision state tells.
		p.rosters.distrust(members)
		p.metrics().unreadable.Inc()
		p.logger.Error("event cannot be pushed", slog.String("event", string(r.ID)), slog.Any("error", err))
		return
	}
	if data.message == 0 {
		if a := members.at(r.ConversationSeq, p.batches, &p.gathering).audience; a.connections > 0 {
			out.put(schema.ClassEvent, eventFrame(r, data.json), a)
		}
		return
	}
	seeing, blind := members.split(r.ConversationSeq, data.message, p.batches, &p.gathering)
	if seeing.connections > 0 {
		out.put(schema.ClassEvent, eventFrame(r, data.json), seeing)
	}
	if blind.connections > 0 {
		out.put(schema.ClassEvent, eventFrame(r, blindData(data.message)), blind)
	}
}
