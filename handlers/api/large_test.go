package api_test

import (
	"fmt"
	"testing"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/handlers/api/apitest"
)

// In large groups what was delivered is kept, but is no event.
func TestDeliveredReceiptsOfALargeGroup(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	users := []domain.UserID{bob.User}
	for i := range conversation.LargeGroup {
		name := fmt.Sprintf("member%d", i)
		b.Must(t, stranger, "account.register", P{"username": name, "password": apitest.Password})
		users = append(users, b.Placement.User(name))
	}
	created := b.Must(t, alice, "group.create", P{"title": "Everybody", "members": users})
	id := fmt.Sprint(object(t, created["conversation"])["conversation"])
	send(t, b, alice, P{"conversation": id}, "hello")
	events := func() int {
		partition, _ := domain.ConversationID(id).Partition()
		return len(b.Log.Records(partition, 0))
	}
	before := events()
	b.Must(t, bob, "receipt.delivered", P{"conversation": id, "delivered_seq": 2})
	if events() != before {
		t.Error("the receipt is an event")
	}
	if got := syncOf(t, b, bob, P{}); len(got) != 0 {
		t.Errorf("sync after everything was acknowledged: %v", got)
	}
	b.Must(t, bob, "receipt.read", P{"conversation": id, "read_seq": 2})
	if events() != before+1 {
		t.Error("a read receipt is no event")
	}
	_, err := b.Call(t, bob, "receipt.delivered", P{"conversation": id, "delivered_seq": 3})
	wantCode(t, err, domain.InvalidArgument)
	got := b.Must(t, alice, "message.receipts", P{"conversation": id, "seq": 2})
	wantMembers(t, got, P{"read_count": 1.0, "delivered_count": 1.0, "unread_count": float64(conversation.LargeGroup)})
}
