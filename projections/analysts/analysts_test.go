package analysts_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"mpim/domain"
	"mpim/projections/analysts"
	"mpim/projections/builds"
	"mpim/projections/database"
	"mpim/projections/projectionstest"
	"mpim/projections/rows/rowstest"
	"mpim/projections/tables"
)

const page = "../../docs/analysts.md"

var update = flag.Bool("update", false, "write what is generated")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(projectionstest.Main(m))
}

const (
	group = domain.ConversationID("g0123456789abcdefghjk00")
	pair  = domain.ConversationID("d0123456789abcdefghjk00")
	alice = domain.UserID("ualice")
	bob   = domain.UserID("ubob")
	carol = domain.UserID("ucarol")
	dave  = domain.UserID("udave")
)

// seed fills a database with a story that is short enough to answer the questions by hand, and shows it through the views.
func seed(t *testing.T, db *database.DB) {
	t.Helper()
	log := projectionstest.NewLog(0)
	log.Start(time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC))
	say := func(c domain.ConversationID, who domain.UserID, fact domain.Fact) {
		log.Append(t, c.Aggregate(), who, fact)
	}
	text := func(s string) *domain.MessageSent {
		return &domain.MessageSent{ClientID: "c", Body: domain.Body{Type: domain.TextBody, Text: s}}
	}
	for _, user := range []domain.UserID{alice, bob, carol, dave} {
		log.Append(t, user.Aggregate(), user, &domain.AccountRegistered{Username: string(user[1:]), DisplayName: string(user)})
	}
	say(group, alice, &domain.ConversationCreated{Kind: domain.GroupConversation, Title: "team", Members: []domain.MemberRole{ // 1
		{User: alice, Role: domain.Owner}, {User: bob, Role: domain.Member},
	}})
	say(group, alice, text("good morning"))                                             // 2
	say(group, bob, text("helo"))                                                       // 3
	say(group, bob, &domain.MessageEdited{Message: 3, Body: text("hello").Body})        // 4
	say(group, alice, &domain.MessageReacted{Message: 3, Emoji: "👍"})                   // 5
	say(group, bob, &domain.MessageReacted{Message: 2, Emoji: "🎉"})                     // 6
	say(group, alice, &domain.MessageReacted{Message: 2, Emoji: "👍"})                   // 7
	say(group, bob, &domain.MessageReacted{Message: 2, Emoji: "🎉", Removed: true})      // 8
	say(group, alice, &domain.MemberAdded{User: carol})                                 // 9
	say(group, alice, &domain.MemberRoleChanged{User: bob, Role: domain.Admin})         // 10
	say(group, carol, &domain.MessageSent{ClientID: "c", ReplyTo: 2, Body: domain.Body{ // 11
		Type: domain.FileBody, URL: "https://example.org/a.pdf", Name: "a.pdf"}})
	say(group, carol, &domain.ReceiptMoved{DeliveredSeq: 10, ReadSeq: 10})
	say(group, alice, &domain.ReceiptMoved{ReadSeq: 11})
	log.Start(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))
	say(group, bob, &domain.MessageRecalled{Message: 11}) // 12
	say(group, carol, &domain.MemberLeft{User: carol})    // 13
	say(pair, alice, &domain.ConversationCreated{Kind: domain.DirectConversation, Members: []domain.MemberRole{
		{User: alice, Role: domain.Member}, {User: bob, Role: domain.Member},
	}})
	say(pair, alice, text("bob?"))
	say(pair, bob, &domain.ContactRequested{User: alice})
	say(pair, alice, &domain.ContactAccepted{User: bob})
	log.Append(t, dave.Aggregate(), alice, &domain.AccountSuspended{})
	for _, d := range analysts.Definitions() {
		rowstest.Apply(t, tables.New(db, d), log)
		if err := (tables.Code{DB: db, Definition: d}).Show(t.Context(), builds.Build{Name: d.Name, Number: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := database.NoteHeads(t.Context(), db, []int64{int64(len(log.Records))}, time.Second); err != nil {
		t.Fatal(err)
	}
}

var question = regexp.MustCompile("(?s)### (\\d+)\\. ([^\n]+)\n\n```sql\n(.*?);\n```")

// answers are those to the questions of the page, in their order.
var answers = [][]string{
	{`conversation="g0123456789abcdefghjk00" members=2 messages=3`},
	{`day="2026-03-01" messages=3 active_users=3`, `day="2026-03-02" messages=1 active_users=1`},
	{"hour=10 messages=3", "hour=9 messages=1"},
	{`sender="ualice" messages=2`, `sender="ubob" messages=1`, `sender="ucarol" messages=1`},
	{`day="2026-03-01" accounts=4`},
	{`username="dave"`},
	{`username="dave"`},
	{`user_id="ualice" role="owner"`, `user_id="ubob" role="admin"`, `user_id="ucarol" role="member"`},
	{`conversation="g0123456789abcdefghjk00" user_id="ubob" role="admin" from_seq=10`},
	{`day="2026-03-01" came=1 of_whom_left=1`, `day="2026-03-02" came=0 of_whom_left=0`},
	{"messages=4 edited=1 recalled=1"},
	{`seq=3 body="{\"type\":\"text\",\"text\":\"helo\"}"`, `seq=4 body="{\"type\":\"text\",\"text\":\"hello\"}"`},
	{`conversation="g0123456789abcdefghjk00" seq=11 sender="ucarol" recalled_by="ubob"`},
	{`emoji="👍" reactions=2`},
	{`conversation="g0123456789abcdefghjk00" message=2 reactions=1`, `conversation="g0123456789abcdefghjk00" message=3 reactions=1`},
	{`kind="text" messages=3`, `kind="file" messages=1`},
	{`conversation="g0123456789abcdefghjk00" reply_to=2 answers=1`},
	{`user_id="ubob" reached=3`, `user_id="ucarol" reached=11`, `user_id="ualice" reached=11`},
	{`user_id="ualice" contacts=1`, `user_id="ubob" contacts=1`},
	{"half_within_s=1"},
	{`projection="activity" events_behind=0`, `projection="contacts" events_behind=0`, `projection="history" events_behind=0`, `projection="receipts" events_behind=0`},
	{`alive="yes"`},
}

func TestQuestionsAreAnswered(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	questions := question.FindAllStringSubmatch(string(text), -1)
	if len(questions) != len(answers) || len(questions) < 20 {
		t.Fatalf("%d questions, %d answers", len(questions), len(answers))
	}
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		seed(t, db)
		for i, q := range questions {
			got := projectionstest.Rows(t.Context(), t, db, q[3])
			for n := range got { // sums are decimals on some servers
				got[n] = decimal.ReplaceAllString(got[n], "=$1")
			}
			if !slices.Equal(got, answers[i]) {
				t.Errorf("%s. %s\ngot  %q\nwant %q", q[1], q[2], got, answers[i])
			}
		}
	})
}

var decimal = regexp.MustCompile(`="(\d+)"`)

// Every column of every view is described, and the other way round.
func TestDictionary(t *testing.T) {
	t.Parallel()
	db := projectionstest.Databases["mariadb"](t)
	seed(t, db)
	types := make(map[[2]string]string)
	for _, line := range projectionstest.Rows(t.Context(), t, db, "SELECT table_name AS v, column_name AS c, data_type AS t "+
		"FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name IN (?)", bun.List(analysts.Views())) {
		var view, column, kind string
		if _, err := fmt.Sscanf(line, "v=%q c=%q t=%q", &view, &column, &kind); err != nil {
			t.Fatal(err)
		}
		types[[2]string{view, column}] = kind
	}
	named := map[string]string{
		"varchar": "text", "longtext": "text", "mediumtext": "text", "bigint": "number", "int": "number", "tinyint": "number",
		"decimal": "number", "datetime": "time",
	}
	dictionary := analysts.Dictionary(func(view, column string) string {
		kind, known := types[[2]string{view, column}]
		if !known || named[kind] == "" {
			t.Errorf("%s.%s is described, and is %q in the database", view, column, kind)
		}
		delete(types, [2]string{view, column})
		return named[kind]
	})
	for left := range types {
		t.Errorf("%s.%s is not described", left[0], left[1])
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	const mark = "go generate ./projections/analysts -->\n\n"
	head, generated, found := strings.Cut(string(text), mark)
	if !found {
		t.Fatal("the page has no place for the dictionary")
	}
	dictionary = strings.TrimSuffix(dictionary, "\n")
	if *update {
		if err := os.WriteFile(page, []byte(head+mark+dictionary), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if generated != dictionary {
		t.Error("docs/analysts.md is out of date: go generate ./projections/analysts")
	}
}

// The meanings of columns are in the database, and an account with the grants reads the views and nothing else.
func TestAnalystsAccount(t *testing.T) {
	t.Parallel()
	name := projectionstest.Server.CreateDatabase(t)
	db := projectionstest.Open(t, projectionstest.Server.URL(name))
	seed(t, db)
	comment := projectionstest.Rows(t.Context(), t, db, "SELECT column_comment AS c FROM information_schema.columns "+
		"WHERE table_schema = DATABASE() AND table_name = 'messages' AND column_name = 'sender'")
	if len(comment) != 1 || comment[0] != `c="who sent it"` {
		t.Errorf("the comment is %q", comment)
	}
	grants, err := db.ReadGrants("reader", analysts.Views())
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Define(t.Context(), append([]string{"CREATE USER 'reader'@'%' IDENTIFIED BY 'x'"}, grants...)...); err != nil {
		t.Fatal(err)
	}
	reader, err := database.Open(t.Context(), "mysql://reader:x@"+projectionstest.Server.Addr()+"/"+name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reader.Close() })
	for _, view := range analysts.Views() {
		if rows := projectionstest.Rows(t.Context(), t, reader, "SELECT * FROM "+view); len(rows) == 0 {
			t.Errorf("%s is empty", view)
		}
	}
	for _, statement := range []string{"SELECT * FROM history_1_messages", "SELECT * FROM checkpoints", "DELETE FROM messages"} {
		err := reader.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.ExecContext(ctx, statement)
			return err
		})
		if err == nil {
			t.Errorf("the account may %s", statement)
		}
	}
	for _, account := range []string{"", "a b", "a'@b", "a@b'"} {
		if _, err := db.ReadGrants(account, nil); err == nil {
			t.Errorf("%q is taken for an account", account)
		}
	}
}
