package main_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

type (
	seenAs struct {
		User       string  `json:"user"`
		Status     string  `json:"status"`
		Text       string  `json:"text"`
		LastSeenAt *string `json:"last_seen_at"`
	}
	manySeen struct {
		Presence []seenAs `json:"presence"`
	}
)

// TestPresence has users come, go and choose what is seen of them, over both transports and across two gateways.
func TestPresence(t *testing.T) {
	d := deploy(t, layout{gateways: 2, workers: 1})
	t.Run("statuses", func(t *testing.T) { overBoth(t, d, statusesSeen) })
	t.Run("devices", func(t *testing.T) { overBoth(t, d, devicesSeen) })
	t.Run("watch", func(t *testing.T) { overBoth(t, d, watching) })
	t.Run("inbox", func(t *testing.T) { overBoth(t, d, inboxChosen) })
	t.Run("receipts", func(t *testing.T) { overBoth(t, d, receiptsTold) })
	t.Run("gateways", func(t *testing.T) { overBoth(t, d, gatewaysListed(d)) })
	t.Run("notices", func(t *testing.T) { overBoth(t, d, noticesForLater(d)) })
}

// sees waits until p sees somebody as it is said.
func (p *person) sees(t *testing.T, user, status, text string) (seen seenAs) {
	t.Helper()
	waitFor(t, 10*time.Second, user+" is "+status, func() error {
		var all manySeen
		p.do(t, "presence.get", params{"users": []string{user}}, &all)
		if len(all.Presence) != 1 || all.Presence[0].Status != status || all.Presence[0].Text != text {
			return fmt.Errorf("seen %+v", all.Presence)
		}
		seen = all.Presence[0]
		return nil
	})
	return seen
}

func statusesSeen(t *testing.T, meet func(string) *person) {
	t.Helper()
	ann, ben, stranger := meet("status-ann"), meet("status-ben"), meet("status-cat")
	ann.gather(t, params{"title": "Presence"}, ben)
	for _, status := range []string{"away", "busy", "online"} {
		ben.do(t, "presence.set", params{"status": status, "text": "at " + status}, nil)
		ann.sees(t, ben.User.ID, status, "at "+status)
	}
	ben.do(t, "presence.set", params{"status": "invisible"}, nil)
	ann.sees(t, ben.User.ID, "offline", "")
	ben.do(t, "presence.set", params{"status": "online"}, nil)
	ann.sees(t, ben.User.ID, "online", "")
	ben.refused(t, "invalid_argument", "presence.set", params{"status": "offline"})
	ben.refused(t, "invalid_argument", "presence.set", params{"status": "there"})
	var none manySeen
	if stranger.do(t, "presence.get", params{"users": []string{ben.User.ID}}, &none); len(none.Presence) != 0 {
		t.Errorf("a stranger sees %+v", none.Presence)
	}
}

func devicesSeen(t *testing.T, meet func(string) *person) {
	t.Helper()
	ann, ben := meet("device-ann"), meet("device-ben")
	ann.gather(t, params{"title": "Devices"}, ben)
	phone, err := connect(t.Context(), ann.base, ben.Token, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	ann.sees(t, ben.User.ID, "online", "")
	began := time.Now().Add(-time.Second)
	ben.socket.close()
	// The other device is there still, and what changes next is seen of it.
	if err := phone.call(t.Context(), "presence.set", params{"status": "busy"}, nil); err != nil {
		t.Fatal(err)
	}
	ann.sees(t, ben.User.ID, "busy", "")
	phone.close()
	seen := ann.sees(t, ben.User.ID, "offline", "")
	if seen.LastSeenAt == nil {
		t.Fatal("nobody knows when ben was seen last")
	}
	if at, err := time.Parse(time.RFC3339, *seen.LastSeenAt); err != nil || at.Before(began) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("ben was seen last at %s, closed after %s: %v", *seen.LastSeenAt, began, err)
	}
}

// shown waits for a push of somebody's status.
func (p *person) shown(t *testing.T, user, status string) {
	t.Helper()
	p.pushes.find(t, "presence", func(raw json.RawMessage) bool {
		one := decoded[seenAs](t, raw)
		return one.User == user && one.Status == status
	})
}

func watching(t *testing.T, meet func(string) *person) {
	t.Helper()
	ann, ben, cat := meet("watch-ann"), meet("watch-ben"), meet("watch-cat")
	ann.gather(t, params{"title": "Watching"}, ben, cat)
	ann.sees(t, ben.User.ID, "online", "")
	ann.sees(t, cat.User.ID, "online", "")
	watch := func(users ...string) (seen manySeen) {
		t.Helper()
		if err := ann.socket.call(t.Context(), "presence.watch", params{"users": users}, &seen); err != nil {
			t.Fatal(err)
		}
		return seen
	}
	if seen := watch(ben.User.ID); len(seen.Presence) != 1 || seen.Presence[0].Status != "online" {
		t.Errorf("watched %+v", seen)
	}
	ben.do(t, "presence.set", params{"status": "away"}, nil)
	ann.shown(t, ben.User.ID, "away")
	watch(cat.User.ID)
	ben.do(t, "presence.set", params{"status": "busy"}, nil)
	ann.sees(t, ben.User.ID, "busy", "")
	cat.do(t, "presence.set", params{"status": "busy"}, nil)
	ann.shown(t, cat.User.ID, "busy")
	ann.pushes.mu.Lock()
	defer ann.pushes.mu.Unlock()
	for _, one := range ann.pushes.all {
		if told := string(one.Params); one.Method == "presence" && strings.Contains(told, ben.User.ID) && strings.Contains(told, `"busy"`) {
			t.Errorf("told of ben after the next watch: %s", told)
		}
	}
}

func inboxChosen(t *testing.T, meet func(string) *person) {
	t.Helper()
	ann, ben := meet("chosen-ann"), meet("chosen-ben")
	old := ann.gather(t, params{"title": "Old"}, ben)
	recent := ann.gather(t, params{"title": "Recent"}, ben)
	ann.speak(t, old, "first", nil)
	position := ann.speak(t, recent, "second", nil).Position
	list := func(position string) string {
		t.Helper()
		var all struct {
			Conversations []struct {
				Conversation, Title string
				Pinned, Muted       bool
			} `json:"conversations"`
		}
		ben.do(t, "conversation.list", params{"after_position": position}, &all)
		var titles []string
		for _, c := range all.Conversations {
			titles = append(titles, fmt.Sprint(c.Title, " ", c.Pinned, " ", c.Muted))
		}
		return strings.Join(titles, ", ")
	}
	if got := list(position); got != "Recent false false, Old false false" {
		t.Errorf("before: %s", got)
	}
	position = ben.do(t, "conversation.settings", params{"conversation": old, "pinned": true}, nil)
	ben.told(t, "settings.changed", ben.User.ID)
	if got := list(position); got != "Old true false, Recent false false" {
		t.Errorf("pinned: %s", got)
	}
	position = ben.do(t, "conversation.settings", params{"conversation": recent, "muted": true}, nil)
	if got := list(position); got != "Old true false, Recent false true" {
		t.Errorf("muted: %s", got)
	}
	position = ben.do(t, "conversation.settings", params{"conversation": old, "pinned": false}, nil)
	if got := list(position); got != "Recent false true, Old false false" {
		t.Errorf("unpinned: %s", got)
	}
	if ann.heard("settings.changed") {
		t.Error("ann was told of ben's settings")
	}
	if err := ben.socket.call(t.Context(), "typing.set", params{"conversation": old, "typing": true}, nil); err != nil {
		t.Fatal(err)
	}
	ann.pushes.find(t, "typing", func(raw json.RawMessage) bool {
		one := decoded[struct {
			Conversation, User string
			Typing             bool
		}](t, raw)
		return one.Conversation == old && one.User == ben.User.ID && one.Typing
	})
}

func receiptsTold(t *testing.T, meet func(string) *person) {
	t.Helper()
	ann, ben, cat := meet("receipt-ann"), meet("receipt-ben"), meet("receipt-cat")
	id := ann.gather(t, params{"title": "Receipts"}, ben, cat)
	said := ann.speak(t, id, "hello", nil)
	ben.do(t, "receipt.read", params{"conversation": id, "read_seq": said.Seq}, nil)
	position := cat.do(t, "receipt.delivered", params{"conversation": id, "delivered_seq": said.Seq}, nil)
	cat.refused(t, "invalid_argument", "receipt.read", params{"conversation": id, "read_seq": said.Seq + 1})
	var got struct {
		ReadCount      int `json:"read_count"`
		DeliveredCount int `json:"delivered_count"`
		UnreadCount    int `json:"unread_count"`
		Read           []struct{ User, At string }
	}
	ann.do(t, "message.receipts", params{"conversation": id, "seq": said.Seq, "after_position": position}, &got)
	if got.ReadCount != 1 || got.UnreadCount != 1 || len(got.Read) != 1 || got.Read[0].User != ben.User.ID {
		t.Errorf("receipts %+v", got)
	}
	if got.DeliveredCount < 1 {
		t.Errorf("delivered to %d", got.DeliveredCount)
	}
}

func gatewaysListed(d *deployment) func(*testing.T, func(string) *person) {
	return func(t *testing.T, meet func(string) *person) {
		t.Helper()
		ann := meet("gateway-ann")
		waitFor(t, 30*time.Second, "all gateways are listed, the least loaded first", func() error {
			var list struct {
				Gateways []struct {
					URL  string  `json:"url"`
					Load float64 `json:"load"`
				} `json:"gateways"`
			}
			ann.do(t, "gateway.list", nil, &list)
			for i := range list.Gateways {
				if i > 0 && list.Gateways[i].Load < list.Gateways[i-1].Load {
					t.Fatalf("listed %+v", list)
				}
			}
			if len(list.Gateways) != len(d.gateways) {
				return fmt.Errorf("listed %+v", list)
			}
			return nil
		})
	}
}

func noticesForLater(d *deployment) func(*testing.T, func(string) *person) {
	return func(t *testing.T, meet func(string) *person) {
		t.Helper()
		root := meet("later-root")
		d.appoint(t, root)
		title := "Before " + root.User.Username
		position := root.do(t, "notice.publish", params{"title": title, "text": "hello", "to": "all"}, nil)
		late := meet("later-late")
		var list struct {
			Notices []struct{ Title string } `json:"notices"`
		}
		late.do(t, "notice.list", params{"after_position": position}, &list)
		if len(list.Notices) == 0 || list.Notices[0].Title != title {
			t.Errorf("who comes later finds %+v", list.Notices)
		}
	}
}
