package conversation_test

import (
	"fmt"
	"testing"

	"mpim/domain"
	"mpim/domain/conversation"
)

// In a large group delivered receipts are no events, and whoever keeps them elsewhere is told which.
func TestLargeGroups(t *testing.T) {
	l := group(t, bob, eve)
	give(t, l, send(ann))
	both := conversation.MoveReceipt{
		Stamp: by(bob), Session: "s1", Delivered: 2, DeliveredOrdinal: 1, Read: 2, ReadOrdinal: 1, Unlogged: 3,
	}
	if kept, ok := conversation.Unlogged(l.State(), both); ok {
		t.Errorf("three members are no more than three, but %+v is kept", kept)
	}
	both.Unlogged = 2
	want := domain.ReceiptMoved{Session: "s1", DeliveredSeq: 2, DeliveredOrdinal: 1}
	if kept, ok := conversation.Unlogged(l.State(), both); !ok || kept != want {
		t.Errorf("kept %+v, %v, want %+v", kept, ok, want)
	}
	events := give(t, l, both)
	if len(events) != 1 || *events[0].Data.(*domain.ReceiptMoved) != (domain.ReceiptMoved{ReadSeq: 2, ReadOrdinal: 1}) {
		t.Errorf("got %+v, want the read receipt alone", events)
	}
	delivered := conversation.MoveReceipt{Stamp: by(bob), Session: "s1", Delivered: 2, DeliveredOrdinal: 1, Unlogged: 2}
	if events := give(t, l, delivered); len(events) != 0 {
		t.Errorf("got %+v", events)
	}
	// What is refused is kept nowhere.
	delivered.Delivered = 3
	refuse(t, l, delivered, domain.InvalidArgument)
	if kept, ok := conversation.Unlogged(l.State(), delivered); ok {
		t.Errorf("kept %+v", kept)
	}
}

func TestReceiptsAreRefused(t *testing.T) {
	l := group(t, bob)
	for _, c := range []conversation.MoveReceipt{
		{Stamp: by(bob), Session: "s1"},
		{Stamp: by(bob), Session: "s1", Delivered: -1},
		{Stamp: by(bob), Session: "s1", Delivered: 1, Read: -1},
		{Stamp: by(bob), Session: "s1", Read: 2},
		{Stamp: by(bob), Session: "s1", Delivered: 2, Read: 1},
	} {
		refuse(t, l, c, domain.InvalidArgument)
	}
	refuse(t, newLog(), conversation.MoveReceipt{Stamp: by(bob), Session: "s1", Read: 1}, domain.NotFound)
}

// More sessions than a user has: the one furthest behind is forgotten, but never the one that speaks.
func TestSessionsAreForgotten(t *testing.T) {
	var s conversation.State
	moved := func(session string, seq domain.Seq) {
		s = conversation.Evolve(s, domain.Event{Actor: bob, Data: &domain.ReceiptMoved{Session: domain.SessionID(session), DeliveredSeq: seq}})
	}
	for i := range conversation.MaxSessions {
		moved(fmt.Sprintf("s%d", i), domain.Seq(100+i))
	}
	moved("new", 1)
	got := s.Progress[bob].Acknowledged
	if _, kept := got["s0"]; kept || got["new"] != 1 || len(got) != conversation.MaxSessions {
		t.Errorf("got %v", got)
	}
}
