package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/projections/archive"
	"mpim/projections/database"
	"mpim/projections/projectionstest"
	"mpim/schema"
	"mpim/streams"
)

// marks are in everything that the user who is erased writes, each somewhere else.
var marks = []string{
	"zqname", "zqdisplay", "zqavatar", "zqdevice", "zqdirect", "zqedited", "zqgroup", "zqrequest", "zqremark", "zqlater", "zqrecalled", "zqstatus", "zqowner",
}

// erasedCertificate is what `user erase --json` prints.
type erasedCertificate struct {
	User   string   `json:"user"`
	Sealed int      `json:"sealed_events"`
	Plain  int      `json:"plain_events"`
	Where  []string `json:"aggregates"`
	Left   []struct {
		Conversation string `json:"conversation"`
		Heir         string `json:"heir"`
	} `json:"groups_left"`
	PlainAt map[string][]string `json:"plain_at"`
	Purged  []string            `json:"purged"`
	Behind  []string            `json:"behind"`
	Beyond  []string            `json:"beyond_reach"`
}

// A user writes everywhere that one can, and is erased. Then no key, no table, no query, no replay has the text, the rest of the
// conversations stands, and what is computed anew from the log is the same.
func TestErase(t *testing.T) {
	t.Parallel()
	t.Run("mariadb", func(t *testing.T) {
		t.Parallel()
		testErase(t, layout{gateways: 1, workers: 1})
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		testErase(t, layout{gateways: 1, workers: 1, databaseURL: "sqlite://" + filepath.Join(t.TempDir(), "mpim.db")})
	})
}

// Where nothing was sealed, the bytes stay in the log and its archive, as the certificate says, and are nowhere else.
func TestErasePlain(t *testing.T) {
	t.Parallel()
	testErase(t, layout{
		gateways: 1, workers: 1, databaseURL: "sqlite://" + filepath.Join(t.TempDir(), "mpim.db"), env: []string{"MPIM_SEAL=off"},
	})
}

func testErase(t *testing.T, l layout) {
	t.Helper()
	sealed := !slices.Contains(l.env, "MPIM_SEAL=off")
	d := deploy(t, l)
	base := d.gateways[0].url
	ctx := t.Context()
	ben, err := register(ctx, base, "ben")
	if err != nil {
		t.Fatal(err)
	}
	a := writeEverywhere(t, base, ben)
	before := time.Now()

	db, err := database.Open(ctx, databaseOf(d))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	r := remains{client: d.redis.Client(), db: db, sealed: sealed}
	// The test can see: before, the marks are there.
	waitFor(t, 10*time.Second, "every mark is in a projection", func() error {
		all := r.everything(t)
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
	if done.User != a.login.User.ID || done.Sealed+done.Plain < 8 || sealed != (done.Plain == 0) || sealed != (done.Sealed > 0) ||
		len(done.Behind) != 0 || len(done.Purged) < 5 || len(done.Where) != 5 || len(done.Beyond) == 0 {
		t.Errorf("the certificate says %s", output)
	}
	heirs := make(map[string]string)
	for _, left := range done.Left {
		heirs[left.Conversation] = left.Heir
	}
	if want := map[string]string{a.group: "", a.owned: ben.User.ID}; !maps.Equal(heirs, want) {
		t.Errorf("the user left %v, want %v", heirs, want)
	}
	r.checkNothingLeft(t, d, commandsThatRead(a, before))
	if got, named := r.inTheLog(t), done.plain(t); !slices.Equal(got, named) || len(named) != done.Plain {
		t.Errorf("the log has the user's marks at %v, the certificate says %d at %v", got, done.Plain, named)
	}
	checkRest(t, base, ben, a)
	checkAgain(t, d, a)
}

// commandsThatRead print all that there is of the log, now and as it stood before the user was erased.
func commandsThatRead(a written, before time.Time) [][]string {
	then := before.UTC().Format(time.RFC3339Nano)
	user := a.login.User.ID
	commands := [][]string{
		{"replay"},
		{"replay", "--json"},
		{"log", "tail", "--limit", "1000"},
		{"log", "tail", "--limit", "1000", "--json"},
		{"user", "list", "--json"},
		{"user", "show", user},
		{"replay", "--as-of", then, "--user", user},
		{"replay", "--as-of", then, "--user", user, "--json"},
	}
	for _, conversation := range []string{a.direct, a.group, a.owned} {
		commands = append(commands, []string{"replay", "--as-of", then, "--conversation", conversation, "--json"}, []string{"replay", "--as-of", then, "--conversation", conversation})
	}
	return commands
}

// checkAgain erases once more: nothing is left to be done, and nothing is appended. All that is computed stands as a fresh fold has it.
func checkAgain(t *testing.T, d *deployment, a written) {
	t.Helper()
	ctx := t.Context()
	before, _ := d.run(ctx, "replay", "--json")
	if output, err := d.run(ctx, "user", "erase", a.login.User.ID, "--yes"); err != nil || !strings.Contains(output, "is erased") {
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
	// owned is a group of the user, in which are Ben and, later, Cat.
	owned  string
	edited int64
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
	send(a.login, params{"conversation": a.direct}, "2", "zqdirect before it was changed")
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
	ask(a.login, "POST", "/v1/contacts/requests", params{"user": ben.User.ID, "message": "zqrequest which is answered"}, nil)
	cat, err := register(ctx, base, "cat")
	if err != nil {
		t.Fatal(err)
	}
	ask(a.login, "POST", "/v1/contacts/requests", params{"user": cat.User.ID, "message": "zqrequest"}, nil)
	ask(a.login, "POST", "/v1/groups", params{"title": "Owned", "members": []string{ben.User.ID}, "client_id": "o"}, &group)
	a.owned = group.Conversation.Conversation
	ask(a.login, "POST", "/v1/groups/"+a.owned+"/members", params{"users": []string{cat.User.ID}}, nil)
	send(a.login, params{"conversation": a.owned}, "6", "zqowner")
	ask(ben, "POST", "/v1/contacts/requests/"+a.login.User.ID+"/accept", nil, nil)
	ask(a.login, "PATCH", "/v1/contacts/"+ben.User.ID, params{"remark": "zqremark"}, nil)
	ask(a.login, "POST", "/v1/scheduled", params{
		"to": params{"conversation": a.group}, "client_id": "5", "body": say("zqlater"), "deliver_at": time.Now().Add(time.Hour).Format(time.RFC3339),
	}, nil)
	ask(a.login, "PUT", "/v1/me/presence", params{"status": "busy", "text": "zqstatus"}, nil)
	// What is cached is filled.
	ask(ben, "GET", "/v1/users?id="+a.login.User.ID, nil, nil)
	ask(ben, "GET", "/v1/contacts", nil, nil)
	return a
}

// remains look for what is left of a user. Where nothing was sealed, the log and its archive have it still.
type remains struct {
	client *redis.Client
	db     *database.DB
	sealed bool
}

// checkNothingLeft looks through all that there is for the marks.
func (r remains) checkNothingLeft(t *testing.T, d *deployment, commands [][]string) {
	t.Helper()
	all := map[string]string{"redis and SQL": r.everything(t)}
	for _, command := range commands {
		output, err := d.run(t.Context(), command...)
		if err != nil && command[0] != "user" { // who is erased may be shown as nobody
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

// inTheLog returns where the bytes of the log have a mark, in Redis or in a segment of the archive.
func (r remains) inTheLog(t *testing.T) []string {
	t.Helper()
	identity, err := streams.ReadIdentity(t.Context(), r.client)
	if err != nil {
		t.Fatal(err)
	}
	at := make(map[string]bool)
	look := func(records []*schema.Record) {
		for _, record := range records {
			if slices.ContainsFunc(marks, func(mark string) bool { return bytes.Contains(bytes.ToLower(record.Payload), []byte(mark)) }) {
				at[record.String()] = true
			}
		}
	}
	for partition := range identity.Partitions {
		records, err := streams.Reader{Client: r.client, Partitions: identity.Partitions}.Latest(t.Context(), partition, 10_000)
		look(records)
		for seq := int64(0); err == nil; seq = records[len(records)-1].Seq {
			if records, err = (archive.Archive{DB: r.db}).After(t.Context(), partition, seq); len(records) == 0 {
				break
			}
			look(records)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return slices.Sorted(maps.Keys(at))
}

// plain returns the positions that the certificate names.
func (c erasedCertificate) plain(t *testing.T) (positions []string) {
	t.Helper()
	for partition, list := range c.PlainAt {
		for _, one := range list {
			first, last, isRange := strings.Cut(one, "-")
			from, err := strconv.Atoi(first)
			to := from
			if isRange && err == nil {
				to, err = strconv.Atoi(last)
			}
			if err != nil {
				t.Fatalf("the certificate names %s in partition %s", one, partition)
			}
			for ; from <= to; from++ {
				positions = append(positions, fmt.Sprintf("%s:%d", partition, from))
			}
		}
	}
	slices.Sort(positions)
	return positions
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
func (r remains) everything(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	ctx := t.Context()
	keys := r.client.Scan(ctx, 0, "*", 1000).Iterator()
	for keys.Next(ctx) {
		if key := keys.Val(); r.sealed || !strings.HasSuffix(key, ":log") {
			fmt.Fprintln(&b, key, valueOf(ctx, r.client, key))
		}
	}
	if err := keys.Err(); err != nil {
		t.Fatal(err)
	}
	tables := "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'"
	if strings.HasPrefix(r.db.String(), "sqlite") {
		tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
	}
	for _, table := range projectionstest.Rows(ctx, t, r.db, tables) {
		_, table, _ = strings.Cut(table, "=")
		table = strings.Trim(table, `"' `)
		if table == "archive_segments" && !r.sealed {
			continue // as compressed as it happens to be; inTheLog decodes it
		}
		for _, row := range projectionstest.Rows(ctx, t, r.db, "SELECT * FROM "+table) {
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

// databaseOf returns the address of a deployment's database.
func databaseOf(d *deployment) string {
	for _, pair := range d.env {
		if value, ok := strings.CutPrefix(pair, "MPIM_DATABASE_URL="); ok {
			return value
		}
	}
	return ""
}
