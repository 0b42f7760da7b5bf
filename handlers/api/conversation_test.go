package api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/api/apitest"
	"mpim/projections/history"
)

type P = apitest.P

// object and list take a result apart.
func object(t *testing.T, v any) map[string]any {
	t.Helper()
	o, ok := v.(map[string]any)
	if !ok {
		t.Fatalf("%v is no object", v)
	}
	return o
}

func list(t *testing.T, v any) []map[string]any {
	t.Helper()
	items, ok := v.([]any)
	if !ok {
		t.Fatalf("%v is no array", v)
	}
	objects := make([]map[string]any, len(items))
	for i, item := range items {
		objects[i] = object(t, item)
	}
	return objects
}

func text(s string) P { return P{"type": "text", "text": s} }

func wantCode(t *testing.T, err error, want domain.Code) {
	t.Helper()
	if got := apitest.Code(err); got != want {
		t.Helper()
		t.Errorf("got code %q (%v), want %q", got, err, want)
	}
}

func wantMembers(t *testing.T, got any, want P) {
	t.Helper()
	o := object(t, got)
	for name, value := range want {
		if o[name] != value {
			t.Errorf("%s is %v, want %v", name, o[name], value)
		}
	}
}

// texts are the bodies of messages.
func texts(t *testing.T, messages any) string {
	t.Helper()
	var all []string
	for _, m := range list(t, messages) {
		if m["body"] == nil {
			all = append(all, "null")
			continue
		}
		all = append(all, fmt.Sprint(object(t, m["body"])["text"]))
	}
	return strings.Join(all, " ")
}

// send sends texts to a conversation, each with a client id of its own.
func send(t *testing.T, b *apitest.Bench, from api.Caller, to P, words ...string) (last map[string]any) {
	t.Helper()
	for _, word := range words {
		last = b.Must(t, from, "message.send", P{"to": to, "client_id": word, "body": text(word)})
	}
	return last
}

func newGroup(t *testing.T, b *apitest.Bench, owner api.Caller, members ...api.Caller) string {
	t.Helper()
	ids := []domain.UserID{}
	for _, m := range members {
		ids = append(ids, m.User)
	}
	created := b.Must(t, owner, "group.create", P{"title": "Crew", "members": ids})
	id, _ := object(t, created["conversation"])["conversation"].(string)
	return id
}

func TestADirectConversation(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob, carol := b.User(t, "alice"), b.User(t, "bob"), b.User(t, "carol")

	sent := b.Must(t, alice, "message.send", P{"to": P{"user": bob.User}, "client_id": "1", "body": text("hello")})
	id := fmt.Sprint(sent["conversation"])
	if sent["seq"] != 2.0 || sent["duplicate"] != false || sent["durability"] != "appended" || sent["event"] == "" || sent["position"] == "" {
		t.Errorf("sent %v", sent)
	}
	again := b.Must(t, alice, "message.send", P{"to": P{"conversation": id}, "client_id": "1", "body": text("hello")})
	if again["seq"] != sent["seq"] || again["event"] != sent["event"] || again["at"] != sent["at"] || again["duplicate"] != true {
		t.Errorf("sent again %v, want the result %v", again, sent)
	}
	_, err := b.Call(t, alice, "message.send", P{"to": P{"user": bob.User}, "client_id": "1", "body": text("other")})
	wantCode(t, err, domain.Conflict)
	send(t, b, bob, P{"user": alice.User}, "hi", "there")

	for _, who := range []api.Caller{alice, bob} {
		history := b.Must(t, who, "message.history", P{"conversation": id})
		if got := texts(t, history["messages"]); got != "hello hi there" {
			t.Errorf("history %q", got)
		}
		listed := list(t, b.Must(t, who, "conversation.list", P{})["conversations"])
		if len(listed) != 1 || listed[0]["conversation"] != id || listed[0]["kind"] != "direct" || listed[0]["role"] != "member" {
			t.Fatalf("list %v", listed)
		}
	}
	wantMembers(t, b.Must(t, alice, "conversation.get", P{"conversation": id})["conversation"], P{
		"peer": string(bob.User), "unread": 2.0, "head_seq": 4.0, "member_count": 2.0, "mentions": 0.0, "read_seq": 2.0, "pinned": false,
	})
	for _, method := range []string{"conversation.get", "message.history"} {
		_, err := b.Call(t, carol, method, P{"conversation": id})
		wantCode(t, err, domain.NotFound)
	}
	_, err = b.Call(t, carol, "message.send", P{"to": P{"conversation": id}, "client_id": "1", "body": text("x")})
	wantCode(t, err, domain.NotFound)
}

func TestWhoIsWrittenTo(t *testing.T) {
	b := apitest.New(t, nil)
	alice := b.User(t, "alice")
	for name, c := range map[string]struct {
		to   P
		want domain.Code
	}{
		"oneself":         {P{"user": alice.User}, domain.InvalidArgument},
		"nobody":          {P{}, domain.InvalidArgument},
		"two things":      {P{"user": alice.User, "conversation": "d"}, domain.InvalidArgument},
		"no such user":    {P{"user": b.Placement.User("ghost")}, domain.NotFound},
		"no user id":      {P{"user": "ghost"}, domain.NotFound},
		"no conversation": {P{"conversation": b.Placement.Group(alice.User, "none")}, domain.NotFound},
		"no id":           {P{"conversation": strings.Repeat("x", 50)}, domain.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.Call(t, alice, "message.send", P{"to": c.to, "client_id": "1", "body": text("x")})
			wantCode(t, err, c.want)
		})
	}
}

func TestEditAndRecall(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	id := fmt.Sprint(send(t, b, alice, P{"user": bob.User}, "one", "two")["conversation"])

	b.Must(t, alice, "message.edit", P{"conversation": id, "seq": 2, "body": text("uno")})
	_, err := b.Call(t, bob, "message.edit", P{"conversation": id, "seq": 2, "body": text("mine")})
	wantCode(t, err, domain.PermissionDenied)
	_, err = b.Call(t, bob, "message.recall", P{"conversation": id, "seq": 2})
	wantCode(t, err, domain.PermissionDenied)
	b.Must(t, alice, "message.recall", P{"conversation": id, "seq": 3})
	b.Must(t, alice, "message.recall", P{"conversation": id, "seq": 3})
	_, err = b.Call(t, alice, "message.edit", P{"conversation": id, "seq": 3, "body": text("late")})
	wantCode(t, err, domain.FailedPrecondition)
	for _, seq := range []int{1, 4, 99} {
		_, err = b.Call(t, alice, "message.edit", P{"conversation": id, "seq": seq, "body": text("x")})
		wantCode(t, err, domain.NotFound)
	}
	messages := b.Must(t, bob, "message.history", P{"conversation": id})["messages"]
	if got := texts(t, messages); got != "uno null" {
		t.Errorf("history %q", got)
	}
	first := list(t, messages)[0]
	if first["edited_at"] == nil || first["client_id"] != "one" || first["sender"] != string(alice.User) {
		t.Errorf("the edited message is %v", first)
	}
	if last := list(t, messages)[1]; last["recalled_at"] == nil {
		t.Errorf("the recalled message is %v", last)
	}
}

// What is known of a message comes from recent, which may be behind: then it is waited for.
func TestEditWaitsForRecent(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	b.Hold("recent", "history")
	id := fmt.Sprint(send(t, b, alice, P{"user": bob.User}, "one")["conversation"])
	_, err := b.Call(t, alice, "message.edit", P{"conversation": id, "seq": 2, "body": text("uno")})
	wantCode(t, err, domain.Unavailable)
	b.Release()
	b.Hold("history")
	b.Must(t, alice, "message.edit", P{"conversation": id, "seq": 2, "body": text("uno")})
}

func TestReceipts(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	id := fmt.Sprint(send(t, b, alice, P{"user": bob.User}, "one", "two", "three")["conversation"])
	unread := func() float64 {
		t.Helper()
		n, _ := object(t, b.Must(t, bob, "conversation.get", P{"conversation": id})["conversation"])["unread"].(float64)
		return n
	}
	if unread() != 3 {
		t.Errorf("unread %v, want 3", unread())
	}
	b.Must(t, bob, "receipt.delivered", P{"conversation": id, "delivered_seq": 4})
	b.Must(t, bob, "receipt.read", P{"conversation": id, "read_seq": 3})
	if unread() != 1 {
		t.Errorf("unread %v after reading two, want 1", unread())
	}
	b.Must(t, bob, "receipt.read", P{"conversation": id, "read_seq": 2})
	if unread() != 1 {
		t.Errorf("unread %v: the cursor went back", unread())
	}
	b.Must(t, bob, "receipt.move", P{"conversation": id, "read_seq": 4, "delivered_seq": 4})
	if unread() != 0 {
		t.Errorf("unread %v after reading all", unread())
	}
	for _, params := range []P{
		{"conversation": id}, {"conversation": id, "read_seq": 5}, {"conversation": id, "read_seq": 0}, {"conversation": id, "delivered_seq": -1},
	} {
		_, err := b.Call(t, bob, "receipt.move", params)
		wantCode(t, err, domain.InvalidArgument)
	}
	cursors := list(t, b.Must(t, alice, "conversation.get", P{"conversation": id})["cursors"])
	want := fmt.Sprint(map[string]float64{string(alice.User): 4, string(bob.User): 4})
	got := map[string]float64{}
	for _, c := range cursors {
		got[fmt.Sprint(c["user"])], _ = c["read_seq"].(float64)
	}
	if fmt.Sprint(got) != want {
		t.Errorf("cursors %v, want %s", got, want)
	}
}

func TestConversationListInPages(t *testing.T) {
	b := apitest.New(t, nil)
	alice := b.User(t, "alice")
	var want []string
	for i := range 5 {
		peer := b.User(t, fmt.Sprintf("user%d", i))
		id := fmt.Sprint(send(t, b, alice, P{"user": peer.User}, fmt.Sprint("to ", i))["conversation"])
		want = append([]string{id}, want...)
	}
	var got []string
	params := P{"limit": 2}
	for range 5 {
		page := b.Must(t, alice, "conversation.list", params)
		for _, c := range list(t, page["conversations"]) {
			got = append(got, fmt.Sprint(c["conversation"]))
		}
		if page["next"] == nil {
			break
		}
		params["after"] = page["next"]
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("pages have %v, want %v", got, want)
	}
}

func TestAfterPosition(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	send(t, b, alice, P{"user": bob.User}, "one")
	if err := b.Fold(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Hold("history", "inbox")
	sent := send(t, b, alice, P{"user": bob.User}, "two")
	params := P{"conversation": sent["conversation"]}
	if got := texts(t, b.Must(t, bob, "message.history", params)["messages"]); got != "one" {
		t.Errorf("without a position %q", got)
	}
	params["after_position"] = sent["position"]
	_, err := b.Call(t, bob, "message.history", params)
	wantCode(t, err, domain.Unavailable)
	_, err = b.Call(t, bob, "conversation.list", P{"after_position": sent["position"]})
	wantCode(t, err, domain.Unavailable)
	b.Release()
	if got := texts(t, b.Must(t, bob, "message.history", params)["messages"]); got != "one two" {
		t.Errorf("with the position %q", got)
	}
	for _, position := range []string{"x", "1", "1:-1", "99:1", "1:1,", strings.Repeat("1:1,", 9) + "1:1"} {
		_, err := b.Call(t, bob, "conversation.list", P{"after_position": position})
		wantCode(t, err, domain.InvalidArgument)
	}
}

func TestHistoryAfterTheLastMessageIsEmpty(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	id := fmt.Sprint(send(t, b, alice, P{"user": bob.User}, "one", "two")["conversation"])
	for _, after := range []string{"3", "4", "9223372036854775806", "9223372036854775807"} {
		got := b.Must(t, bob, "message.history", `{"conversation":"`+id+`","after":`+after+`}`)
		if n := len(list(t, got["messages"])); n != 0 {
			t.Errorf("after %s there are %d messages", after, n)
		}
	}
}

// Who was removed still sees the last message before that, as it read then.
func TestTheLastMessageOfAClosedWindow(t *testing.T) {
	b := apitest.New(t, func(c *api.Config) { c.History = &lostHistory{History: c.History} })
	lost, _ := b.Operations.History.(*lostHistory)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	id := newGroup(t, b, alice, bob)
	send(t, b, alice, P{"conversation": id}, "one", "two")
	removed := b.Must(t, alice, "group.remove", P{"conversation": id, "user": bob.User})
	b.Must(t, alice, "message.edit", P{"conversation": id, "seq": 3, "body": text("later")})
	send(t, b, alice, P{"conversation": id}, "three")
	params := P{"conversation": id, "after_position": removed["position"]}
	c := object(t, b.Must(t, bob, "conversation.get", params)["conversation"])
	last := c["last_message"]
	if at := object(t, last)["at"]; c["updated_at"] != at {
		t.Errorf("updated at %v, want %v, when the last message that bob saw was sent", c["updated_at"], at)
	}
	wantMembers(t, last, P{"seq": 3.0, "edited_at": nil, "client_id": "two"})
	wantMembers(t, object(t, last)["body"], P{"text": "two"})

	lost.lost = true
	if last := object(t, b.Must(t, bob, "conversation.get", params)["conversation"])["last_message"]; last != nil {
		t.Errorf("without history the last message is %v", last)
	}
}

// lostHistory is history on a database that may be out of reach.
type lostHistory struct {
	api.History

	lost bool
}

// Page fails while the database is out of reach.
func (h *lostHistory) Page(
	ctx context.Context, id domain.ConversationID, view history.View, r history.Range,
) ([]history.Message, error) {
	if h.lost {
		return nil, domain.Errorf(domain.Unavailable, "history cannot be read now")
	}
	return h.History.Page(ctx, id, view, r)
}
