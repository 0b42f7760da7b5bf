package conversation_test

import (
	"testing"

	"mpim/domain"
	"mpim/domain/conversation"
)

func TestEraseTakesBackWhatWaits(t *testing.T) {
	s := conversation.State{Queues: map[domain.UserID][]domain.ScheduledID{"u1": {"a", "b"}, "u2": {"c"}}}
	facts, err := conversation.DecideMessage(s, conversation.Erase{
		Stamp: domain.Stamp{Actor: "u1"}, Waiting: []domain.ScheduledID{"a", "b"}, Peer: "u2",
	})
	if err != nil || len(facts) != 3 {
		t.Fatalf("%+v, %v", facts, err)
	}
	for i, id := range []domain.ScheduledID{"a", "b"} {
		if cancelled, ok := facts[i].(*domain.ScheduleCancelled); !ok || cancelled.Scheduled != id {
			t.Errorf("got %+v, want %s taken back", facts[i], id)
		}
	}
	if erased, ok := facts[2].(*domain.AccountErased); !ok || erased.Peer != "u2" {
		t.Errorf("got %+v", facts[2])
	}
}
