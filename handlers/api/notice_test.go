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
	_, err = b.Call(t, root, "notice.publish", P{"title": "a", "text": "b", "to": "all", "client_id": ""})
	wantCode(t, err, domain.InvalidArgument)
	_, err = b.Call(t, alice, "notice.publish", P{"title": "a", "text": "b", "to": "all"})
	wantCode(t, err, domain.PermissionDenied)
	b.Must(t, api.Caller{Operator: true}, "notice.publish", P{"title": "a", "text": "b", "to": "all", "priority": "high"})
}

func TestNoticesAreListedForThoseWhoComeLater(t *testing.T) {
	b := apitest.New(t, nil)
	root, alice := b.Administrator(t, "root"), b.User(t, "alice")
	group := newGroup(t, b, alice)
	for title, to := range map[string]any{
		"all": "all", "alice": P{"users": []domain.UserID{alice.User}}, "group": P{"conversation": group},
		"owners": P{"conversation": group, "roles": []string{"owner"}}, "phones": P{"client": "phone"},
	} {
		b.Must(t, root, "notice.publish", P{"title": title, "text": "x", "to": to})
	}
	titles := func(who api.Caller) map[string]bool {
		t.Helper()
		found := map[string]bool{}
		for page := (P{"limit": 2}); ; {
			answer := b.Must(t, who, "notice.list", page)
			for _, n := range list(t, answer["notices"]) {
				found[n["title"].(string)] = true
			}
			if page["after"] = answer["next"]; answer["next"] == nil {
				return found
			}
		}
	}
	bob := b.User(t, "bob")
	if got := titles(alice); len(got) != 5 {
		t.Errorf("alice finds %v", got)
	}
	if got := titles(bob); !got["all"] || got["alice"] || got["group"] {
		t.Errorf("bob finds %v", got)
	}
	b.Must(t, alice, "group.add", P{"conversation": group, "users": []domain.UserID{bob.User}})
	if got := titles(bob); !got["group"] || got["owners"] {
		t.Errorf("bob finds %v after joining", got)
	}
}
