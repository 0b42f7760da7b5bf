package conversation

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"mpim/domain"
)

// ScheduleMessage is a message to be sent later. What could not be sent now is refused, and it is decided again when its
// time has come.
type ScheduleMessage struct {
	Scheduled domain.ScheduledID
	// To is the other user, where that and not the conversation was named: the pair may not exist yet.
	To        domain.UserID
	Message   SendMessage
	DeliverAt time.Time
	// ContactsOnly is as in mpim/domain/pair.Send.
	ContactsOnly bool
}

// By returns who schedules, and when.
func (c ScheduleMessage) By() domain.Stamp { return c.Message.By() }

// Unschedule takes back what the actor has scheduled.
type Unschedule struct {
	domain.Stamp
	Scheduled domain.ScheduledID
}

// FireScheduled sends what was scheduled. The actor is its sender; the timer gives the command in its name.
type FireScheduled struct {
	domain.Stamp
	Scheduled domain.ScheduledID
	// Barred says that the sender's account is suspended or erased.
	Barred bool
	// ContactsOnly is as in mpim/domain/pair.Send.
	ContactsOnly bool
}

func (ScheduleMessage) command() {}
func (Unschedule) command()      {}
func (FireScheduled) command()   {}

func (ScheduleMessage) message() {}
func (Unschedule) message()      {}
func (FireScheduled) message()   {}

// Waiting is a message that waits to be sent.
type Waiting struct {
	Sender    domain.UserID
	To        domain.UserID
	ClientID  string
	Body      domain.Body
	DeliverAt time.Time
}

const waitingPrefix = "q:"

// WaitingField names the field of a message that waits; State.Waiting is read from it.
func WaitingField(id domain.ScheduledID) string { return waitingPrefix + string(id) }

func queueField(user domain.UserID) string { return waitingPrefix + string(user) }

func decideSchedule(s State, c ScheduleMessage) ([]domain.Fact, error) {
	if _, err := decideSend(s, c.Message); err != nil {
		return nil, err
	}
	return Scheduled(s, c)
}

// Scheduled decides on a message that could be sent now: whether it can wait for its time.
func Scheduled(s State, c ScheduleMessage) ([]domain.Fact, error) {
	by := c.By()
	at := domain.NewInstant(c.DeliverAt)
	switch {
	case !at.After(by.At):
		return nil, domain.Errorf(domain.InvalidArgument, "deliver_at has passed: send the message now")
	case at.Sub(by.At) > MaxDelay:
		return nil, domain.Errorf(domain.InvalidArgument, "deliver_at lies more than %d days ahead", MaxDelay/(24*time.Hour))
	}
	waiting := Waiting{Sender: by.Actor, To: c.To, ClientID: c.Message.ClientID, Body: c.Message.Body, DeliverAt: at.Time}
	if was, found := s.Waiting[c.Scheduled]; found {
		if was.stored() == waiting.stored() {
			return nil, nil
		}
		return nil, domain.Errorf(domain.Conflict, "this client_id waits with another message: take a new one for each")
	}
	if len(s.Queues[by.Actor]) >= MaxWaiting {
		return nil, domain.Errorf(domain.TooLarge, "at most %d messages wait for one conversation", MaxWaiting)
	}
	return []domain.Fact{&domain.ScheduleCreated{
		Scheduled: c.Scheduled, User: c.To, ClientID: waiting.ClientID, Body: waiting.Body, DeliverAt: at,
	}}, nil
}

func decideUnschedule(s State, c Unschedule) ([]domain.Fact, error) {
	if waiting, found := s.Waiting[c.Scheduled]; !found || waiting.Sender != c.Actor {
		return nil, domain.Errorf(domain.NotFound, "no message of yours waits under this id")
	}
	return []domain.Fact{&domain.ScheduleCancelled{Scheduled: c.Scheduled}}, nil
}

func decideFire(s State, c FireScheduled) ([]domain.Fact, error) {
	waiting, found := s.Waiting[c.Scheduled]
	if !found {
		return nil, nil
	}
	sent, err := decideSend(s, waiting.Message(c))
	return Fired(c, sent, err), nil
}

// Message returns what is sent when the time of a waiting message has come. How large it may be was decided before.
func (w Waiting) Message(c FireScheduled) SendMessage {
	return SendMessage{Stamp: c.Stamp, ClientID: w.ClientID, Body: w.Body}
}

// Fired returns what becomes of a message whose time has come, given what sending it comes to. The message ends sent.
func Fired(c FireScheduled, sent []domain.Fact, refusal error) []domain.Fact {
	if c.Barred {
		refusal = domain.Errorf(domain.PermissionDenied, "the account is suspended")
	}
	if refusal != nil {
		return []domain.Fact{&domain.ScheduleFailed{Scheduled: c.Scheduled, Code: domain.CodeOf(refusal)}}
	}
	return append(sent, &domain.ScheduleFired{Scheduled: c.Scheduled, Message: domain.Pending(len(sent) - 1)})
}

func (s *State) schedule(user domain.UserID, fact *domain.ScheduleCreated) {
	s.setWaiting(fact.Scheduled, Waiting{
		Sender: user, To: fact.User, ClientID: fact.ClientID, Body: fact.Body, DeliverAt: fact.DeliverAt.UTC(),
	})
	if !slices.Contains(s.Queues[user], fact.Scheduled) {
		s.setQueue(user, append(slices.Clip(s.Queues[user]), fact.Scheduled))
	}
}

func (s *State) unschedule(user domain.UserID, id domain.ScheduledID) {
	delete(s.Waiting, id)
	s.setQueue(user, slices.DeleteFunc(slices.Clone(s.Queues[user]), func(one domain.ScheduledID) bool { return one == id }))
}

// waitingForm is the stored form, which can never change but by new members.
type waitingForm struct {
	Sender    domain.UserID `json:"sender"`
	To        domain.UserID `json:"to,omitempty"`
	ClientID  string        `json:"client_id"`
	Body      domain.Body   `json:"body"`
	DeliverAt int64         `json:"deliver_at"`
}

func (w Waiting) stored() string {
	b, err := json.Marshal(waitingForm{w.Sender, w.To, w.ClientID, w.Body, w.DeliverAt.UnixMilli()})
	if err != nil {
		panic(err) // what was accepted encodes
	}
	return string(b)
}

// loadWaiting reads a message that waits, or the ids of all those of a user, in the order in which they were scheduled.
func (s *State) loadWaiting(id, value string) error {
	if _, ok := domain.UserID(id).Partition(); ok {
		var queue []domain.ScheduledID
		for one := range strings.FieldsSeq(value) {
			queue = append(queue, domain.ScheduledID(one))
		}
		s.setQueue(domain.UserID(id), queue)
		return nil
	}
	var form waitingForm
	if err := json.Unmarshal([]byte(value), &form); err != nil {
		return fmt.Errorf("a waiting message: %w", err)
	}
	s.setWaiting(domain.ScheduledID(id), Waiting{
		form.Sender, form.To, form.ClientID, form.Body, time.UnixMilli(form.DeliverAt).UTC(),
	})
	return nil
}

func (s State) storeWaiting(id string) (value string, present bool) {
	if queue := s.Queues[domain.UserID(id)]; len(queue) > 0 {
		words := make([]string, len(queue))
		for i, one := range queue {
			words[i] = string(one)
		}
		return strings.Join(words, " "), true
	}
	waiting, found := s.Waiting[domain.ScheduledID(id)]
	if !found {
		return "", false
	}
	return waiting.stored(), true
}

func (s *State) setWaiting(id domain.ScheduledID, w Waiting) {
	if s.Waiting == nil {
		s.Waiting = make(map[domain.ScheduledID]Waiting)
	}
	s.Waiting[id] = w
}

func (s *State) setQueue(user domain.UserID, queue []domain.ScheduledID) {
	if s.Queues == nil {
		s.Queues = make(map[domain.UserID][]domain.ScheduledID)
	}
	s.Queues[user] = queue
}
