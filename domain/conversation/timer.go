package conversation

import (
	"strconv"
	"strings"

	"mpim/domain"
)

// What a timer does; the middle word of its name.
const (
	expires = "expire"
	sends   = "send"
)

// Due is what a timer of a conversation is for: either a message that expires, or one that is to be sent.
type Due struct {
	Conversation domain.ConversationID
	// Expires is a message whose time is up; 0 for none.
	Expires domain.Seq
	// Sends is a message that waits to be sent; "" for none.
	Sends domain.ScheduledID
}

// String returns the name of the timer, as in "g… expire 17" or "d… send t…". A pending sequence in it is marked as in a
// field's value.
func (d Due) String() string {
	if d.Sends != "" {
		return string(d.Conversation) + " " + sends + " " + string(d.Sends)
	}
	return string(d.Conversation) + " " + expires + " " + d.Expires.String()
}

// ParseDue reads the name of a timer. It is false for any other.
func ParseDue(name string) (Due, bool) {
	words := strings.Split(name, " ")
	if len(words) != 3 {
		return Due{}, false
	}
	due := Due{Conversation: domain.ConversationID(words[0])}
	if _, ok := due.Conversation.Partition(); !ok {
		return Due{}, false
	}
	switch words[1] {
	case expires:
		n, err := strconv.ParseInt(words[2], 10, 64)
		due.Expires = domain.Seq(n)
		return due, err == nil && n > 0
	case sends:
		due.Sends = domain.ScheduledID(words[2])
		id, ok := due.Sends.Conversation()
		return due, ok && id == due.Conversation
	default:
		return Due{}, false
	}
}

// Timers returns the timers that an event of a conversation puts on the due list, and the names of those that it takes
// off. Folded over all events from the first, this is the due list.
func Timers(of domain.Aggregate, e domain.Event) (set []domain.Timer, cancel []string) {
	id := of.Conversation()
	expiry := func(message domain.Seq) string { return Due{Conversation: id, Expires: message}.String() }
	sending := func(scheduled domain.ScheduledID) string { return Due{Conversation: id, Sends: scheduled}.String() }
	switch fact := e.Data.(type) {
	case *domain.MessageSent:
		if fact.ExpiresAt != nil {
			set = append(set, domain.Timer{Name: expiry(e.Seq), At: fact.ExpiresAt.Time})
		}
	case *domain.MessageRecalled:
		cancel = append(cancel, expiry(fact.Message))
	case *domain.MessageExpired:
		cancel = append(cancel, expiry(fact.Message))
	case *domain.ScheduleCreated:
		set = append(set, domain.Timer{Name: sending(fact.Scheduled), At: fact.DeliverAt.Time})
	case *domain.ScheduleCancelled:
		cancel = append(cancel, sending(fact.Scheduled))
	case *domain.ScheduleFired:
		cancel = append(cancel, sending(fact.Scheduled))
	case *domain.ScheduleFailed:
		cancel = append(cancel, sending(fact.Scheduled))
	default:
		// Nothing else has to do with time.
	}
	return set, cancel
}
