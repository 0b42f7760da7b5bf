package receipts_test

import (
	"cmp"
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
	"mpim/projections/receipts"
	"mpim/projections/rows/rowstest"
)

func TestMain(m *testing.M) { os.Exit(projectionstest.Main(m)) }

const (
	group = domain.ConversationID("g0123456789abcdefghjk00")
	pair  = domain.ConversationID("d0123456789abcdefghjk00")
	alice = domain.UserID("ualice")
	bob   = domain.UserID("ubob")
	carol = domain.UserID("ucarol")
)

func open(db *database.DB) projections.Projection { return receipts.New(db) }

func created(members ...domain.UserID) *domain.ConversationCreated {
	c := &domain.ConversationCreated{Kind: domain.GroupConversation}
	for _, m := range members {
		c.Members = append(c.Members, domain.MemberRole{User: m, Role: domain.Member})
	}
	return c
}

func sent() *domain.MessageSent {
	return &domain.MessageSent{ClientID: "c", Body: domain.Body{Type: domain.TextBody, Text: "hi"}}
}

func at(second int64) time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC).Add(time.Duration(second) * time.Second)
}

// tell says what a query found, with times as seconds after the beginning of the log.
func tell(r receipts.Receipts) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d read, %d delivered, %d unread:", r.ReadCount, r.DeliveredCount, r.UnreadCount)
	for _, one := range r.Read {
		fmt.Fprintf(&b, " %s read %d", one.User, int(one.At.Sub(at(0)).Seconds()))
	}
	for _, one := range r.Delivered {
		fmt.Fprintf(&b, " %s got %d", one.User, int(one.At.Sub(at(0)).Seconds()))
	}
	return b.String()
}

func ask(t *testing.T, db *database.DB, seq domain.Seq, sender domain.UserID) string {
	t.Helper()
	found, err := receipts.NewQueries(db).Message(t.Context(), group, seq, sender)
	if err != nil {
		t.Fatal(err)
	}
	return tell(found)
}

func TestReceipts(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		log := projectionstest.NewLog(0)
		add := func(actor domain.UserID, fact domain.Fact) { log.Append(t, group.Aggregate(), actor, fact) }
		add(alice, created(alice, bob, carol))                            // 1 at 1 s
		add(alice, sent())                                                // 2 at 2 s
		add(bob, &domain.ReceiptMoved{Session: "s", DeliveredSeq: 2})     // 3 s
		add(bob, &domain.ReceiptMoved{Session: "s2", DeliveredSeq: 1})    // 4 s
		add(carol, &domain.ReceiptMoved{Session: "s", ReadSeq: 2})        // 5 s
		add(alice, sent())                                                // 3 at 6 s
		add(bob, sent())                                                  // 4 at 7 s
		add(carol, &domain.ReceiptMoved{DeliveredSeq: 4})                 // 8 s
		add(alice, &domain.MemberAdded{User: "udave"})                    // 5 at 9 s
		add("udave", &domain.ReceiptMoved{DeliveredSeq: 5, ReadSeq: 5})   // 10 s
		add("unobody", &domain.ReceiptMoved{DeliveredSeq: 5, ReadSeq: 5}) // 11 s
		rowstest.Apply(t, open(db), log)
		for seq, want := range map[domain.Seq]string{
			2: "2 read, 2 delivered, 0 unread: ucarol read 5 ubob read 7 ubob got 3 ucarol got 5",
			3: "1 read, 2 delivered, 1 unread: ubob read 7 ubob got 7 ucarol got 8",
		} {
			if got := ask(t, db, seq, alice); got != want {
				t.Errorf("message %d: %s, want %s", seq, got, want)
			}
		}
		if got, want := ask(t, db, 4, bob), "0 read, 1 delivered, 2 unread: ucarol got 8"; got != want {
			t.Errorf("message 4: %s, want %s", got, want)
		}
		add(alice, &domain.MemberRemoved{User: bob})
		add(carol, &domain.MemberLeft{User: carol})
		add(carol, &domain.MemberJoined{User: carol})
		rowstest.Apply(t, open(db), log)
		if got, want := ask(t, db, 2, alice), "0 read, 0 delivered, 0 unread:"; got != want {
			t.Errorf("after they left: %s, want %s", got, want)
		}
	})
}

// A member's history is bounded, and the present is known of every message.
func TestOldMovesAreForgotten(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		log := projectionstest.NewLog(0)
		log.Append(t, group.Aggregate(), alice, created(alice, bob))
		for range 3 * receipts.Kept {
			log.Append(t, group.Aggregate(), bob, sent())
		}
		rowstest.Apply(t, open(db), log)
		moves := projectionstest.Rows(t.Context(), t, db, "SELECT COUNT(*) AS n, MIN(seq) AS s FROM receipts_1_moves")
		if moves[0] != "n=1001 s=2001" {
			t.Errorf("kept are %s", moves)
		}
		if got := ask(t, db, 2, alice); got != "1 read, 1 delivered, 0 unread: ubob read 2001 ubob got 2001" {
			t.Errorf("of the first message: %s", got)
		}
	})
}

func TestAnyBatchingGivesTheSameRows(t *testing.T) {
	t.Parallel()
	rowstest.AnyBatching(t, open, draw, func(r *rapid.T, db *database.DB, log *projectionstest.Log) {
		seq := domain.Seq(rapid.Int64Range(1, int64(log.Seq(group.Aggregate()))+1).Draw(r, "asked"))
		if got, want := ask(t, db, seq, alice), model(r, log, seq); got != want {
			r.Fatalf("message %d: %s, want %s", seq, got, want)
		}
	})
}

func draw(tb testing.TB, r *rapid.T, log *projectionstest.Log) {
	tb.Helper()
	users := rapid.SampledFrom([]domain.UserID{alice, bob, carol})
	for range rapid.IntRange(1, 50).Draw(r, "events") {
		c := rapid.SampledFrom([]domain.ConversationID{group, group, pair}).Draw(r, "conversation").Aggregate()
		actor, user := users.Draw(r, "actor"), users.Draw(r, "user")
		seq := rapid.Int64Range(0, int64(log.Seq(c))+1)
		if rapid.IntRange(0, 9).Draw(r, "leap") == 0 { // far enough for old moves to go
			seq = rapid.Int64Range(1, 4*receipts.Kept)
		}
		var fact domain.Fact
		switch rapid.IntRange(0, 11).Draw(r, "fact") {
		case 0, 1:
			fact = created(alice, bob)
		case 2:
			fact = &domain.MemberAdded{User: user}
		case 3:
			fact = &domain.MemberJoined{User: user}
		case 4:
			fact = &domain.MemberLeft{User: user}
		case 5:
			fact = &domain.MemberRemoved{User: user}
		case 6, 7, 8, 9:
			fact = &domain.ReceiptMoved{
				DeliveredSeq: domain.Seq(seq.Draw(r, "delivered")), ReadSeq: domain.Seq(seq.Draw(r, "read")),
			}
		default:
			fact = sent()
		}
		log.Append(tb, c, actor, fact)
	}
}

// model answers the plain way, where no moves were forgotten.
func model(r *rapid.T, log *projectionstest.Log, seq domain.Seq) string {
	type member struct {
		from      domain.Seq
		in        bool
		read, got time.Time
	}
	members := make(map[domain.UserID]*member)
	forgotten := false
	begin := func(user domain.UserID, from domain.Seq) {
		m := members[user]
		if m == nil {
			m = &member{}
			members[user] = m
		}
		if !m.in {
			m.from, m.in = from, true
		}
	}
	end := func(user domain.UserID) {
		if m := members[user]; m != nil {
			m.in = false
		}
	}
	for _, record := range log.Records {
		if record.Conversation() != group {
			continue
		}
		e, err := record.Event()
		if err != nil {
			r.Fatal(err)
		}
		move := func(read, delivered domain.Seq) {
			m := members[e.Actor]
			if m == nil {
				return
			}
			forgotten = forgotten || max(read, delivered) >= receipts.Kept
			if read >= seq && m.read.IsZero() {
				m.read = e.At
			}
			if max(read, delivered) >= seq && m.got.IsZero() {
				m.got = e.At
			}
		}
		switch fact := e.Data.(type) {
		case *domain.ConversationCreated:
			for _, m := range fact.Members {
				begin(m.User, e.Seq)
			}
		case *domain.MemberAdded:
			begin(fact.User, e.Seq)
		case *domain.MemberJoined:
			begin(fact.User, e.Seq)
		case *domain.MemberLeft:
			end(fact.User)
		case *domain.MemberRemoved:
			end(fact.User)
		case *domain.ReceiptMoved:
			move(fact.ReadSeq, fact.DeliveredSeq)
		case *domain.MessageSent:
			move(e.Seq, 0)
		default:
		}
	}
	if forgotten {
		r.Skip("times may be later then")
	}
	var found receipts.Receipts
	for user, m := range members {
		if !m.in || m.from > seq || user == alice {
			continue
		}
		found.UnreadCount++
		if !m.read.IsZero() {
			found.UnreadCount--
			found.ReadCount++
			found.Read = append(found.Read, receipts.Receipt{User: user, At: m.read})
		}
		if !m.got.IsZero() {
			found.DeliveredCount++
			found.Delivered = append(found.Delivered, receipts.Receipt{User: user, At: m.got})
		}
	}
	for _, list := range [][]receipts.Receipt{found.Read, found.Delivered} {
		slices.SortFunc(list, func(a, b receipts.Receipt) int {
			return cmp.Or(a.At.Compare(b.At), strings.Compare(string(a.User), string(b.User)))
		})
	}
	return tell(found)
}
