package push_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"mpim/domain"
	"mpim/handlers/push"
)

func TestNoticesForEveryoneAreBroadcast(t *testing.T) {
	m, s := newMemory(), newStory(1)
	alice := inPartition(1, 1)
	m.connect(alice, "g", 1)
	s.append(t, alice.Aggregate(), "", &domain.NoticePublished{Title: "Soon", Text: "now", To: json.RawMessage(`"all"`)})
	s.append(t, alice.Aggregate(), alice, &domain.AccountUpdated{})
	s.append(t, alice.Aggregate(), "", &domain.NoticePublished{Title: "Soon", Text: "now", To: json.RawMessage(`{"users":1}`)})
	o := run(t, push.Config{Bus: m})
	take(t, o, 1, 1)
	if err := handle(o, s.batch(1, 1, 3)); err != nil {
		t.Fatal(err)
	}
	sent := m.sent(t)
	if all := sent[""]; len(all) != 1 || len(all[0].Items) != 1 || all[0].Number != 0 {
		t.Errorf("broadcast %+v", all)
	}
	// The gateway's own count goes on as if nothing had been.
	if own := sent["g"]; len(own) != 1 || own[0].Number != 1 || len(own[0].Items) != 1 {
		t.Errorf("to the gateway %s", fmt.Sprint(own))
	}
}
