package members_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/members"
	"mpim/projections/projectionstest"
	"mpim/schema"
	"mpim/streams/streamstest"
)

// world is a log that is folded into live memberships as it grows.
type world struct {
	*testing.T
	client  *redis.Client
	log     *projectionstest.Log
	p       *members.Projection
	queries *members.Queries
}

func newWorld(t *testing.T, client *redis.Client) *world {
	t.Helper()
	w := &world{
		T: t, client: client, log: projectionstest.NewLog(3),
		p: members.New(members.Config{Client: client, Partitions: 16}), queries: members.NewQueries(client),
	}
	if _, err := w.p.Take(t.Context(), 3, 1); err != nil {
		t.Fatal(err)
	}
	return w
}

func onBoth(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(newWorld(t, streamstest.StartRedis(t).Client()))
	})
	t.Run("miniredis", func(t *testing.T) {
		t.Parallel()
		test(newWorld(t, streamstest.Miniredis(t)))
	})
}

func (w *world) happens(c domain.ConversationID, actor domain.UserID, fact domain.Fact) *schema.Record {
	w.Helper()
	r := w.log.Append(w.T, c.Aggregate(), actor, fact)
	if err := w.p.Apply(w.Context(), projections.Step{Batch: *w.log.Batch(1, r.Seq, r.Seq)}); err != nil {
		w.Fatal(err)
	}
	return r
}

// list returns the members of a conversation as one line.
func (w *world) list(c domain.ConversationID) string {
	w.Helper()
	all, err := w.queries.List(w.Context(), c, "", 100)
	if err != nil {
		w.Fatal(err)
	}
	words := make([]string, len(all))
	for i, m := range all {
		words[i] = fmt.Sprintf("%s %s %s", m.User[len(m.User)-3:len(m.User)-2], m.Role, m.Windows)
	}
	return strings.Join(words, ", ")
}

// conversations returns the conversations of a user as one line.
func (w *world) conversations(user domain.UserID) string {
	w.Helper()
	all, err := w.queries.Conversations(w.Context(), user)
	if err != nil {
		w.Fatal(err)
	}
	words := make([]string, len(all))
	for i, m := range all {
		words[i] = fmt.Sprintf("%s %s %s", m.Conversation[:1], m.Role, m.Windows)
		if m.Left() {
			words[i] += " left"
		}
	}
	return strings.Join(words, ", ")
}

func equal(w *world, what, got, want string) {
	w.Helper()
	if got != want {
		w.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func roles(pairs ...any) []domain.MemberRole {
	var all []domain.MemberRole
	for pair := range slices.Chunk(pairs, 2) {
		user, _ := pair[0].(domain.UserID)
		role, _ := pair[1].(domain.Role)
		all = append(all, domain.MemberRole{User: user, Role: role})
	}
	return all
}

func TestMembersComeAndGo(t *testing.T) {
	t.Parallel()
	onBoth(t, func(w *world) {
		first := w.happens(group, alice, &domain.ConversationCreated{
			Kind: domain.GroupConversation, Members: roles(alice, domain.Owner),
		})
		w.happens(pair, alice, &domain.ConversationCreated{
			Kind: domain.DirectConversation, Members: roles(alice, domain.Member, bob, domain.Member),
		})
		w.happens(group, alice, &domain.MemberAdded{User: bob})
		w.happens(group, alice, &domain.MemberRoleChanged{User: bob, Role: domain.Admin})
		until := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
		w.happens(group, alice, &domain.MemberMuted{User: bob, Until: new(domain.NewInstant(until))})
		equal(w, "members", w.list(group), "a owner 1-, b admin 2-")
		equal(w, "pair", w.list(pair), "a member 1-, b member 1-")
		equal(w, "bob", w.conversations(bob), "d member 1-, g admin 2-")
		all, err := w.queries.List(w.Context(), group, "", 100)
		if err != nil || !all[0].JoinedAt.Equal(first.At) || !all[1].MutedUntil.Equal(until) || !all[0].MutedUntil.IsZero() {
			w.Errorf("got %+v, %v", all, err)
		}

		w.happens(group, alice, &domain.MemberRemoved{User: bob})
		equal(w, "members", w.list(group), "a owner 1-")
		equal(w, "bob", w.conversations(bob), "d member 1-, g admin 2-5 left")
		counts, err := w.queries.Counts(w.Context(), []domain.ConversationID{pair, group, "g0123456789abcdefghjx03"})
		if err != nil || !slices.Equal(counts, []int64{2, 1, 0}) {
			w.Errorf("got %v, %v", counts, err)
		}

		last := w.happens(group, bob, &domain.MemberJoined{User: bob})
		equal(w, "members", w.list(group), "a owner 1-, b member 2-5,6-")
		roster, err := w.queries.Roster(w.Context(), group)
		if err != nil || roster.Seq != last.Seq || len(roster.Members) != 2 {
			w.Errorf("got %+v, %v", roster, err)
		}
		w.happens(group, alice, &domain.ConversationDissolved{})
		equal(w, "members", w.list(group), "")
		equal(w, "alice", w.conversations(alice), "d member 1-, g owner 1-7 left")
		equal(w, "bob", w.conversations(bob), "d member 1-, g member 2-5,6-7 left")
		roster, err = w.queries.Roster(w.Context(), group)
		if err != nil || roster.Members[0].Windows.String() != "1-7" {
			w.Errorf("got %+v, %v", roster, err)
		}
	})
}

func TestListsArePaged(t *testing.T) {
	t.Parallel()
	onBoth(t, func(w *world) {
		const n = 1000
		created := &domain.ConversationCreated{Kind: domain.GroupConversation}
		for i := range n {
			user := domain.UserID(fmt.Sprintf("u%020d%02x", i*7919%n, i%16))
			created.Members = append(created.Members, domain.MemberRole{User: user, Role: domain.Member})
		}
		w.happens(group, alice, created)
		var seen []domain.UserID
		for after := domain.UserID(""); ; {
			page, err := w.queries.List(w.Context(), group, after, 300)
			if err != nil {
				w.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, m := range page {
				seen = append(seen, m.User)
			}
			after = seen[len(seen)-1]
		}
		if len(seen) != n || !slices.IsSorted(seen) {
			w.Errorf("%d members", len(seen))
		}
		roster, err := w.queries.Roster(w.Context(), group)
		if err != nil || len(roster.Members) != n {
			w.Errorf("%d members, %v", len(roster.Members), err)
		}
	})
}

func TestUserSeqCountsWhatConcernsTheUser(t *testing.T) {
	t.Parallel()
	onBoth(t, func(w *world) {
		w.happens(pair, alice, &domain.ContactRequested{User: bob})
		w.happens(pair, bob, &domain.ContactAccepted{User: alice})
		w.happens(pair, alice, &domain.UserBlocked{User: bob}) // bob is not told
		w.happens(pair, alice, &domain.MessageSent{})
		for user, want := range map[domain.UserID]int64{alice: 3, bob: 2, "u0123456789abcdefghjc01": 0} {
			if got, err := w.queries.UserSeq(w.Context(), user); err != nil || got != want {
				w.Errorf("%s: got %d, %v, want %d", user, got, err, want)
			}
		}
	})
}
