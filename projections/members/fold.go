package members

import (
	"context"
	"strconv"

	"mpim/domain"
	"mpim/projections/checkpoint"
	"mpim/schema"
)

// fold keeps everything under keys that live outside of the partition. Each of them is, at the sequence that its guard
// says, the fold of all events up to there; so each is folded by itself, from what it holds, over the events above its
// guard. What a worker that was deposed wrote before is thereby never folded twice.
func (p *Projection) fold(ctx context.Context, records []*schema.Record, w *checkpoint.Writes) error {
	f := newFolding(p, w.Guard())
	var events []event
	for _, r := range records {
		if !p.Handles(r.Type) {
			continue
		}
		fact, err := r.Fact()
		if err != nil {
			return err
		}
		events = append(events, event{r, fact})
		f.touch(r, fact)
	}
	if len(events) == 0 {
		return nil
	}
	if err := f.load(ctx); err != nil {
		return err
	}
	for _, e := range events {
		f.apply(e, w)
	}
	f.write(w)
	return nil
}

// event is a record that matters to this projection, decoded.
type event struct {
	*schema.Record
	fact domain.Fact
}

// change does to one member what an event does.
func (e event) change(user domain.UserID, s *state) {
	switch fact := e.fact.(type) {
	case *domain.ConversationCreated:
		for _, m := range fact.Members {
			if m.User == user {
				s.open(e.At, m.Role, e.ConversationSeq)
			}
		}
	case *domain.MemberAdded, *domain.MemberJoined:
		s.open(e.At, domain.Member, e.ConversationSeq)
	case *domain.MemberLeft, *domain.MemberRemoved:
		s.windows = s.windows.Closed(e.ConversationSeq)
	case *domain.MemberRoleChanged:
		s.role = fact.Role
	case *domain.MemberMuted:
		s.mutedTo = 0
		if fact.Until != nil {
			s.mutedTo = fact.Until.UnixMilli()
		}
	case *domain.ConversationDissolved:
		s.windows = s.windows.Closed(e.ConversationSeq)
	default:
		// Nothing else changes a member.
	}
}

func (f *folding) apply(e event, w *checkpoint.Writes) {
	for _, user := range domain.Personal(e.Aggregate, e.Actor, e.fact) {
		g := w.Guarded(f.p.OutsideKey(seqName, string(user)), 0)
		// The guard lets this through once, so adding is as good as setting.
		g.Do(e.Seq, "HINCRBY", f.p.OutsideKey(seqName, string(user)), strconv.Itoa(e.Partition), "1")
	}
	f.schedule(e, w)
	id := e.Conversation()
	roster := f.rosters[id]
	if roster == nil || roster.ended > 0 && e.ConversationSeq > roster.ended {
		return // it concerns no members, or a conversation that has ended
	}
	if _, dissolved := e.fact.(*domain.ConversationDissolved); dissolved {
		for _, user := range f.open(roster) {
			f.users[user].change(e, string(id), user)
		}
		// The roster itself only notes the end: its windows stay as they are, so that it tells who was there at the end
		// however often that is asked.
		roster.ended = e.ConversationSeq
		roster.seq = max(roster.seq, e.Seq)
		return
	}
	for _, user := range domain.Concerned(e.fact) {
		roster.change(e, string(user), user)
		f.users[user].change(e, string(id), user)
	}
}
