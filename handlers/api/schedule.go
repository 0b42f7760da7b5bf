package api

import (
	"context"
	"fmt"
	"time"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/domain/pair"
	"mpim/handlers/command"
	"mpim/projections/members"
)

type (
	scheduleInput struct {
		To        target    `json:"to" doc:"One of the two. A user finds or creates the direct conversation."`
		ClientID  string    `json:"client_id" doc:"1 to 64 characters. Sent again with the same content, the request has no further effect."`
		Body      body      `json:"body"`
		DeliverAt time.Time `json:"deliver_at" doc:"At most 366 days ahead."`
	}
	scheduleResult struct {
		Scheduled scheduledObject `json:"scheduled"`
		Changed
	}
	scheduledObject struct {
		Scheduled domain.ScheduledID `json:"scheduled"`
		To        target             `json:"to"`
		Body      body               `json:"body"`
		DeliverAt string             `json:"deliver_at" format:"date-time"`
	}
	unscheduleInput struct {
		Scheduled domain.ScheduledID `json:"scheduled"`
	}
	scheduledInput struct {
		Page
	}
	scheduledResult struct {
		Scheduled []scheduledObject `json:"scheduled" nullable:"false"`
		Next      string            `json:"next,omitempty"`
	}
)

func bodyOf(b domain.Body) body {
	return body{Type: b.Type, Text: b.Text, URL: b.URL, Name: b.Name, Size: b.Size, MIME: b.MIME, Data: b.Data}
}

func (o *Operations) schedule(ctx context.Context, caller Caller, in scheduleInput) (scheduleResult, error) {
	id, err := o.addressed(caller, in.To, in.ClientID)
	if err != nil {
		return scheduleResult{}, err
	}
	in.DeliverAt = domain.NewInstant(in.DeliverAt).Time
	c := conversation.ScheduleMessage{
		Scheduled: o.Placement.Scheduled(id, caller.User, in.ClientID), To: in.To.User, DeliverAt: in.DeliverAt,
		Message: conversation.SendMessage{
			Stamp: o.stamp(caller), ClientID: in.ClientID, Body: in.Body.domain(), Limits: o.Limits,
		},
	}
	identity := command.Scheduled{ClientID: in.ClientID, Body: in.Body.domain(), DeliverAt: in.DeliverAt}
	request, err := identity.Request(o.Placement, id, caller.User)
	if err != nil {
		return scheduleResult{}, err
	}
	position, err := o.wait(ctx, id, c, request)
	if err != nil {
		return scheduleResult{}, err
	}
	return scheduleResult{Scheduled: scheduledObject{
		Scheduled: c.Scheduled, To: in.To, Body: in.Body, DeliverAt: formatTime(in.DeliverAt),
	}, Changed: at(position)}, nil
}

// wait has a message wait in the conversation that it is for.
func (o *Operations) wait(
	ctx context.Context, id domain.ConversationID, c conversation.ScheduleMessage, request *domain.Request,
) (domain.Position, error) {
	if id.IsGroup() {
		result, err := command.Execute(ctx, o.Log, command.Group, command.Request[conversation.Command]{
			Aggregate: id.Aggregate(), Command: c, Entropy: entropy(), ID: request,
		})
		return result.Position, err
	}
	peer := c.To
	if peer == "" {
		state, _, err := o.pair(ctx, id, []string{domain.HeaderField})
		if err != nil {
			return domain.Position{}, err
		}
		// Who is no side of it hears from the rules that there is no such conversation.
		if state.Role(c.Message.Actor) != "" {
			peer = state.Peer(c.Message.Actor)
		}
	}
	if peer != "" {
		other, err := o.profile(ctx, peer)
		if err != nil {
			return domain.Position{}, err
		}
		c.ContactsOnly = other.ContactsOnly
	}
	result, err := command.Execute(ctx, o.Log, command.Pair, command.Request[pair.Command]{
		Aggregate: id.Aggregate(), Command: pair.Shared{Command: c}, Entropy: entropy(), ID: request,
	})
	return result.Position, err
}

func (o *Operations) unschedule(ctx context.Context, caller Caller, in unscheduleInput) (Changed, error) {
	id, ok := in.Scheduled.Conversation()
	if !ok || o.placed(id.Partition()) != nil {
		return Changed{}, domain.Errorf(domain.NotFound, "no message of yours waits under this id")
	}
	return o.shared(ctx, id, conversation.Unschedule{Stamp: o.stamp(caller), Scheduled: in.Scheduled})
}

// scheduled lists what waits. What the list names may be sent by now: what each says stands in decision state, which is
// never behind.
func (o *Operations) scheduled(ctx context.Context, caller Caller, in scheduledInput) (scheduledResult, error) {
	limit, err := in.limit()
	if err != nil {
		return scheduledResult{}, err
	}
	var from place
	if in.After != "" {
		places, err := parseToken(in.After, 1)
		if err != nil {
			return scheduledResult{}, err
		}
		from = places[0]
	}
	if err := o.await(ctx, in.ReadAfter, membersProjection); err != nil {
		return scheduledResult{}, err
	}
	all, err := o.Members.Scheduled(ctx, caller.User)
	if err != nil {
		return scheduledResult{}, err
	}
	for len(all) > 0 && in.After != "" && !behind(all[0], from) {
		all = all[1:]
	}
	result := scheduledResult{Scheduled: []scheduledObject{}}
	page := all[:min(limit, len(all))]
	objects, err := o.waiting(ctx, caller.User, page)
	if err != nil {
		return scheduledResult{}, err
	}
	room := historyBytes
	for i, object := range objects {
		if object == nil {
			continue
		}
		// A character takes at most six bytes where it is escaped.
		text := object.Body
		if room -= 512 + 6*(len(text.Text)+len(text.URL)+len(text.Name)+len(text.MIME)) + len(text.Data); room < 0 && len(result.Scheduled) > 0 {
			page = page[:i]
			break
		}
		result.Scheduled = append(result.Scheduled, *object)
	}
	if len(page) < len(all) && len(page) > 0 {
		last := page[len(page)-1]
		result.Next = token(place{at: last.DeliverAt, id: domain.ConversationID(last.ID)})
	}
	return result, nil
}

// behind says whether a message comes after a place in the list.
func behind(s members.Scheduled, p place) bool {
	return s.DeliverAt.After(p.at) || s.DeliverAt.Equal(p.at) && string(s.ID) > string(p.id)
}

// waiting returns the objects of messages that wait, nil for those that do not any more.
func (o *Operations) waiting(ctx context.Context, user domain.UserID, page []members.Scheduled) ([]*scheduledObject, error) {
	wanted := make([]domain.Wanted, len(page))
	for i, s := range page {
		id, _ := s.ID.Conversation()
		wanted[i] = domain.Wanted{Aggregate: id.Aggregate(), Fields: []string{conversation.WaitingField(s.ID)}}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	stored, err := o.Log.LoadAll(ctx, wanted)
	if err != nil {
		return nil, fmt.Errorf("load %d scheduled messages: %w", len(wanted), err)
	}
	objects := make([]*scheduledObject, len(page))
	for i, s := range page {
		state, err := conversation.Load(stored[i])
		if err != nil {
			return nil, fmt.Errorf("read scheduled message %s: %w", s.ID, err)
		}
		message, found := state.Waiting[s.ID]
		if !found || message.Sender != user {
			continue
		}
		to := target{User: message.To}
		if message.To == "" {
			to.Conversation, _ = s.ID.Conversation()
		}
		objects[i] = &scheduledObject{
			Scheduled: s.ID, To: to, Body: bodyOf(message.Body), DeliverAt: formatTime(message.DeliverAt),
		}
	}
	return objects, nil
}
