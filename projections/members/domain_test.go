package members_test

import (
	"testing"

	"pgregory.net/rapid"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/projections"
	"mpim/projections/members"
	"mpim/projections/projectionstest"
	"mpim/streams/streamstest"
)

// TestMembersAreThoseOfTheDomain compares what the projection shows with the state that commands are decided on.
func TestMembersAreThoseOfTheDomain(t *testing.T) {
	t.Parallel()
	client := streamstest.Miniredis(t)
	users := []domain.UserID{alice, bob, "u0123456789abcdefghjc01"}
	rapid.Check(t, func(r *rapid.T) {
		if err := client.FlushAll(t.Context()).Err(); err != nil {
			r.Fatal(err)
		}
		log := projectionstest.NewLog(3)
		var state conversation.State
		happens := func(fact domain.Fact) {
			record := log.Append(t, group.Aggregate(), alice, fact)
			state = conversation.Evolve(state, domain.Event{
				At: record.At, Actor: record.Actor, Seq: record.ConversationSeq, Data: fact,
			})
		}
		happens(&domain.ConversationCreated{Kind: domain.GroupConversation, Members: roles(alice, domain.Owner)})
		for range rapid.IntRange(1, 30).Draw(r, "events") {
			user := rapid.SampledFrom(users).Draw(r, "user")
			switch open := state.Windows(user).Open(); {
			case !open:
				happens(&domain.MemberAdded{User: user})
			case rapid.Bool().Draw(r, "goes"):
				happens(&domain.MemberRemoved{User: user})
			default:
				role := rapid.SampledFrom([]domain.Role{domain.Admin, domain.Member}).Draw(r, "role")
				happens(&domain.MemberRoleChanged{User: user, Role: role})
			}
		}
		p := members.New(members.Config{Client: client, Partitions: 16})
		if _, err := p.Take(t.Context(), 3, 1); err != nil {
			r.Fatal(err)
		}
		if err := p.Apply(t.Context(), projections.Step{Batch: *log.Batch(1, 1, int64(len(log.Records)))}); err != nil {
			r.Fatal(err)
		}
		compareWithDomain(t, r, members.NewQueries(client), state)
	})
}

func compareWithDomain(t *testing.T, r *rapid.T, q *members.Queries, state conversation.State) {
	t.Helper()
	listed, err := q.List(t.Context(), group, "", 10)
	if err != nil || len(listed) != state.MemberCount {
		r.Fatalf("%d members listed, %v, want %d", len(listed), err, state.MemberCount)
	}
	roster, err := q.Roster(t.Context(), group)
	if err != nil || len(roster.Members) != len(state.Members) {
		r.Fatalf("%d on the roster, %v, want %d", len(roster.Members), err, len(state.Members))
	}
	for _, m := range roster.Members {
		want := state.Members[m.User]
		if m.Role != want.Role || m.Windows.String() != want.Windows.String() {
			r.Errorf("%s is %+v, want %+v", m.User, m, want)
		}
		mine, err := q.Conversations(t.Context(), m.User)
		if err != nil || len(mine) != 1 || mine[0].Role != want.Role || mine[0].Windows.String() != want.Windows.String() {
			r.Errorf("%s has %+v, %v, want %+v", m.User, mine, err, want)
		}
	}
}
