package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// truth is what the server said of a conversation to one user at some moment.
type truth struct {
	user    string
	head    int64
	title   string
	members []string
	// messages are as message.history gave them; refused says that the user could not read at all.
	messages []seen
	refused  bool
}

// seen is a message as a user reads it, as far as it is compared.
type seen struct {
	Seq       int64
	Sender    string
	Body      any
	ReplyTo   int64
	Edited    bool
	Recalled  bool
	Reactions map[string]int
}

type shownMessage struct {
	Seq        int64           `json:"seq"`
	Sender     string          `json:"sender"`
	Body       json.RawMessage `json:"body"`
	ReplyTo    int64           `json:"reply_to"`
	EditedAt   string          `json:"edited_at"`
	RecalledAt string          `json:"recalled_at"`
	Reactions  []struct {
		Emoji string   `json:"emoji"`
		Count int      `json:"count"`
		Users []string `json:"users"`
	} `json:"reactions"`
}

func (m shownMessage) seen() seen {
	s := seen{
		Seq: m.Seq, Sender: m.Sender, ReplyTo: m.ReplyTo, Edited: m.EditedAt != "" && string(m.Body) != "null",
		Recalled: m.RecalledAt != "", Reactions: map[string]int{},
	}
	_ = json.Unmarshal(m.Body, &s.Body)
	for _, r := range m.Reactions {
		s.Reactions[r.Emoji] = r.Count + len(r.Users)
	}
	return s
}

// TestReplayAsOf writes down what the server says to each user after each step, and then has every such moment replayed.
func TestReplayAsOf(t *testing.T) {
	d := deploy(t, layout{gateways: 1, workers: 1})
	ctx, base := t.Context(), d.gateways[0].url
	people := make(map[string]login)
	for _, name := range []string{"ann", "ben", "cat"} {
		l, err := register(ctx, base, name)
		if err != nil {
			t.Fatal(err)
		}
		people[name] = l
	}
	call := func(who, method, path string, params, out any) {
		t.Helper()
		if status, err := rest(ctx, method, base+path, people[who].Token, params, out); err != nil {
			t.Fatalf("%s %s: %d, %v", method, path, status, err)
		}
	}
	var made struct {
		Conversation struct {
			Conversation string `json:"conversation"`
		} `json:"conversation"`
		Position string `json:"position"`
	}
	call("ann", "POST", "/v1/groups", map[string]any{"title": "first", "members": []string{people["ben"].User.ID, people["cat"].User.ID}}, &made)
	group := made.Conversation.Conversation
	var truths []truth
	note := func(position string) {
		t.Helper()
		for name, l := range people {
			one := truth{user: l.User.ID}
			var got struct {
				Conversation struct {
					Title   string `json:"title"`
					HeadSeq int64  `json:"head_seq"`
				} `json:"conversation"`
			}
			if _, err := rest(ctx, "GET", base+"/v1/conversations/"+group+"?after_position="+position, l.Token, nil, &got); err != nil {
				one.refused = true
			}
			one.title, one.head = got.Conversation.Title, got.Conversation.HeadSeq
			var list struct{ Members []struct{ User string } }
			if _, err := rest(ctx, "GET", base+"/v1/groups/"+group+"/members?after_position="+position, l.Token, nil, &list); err == nil {
				for _, m := range list.Members {
					one.members = append(one.members, m.User)
				}
				slices.Sort(one.members)
			}
			var page struct{ Messages []shownMessage }
			if _, err := rest(ctx, "GET", base+"/v1/conversations/"+group+"/messages?after_position="+position, l.Token, nil, &page); err != nil {
				t.Fatalf("history of %s: %v", name, err)
			}
			for _, m := range page.Messages {
				one.messages = append(one.messages, m.seen())
			}
			truths = append(truths, one)
		}
	}
	note(made.Position)
	step := func(who, method, path string, params any) {
		t.Helper()
		var changed struct {
			Position string `json:"position"`
		}
		call(who, method, path, params, &changed)
		note(changed.Position)
	}
	send := func(who, id, words string, more map[string]any) {
		t.Helper()
		params := map[string]any{"to": map[string]any{"conversation": group}, "client_id": id, "body": text(words)}
		maps.Copy(params, more)
		step(who, "POST", "/v1/messages", params)
	}
	one, cat := "/v1/conversations/"+group+"/messages/", people["cat"].User.ID
	send("ann", "1", "one", nil)                                                                // 2
	send("ben", "2", "two", map[string]any{"reply_to": 2})                                      // 3
	step("ann", "PATCH", one+"2", map[string]any{"body": text("one, edited")})                  // 4
	step("cat", "PUT", one+"3/reactions/%F0%9F%91%8D", nil)                                     // 5
	step("ann", "DELETE", "/v1/groups/"+group+"/members/"+cat, nil)                             // 6
	step("ann", "PATCH", one+"2", map[string]any{"body": text("one, edited again")})            // 7
	step("ann", "PUT", one+"3/reactions/%F0%9F%91%8D", nil)                                     // 8
	send("ben", "3", "while cat is away", nil)                                                  // 9
	step("ben", "DELETE", one+"3", nil)                                                         // 10: gone for cat too
	step("ann", "PATCH", "/v1/groups/"+group, map[string]any{"title": "second"})                // 11
	step("ann", "POST", "/v1/groups/"+group+"/members", map[string]any{"users": []string{cat}}) // 12
	send("cat", "4", "back", nil)                                                               // 13

	positions := positionsOf(t, d, group)
	last := truths[len(truths)-1].head
	if int64(len(positions)) != last {
		t.Fatalf("%d events are in the log, the server says %d", len(positions), last)
	}
	for n, want := range truths {
		at := n/len(people) + 1 // the moment is the one after the event with this sequence
		checkThen(t, d, group, positions[at-1], want)
	}
}

// positionsOf returns where the events of a conversation stand.
func positionsOf(t *testing.T, d *deployment, conversation string) (positions []string) {
	t.Helper()
	output, err := d.run(t.Context(), "replay", "--json", "--conversation", conversation)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(strings.NewReader(output))
	for lines.Scan() {
		var line struct {
			Position string
			Seq      int64
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line.Seq > 0 {
			positions = append(positions, line.Position)
		}
	}
	return positions
}

// checkThen replays one moment, as an auditor who asks for the user, and for the conversation.
func checkThen(t *testing.T, d *deployment, conversation, position string, want truth) {
	t.Helper()
	type document struct {
		Conversation string `json:"conversation"`
		Title        string `json:"title"`
		HeadSeq      int64  `json:"head_seq"`
		Members      []struct{ User string }
		Messages     []shownMessage
	}
	output, err := d.run(t.Context(), "replay", "--as-of", position, "--user", want.user, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var then struct{ Conversations []document }
	if err := json.Unmarshal([]byte(output), &then); err != nil {
		t.Fatal(err)
	}
	n := slices.IndexFunc(then.Conversations, func(c document) bool { return c.Conversation == conversation })
	if n < 0 {
		t.Fatalf("as of %s %s saw nothing of the group", position, want.user)
	}
	got := truth{user: want.user, head: then.Conversations[n].HeadSeq, title: then.Conversations[n].Title}
	for _, m := range then.Conversations[n].Messages {
		got.messages = append(got.messages, m.seen())
	}
	for _, m := range then.Conversations[n].Members {
		got.members = append(got.members, m.User)
	}
	if want.title == "" { // who has left is not told what the group is called now; what it was called then is known
		got.title = ""
	}
	if want.refused { // conversation.get has nothing to compare with
		got.title, got.head = "", 0
		got.refused = true
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("as of %s, %s saw\n%s\nbut was shown\n%s", position, want.user, fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want))
	}
}
