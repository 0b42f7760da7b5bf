package api_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mpim/domain/conversation"
	"mpim/handlers/api/apitest"
)

// A page is shorter where it would not fit into a frame, and the pages together leave nothing out.
func TestHistoryStaysBelowTheLargestFrame(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	const messages = 60
	// Each of these characters takes two bytes in the answer.
	large := strings.Repeat(`"`, conversation.DefaultLimits().TextBytes)
	var id string
	for i := range messages {
		sent := b.Must(t, alice, "message.send", P{"to": P{"user": bob.User}, "client_id": strconv.Itoa(i), "body": text(large)})
		id = fmt.Sprint(sent["conversation"])
	}
	page := func(bound string, seq int) []map[string]any {
		t.Helper()
		params := P{"conversation": id, "limit": 200}
		if seq > 0 {
			params[bound] = seq
		}
		answer := b.Must(t, bob, "message.history", params)
		encoded, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		found := list(t, answer["messages"])
		if len(encoded) > 960<<10 || len(found) > 0 && len(found) < 10 && seq == 0 {
			t.Fatalf("%d messages in %d bytes", len(found), len(encoded))
		}
		return found
	}
	seqOf := func(m map[string]any) int { n, _ := m["seq"].(float64); return int(n) }

	next := messages + 1 // the head: the first event is no message
	for found := page("before", 0); len(found) > 0; found = page("before", next+1) {
		for _, m := range slices.Backward(found) {
			if seqOf(m) != next {
				t.Fatalf("going back, %d comes where %d is expected", seqOf(m), next)
			}
			next--
		}
	}
	if next != 1 {
		t.Errorf("going back ends above %d", next)
	}
	for found := page("after", 1); len(found) > 0; found = page("after", next) {
		for _, m := range found {
			if next++; seqOf(m) != next {
				t.Fatalf("going on, %d comes where %d is expected", seqOf(m), next)
			}
		}
	}
	if next != messages+1 {
		t.Errorf("going on ends at %d", next)
	}
}
