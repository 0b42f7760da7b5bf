package push

import (
	"context"
	"log/slog"

	"mpim/domain"
	"mpim/schema"
)

// asideQueue bounds the folds whose typing was not pushed yet.
const asideQueue = 256

// sendAside pushes what comes from presence streams and not from the log, beside the count of envelopes: it may be lost.
func (o *Owner) sendAside(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-o.aside:
			o.sendFolded(ctx, o.gather(f))
		}
	}
}

// gather adds all that waits already.
func (o *Owner) gather(f folded) folded {
	for {
		select {
		case more := <-o.aside:
			f.typing = append(f.typing, more.typing...)
			f.late = append(f.late, more.late...)
		default:
			return f
		}
	}
}

func (o *Owner) sendFolded(ctx context.Context, f folded) {
	typing := make(map[int][]schema.Typing)
	for _, t := range f.typing {
		if number, ok := t.Conversation.Partition(); ok {
			typing[number] = append(typing[number], t)
		}
	}
	for number, list := range typing {
		if p := o.partition(number); p != nil {
			p.typing(ctx, latest(list))
		}
	}
	for _, l := range f.late {
		number, _ := l.connection.user.Partition()
		if p := o.partition(number); p != nil {
			p.endLate(ctx, l)
		}
	}
}

// latest returns what is true last of each user and conversation.
func latest(list []schema.Typing) []schema.Typing {
	index := make(map[cursor]int, len(list))
	kept := list[:0]
	for _, t := range list {
		c := cursor{conversation: t.Conversation, user: t.User}
		if i, ok := index[c]; ok {
			kept[i] = t
			continue
		}
		index[c] = len(kept)
		kept = append(kept, t)
	}
	return kept
}

// typing pushes who is typing to the other members.
func (p *partition) typing(ctx context.Context, list []schema.Typing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.late {
		p.metrics().shed.Add(float64(len(list)))
		return
	}
	ids := make([]domain.ConversationID, 0, len(list))
	seen := make(map[domain.ConversationID]bool)
	for _, t := range list {
		if !seen[t.Conversation] {
			seen[t.Conversation] = true
			ids = append(ids, t.Conversation)
		}
	}
	if err := p.load(ctx, ids); err != nil {
		p.logger.Warn("typing was not pushed", slog.Any("error", err))
		return
	}
	p.batches++
	out := newOutbox(p.owner.config.EnvelopeBytes, p.owner.config.EnvelopeItems)
	for _, t := range list {
		members := p.rosters.get(t.Conversation)
		if !members.state.Windows(t.User).Open() {
			continue // it left, or never was a member
		}
		others := p.gathering.of(func(yield func(domain.UserID) bool) {
			for user, windows := range members.users {
				if user != t.User && windows.Open() && !yield(user) {
					return
				}
			}
		}, nil)
		if others.connections > 0 {
			out.put(schema.ClassTyping, typingFrame(t), others)
		}
	}
	p.sendUncounted(ctx, out)
	p.rosters.trim()
}

// endLate closes a connection that was folded after its session was revoked.
func (p *partition) endLate(ctx context.Context, l late) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := newOutbox(p.owner.config.EnvelopeBytes, p.owner.config.EnvelopeItems)
	out.end(l.code, audience{
		parts:       []part{{gateway: l.connection.gateway, numbers: []uint32{l.connection.number}}},
		connections: 1,
	})
	p.sendUncounted(ctx, out)
}

func (p *partition) sendUncounted(ctx context.Context, out *outbox) {
	p.owner.publish(ctx, out.seal(func(_ string, e *schema.Envelope) { p.address(e) }))
	p.owner.metrics.pushed(0, out)
}
