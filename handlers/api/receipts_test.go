package api_test

import (
	"fmt"
	"testing"

	"mpim/domain"
	"mpim/handlers/api/apitest"
)

func TestMessageReceipts(t *testing.T) {
	b := apitest.New(t, nil)
	alice, bob, carol, late := b.User(t, "alice"), b.User(t, "bob"), b.User(t, "carol"), b.User(t, "late")
	group := newGroup(t, b, alice, bob, carol)
	message := send(t, b, alice, P{"conversation": group}, "hello")
	b.Must(t, alice, "group.add", P{"conversation": group, "users": []any{late.User}})
	get := func(t *testing.T) map[string]any {
		t.Helper()
		return b.Must(t, carol, "message.receipts", P{"conversation": group, "seq": message["seq"]})
	}
	wantMembers(t, get(t), P{"read_count": 0.0, "delivered_count": 0.0, "unread_count": 2.0})
	b.Must(t, bob, "receipt.delivered", P{"conversation": group, "delivered_seq": message["seq"]})
	b.Must(t, carol, "receipt.read", P{"conversation": group, "read_seq": message["seq"]})
	got := get(t)
	// Who has read it has got it; who came later, and the sender, are not asked.
	wantMembers(t, got, P{"read_count": 1.0, "delivered_count": 2.0, "unread_count": 1.0})
	read, delivered := list(t, got["read"]), list(t, got["delivered"])
	if len(read) != 1 || read[0]["user"] != string(carol.User) || fmt.Sprint(read[0]["at"]) < fmt.Sprint(message["at"]) || len(delivered) != 2 {
		t.Errorf("receipts %v", got)
	}
	for seq, want := range map[any]domain.Code{1: domain.NotFound, 99: domain.NotFound, 0: domain.InvalidArgument} {
		_, err := b.Call(t, bob, "message.receipts", P{"conversation": group, "seq": seq})
		wantCode(t, err, want)
	}
	_, err := b.Call(t, late, "message.receipts", P{"conversation": group, "seq": message["seq"]})
	wantCode(t, err, domain.PermissionDenied)
	_, err = b.Call(t, b.User(t, "stranger"), "message.receipts", P{"conversation": group, "seq": message["seq"]})
	wantCode(t, err, domain.NotFound)
}

func TestGatewaysLeastLoadedFirst(t *testing.T) {
	b := apitest.New(t, nil)
	alice := b.User(t, "alice")
	set := b.Must(t, alice, "presence.set", P{"status": "away"})
	found := list(t, b.Must(t, alice, "gateway.list", P{"after_position": set["position"]})["gateways"])
	if len(found) != 2 || found[0]["url"] != "http://two.test" || found[0]["load"] != 0.25 {
		t.Errorf("gateways %v", found)
	}
}
