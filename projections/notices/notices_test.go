package notices_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/database"
	"mpim/projections/notices"
	"mpim/projections/projectionstest"
	"mpim/projections/rows/rowstest"
)

func TestMain(m *testing.M) { os.Exit(projectionstest.Main(m)) }

const (
	group = domain.ConversationID("g0123456789abcdefghjk00")
	alice = domain.UserID("u0123456789abcdefghjk01")
	bob   = domain.UserID("u0123456789abcdefghjk02")
)

func open(db *database.DB) projections.Projection { return notices.New(db) }

func published(title, to string) *domain.NoticePublished {
	return &domain.NoticePublished{Title: title, Text: "text of " + title, To: json.RawMessage(to), Priority: "high"}
}

// list returns the titles of all notices for a reader, page by page.
func list(t *testing.T, db *database.DB, reader notices.Reader, limit int) string {
	t.Helper()
	var titles []string
	after := ""
	for range 100 {
		found, next, err := notices.NewQueries(db).List(t.Context(), reader, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range found {
			titles = append(titles, n.Title)
		}
		if after = next; next == "" {
			return strings.Join(titles, " ")
		}
	}
	t.Fatal("the pages do not end")
	return ""
}

func TestEachReadsWhatIsForThem(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		log := projectionstest.NewLog(0)
		for _, n := range []*domain.NoticePublished{
			published("a", `"all"`), published("b", `{"users":["`+string(alice)+`","`+string(alice)+`","nobody"]}`),
			published("c", `{"conversation":"`+string(group)+`"}`),
			published("d", `{"conversation":"`+string(group)+`","roles":["admin","owner"]}`),
			published("e", `"some"`), published("f", `{"weather":"fine"}`), published("g", `17`), published("h", `"all"`),
		} {
			log.Append(t, alice.Aggregate(), alice, n)
			log.Start(time.Date(2026, 1, 2, 3, 5, 5, 0, time.UTC)) // all but the first at one instant
		}
		rowstest.Apply(t, open(db), log)
		for want, reader := range map[string]notices.Reader{
			"h a":     {User: bob},
			"h b a":   {User: alice},
			"h c a":   {User: bob, Roles: map[domain.ConversationID]domain.Role{group: domain.Member}},
			"h d c a": {User: bob, Roles: map[domain.ConversationID]domain.Role{group: domain.Admin}},
		} {
			for _, limit := range []int{1, 2, 100} {
				if got := list(t, db, reader, limit); got != want {
					t.Errorf("%+v by %d reads %q, want %q", reader, limit, got, want)
				}
			}
		}
		found, _, err := notices.NewQueries(db).List(t.Context(), notices.Reader{User: bob}, "", 2)
		if err != nil || found[0].Text != "text of h" || found[0].Priority != "high" || found[0].Event != log.Records[7].ID ||
			!found[0].At.Equal(log.Records[7].At) {
			t.Errorf("the notice is %+v, %v", found, err)
		}
		for _, after := range []string{"x", "x.y", "."} {
			if _, _, err := notices.NewQueries(db).List(t.Context(), notices.Reader{}, after, 1); domain.CodeOf(err) != domain.InvalidArgument {
				t.Errorf("after %q: %v", after, err)
			}
		}
	})
}

func TestAnyBatchingGivesTheSameRows(t *testing.T) {
	t.Parallel()
	rowstest.AnyBatching(t, open, func(tb testing.TB, r *rapid.T, log *projectionstest.Log) {
		tb.Helper()
		for range rapid.IntRange(1, 20).Draw(r, "events") {
			to := rapid.SampledFrom([]string{`"all"`, `{"users":["` + string(alice) + `"]}`, `{"conversation":"` + string(group) + `","roles":["owner"]}`, `{}`, `[]`})
			log.Append(tb, alice.Aggregate(), alice, published("é 👋 '\\", to.Draw(r, "to")))
		}
	}, nil)
}

// BenchmarkApply publishes notices to all.
func BenchmarkApply(b *testing.B) {
	rowstest.Bench(b, open, func(log *projectionstest.Log) {
		for range 500 {
			log.Append(b, alice.Aggregate(), alice, published("title", `"all"`))
		}
	})
}
