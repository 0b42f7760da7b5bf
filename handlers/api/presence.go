package api

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/domain/pair"
	"mpim/projections/presence"
	"mpim/schema"
)

type (
	presenceGetInput struct {
		Users []domain.UserID `json:"users" nullable:"false" doc:"Up to 1,000. Those that are neither contacts of the caller nor members of one of its conversations are left out."`
		ReadAfter
	}
	presenceGetResult struct {
		Presence []presenceObject `json:"presence" nullable:"false"`
	}
	presenceObject struct {
		User       domain.UserID   `json:"user"`
		Status     presence.Status `json:"status" enum:"online,away,busy,offline"`
		Text       string          `json:"text,omitempty"`
		LastSeenAt *string         `json:"last_seen_at" format:"date-time" doc:"Null for who never was online."`
	}
	presenceSetInput struct {
		Status presence.Status `json:"status" enum:"online,away,busy,invisible"`
		Text   string          `json:"text,omitempty"`
	}
	typingInput struct {
		Conversation domain.ConversationID `json:"conversation"`
		Typing       bool                  `json:"typing"`
	}
	typingResult struct{}
)

// MaxPresence is how many users one request asks about.
const MaxPresence = 1000

func (o *Operations) presenceGet(ctx context.Context, caller Caller, in presenceGetInput) (presenceGetResult, error) {
	if len(in.Users) > MaxPresence {
		return presenceGetResult{}, domain.Errorf(domain.TooLarge, "at most %d users are asked about at once", MaxPresence)
	}
	if err := o.await(ctx, in.ReadAfter, membersProjection, presenceProjection); err != nil {
		return presenceGetResult{}, err
	}
	visible, err := o.acquainted(ctx, caller.User, in.Users)
	if err != nil {
		return presenceGetResult{}, err
	}
	result := presenceGetResult{Presence: []presenceObject{}}
	if len(visible) == 0 {
		return result, nil
	}
	found, err := o.Presence.Get(ctx, visible)
	if err != nil {
		return presenceGetResult{}, err
	}
	for _, p := range found {
		object := presenceObject{User: p.User, Status: p.Status, Text: p.Text}
		if !p.LastSeenAt.IsZero() {
			seen := formatTime(p.LastSeenAt)
			object.LastSeenAt = &seen
		}
		result.Presence = append(result.Presence, object)
	}
	return result, nil
}

// acquainted returns those of the users that are contacts of user or members of a conversation together with it, once each,
// and user itself.
func (o *Operations) acquainted(ctx context.Context, user domain.UserID, users []domain.UserID) ([]domain.UserID, error) {
	users = slices.Clone(users)
	slices.Sort(users)
	users = slices.Compact(users)
	memberships, err := o.Members.Conversations(ctx, user)
	if err != nil {
		return nil, err
	}
	mine := make(map[domain.ConversationID]bool, len(memberships))
	for _, m := range memberships {
		mine[m.Conversation] = !m.Left()
	}
	known := make([]bool, len(users))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrent)
	for i, other := range users {
		group.Go(func() (err error) {
			known[i], err = o.together(ctx, user, other, mine)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var visible []domain.UserID
	for i, other := range users {
		if known[i] {
			visible = append(visible, other)
		}
	}
	return visible, nil
}

// together says whether two users are contacts, or members of one conversation. The projection says which to look at; decision state
// decides.
func (o *Operations) together(ctx context.Context, user, other domain.UserID, mine map[domain.ConversationID]bool) (bool, error) {
	if partition, ok := other.Partition(); !ok || partition >= o.Placement.Partitions {
		return false, nil
	}
	if user == other || mine[o.Placement.Pair(user, other)] {
		return true, nil
	}
	if contacts, err := o.contacts(ctx, user, other); contacts || err != nil {
		return contacts, err
	}
	theirs, err := o.Members.Conversations(ctx, other)
	if err != nil {
		return false, err
	}
	for _, m := range theirs {
		if m.Left() || !mine[m.Conversation] {
			continue
		}
		fields := append(conversation.Fields(user), conversation.Fields(other)...)
		stored, err := o.load(ctx, m.Conversation, fields)
		if err != nil {
			return false, err
		}
		state, err := conversation.Load(stored)
		if err != nil {
			return false, err
		}
		if state.Windows(user).Open() && state.Windows(other).Open() {
			return true, nil
		}
	}
	return false, nil
}

func (o *Operations) presenceSet(ctx context.Context, caller Caller, in presenceSetInput) (Changed, error) {
	if !slices.Contains([]presence.Status{presence.Online, presence.Away, presence.Busy, presence.Invisible}, in.Status) {
		return Changed{}, domain.Errorf(domain.InvalidArgument, "status is online, away, busy or invisible")
	}
	if err := domain.CheckName("text", in.Text, 0); err != nil {
		return Changed{}, err
	}
	if err := o.Choices.Set(ctx, caller.User, in.Status, in.Text); err != nil {
		return Changed{}, err
	}
	// What was chosen is no event; it is seen by every read from here on, so any position will do.
	position, err := o.headOf(ctx, caller.User.Aggregate())
	return at(position), err
}

func (o *Operations) typing(ctx context.Context, caller Caller, in typingInput) (typingResult, error) {
	v, err := o.see(ctx, caller.User, in.Conversation)
	if err != nil {
		return typingResult{}, err
	}
	if err := v.present(); err != nil {
		return typingResult{}, err
	}
	if peer := v.state.Peer(caller.User); peer != "" {
		sides, _, err := o.pair(ctx, in.Conversation, pair.SideFields())
		if err != nil {
			return typingResult{}, err
		}
		if err := sides.HeardBy(peer); err != nil {
			return typingResult{}, err
		}
	}
	partition, _ := in.Conversation.Partition()
	return typingResult{}, o.Typing.Typing(ctx, partition, schema.Typing{
		Conversation: in.Conversation, User: caller.User, Typing: in.Typing,
	})
}
