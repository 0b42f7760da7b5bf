package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/projections/database"
	"mpim/projections/projectionstest"
)

// marks are in everything that the user who is erased writes, each somewhere else.
var marks = []string{
	"zqname", "zqdisplay", "zqavatar", "zqdevice", "zqdirect", "zqedited", "zqgroup", "zqrequest", "zqremark", "zqlater", "zqrecalled", "zqstatus",
}

// erasedCertificate is what `user erase --json` prints.
type erasedCertificate struct {
	User   string   `json:"user"`
	Sealed int      `json:"sealed_events"`
	Plain  int      `json:"plain_events"`
	Where  []string `json:"aggregates"`
	Purged []string `json:"purged"`
	Behind []string `json:"behind"`
	Beyond []string `json:"beyond_reach"`
}

// A user writes everywhere that one can, and is erased. Then no key, no table, no query, no replay has the text, the rest of the
// conversations stands, and what is computed anew from the log is the same.
func TestErase(t *testing.T) {
	d := deploy(t, layout{gateways: 1, workers: 1})
	base := d.gateways[0].url
	ctx := t.Context()
	ben, err := register(ctx, base, "ben")
	if err != nil {
		t.Fatal(err)
	}
	a := writeEverywhere(t, base, ben)

	db, err := database.Open(ctx, environmentOf(d, "MPIM_DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	// The test can see: before, the marks are there.
	waitFor(t, 10*time.Second, "every mark is in a projection", func() error {
		all := everything(t, d.redis.Client(), db)
		for _, mark := range marks {
			if mark != "zqstatus" && mark != "zqrecalled" && !strings.Contains(all, mark) {
				return fmt.Errorf("%s is nowhere", mark)
			}
		}
		return nil
	})

	output, err := d.run(ctx, "user", "erase", "ZQname", "--yes", "--json")
	if err != nil {
		t.Fatalf("erase: %v\n%s", err, output)
	}
	var done erasedCertificate
	if err := json.Unmarshal([]byte(output), &done); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	if done.User != a.login.User.ID || done.Sealed < 8 || done.Plain != 0 || len(done.Behind) != 0 || len(done.Purged) < 5 || len(done.Where) != 4 || len(done.Beyond) == 0 {
		t.Errorf("the certificate says %s", output)
	}
	checkNothingLeft(t, d, db)
	checkRest(t, base, ben, a)

	// Once more: nothing is left to be done, and nothing is appended.
	before, _ := d.run(ctx, "replay", "--json")
	if output, err = d.run(ctx, "user", "erase", a.login.User.ID, "--yes"); err != nil || !strings.Contains(output, "is erased") {
		t.Errorf("erased again: %v\n%s", err, output)
	}
	if after, _ := d.run(ctx, "replay", "--json"); after != before {
		t.Error("erasing again appended something")
	}
	for _, p := range []string{"inbox", "recent", "members", "history", "contacts", "search"} {
		if output, err := d.run(ctx, "projection", "verify", p); err != nil {
			t.Errorf("%s differs from a fresh fold: %v\n%s", p, err, output)
		}
	}
	if output, err := d.run(ctx, "log", "snapshots", "verify"); err != nil {
		t.Errorf("decision state differs from a fresh fold: %v\n%s", err, output)
	}
	if _, err := d.run(ctx, "user", "erase", "nobody", "--yes"); err == nil {
		t.Error("erased a user who never was")
	}
}

// written is what the user did before it was erased.
type written struct {
	login         login
	direct, group string
	edited        int64
}

func writeEverywhere(t *testing.T, base string, ben login) written {
	t.Helper()
	ctx := t.Context()
	ask := func(l login, method, path string, body, out any) {
		t.Helper()
		if _, err := rest(ctx, method, base+path, l.Token, body, out); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	var a written
	var err error
	if a.login, err = register(ctx, base, "zqname"); err != nil {
		t.Fatal(err)
	}
	ask(login{}, "POST", "/v1/sessions", params{
		"username": "zqname", "password": "zqname-password", "device_id": "d1", "device_name": "zqdevice",
	}, &a.login)
	ask(a.login, "PATCH", "/v1/me", params{"display_name": "zqdisplay", "avatar_url": "https://a.example/zqavatar"}, nil)
	var message struct {
		Conversation string `json:"conversation"`
		Seq          int64  `json:"seq"`
	}
	send := func(l login, to params, id, text string) {
		t.Helper()
		ask(l, "POST", "/v1/messages", params{"to": to, "client_id": id, "body": say(text)}, &message)
	}
	send(a.login, params{"user": ben.User.ID}, "1", "zqdirect is what this message says to one other user alone")
	a.direct = message.Conversation
	send(a.login, params{"conversation": a.direct}, "2", "before it was changed")
	a.edited = message.Seq
	ask(a.login, "PATCH", fmt.Sprintf("/v1/conversations/%s/messages/%d", a.direct, a.edited), params{"body": say("zqedited")}, nil)
	ask(ben, "PUT", fmt.Sprintf("/v1/conversations/%s/messages/%d/reactions/👍", a.direct, a.edited), nil, nil)
	send(a.login, params{"conversation": a.direct}, "3", "zqrecalled")
	ask(a.login, "DELETE", fmt.Sprintf("/v1/conversations/%s/messages/%d", a.direct, message.Seq), nil, nil)
	var group struct {
		Conversation struct {
			Conversation string `json:"conversation"`
		} `json:"conversation"`
	}
	ask(ben, "POST", "/v1/groups", params{"title": "Outing", "members": []string{a.login.User.ID}, "client_id": "g"}, &group)
	a.group = group.Conversation.Conversation
	send(ben, params{"conversation": a.group}, "1", "Ben says this")
	send(a.login, params{"conversation": a.group}, "4", "zqgroup")
	ask(a.login, "POST", "/v1/contacts/requests", params{"user": ben.User.ID, "message": "which is answered"}, nil)
	cat, err := register(ctx, base, "cat")
	if err != nil {
		t.Fatal(err)
	}
	ask(a.login, "POST", "/v1/contacts/requests", params{"user": cat.User.ID, "message": "zqrequest"}, nil)
	ask(ben, "POST", "/v1/contacts/requests/"+a.login.User.ID+"/accept", nil, nil)
	ask(a.login, "PATCH", "/v1/contacts/"+ben.User.ID, params{"remark": "zqremark"}, nil)
	ask(a.login, "POST", "/v1/scheduled", params{
		"to": params{"conversation": a.group}, "client_id": "5", "body": say("zqlater"), "deliver_at": time.Now().Add(time.Hour).Format(time.RFC3339),
	}, nil)
	ask(a.login, "PUT", "/v1/me/presence", params{"status": "busy", "text": "zqstatus"}, nil)
	return a
}

// checkNothingLeft looks through all that there is for the marks.
func checkNothingLeft(t *testing.T, d *deployment, db *database.DB) {
	t.Helper()
	all := map[string]string{"redis and SQL": everything(t, d.redis.Client(), db)}
	for _, command := range [][]string{{"replay", "--json"}, {"log", "tail", "--limit", "1000", "--json"}, {"user", "list", "--json"}} {
		output, err := d.run(t.Context(), command...)
		if err != nil {
			t.Errorf("%v: %v", command, err)
		}
		all[strings.Join(command, " ")] = output
	}
	for where, text := range all {
		for _, mark := range marks {
			if at := strings.Index(strings.ToLower(text), mark); at >= 0 {
				t.Errorf("%s is still in %s: …%q…", mark, where, text[max(0, at-160):min(len(text), at+80)])
			}
		}
	}
}

// checkRest sees that the other still reads what it wrote, and that something was there.
func checkRest(t *testing.T, base string, ben login, a written) {
	t.Helper()
	ctx := t.Context()
	var page struct {
		Messages []struct {
			Seq    int64           `json:"seq"`
			Sender string          `json:"sender"`
			Body   json.RawMessage `json:"body"`
		} `json:"messages"`
	}
	bodies := func(conversation string) string {
		t.Helper()
		if _, err := rest(ctx, "GET", base+"/v1/conversations/"+conversation+"/messages", ben.Token, nil, &page); err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, m := range page.Messages {
			all = append(all, string(m.Body))
		}
		return strings.Join(all, " ")
	}
	if got := bodies(a.direct); got != "null null null" {
		t.Errorf("the direct conversation reads %s", got)
	}
	if got := bodies(a.group); got != `{"type":"text","text":"Ben says this"} null` {
		t.Errorf("the group reads %s", got)
	}
	for path, body := range map[string]any{
		"/v1/sync": params{}, "/v1/conversations": nil, "/v1/contacts": nil, "/v1/users/search?q=zq&limit=10": nil, "/v1/messages/search?q=zqdirect": nil,
		fmt.Sprintf("/v1/conversations/%s/messages/%d", a.direct, a.edited): nil,
	} {
		method := "GET"
		if body != nil {
			method = "POST"
		}
		var answer json.RawMessage
		if _, err := rest(ctx, method, base+path, ben.Token, body, &answer); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for _, mark := range marks {
			if bytes.Contains(answer, []byte(mark)) {
				t.Errorf("%s still shows %s: %s", path, mark, answer)
			}
		}
	}
	if _, err := rest(ctx, "GET", base+"/v1/me", a.login.Token, nil, nil); codeOf(err) != "unauthenticated" {
		t.Errorf("the erased user is still in: %v", err)
	}
	if _, err := rest(ctx, "POST", base+"/v1/accounts", "", params{"username": "zqname", "password": "zqname-password"}, nil); codeOf(err) != "conflict" {
		t.Errorf("the name was given away: %v", err)
	}
	// Others can still write there.
	if _, err := rest(ctx, "POST", base+"/v1/messages", ben.Token, params{"to": params{"conversation": a.group}, "client_id": "9", "body": say("on")}, nil); err != nil {
		t.Error(err)
	}
}

// everything returns every key of Redis with its value and every row of every table, as text.
func everything(t *testing.T, client *redis.Client, db *database.DB) string {
	t.Helper()
	var b strings.Builder
	ctx := t.Context()
	keys := client.Scan(ctx, 0, "*", 1000).Iterator()
	for keys.Next(ctx) {
		key := keys.Val()
		fmt.Fprintln(&b, key, valueOf(ctx, client, key))
	}
	if err := keys.Err(); err != nil {
		t.Fatal(err)
	}
	for _, table := range projectionstest.Rows(ctx, t, db, "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'") {
		_, table, _ = strings.Cut(table, "=")
		table = strings.Trim(table, `"' `)
		for _, row := range projectionstest.Rows(ctx, t, db, "SELECT * FROM "+table) {
			fmt.Fprintln(&b, table, row)
		}
	}
	return b.String()
}

func valueOf(ctx context.Context, client *redis.Client, key string) any {
	switch client.Type(ctx, key).Val() {
	case "string":
		return client.Get(ctx, key).Val()
	case "hash":
		return client.HGetAll(ctx, key).Val()
	case "list":
		return client.LRange(ctx, key, 0, -1).Val()
	case "set":
		return client.SMembers(ctx, key).Val()
	case "zset":
		return client.ZRangeWithScores(ctx, key, 0, -1).Val()
	case "stream":
		return client.XRange(ctx, key, "-", "+").Val()
	default:
		return nil
	}
}

// environmentOf returns a variable of a deployment.
func environmentOf(d *deployment, name string) string {
	for _, pair := range d.env {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}
