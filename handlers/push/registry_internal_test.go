package push

import (
	"testing"
	"testing/synctest"
	"time"

	"mpim/domain"
	"mpim/schema"
)

func connectedTo(gateway string, number byte) schema.Connected {
	user := domain.Placement{Partitions: 1}.User("alice")
	entropy := []byte{11: number}
	return schema.Connected{
		User: user, Gateway: gateway, Connection: domain.NewConnectionID(user, entropy), Session: domain.NewSessionID(user, entropy),
	}
}

func TestSlotsOfGatewaysAreUsedAgain(t *testing.T) {
	r := newRegistry(1, nil)
	first, second := connectedTo("g1", 1), connectedTo("g2", 2)
	r.add(first)
	for range 10_000 {
		r.add(second)
		r.remove(second.Gateway, second.Connection)
	}
	if r.slots != 2 {
		t.Errorf("%d slots for two gateways", r.slots)
	}
	other := newRegistry(1, nil)
	other.add(second)
	r.replace(other)
	third := connectedTo("g3", 3)
	if a, b := r.gateways["g2"].slot, r.add(third).gateway.slot; a == b || r.slots != 2 {
		t.Errorf("slots %d and %d of %d after the registry was replaced", a, b, r.slots)
	}
}

func TestWhoWasBarredLongAgoIsNotClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late []late
		r := newRegistry(1, func(f folded) { late = append(late, f.late...) })
		c := connectedTo("g", 1)
		r.bar(c.User, "", 4102)
		r.bar(c.User, c.Session, 4101)
		fold := func() { r.fold([]schema.PresenceRead{{Entry: c}}) }
		fold()
		if len(late) != 1 || late[0].code != 4101 {
			t.Fatalf("closed %v", late)
		}
		<-time.After(barredFor + time.Second)
		if fold(); len(late) != 1 {
			t.Errorf("closed with %d after %v", late[1].code, barredFor)
		}
	})
}
