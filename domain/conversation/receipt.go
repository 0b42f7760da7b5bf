package conversation

import "mpim/domain"

func decideReceipt(s State, c MoveReceipt) ([]domain.Fact, error) {
	moved, err := s.receipt(c)
	if err != nil {
		return nil, err
	}
	if s.unlogged(c) {
		moved.DeliveredSeq, moved.DeliveredOrdinal, moved.Session, moved.Epoch = 0, 0, "", 0
	}
	if moved.DeliveredSeq == 0 && moved.ReadSeq == 0 {
		return nil, nil
	}
	return []domain.Fact{&moved}, nil
}

// Unlogged returns what of a receipt that Decide accepted is to be kept outside the log, false where that is nothing: in
// groups with more members than the command says, delivered receipts would outnumber messages by far.
func Unlogged(s State, c MoveReceipt) (domain.ReceiptMoved, bool) {
	moved, err := s.receipt(c)
	if err != nil || !s.unlogged(c) || moved.DeliveredSeq == 0 {
		return domain.ReceiptMoved{}, false
	}
	moved.ReadSeq, moved.ReadOrdinal = 0, 0
	return moved, true
}

func (s State) unlogged(c MoveReceipt) bool {
	return c.Unlogged > 0 && s.Kind == domain.GroupConversation && s.MemberCount > c.Unlogged
}

// receipt returns how far a receipt moves the actor's cursors.
func (s State) receipt(c MoveReceipt) (moved domain.ReceiptMoved, err error) {
	windows, err := s.See(c.Actor)
	if err != nil {
		return moved, err
	}
	// Who has gone still acknowledges what it may see, else its client would be sent that for ever. That it has read it
	// is no longer anybody's business.
	if c.Read != 0 && !windows.Open() {
		return moved, s.present(c.Actor)
	}
	if c.Delivered < 0 || c.Read < 0 || c.Delivered == 0 && c.Read == 0 {
		return moved, domain.Errorf(domain.InvalidArgument, "a receipt names a seq of at least 1")
	}
	if last := windows.Last(s.Head); c.Delivered > last || c.Read > last {
		return moved, domain.Errorf(domain.InvalidArgument, "the seq is above the conversation's %d", last)
	}
	cursors := s.Progress[c.Actor]
	acknowledged := cursors.Delivered
	if c.Session != "" {
		acknowledged = cursors.Acknowledged[domain.Acknowledger(c.Session, c.Epoch)]
	}
	if c.Delivered > acknowledged {
		moved.Session, moved.DeliveredSeq, moved.DeliveredOrdinal = c.Session, c.Delivered, c.DeliveredOrdinal
		if c.Session != "" && c.Epoch > 1 {
			moved.Epoch = c.Epoch
		}
	}
	if c.Read > cursors.Read {
		moved.ReadSeq, moved.ReadOrdinal = c.Read, c.ReadOrdinal
	}
	return moved, nil
}
