package api_test

import (
	"testing"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/api/apitest"
)

func TestNoticesArePublishedOnce(t *testing.T) {
	b := apitest.New(t, nil)
	root, alice := b.Administrator(t, "root"), b.User(t, "alice")
	notice := P{"title": "Maintenance", "text": "Tonight at ten.", "to": P{"users": []domain.UserID{alice.User}, "client": "web"}, "client_id": "n1"}
	first := b.Must(t, root, "notice.publish", notice)
	wantMembers(t, first["notice"], P{"title": "Maintenance", "text": "Tonight at ten.", "priority": "normal"})
	again := b.Must(t, root, "notice.publish", notice)
	wantMembers(t, again, P{"duplicate": true})
	wantMembers(t, again["notice"], P{"event": object(t, first["notice"])["event"], "at": object(t, first["notice"])["at"]})
	notice["text"] = "Tomorrow."
	_, err := b.Call(t, root, "notice.publish", notice)
	wantCode(t, err, domain.Conflict)
	_, err = b.Call(t, alice, "notice.publish", P{"title": "a", "text": "b", "to": "all"})
	wantCode(t, err, domain.PermissionDenied)
	b.Must(t, api.Caller{Operator: true}, "notice.publish", P{"title": "a", "text": "b", "to": "all", "priority": "high"})
}
