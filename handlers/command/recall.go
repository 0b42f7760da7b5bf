package command

import (
	"slices"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// Sent is what identifies a message that is sent: what it says, not where it goes, which is its scope.
type Sent struct {
	ClientID string
	Body     domain.Body
	// ReplyTo is 0 for a message that answers none.
	ReplyTo  domain.Seq
	Mentions []string
	// ExpiresInS is 0 for a message that stays.
	ExpiresInS int64
}

// Request returns the identity of a message to a conversation.
func (s Sent) Request(placement domain.Placement, id domain.ConversationID, sender domain.UserID) (*domain.Request, error) {
	// The form of what is hashed, which retries across versions depend on.
	content := struct {
		To         struct{}    `json:"to"`
		ClientID   string      `json:"client_id"`
		Body       domain.Body `json:"body"`
		ReplyTo    domain.Seq  `json:"reply_to,omitzero"`
		Mentions   []string    `json:"mentions,omitempty"`
		ExpiresInS int64       `json:"expires_in_s,omitzero"`
	}{struct{}{}, s.ClientID, s.Body, s.ReplyTo, named(s.Mentions), s.ExpiresInS}
	return Identify(placement, string(id), sender, s.ClientID, content)
}

// named returns mentions as the event has them: each once, and all alone.
func named(mentions []string) (once []string) {
	if slices.Contains(mentions, domain.MentionAll) {
		return []string{domain.MentionAll}
	}
	for _, user := range mentions {
		if !slices.Contains(once, user) {
			once = append(once, user)
		}
	}
	return once
}

// Scheduled is what identifies a message that is scheduled.
type Scheduled struct {
	ClientID  string
	Body      domain.Body
	DeliverAt time.Time
}

// Request returns the identity of a message that is scheduled for a conversation.
func (s Scheduled) Request(placement domain.Placement, id domain.ConversationID, sender domain.UserID) (*domain.Request, error) {
	content := struct {
		ClientID, DeliverAt string
		Body                domain.Body
	}{s.ClientID, s.DeliverAt.UTC().Format(schema.TimeFormat), s.Body}
	return Identify(placement, "message.schedule "+string(id), sender, s.ClientID, content)
}

// Recall returns the request that a commit came from, as it was identified then, from its events, whose texts are open. It is
// false where there was none, or where what it said was erased since.
//
// The events of a message tell it all. Of what they do not tell, the first event's metadata keeps what is missing.
func Recall(placement domain.Placement, commit []*schema.Record) (domain.Request, bool) {
	first := commit[0]
	if r, ok := first.KeptRequest(); ok {
		return r, true
	}
	for _, record := range commit {
		if r := recallFrom(placement, record); r != nil && schema.RequestEventID(r.Key, first.At) == first.ID {
			return *r, true
		}
	}
	return domain.Request{}, false
}

// recallFrom returns the request that an event would come from; nil for one that does not tell.
func recallFrom(placement domain.Placement, record *schema.Record) *domain.Request {
	if record.Erased || record.Type != domain.TypeMessageSent && record.Type != domain.TypeScheduleCreated {
		return nil
	}
	fact, err := record.Fact()
	if err != nil {
		return nil
	}
	var r *domain.Request
	switch fact := fact.(type) {
	case *domain.MessageSent:
		sent := Sent{ClientID: fact.ClientID, Body: fact.Body, ReplyTo: fact.ReplyTo, Mentions: fact.Mentions}
		if fact.ExpiresAt != nil {
			sent.ExpiresInS = int64(fact.ExpiresAt.Sub(record.At) / time.Second)
		}
		r, err = sent.Request(placement, record.Conversation(), record.Actor)
	case *domain.ScheduleCreated:
		scheduled := Scheduled{ClientID: fact.ClientID, Body: fact.Body, DeliverAt: fact.DeliverAt.Time}
		r, err = scheduled.Request(placement, record.Conversation(), record.Actor)
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	return r
}
