package search_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/database"
	"mpim/projections/projectionstest"
	"mpim/projections/rows/rowstest"
	"mpim/projections/search"
	"mpim/projections/words"
)

func TestMain(m *testing.M) { os.Exit(projectionstest.Main(m)) }

const (
	group = domain.ConversationID("g0123456789abcdefghjk00")
	pair  = domain.ConversationID("d0123456789abcdefghjk00")
	alice = domain.UserID("ualice")
	bob   = domain.UserID("ubob")
)

func open(db *database.DB) projections.Projection { return search.New(db) }

func sent(text string) *domain.MessageSent {
	return &domain.MessageSent{ClientID: "c", Body: domain.Body{Type: domain.TextBody, Text: text}}
}

func edited(message domain.Seq, text string) *domain.MessageEdited {
	return &domain.MessageEdited{Message: message, Body: domain.Body{Type: domain.TextBody, Text: text}}
}

// everything is both conversations, all of them.
var everything = []search.Scope{
	{Conversation: group, Windows: domain.Windows{{From: 1}}}, {Conversation: pair, Windows: domain.Windows{{From: 1}}},
}

// find returns all that a search finds, page by page.
func find(t *testing.T, db *database.DB, scopes []search.Scope, query string, limit int) string {
	t.Helper()
	var all []string
	after := ""
	for range 1000 {
		hits, next, err := search.NewQueries(db).Search(t.Context(), scopes, query, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range hits {
			all = append(all, fmt.Sprintf("%s%d", h.Conversation[:1], h.Seq))
		}
		if next == "" {
			return strings.Join(all, " ")
		}
		after = next
	}
	t.Fatal("the pages do not end")
	return ""
}

func TestSearch(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		log := projectionstest.NewLog(0)
		add := func(c domain.ConversationID, fact domain.Fact) { log.Append(t, c.Aggregate(), alice, fact) }
		add(group, sent("Hello World"))                                                        // g1
		add(pair, sent("hello, you"))                                                          // d1
		add(group, sent("明天下午三点开会"))                                                           // g2
		add(group, sent("会议改到明天，下午不行"))                                                        // g3
		add(pair, sent("東京タワーへ行きましょう"))                                                        // d2
		add(pair, sent("내일 만나요 hello"))                                                        // d3
		add(group, &domain.MessageSent{ClientID: "f", Body: domain.Body{Type: domain.FileBody, // g4
			URL: "https://x.org/hidden", Name: "Report_2026.PDF"}})
		add(group, &domain.MessageSent{ClientID: "c", Body: domain.Body{Type: domain.CustomBody, Data: []byte(`{"text":"hello"}`)}}) // g5
		add(group, sent("draft hello"))                                                                                              // g6
		add(group, edited(6, "final version"))                                                                                       // g7
		add(group, sent("recalled hello"))                                                                                           // g8
		add(group, &domain.MessageRecalled{Message: 8})                                                                              // g9
		add(group, edited(8, "hello again"))                                                                                         // g10
		expired := sent("hello, gone by itself")
		expired.ExpiresAt = new(domain.NewInstant(time.Now().Add(-time.Minute)))
		add(pair, expired)                                                                                            // d4
		add(pair, &domain.MessageSent{ClientID: "c", Body: domain.Body{Type: domain.TextBody, Text: "hello for now"}, // d5
			ExpiresAt: new(domain.NewInstant(time.Now().Add(time.Hour)))})
		add(pair, sent("expired hello"))              // d6
		add(pair, &domain.MessageExpired{Message: 6}) // d7
		rowstest.Apply(t, open(db), log)
		for query, want := range map[string]string{
			"hello": "d5 d3 d1 g1", "HELLO world": "g1", "you hello": "d1", "draft": "", "final": "g6", "recalled": "",
			"下午": "g3 g2", "明天 下午": "g3 g2", "明天下午": "g2", "会": "g3 g2", "開": "", "开会": "g2",
			"東京タワー": "d2", "タワー": "d2", "ﾀﾜｰ": "d2", "京": "d2", "만나요": "d3", "만나": "d3",
			"report 2026": "g4", "report_2026.pdf": "g4", "pdf report": "g4", "hidden": "", "": "", "!": "", "text": "",
		} {
			for _, limit := range []int{1, 2, 50} {
				if got := find(t, db, everything, query, limit); got != want {
					t.Errorf("%q by %d finds %q, want %q", query, limit, got, want)
				}
			}
		}
		scope := func(windows ...domain.Window) []search.Scope {
			return []search.Scope{{Conversation: group, Windows: windows}}
		}
		for _, c := range []struct {
			scopes      []search.Scope
			query, want string
		}{
			{nil, "hello", ""},
			{scope(), "hello", ""},
			{everything[1:], "hello", "d5 d3 d1"},
			{scope(domain.Window{From: 2}), "hello", ""},
			{scope(domain.Window{From: 1, To: 2}, domain.Window{From: 6}), "final", "g6"},
			{scope(domain.Window{From: 1, To: 2}, domain.Window{From: 6}), "下午", "g2"},
			{scope(domain.Window{From: 1, To: 6}), "final", ""}, // it was edited after the window closed
			{scope(domain.Window{From: 1, To: 7}), "final", "g6"},
		} {
			if got := find(t, db, c.scopes, c.query, 2); got != c.want {
				t.Errorf("%q in %v finds %q, want %q", c.query, c.scopes, got, c.want)
			}
		}
		q := search.NewQueries(db)
		for _, after := range []string{"x", "1.2", "1.g.x", "x.g.1"} {
			if _, _, err := q.Search(t.Context(), everything, "hello", after, 1); domain.CodeOf(err) != domain.InvalidArgument {
				t.Errorf("after %q: %v", after, err)
			}
		}
		if _, _, err := q.Search(t.Context(), everything, "hello", "", 0); domain.CodeOf(err) != domain.InvalidArgument {
			t.Errorf("no limit: %v", err)
		}
	})
}

func TestAnyBatchingGivesTheSameRows(t *testing.T) {
	t.Parallel()
	rowstest.AnyBatching(t, open, draw, func(r *rapid.T, db *database.DB, log *projectionstest.Log) {
		query := rapid.SampledFrom([]string{"a", "b a", "你", "你好", "你好吗", "a-b", "x"}).Draw(r, "query")
		want := model(r, log, query)
		if got := find(t, db, everything, query, rapid.IntRange(1, 5).Draw(r, "limit")); got != want {
			r.Fatalf("%q finds %q, want %q", query, got, want)
		}
	})
}

// draw draws messages and what becomes of them, at times that may be the same, or step back.
func draw(tb testing.TB, r *rapid.T, log *projectionstest.Log) {
	tb.Helper()
	for range rapid.IntRange(1, 40).Draw(r, "events") {
		c := rapid.SampledFrom([]domain.ConversationID{group, pair}).Draw(r, "conversation")
		log.Start(time.Date(2026, 1, 2, 3, 4, rapid.IntRange(0, 3).Draw(r, "second"), 0, time.UTC))
		text := rapid.StringOfN(rapid.SampledFrom([]rune("aB你好吗 -x")), 0, 8, -1).Draw(r, "text")
		message := domain.Seq(rapid.Int64Range(1, int64(log.Seq(c.Aggregate()))+1).Draw(r, "message"))
		var fact domain.Fact
		switch rapid.IntRange(0, 9).Draw(r, "fact") {
		case 0, 1:
			fact = edited(message, text)
		case 2:
			fact = &domain.MessageRecalled{Message: message}
		case 3:
			fact = &domain.MessageExpired{Message: message}
		case 4:
			fact = &domain.MessageEdited{Message: message, Body: domain.Body{Type: domain.FileBody, Name: text}}
		default:
			m := sent(text)
			m.ExpiresAt = rapid.SampledFrom([]*domain.Instant{nil, nil, nil, new(domain.NewInstant(time.Unix(1, 0)))}).Draw(r, "expires")
			fact = m
		}
		log.Append(tb, c.Aggregate(), alice, fact)
	}
}

// model searches the plain way.
func model(r *rapid.T, log *projectionstest.Log, query string) string {
	type message struct {
		name, text string
		hit        search.Hit
		gone       bool
	}
	all := make(map[string]*message)
	for _, record := range log.Records {
		e, err := record.Event()
		if err != nil {
			r.Fatal(err)
		}
		name := func(seq domain.Seq) string { return fmt.Sprintf("%s%d", record.Conversation()[:1], seq) }
		switch fact := e.Data.(type) {
		case *domain.MessageSent:
			all[name(e.Seq)] = &message{
				name: name(e.Seq), text: fact.Body.Text, gone: fact.ExpiresAt != nil,
				hit: search.Hit{Conversation: record.Conversation(), Seq: e.Seq, At: e.At},
			}
		case *domain.MessageEdited:
			if m := all[name(fact.Message)]; m != nil {
				m.text = fact.Body.Text + fact.Body.Name
			}
		case *domain.MessageRecalled:
			delete(all, name(fact.Message))
		case *domain.MessageExpired:
			delete(all, name(fact.Message))
		default:
		}
	}
	var found []*message
	for _, m := range all {
		if !m.gone && words.NewQuery(query).Matches(words.Fold(m.text)) {
			found = append(found, m)
		}
	}
	slices.SortFunc(found, func(a, b *message) int {
		if d := b.hit.At.Compare(a.hit.At); d != 0 {
			return d
		}
		if d := strings.Compare(string(b.hit.Conversation), string(a.hit.Conversation)); d != 0 {
			return d
		}
		return int(b.hit.Seq - a.hit.Seq)
	})
	names := make([]string, len(found))
	for i, m := range found {
		names[i] = m.name
	}
	return strings.Join(names, " ")
}
