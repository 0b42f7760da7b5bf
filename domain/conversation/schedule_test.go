package conversation_test

import (
	"strconv"
	"testing"
	"time"

	"mpim/domain"
	"mpim/domain/conversation"
)

var tea = placement.Group(ann, "tea")

func schedule(user domain.UserID, clientID string, in time.Duration) conversation.ScheduleMessage {
	c := conversation.ScheduleMessage{
		Scheduled: placement.Scheduled(tea, user, clientID), Message: send(user), DeliverAt: start.Add(in),
	}
	c.Message.ClientID = clientID
	return c
}

func TestSchedule(t *testing.T) {
	l := group(t, bob)
	for in, want := range map[time.Duration]domain.Code{
		0: domain.InvalidArgument, -time.Hour: domain.InvalidArgument, time.Microsecond: domain.InvalidArgument,
		conversation.MaxDelay + time.Millisecond: domain.InvalidArgument,
	} {
		refuse(t, l, schedule(bob, "1", in), want)
	}
	refuse(t, l, schedule(eve, "1", time.Hour), domain.NotFound)
	long := schedule(bob, "1", time.Hour)
	long.Message.Body = text("")
	refuse(t, l, long, domain.InvalidArgument)

	give(t, l, schedule(bob, "1", time.Hour))
	if events := give(t, l, schedule(bob, "1", time.Hour)); len(events) != 0 {
		t.Errorf("the same again: %v", events)
	}
	refuse(t, l, schedule(bob, "1", 2*time.Hour), domain.Conflict)
	id := placement.Scheduled(tea, bob, "1")
	refuse(t, l, conversation.Unschedule{Stamp: by(ann), Scheduled: id}, domain.NotFound)
	give(t, l, conversation.Leave{Stamp: by(bob)})
	// Who has gone takes back what waits all the same.
	give(t, l, conversation.Unschedule{Stamp: by(bob), Scheduled: id})
	refuse(t, l, conversation.Unschedule{Stamp: by(bob), Scheduled: id}, domain.NotFound)
	if s := l.State(); len(s.Waiting)+len(s.Queues[bob]) != 0 {
		t.Errorf("%v and %v wait", s.Waiting, s.Queues)
	}
	if events := give(t, l, conversation.FireScheduled{Stamp: by(bob), Scheduled: id}); len(events) != 0 {
		t.Errorf("what was taken back fires: %v", events)
	}
}

func TestFewMessagesWait(t *testing.T) {
	l := group(t)
	for i := range conversation.MaxWaiting {
		give(t, l, schedule(ann, strconv.Itoa(i), time.Hour))
	}
	refuse(t, l, schedule(ann, "more", time.Hour), domain.TooLarge)
	give(t, l, conversation.FireScheduled{Stamp: by(ann), Scheduled: placement.Scheduled(tea, ann, "5")})
	give(t, l, schedule(ann, "more", time.Hour))
}

func TestNamesOfTimers(t *testing.T) {
	for _, due := range []conversation.Due{
		{Conversation: tea, Expires: 17},
		{Conversation: tea, Sends: placement.Scheduled(tea, ann, "1")},
	} {
		if got, ok := conversation.ParseDue(due.String()); !ok || got != due {
			t.Errorf("%q is read as %+v, %v", due, got, ok)
		}
	}
	other := placement.Scheduled(placement.Pair(ann, bob), ann, "1")
	for _, name := range []string{
		"", "x", string(tea), string(tea) + " expire", string(tea) + " expire 0", string(tea) + " expire x", string(tea) + " sing 1",
		"x expire 1", string(tea) + " send x", string(tea) + " send " + string(other), string(tea) + " expire 1 1",
	} {
		if due, ok := conversation.ParseDue(name); ok {
			t.Errorf("%q is read as %+v", name, due)
		}
	}
}
