package push

import (
	"mpim/domain"
	"mpim/schema"
)

// receipt is how far a user has come in a conversation, as far as it moved.
type receipt struct {
	cursor
	delivered, read domain.Seq
}

// cursor names whose cursors moved, and where.
type cursor struct {
	conversation domain.ConversationID
	user         domain.UserID
}

// receipts are those of a batch: one for each cursor, in the order in which they came up. Cursors only go up, so the last
// one says all.
type receipts struct {
	list  []receipt
	index map[cursor]int
}

func (rs *receipts) add(r *schema.Record) {
	fact, err := r.Fact()
	moved, ok := fact.(*domain.ReceiptMoved)
	if err != nil || !ok || moved.DeliveredSeq == 0 && moved.ReadSeq == 0 {
		return
	}
	c := cursor{conversation: r.Conversation(), user: r.Actor}
	if rs.index == nil {
		rs.index = make(map[cursor]int)
	}
	i, known := rs.index[c]
	if !known {
		i = len(rs.list)
		rs.index[c] = i
		rs.list = append(rs.list, receipt{cursor: c})
	}
	last := &rs.list[i]
	last.delivered, last.read = max(last.delivered, moved.DeliveredSeq), max(last.read, moved.ReadSeq)
}

// receipts pushes receipts behind the events of the batch, to which they refer.
func (p *partition) receipts(out *outbox, moved receipts) {
	for _, r := range moved.list {
		s := p.rosters.get(r.conversation).at(now, p.batches, &p.gathering)
		if s.members <= p.owner.config.QuietMembers && s.audience.connections > 0 {
			out.put(schema.ClassReceipt, r.frame(), s.audience)
		}
	}
}
