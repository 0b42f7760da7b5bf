package main_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Objects of the protocol, as far as the tests of conversations look at them.
type (
	spoken struct {
		Seq       int64          `json:"seq"`
		Sender    string         `json:"sender"`
		Body      map[string]any `json:"body"`
		ClientID  string         `json:"client_id"`
		ReplyTo   int64          `json:"reply_to"`
		Mentions  []string       `json:"mentions"`
		ExpiresAt string         `json:"expires_at"`
		EditedAt  string         `json:"edited_at"`
		Reactions []struct {
			Emoji string `json:"emoji"`
			Count int    `json:"count"`
			Mine  bool   `json:"mine"`
		} `json:"reactions"`
	}
	oneSpoken struct {
		Message spoken `json:"message"`
		Edits   []struct {
			Body map[string]any `json:"body"`
			At   string         `json:"at"`
		} `json:"edits"`
	}
	manySpoken struct {
		Messages []spoken `json:"messages"`
		Next     string   `json:"next"`
	}
	oneGroup struct {
		Conversation struct {
			Conversation string `json:"conversation"`
			Title        string `json:"title"`
			Announcement string `json:"announcement"`
			Join         string `json:"join"`
			Role         string `json:"role"`
			MemberCount  int    `json:"member_count"`
			HeadSeq      int64  `json:"head_seq"`
			Mentions     int    `json:"mentions"`
			Left         bool   `json:"left"`
		} `json:"conversation"`
		Cursors []struct {
			User    string `json:"user"`
			ReadSeq int64  `json:"read_seq"`
		} `json:"cursors"`
	}
	memberList struct {
		Members []struct {
			User       string  `json:"user"`
			Role       string  `json:"role"`
			MutedUntil *string `json:"muted_until"`
		} `json:"members"`
		Next string `json:"next"`
	}
	waiting struct {
		Scheduled string            `json:"scheduled"`
		To        map[string]string `json:"to"`
		Body      map[string]any    `json:"body"`
		DeliverAt string            `json:"deliver_at"`
	}
)

func (m manySpoken) texts() string {
	var all []string
	for _, one := range m.Messages {
		all = append(all, fmt.Sprint(one.Body["text"]))
	}
	return strings.Join(all, ", ")
}

func say(s string) params { return params{"type": "text", "text": s} }

// speak sends a text to a conversation.
func (p *person) speak(t *testing.T, conversation, text string, more params) (result sent) {
	t.Helper()
	in := params{"to": params{"conversation": conversation}, "client_id": text, "body": say(text)}
	maps.Copy(in, more)
	p.do(t, "message.send", in, &result)
	return result
}

func (p *person) gather(t *testing.T, in params, members ...*person) string {
	t.Helper()
	ids := []string{}
	for _, m := range members {
		ids = append(ids, m.User.ID)
	}
	in["members"] = ids
	var made oneGroup
	p.do(t, "group.create", in, &made)
	return made.Conversation.Conversation
}

// pushed waits for the push of an event, and returns its data.
func (p *person) pushed(t *testing.T, conversation string, seq int64, kind string) json.RawMessage {
	t.Helper()
	var data json.RawMessage
	p.pushes.find(t, "event", func(raw json.RawMessage) bool {
		e := decoded[event](t, raw)
		data = e.Data
		return e.Conversation == conversation && e.Seq == seq && e.Type == kind
	})
	return data
}

// TestTalk has users talk in every way there is, over both transports on real servers.
func TestTalk(t *testing.T) {
	d := deploy(t, layout{gateways: 2, workers: 2})
	t.Run("messages", func(t *testing.T) { overBoth(t, d, messages) })
	t.Run("groups", func(t *testing.T) { overBoth(t, d, groups) })
	t.Run("windows", func(t *testing.T) { overBoth(t, d, windows) })
	t.Run("later", func(t *testing.T) { overBoth(t, d, later) })
}

func messages(t *testing.T, meet func(string) *person) {
	t.Helper()
	ann, ben := meet("message-ann"), meet("message-ben")
	id := ann.gather(t, params{"title": "Talk"}, ben) // 1
	of := func(more params) params {
		more["conversation"], more["seq"] = id, 2
		return more
	}
	ann.speak(t, id, "one", params{"mentions": []string{ben.User.ID}}) // 2
	var inbox oneGroup
	position := ann.do(t, "message.edit", of(params{"body": say("two")}), nil) // 3
	ben.do(t, "conversation.get", params{"conversation": id, "after_position": position}, &inbox)
	if inbox.Conversation.Mentions != 1 || inbox.Conversation.HeadSeq != 3 || len(inbox.Cursors) != 2 {
		t.Errorf("the inbox of who was mentioned has %+v", inbox)
	}
	ben.do(t, "message.react", of(params{"emoji": "👍🏽"}), nil)
	ben.do(t, "message.react", of(params{"emoji": "👍🏽"}), nil)
	position = ann.do(t, "message.react", of(params{"emoji": "👍🏽"}), nil) // 5
	if data := string(ann.pushed(t, id, 4, "message.reacted")); data != `{"message":2,"emoji":"👍🏽","removed":false}` {
		t.Errorf("pushed %s", data)
	}
	var one oneSpoken
	ben.do(t, "message.get", of(params{"after_position": position}), &one)
	if r := one.Message.Reactions; len(r) != 1 || r[0].Count != 2 || !r[0].Mine {
		t.Errorf("reactions %+v", r)
	}
	if len(one.Edits) != 1 || one.Edits[0].Body["text"] != "two" || one.Message.Body["text"] != "two" || one.Message.EditedAt == "" {
		t.Errorf("the edited message is %+v", one)
	}
	ben.do(t, "message.unreact", of(params{"emoji": "👍🏽"}), nil) // 6
	answer := ben.speak(t, id, "answer", params{"reply_to": 2})
	if answer.Seq != 7 {
		t.Errorf("the answer has seq %d: a reaction that stood was appended again", answer.Seq)
	}
	for i, body := range []params{
		{"type": "file", "url": "https://files.example/ü?a=b", "name": "报告.pdf", "size": 12, "mime": "application/pdf"},
		{"type": "custom", "data": params{"poll": []any{"tea", 1.5, nil}}},
	} {
		var result sent
		one = oneSpoken{}
		position := ann.do(t, "message.send", params{"to": params{"conversation": id}, "client_id": fmt.Sprint("body", i), "body": body}, &result)
		ben.do(t, "message.get", params{"conversation": id, "seq": result.Seq, "after_position": position}, &one)
		if got, want := fmt.Sprint(one.Message.Body), fmt.Sprint(body); got != want {
			t.Errorf("the body is %s, want %s", got, want)
		}
	}
	ann.do(t, "message.recall", of(params{}), nil)
	ben.refused(t, "failed_precondition", "message.react", of(params{"emoji": "👍"}))
	ann.refused(t, "failed_precondition", "message.edit", of(params{"body": say("three")}))
	ben.refused(t, "permission_denied", "message.recall", params{"conversation": id, "seq": 8})
	ben.refused(t, "permission_denied", "message.send", params{
		"to": params{"conversation": id}, "client_id": "all", "body": say("all"), "mentions": "all",
	})
	ann.refused(t, "too_large", "message.send", params{
		"to": params{"conversation": id}, "client_id": "big", "body": params{"type": "custom", "data": params{"a": strings.Repeat("x", 16<<10)}},
	})
}

func groups(t *testing.T, meet func(string) *person) {
	t.Helper()
	ann, ben, eve := meet("group-ann"), meet("group-ben"), meet("group-eve")
	in := params{"title": "Crew", "client_id": "once"}
	id := ann.gather(t, in, ben)
	if again := ann.gather(t, in, ben); again != id {
		t.Errorf("the same request made %s and %s", id, again)
	}
	ann.refused(t, "conflict", "group.create", params{"title": "Other", "client_id": "once"})
	group := func(more params) params {
		more["conversation"] = id
		return more
	}
	eve.refused(t, "not_found", "group.join", group(params{}))
	ben.refused(t, "permission_denied", "group.update", group(params{"title": "Mine"}))
	ann.do(t, "group.update", group(params{"title": "Ship", "announcement": "Sail\nat noon", "join": "open", "muted": true}), nil)
	if data := string(ben.pushed(t, id, 2, "conversation.updated")); data != `{"title":"Ship","join":"open","announcement":"Sail\nat noon","muted":true}` {
		t.Errorf("pushed %s", data)
	}
	ann.do(t, "group.update", group(params{"title": "Ship"}), nil)
	eve.do(t, "group.join", group(params{}), nil)
	eve.refused(t, "permission_denied", "message.send", params{"to": group(params{}), "client_id": "1", "body": say("hush")})
	ann.do(t, "group.update", group(params{"muted": false}), nil)
	until := time.Now().Add(time.Hour).UTC().Format("2006-01-02T15:04:05.000Z")
	ann.do(t, "group.mute", group(params{"user": eve.User.ID, "until": until}), nil)
	eve.refused(t, "permission_denied", "message.send", params{"to": group(params{}), "client_id": "1", "body": say("hush")})
	if data := string(eve.pushed(t, id, 5, "member.muted")); data != fmt.Sprintf(`{"user":%q,"until":%q}`, eve.User.ID, until) {
		t.Errorf("pushed %s", data)
	}
	ann.do(t, "group.mute", group(params{"user": eve.User.ID, "until": nil}), nil)
	eve.speak(t, id, "free", nil)
	position := ann.do(t, "group.role", group(params{"user": ben.User.ID, "role": "owner"}), nil)
	var list memberList
	ben.do(t, "group.members", group(params{"after_position": position}), &list)
	roles := map[string]string{}
	for _, m := range list.Members {
		roles[m.User] = m.Role
		if m.MutedUntil != nil {
			t.Errorf("%s is muted until %s", m.User, *m.MutedUntil)
		}
	}
	if want := map[string]string{ann.User.ID: "admin", ben.User.ID: "owner", eve.User.ID: "member"}; fmt.Sprint(roles) != fmt.Sprint(want) {
		t.Errorf("roles %v, want %v", roles, want)
	}
	ann.refused(t, "permission_denied", "group.dissolve", group(params{}))
	ann.do(t, "group.remove", group(params{"user": eve.User.ID}), nil)
	ann.do(t, "group.leave", group(params{}), nil)
	ben.do(t, "group.dissolve", group(params{}), nil)
	ben.do(t, "group.dissolve", group(params{}), nil)
	ben.refused(t, "permission_denied", "message.send", params{"to": group(params{}), "client_id": "1", "body": say("hello?")})
	ben.pushed(t, id, 12, "conversation.dissolved")
	var answer syncAnswer
	ben.do(t, "sync", params{"since": params{id: 11}, "only": true}, &answer)
	if c := answer.Conversations; len(c) != 1 || !c[0].Left || c[0].HeadSeq != 12 {
		t.Errorf("sync after the end: %+v", c)
	}
}

// windows has somebody come, go and come again, and see what it may.
func windows(t *testing.T, meet func(string) *person) {
	t.Helper()
	ann, ben := meet("window-ann"), meet("window-ben")
	id := ann.gather(t, params{"title": "House", "join": "open"}) // 1
	group := params{"conversation": id}
	ann.speak(t, id, "before pears", nil)                                                             // 2
	ben.do(t, "group.join", group, nil)                                                               // 3
	ann.speak(t, id, "during pears", nil)                                                             // 4
	ann.do(t, "message.edit", params{"conversation": id, "seq": 2, "body": say("secret pears")}, nil) // 5
	if data := string(ben.pushed(t, id, 5, "message.edited")); data != `{"message":2}` {
		t.Errorf("of a message outside of the window is pushed %s", data)
	}
	ann.do(t, "group.remove", params{"conversation": id, "user": ben.User.ID}, nil) // 6
	ben.pushed(t, id, 6, "member.removed")
	ann.do(t, "message.edit", params{"conversation": id, "seq": 4, "body": say("rewritten pears")}, nil) // 7
	position := ann.speak(t, id, "after pears", nil).Position                                            // 8
	var seen manySpoken
	read := func(method string, more params) string {
		t.Helper()
		seen = manySpoken{}
		more["conversation"], more["after_position"] = id, position
		ben.do(t, method, more, &seen)
		return seen.texts()
	}
	if got := read("message.history", params{}); got != "during pears" {
		t.Errorf("who was removed reads %q", got)
	}
	// What reads as it stood then is not found by what it says now, nor by what it does not say any more.
	if got := read("message.search", params{"q": "pears"}); strings.Contains(got, "after") || strings.Contains(got, "secret") {
		t.Errorf("who was removed finds %q", got)
	}
	for _, seq := range []int64{2, 8} {
		ben.refused(t, "permission_denied", "message.get", params{"conversation": id, "seq": seq})
	}
	ben.do(t, "group.join", group, nil)                                                     // 9
	position = ann.do(t, "group.update", params{"conversation": id, "history": "all"}, nil) // 10
	if got := read("message.history", params{}); got != "secret pears, rewritten pears, after pears" {
		t.Errorf("in a group that shows all one reads %q", got)
	}
	if got := read("message.search", params{"q": "pears"}); got != "after pears, rewritten pears, secret pears" {
		t.Errorf("in a group that shows all one finds %q", got)
	}
	var answer syncAnswer
	ben.do(t, "sync", params{"since": params{id: 0}, "only": true}, &answer)
	if c := answer.Conversations; len(c) != 1 || len(c[0].Events) != 10 || !c[0].Complete {
		t.Errorf("sync brings %+v", c)
	}
}

// later has messages come and go by themselves.
func later(t *testing.T, meet func(string) *person) {
	t.Helper()
	ann, ben, eve := meet("later-ann"), meet("later-ben"), meet("later-eve")
	id := ann.gather(t, params{"title": "Clock"}, ben)
	ann.speak(t, id, "short", params{"expires_in_s": 1}) // 2
	at := func(d time.Duration) string { return time.Now().Add(d).Format(time.RFC3339Nano) }
	schedule := params{"to": params{"user": eve.User.ID}, "client_id": "first", "body": say("first word"), "deliver_at": at(1500 * time.Millisecond)}
	var made, again struct{ Scheduled waiting }
	ann.do(t, "message.schedule", schedule, &made)
	ann.do(t, "message.schedule", schedule, &again)
	if fmt.Sprint(made) != fmt.Sprint(again) || made.Scheduled.To["user"] != eve.User.ID {
		t.Errorf("scheduled %+v, and again %+v", made, again)
	}
	ann.refused(t, "conflict", "message.schedule", params{
		"to": schedule["to"], "client_id": "first", "body": say("other"), "deliver_at": schedule["deliver_at"],
	})
	ben.do(t, "message.schedule", params{
		"to": params{"conversation": id}, "client_id": "denied", "body": say("denied"), "deliver_at": at(time.Second),
	}, nil)
	ann.do(t, "group.mute", params{"conversation": id, "user": ben.User.ID, "until": at(time.Hour)}, nil) // 3
	var never struct{ Scheduled waiting }
	position := ann.do(t, "message.schedule", params{
		"to": params{"conversation": id}, "client_id": "never", "body": say("never"), "deliver_at": at(time.Hour),
	}, &never)
	var list struct{ Scheduled []waiting }
	ann.do(t, "message.scheduled", params{"after_position": position}, &list)
	if len(list.Scheduled) != 2 || fmt.Sprint(list.Scheduled[0]) != fmt.Sprint(made.Scheduled) {
		t.Errorf("listed %+v", list)
	}
	ben.refused(t, "not_found", "message.unschedule", params{"scheduled": never.Scheduled.Scheduled})
	ann.do(t, "message.unschedule", params{"scheduled": never.Scheduled.Scheduled}, nil)

	if data := string(ben.pushed(t, id, 4, "message.expired")); data != `{"message":2}` {
		t.Errorf("pushed %s", data)
	}
	eve.pushes.find(t, "event", func(raw json.RawMessage) bool {
		e := decoded[event](t, raw)
		return e.Type == "message.sent" && e.Actor == ann.User.ID && strings.Contains(string(e.Data), "first word")
	})
	// The mute keeps what ben had scheduled from being sent.
	waitFor(t, 5*time.Second, "nothing waits any more", func() error {
		var left struct{ Scheduled []waiting }
		ben.do(t, "message.scheduled", nil, &left)
		if len(left.Scheduled) > 0 {
			return fmt.Errorf("%+v", left)
		}
		return nil
	})
	next := ann.speak(t, id, "next", nil)
	if next.Seq != 5 {
		t.Errorf("seq %d: what was denied was sent", next.Seq)
	}
	var one oneSpoken
	ben.do(t, "message.get", params{"conversation": id, "seq": 2, "after_position": next.Position}, &one)
	if one.Message.Body != nil {
		t.Errorf("the expired message is %+v", one)
	}
}

// TestTimersFireOnce kills workers without mercy while messages fall due.
func TestTimersFireOnce(t *testing.T) {
	d := deploy(t, layout{gateways: 1, workers: 2})
	ann, ben := newPerson(t, d.gateways[0].url, "ann", false), newPerson(t, d.gateways[0].url, "ben", false)
	const groupCount, each = 8, 10
	var ids []string
	for n := range groupCount {
		ids = append(ids, ann.gather(t, params{"title": fmt.Sprint("Clock ", n)}, ben))
	}
	begin := time.Now()
	for n, id := range ids {
		for i := range each {
			due := begin.Add(3*time.Second + time.Duration(i*600+n*40)*time.Millisecond)
			ann.do(t, "message.schedule", params{
				"to": params{"conversation": id}, "client_id": strconv.Itoa(i), "body": say(fmt.Sprint("scheduled ", i)), "deliver_at": due.Format(time.RFC3339Nano),
			}, nil)
			ann.speak(t, id, fmt.Sprint("passing ", i), params{"expires_in_s": 3 + i*6/10})
		}
	}
	for round := range 6 {
		victim := d.workers[round%2]
		waitFor(t, 10*time.Second, "some timers have fired", func() error {
			if at := begin.Add(3*time.Second + time.Duration(round)*time.Second); time.Now().Before(at) {
				return fmt.Errorf("it is not %s yet", at)
			}
			return nil
		})
		if err := victim.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := victim.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, 60*time.Second, "everything has fired", func() error {
		counts := map[string]int{}
		output, err := d.run(t.Context(), "replay", "--json")
		if err != nil {
			return err
		}
		for line := range strings.Lines(output) {
			counts[decoded[event](t, json.RawMessage(line)).Type]++
		}
		if counts["schedule.fired"] < groupCount*each || counts["message.expired"] < groupCount*each {
			return fmt.Errorf("so far %v", counts)
		}
		if counts["schedule.fired"] > groupCount*each || counts["message.expired"] > groupCount*each ||
			counts["message.sent"] != 2*groupCount*each || counts["schedule.failed"] > 0 {
			t.Fatalf("fired more than once: %v", counts)
		}
		return nil
	})
	for _, id := range ids {
		var all manySpoken
		waitFor(t, 10*time.Second, "history has come after", func() error {
			ben.do(t, "message.history", params{"conversation": id, "limit": 200}, &all)
			if len(all.Messages) != 2*each {
				return fmt.Errorf("%d messages", len(all.Messages))
			}
			return nil
		})
		n := 0
		for _, m := range all.Messages {
			if text, ok := m.Body["text"].(string); ok {
				if text != fmt.Sprint("scheduled ", n) {
					t.Errorf("%s comes as number %d", text, n)
				}
				n++
			}
		}
		if n != each {
			t.Errorf("%d scheduled messages of %d in %s, and the others gone", n, each, id)
		}
	}
}
