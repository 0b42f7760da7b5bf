package domain_test

import (
	"testing"
	"time"

	"mpim/domain"
)

// FuzzIDs reads any text as an id of each kind. What is one names one partition in whatever way it is asked, and is what
// its aggregate reads back.
func FuzzIDs(f *testing.F) {
	ann := golden.User("ann")
	group := golden.Group(ann, "1")
	for _, seed := range []string{
		"", "u", "t", string(ann), string(group), string(golden.Pair(ann, golden.User("bob"))), string(golden.Scheduled(group, ann, "1")),
		string(domain.NewSessionID(ann, make([]byte, 12))), string(domain.NewConnectionID(ann, make([]byte, 12))),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		placed := make(map[string]int)
		place := func(kind string, partition int, ok bool) {
			if !ok {
				return
			}
			placed[kind] = partition
			if partition < 0 || partition >= domain.MaxPartitions || len(s) > domain.MaxIDBytes {
				t.Errorf("%q of %d bytes is the %s of partition %d", s, len(s), kind, partition)
			}
		}
		user, conversation, connection := domain.UserID(s), domain.ConversationID(s), domain.ConnectionID(s)
		partition, ok := user.Partition()
		place("user", partition, ok)
		sameAggregate(t, user.Aggregate(), partition, ok)
		partition, ok = conversation.Partition()
		place("conversation", partition, ok)
		sameAggregate(t, conversation.Aggregate(), partition, ok)
		partition, ok = domain.SessionID(s).Partition()
		place("session", partition, ok)
		partition, ok = connection.Partition()
		place("connection", partition, ok)
		if _, numbered := connection.Number(); numbered && !ok {
			t.Errorf("%q has a number and is no connection", s)
		}
		to, ok := domain.ScheduledID(s).Conversation()
		partition, placedThere := to.Partition()
		place("scheduled message", partition, ok)
		if ok && !placedThere {
			t.Errorf("%q is for %q, which lives nowhere", s, to)
		}
		if len(placed) > 1 {
			t.Errorf("%q is of several kinds: %v", s, placed)
		}
	})
}

// sameAggregate compares an aggregate with what reads its text, and with the partition of the id that it was made of.
func sameAggregate(t *testing.T, a domain.Aggregate, partition int, ok bool) {
	t.Helper()
	again, read := domain.ParseAggregate(a.String())
	if read != ok {
		t.Errorf("%q is an aggregate: %v, its id is one: %v", a, read, ok)
	}
	if there, _ := again.Partition(); ok && (again != a || there != partition) {
		t.Errorf("%q in partition %d is read as %q in %d", a, partition, again, there)
	}
}

// FuzzAggregates reads any text as an aggregate: what is one is written as it was read.
func FuzzAggregates(f *testing.F) {
	for _, seed := range []string{"", ":", "account:", golden.User("ann").Aggregate().String(), golden.Group("u", "1").Aggregate().String(), "pair:g00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, ok := domain.ParseAggregate(s); ok && a.String() != s {
			t.Errorf("%q is written as %q", s, a)
		}
	})
}

// FuzzEventIDs reads any text as the id of an event: what is one has a time within its 48 bits, and what stands no place
// behind it is itself.
func FuzzEventIDs(f *testing.F) {
	for _, seed := range []string{"", string(domain.NewEventID(time.UnixMilli(1_700_000_000_123), make([]byte, domain.EventEntropy))), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"} {
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, s string, index int) {
		id := domain.EventID(s)
		at, ok := id.Time()
		behind := id.Behind(index & 0xffff)
		if !ok {
			if behind != "" {
				t.Errorf("%q is no event id, and %q stands behind it", s, behind)
			}
			return
		}
		if ms := at.UnixMilli(); ms < 0 || ms >= 1<<48 {
			t.Errorf("%q is of %d ms", s, ms)
		}
		if same := id.Behind(0); same != id {
			t.Errorf("%q stands no place behind %q", same, id)
		}
		if back := behind.Behind(index & 0xffff); back != id {
			t.Errorf("%d places behind %q is %q, and back from there %q", index, id, behind, back)
		}
	})
}

// FuzzPositions reads any text as a place in the log: what is one reads the same again, what is none blames the caller.
func FuzzPositions(f *testing.F) {
	for _, seed := range []string{"", "3:17", "0:0", "255:9223372036854775807", "256:1", "-1:1", "1:-1", "1:+1", "1:1:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := domain.ParsePosition(s)
		if err != nil {
			if domain.CodeOf(err) != domain.InvalidArgument {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if again, err := domain.ParsePosition(p.String()); err != nil || again != p || p.Seq < 0 || p.Partition >= domain.MaxPartitions {
			t.Errorf("%q is %+v, then %+v, %v", s, p, again, err)
		}
	})
}
