package schema_test

import (
	"testing"

	"mpim/schema"
)

func TestPresenceEntriesSurviveTheStream(t *testing.T) {
	t.Parallel()
	for _, want := range []schema.PresenceEntry{
		schema.Connected{Connection: "c1", User: "u1", Session: "s1", Gateway: "g1", Client: "web/1"},
		schema.Disconnected{Connection: "c1", User: "u1", Gateway: "g1"},
		schema.GatewayExpired{Gateway: "g1"},
		schema.Typing{Conversation: "d1", User: "u1", Typing: true},
		schema.Typing{Conversation: "d1", User: "u1"},
		schema.StatusChanged{User: "u1", Status: "away", Text: "lunch"},
	} {
		got, err := schema.DecodePresence(toMap(want.Fields()))
		if err != nil || got != want {
			t.Errorf("%#v became %#v, %v", want, got, err)
		}
	}
}

func TestPresenceEntriesOfNewerVersionsArePassedOver(t *testing.T) {
	t.Parallel()
	if got, err := schema.DecodePresence(map[string]any{"kind": "teleported"}); got != nil || err != nil {
		t.Errorf("got %#v, %v", got, err)
	}
	for _, fields := range []map[string]any{{}, {"kind": "connected"}, {"kind": 7}} {
		if got, err := schema.DecodePresence(fields); err == nil {
			t.Errorf("%v became %#v", fields, got)
		}
	}
}

func toMap(fields []string) map[string]any {
	m := make(map[string]any, len(fields)/2)
	for i := 0; i < len(fields); i += 2 {
		m[fields[i]] = fields[i+1]
	}
	return m
}
