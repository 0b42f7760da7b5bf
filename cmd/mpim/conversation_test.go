package main_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// pushes collects what a socket is pushed.
type pushes struct {
	mu  sync.Mutex
	all []push
}

func (p *pushes) add(one push) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, one)
}

// find waits for a push of the method that match accepts.
func (p *pushes) find(t *testing.T, method string, match func(json.RawMessage) bool) {
	t.Helper()
	waitFor(t, 5*time.Second, "a push of "+method, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, one := range p.all {
			if one.Method == method && match(one.Params) {
				return nil
			}
		}
		return fmt.Errorf("%d other pushes came", len(p.all))
	})
}

func decoded[T any](t *testing.T, raw json.RawMessage) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return v
}

// TestConversation holds a conversation over both transports, through two gateways and two workers on real servers.
func TestConversation(t *testing.T) {
	d := deploy(t, layout{gateways: 2, workers: 2})
	ctx := t.Context()
	one, two := d.gateways[0].url, d.gateways[1].url
	person := func(name string) login {
		l, err := register(ctx, one, name)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	ann, ben, cat := person("ann"), person("ben"), person("cat")
	must := func(status int, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("status %d: %v", status, err)
		}
	}

	var annPushes, benPushes pushes
	annSocket, err := connect(ctx, one, ann.Token, "", annPushes.add)
	if err != nil {
		t.Fatal(err)
	}
	benSocket, err := connect(ctx, two, ben.Token, "", benPushes.add)
	if err != nil {
		t.Fatal(err)
	}
	call := func(s *socket, method string, params, out any) {
		t.Helper()
		if err := s.call(ctx, method, params, out); err != nil {
			t.Fatalf("%s: %v", method, err)
		}
	}
	refused := func(err error, code string) {
		t.Helper()
		if codeOf(err) != code {
			t.Fatalf("got %v, want a refusal with %s", err, code)
		}
	}

	// A message from socket to socket, and its retry.
	first := map[string]any{"to": map[string]any{"user": ben.User.ID}, "client_id": "c1", "body": text("hello ben")}
	var sentFirst, again sent
	call(annSocket, "message.send", first, &sentFirst)
	if sentFirst.Seq != 2 || sentFirst.Durability != "appended" || sentFirst.Duplicate {
		t.Errorf("the first message is %+v", sentFirst)
	}
	benPushes.find(t, "event", func(raw json.RawMessage) bool {
		e := decoded[event](t, raw)
		return e.Event == sentFirst.Event && e.Seq == 2 && e.Type == "message.sent" && e.Actor == ann.User.ID
	})
	must(rest(ctx, "POST", two+"/v1/messages", ann.Token, first, &again))
	if !again.Duplicate || again.Seq != sentFirst.Seq || again.Event != sentFirst.Event || again.At != sentFirst.At {
		t.Errorf("the retry got %+v", again)
	}
	_, err = rest(ctx, "POST", two+"/v1/messages", ann.Token, map[string]any{"to": first["to"], "client_id": "c1", "body": text("other")}, nil)
	refused(err, "conflict")

	// Edit, recall, history that sees what it names.
	direct := one + "/v1/conversations/" + sentFirst.Conversation
	var edited struct {
		Position string `json:"position"`
	}
	must(rest(ctx, "PATCH", direct+"/messages/2", ann.Token, map[string]any{"body": text("hello Ben")}, &edited))
	_, err = rest(ctx, "PATCH", direct+"/messages/2", ben.Token, map[string]any{"body": text("mine now")}, nil)
	refused(err, "permission_denied")
	var second sent
	call(benSocket, "message.send", map[string]any{"to": map[string]any{"conversation": sentFirst.Conversation}, "client_id": "c1", "body": text("hi")}, &second)
	var recalled struct {
		Position string `json:"position"`
	}
	call(benSocket, "message.recall", map[string]any{"conversation": sentFirst.Conversation, "seq": second.Seq}, &recalled)
	var history struct {
		Messages []message `json:"messages"`
	}
	must(rest(ctx, "GET", direct+"/messages?after_position="+recalled.Position, ann.Token, nil, &history))
	if len(history.Messages) != 2 || history.Messages[0].Body == nil || history.Messages[0].Body.Text != "hello Ben" || history.Messages[0].EditedAt == "" ||
		history.Messages[1].Body != nil || history.Messages[1].RecalledAt == "" {
		t.Errorf("history is %+v", history.Messages)
	}
	// An edit that crosses a recall is taken and settled later; sync waits until everything knows of the recall.
	call(benSocket, "sync", map[string]any{}, nil)
	_, err = rest(ctx, "PATCH", direct+"/messages/"+strconv.FormatInt(second.Seq, 10), ben.Token, map[string]any{"body": text("too late")}, nil)
	refused(err, "failed_precondition")
	_, err = rest(ctx, "GET", direct+"/messages", cat.Token, nil, nil)
	refused(err, "not_found")

	// A group: who comes later sees what comes later, who was removed sees what was.
	var made struct {
		Conversation struct {
			ID string `json:"conversation"`
		} `json:"conversation"`
	}
	create := map[string]any{"title": "Three", "members": []string{ben.User.ID}, "client_id": "g1"}
	call(annSocket, "group.create", create, &made)
	group := made.Conversation.ID
	say := func(token, id, words string) sent {
		t.Helper()
		var s sent
		must(rest(ctx, "POST", one+"/v1/messages", token, map[string]any{"to": map[string]any{"conversation": group}, "client_id": id, "body": text(words)}, &s))
		return s
	}
	before := say(ann.Token, "a1", "before cat")
	_, err = rest(ctx, "POST", one+"/v1/groups/"+group+"/members", ben.Token, map[string]any{"users": []string{cat.User.ID}}, nil)
	refused(err, "permission_denied")
	must(rest(ctx, "POST", one+"/v1/groups/"+group+"/members", ann.Token, map[string]any{"users": []string{cat.User.ID}}, nil))
	var catPushes pushes
	catSocket, err := connect(ctx, two, cat.Token, "", catPushes.add)
	if err != nil {
		t.Fatal(err)
	}
	with := say(ann.Token, "a2", "with cat")
	catPushes.find(t, "event", func(raw json.RawMessage) bool { return decoded[event](t, raw).Seq == with.Seq })
	var caught syncAnswer
	call(catSocket, "sync", map[string]any{}, &caught)
	if len(caught.Conversations) != 1 || !caught.Conversations[0].Complete || slices.ContainsFunc(caught.Conversations[0].Events, func(e event) bool { return e.Seq <= before.Seq }) {
		t.Errorf("cat's sync is %+v", caught.Conversations)
	}
	must(rest(ctx, "DELETE", one+"/v1/groups/"+group+"/members/"+cat.User.ID, ann.Token, nil, nil))
	catPushes.find(t, "event", func(raw json.RawMessage) bool { return decoded[event](t, raw).Type == "member.removed" })
	after := say(ann.Token, "a3", "after cat")
	must(rest(ctx, "GET", one+"/v1/conversations/"+group+"/messages?after_position="+after.Position, cat.Token, nil, &history))
	if len(history.Messages) != 1 || history.Messages[0].Seq != with.Seq {
		t.Errorf("cat's history is %+v", history.Messages)
	}
	_, err = rest(ctx, "POST", one+"/v1/messages", cat.Token, map[string]any{"to": map[string]any{"conversation": group}, "client_id": "x", "body": text("still here")}, nil)
	refused(err, "permission_denied")

	// Cursors, lists, typing, presence.
	var list struct {
		Conversations []struct {
			Conversation string   `json:"conversation"`
			Kind         string   `json:"kind"`
			Unread       int      `json:"unread"`
			HeadSeq      int64    `json:"head_seq"`
			LastMessage  *message `json:"last_message"`
		} `json:"conversations"`
	}
	must(rest(ctx, "GET", two+"/v1/conversations?after_position="+after.Position, ben.Token, nil, &list))
	if len(list.Conversations) != 2 || list.Conversations[0].Conversation != group || list.Conversations[0].Unread != 3 || list.Conversations[0].LastMessage.Seq != after.Seq {
		t.Errorf("ben's list is %+v", list.Conversations)
	}
	var read struct {
		Position string `json:"position"`
	}
	call(benSocket, "receipt.read", map[string]any{"conversation": group, "read_seq": after.Seq}, &read)
	annPushes.find(t, "receipt", func(raw json.RawMessage) bool {
		r := decoded[struct {
			User    string `json:"user"`
			ReadSeq int64  `json:"read_seq"`
		}](t, raw)
		return r.User == ben.User.ID && r.ReadSeq == after.Seq
	})
	must(rest(ctx, "GET", two+"/v1/conversations?after_position="+read.Position, ben.Token, nil, &list))
	if list.Conversations[0].Unread != 0 {
		t.Errorf("after reading, %d are unread", list.Conversations[0].Unread)
	}
	call(benSocket, "typing.set", map[string]any{"conversation": group, "typing": true}, nil)
	annPushes.find(t, "typing", func(raw json.RawMessage) bool {
		return decoded[struct {
			User string `json:"user"`
		}](t, raw).User == ben.User.ID
	})
	var watched struct {
		Presence []struct {
			User   string `json:"user"`
			Status string `json:"status"`
		} `json:"presence"`
	}
	call(annSocket, "presence.watch", map[string]any{"users": []string{ben.User.ID}}, &watched)
	if len(watched.Presence) != 1 || watched.Presence[0].Status != "online" {
		t.Errorf("ben's presence is %+v", watched.Presence)
	}
	benSocket.close()
	annPushes.find(t, "presence", func(raw json.RawMessage) bool {
		p := decoded[struct {
			User   string `json:"user"`
			Status string `json:"status"`
		}](t, raw)
		return p.User == ben.User.ID && p.Status == "offline"
	})

	// What was not acknowledged is there after a reconnect, on another gateway.
	missed := say(ann.Token, "a4", "while ben was away")
	benSocket, err = connect(ctx, one, ben.Token, "", benPushes.add)
	if err != nil {
		t.Fatal(err)
	}
	call(benSocket, "sync", map[string]any{"since": map[string]int64{group: after.Seq}, "only": true}, &caught)
	if len(caught.Conversations) != 1 || len(caught.Conversations[0].Events) != 1 || caught.Conversations[0].Events[0].Seq != missed.Seq {
		t.Errorf("ben's sync is %+v", caught.Conversations)
	}

	// A revoked session's sockets close with 4101, a drained gateway's with 4000.
	must(rest(ctx, "DELETE", two+"/v1/sessions/current", cat.Token, nil, nil))
	if code := catSocket.code(); code != 4101 {
		t.Errorf("a revoked session's socket closes with %d (%v)", code, catSocket.err)
	}
	_, err = rest(ctx, "GET", one+"/v1/me", cat.Token, nil, nil)
	refused(err, "unauthenticated")
	if err := d.gateways[0].Stop(); err != nil {
		t.Error(err)
	}
	if code := annSocket.code(); code != 4000 {
		t.Errorf("a drained gateway's socket closes with %d (%v)", code, annSocket.err)
	}

	// Replay shows it all, in order, without secrets.
	output, err := d.run(ctx, "replay", "--json", "--conversation", group)
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(output, "\n"); lines != 8 {
		t.Errorf("the replay of the group has %d events:\n%s", lines, output)
	}
}
