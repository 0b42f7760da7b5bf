package push_test

import (
	"fmt"
	"testing"

	"mpim/domain"
	"mpim/handlers/push"
)

// What changes of a user's own is told to all of its connections, and to nobody else.
func TestAccountFrames(t *testing.T) {
	alice, bob := inPartition(1, 1), inPartition(2, 2)
	name, display := "x", "Alice"
	for _, test := range []struct {
		name  string
		fact  domain.Fact
		alice string
		bob   bool
	}{
		{
			"settings", &domain.SettingsChanged{Conversation: conversationIn(1, 0), Pinned: new(true)},
			fmt.Sprintf(`{"conversation":%q,"pinned":true}`, conversationIn(1, 0)), false,
		},
		{"profile", &domain.AccountUpdated{DisplayName: &display}, `{"display_name":"Alice"}`, false},
		{"block", &domain.UserBlocked{User: bob}, fmt.Sprintf(`{"user":%q}`, bob), false},
		{"request", &domain.ContactRequested{User: bob, Message: name}, fmt.Sprintf(`{"user":%q,"message":"x"}`, bob), true},
		{"password", &domain.AccountPasswordChanged{PasswordHash: "secret"}, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, s := newMemory(), newStory(1)
			m.connect(alice, "g1", 7)
			m.connect(alice, "g2", 9)
			m.connect(bob, "g1", 8)
			aggregate := alice.Aggregate()
			switch test.fact.(type) {
			case *domain.UserBlocked, *domain.ContactRequested:
				aggregate = domain.Aggregate{Kind: domain.Pair, ID: string(placement.Pair(alice, bob))}
			default:
			}
			r := s.append(t, aggregate, alice, test.fact)
			o := run(t, push.Config{Bus: m})
			take(t, o, 1, 5)
			if err := handle(o, s.batch(5, 1, 1)); err != nil {
				t.Fatal(err)
			}
			sent := m.sent(t)
			one, two := received(sent["g1"]), received(sent["g2"])
			if test.alice == "" {
				if len(one)+len(two) > 0 {
					t.Fatalf("sent %v and %v", one, two)
				}
				return
			}
			if len(one[7]) != 1 || len(two[9]) != 1 || (len(one[8]) == 1) != test.bob {
				t.Fatalf("sent %v and %v", one, two)
			}
			want := fmt.Sprintf(`{"jsonrpc":"2.0","method":"account","params":{"type":%q,"actor":%q,"data":%s}}`, r.Type, alice, test.alice)
			if got := string(one[7][0].Frame); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}
