package schema

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"mpim/domain"
)

// A message that was stored before a second version existed is read as one of the second, by way of its upcaster; one of a
// version still to come is refused.
func TestOldHistoryIsReadThroughTheUpcaster(t *testing.T) {
	released := registry[domain.TypeMessageSent]
	defer func() { registry[domain.TypeMessageSent] = released }()
	text, err := os.ReadFile("testdata/events/message.sent.v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var stored struct {
		Payload struct{ Data json.RawMessage }
	}
	if err := json.Unmarshal(text, &stored); err != nil {
		t.Fatal(err)
	}
	second := released
	second.version = 2
	second.upcasters = []func(json.RawMessage) (json.RawMessage, error){
		// In version 2, texts are marked by who wrote them down.
		func(data json.RawMessage) (json.RawMessage, error) {
			var m map[string]json.RawMessage
			if err := json.Unmarshal(data, &m); err != nil {
				return nil, err
			}
			var body domain.Body
			if err := json.Unmarshal(m["body"], &body); err != nil {
				return nil, err
			}
			body.Text = "raised: " + body.Text
			m["body"], err = json.Marshal(body)
			if err != nil {
				return nil, err
			}
			return json.Marshal(m)
		},
	}
	registry[domain.TypeMessageSent] = second

	r := Record{Type: domain.TypeMessageSent, Version: 1, Data: stored.Payload.Data}
	fact, err := r.Fact()
	if err != nil {
		t.Fatal(err)
	}
	if sent, ok := fact.(*domain.MessageSent); !ok || !strings.HasPrefix(sent.Body.Text, "raised: ") {
		t.Errorf("read as %+v", fact)
	}
	if public, err := r.Public(); err != nil || !strings.Contains(string(public), "raised: ") {
		t.Errorf("shown as %s, %v", public, err)
	}
	r.Version = 2
	if fact, err := r.Fact(); err != nil || strings.HasPrefix(fact.(*domain.MessageSent).Body.Text, "raised: ") { //nolint:forcetypeassert // a test
		t.Errorf("version 2 was raised again: %+v, %v", fact, err)
	}
	r.Version = 3
	if _, err := r.Fact(); err == nil || !strings.Contains(err.Error(), "version 3") {
		t.Errorf("a version that is not known: %v", err)
	}
}
