package api

import (
	"context"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/handlers/command"
	"mpim/projections/inbox"
)

type (
	groupCreateInput struct {
		Title     string          `json:"title"`
		Members   []domain.UserID `json:"members,omitempty" nullable:"false"`
		AvatarURL string          `json:"avatar_url,omitempty"`
		Join      string          `json:"join,omitempty" enum:"invite,open" doc:"Who may add members: admins, or every member."`
		ClientID  *string         `json:"client_id,omitempty" doc:"1 to 64 characters. Makes the request safe to send again."`
	}
	groupCreateResult struct {
		Conversation Conversation `json:"conversation"`
		Changed
	}
	groupAddInput struct {
		Conversation domain.ConversationID `json:"conversation"`
		Users        []domain.UserID       `json:"users" nullable:"false"`
	}
	groupRemoveInput struct {
		Conversation domain.ConversationID `json:"conversation"`
		User         domain.UserID         `json:"user"`
	}
	groupInput struct {
		Conversation domain.ConversationID `json:"conversation"`
	}
	groupMembersInput struct {
		Conversation domain.ConversationID `json:"conversation"`
		Page
	}
	groupMembersResult struct {
		Members []memberObject `json:"members" nullable:"false"`
		Next    string         `json:"next,omitempty"`
	}
	memberObject struct {
		User       domain.UserID `json:"user"`
		Role       domain.Role   `json:"role" enum:"owner,admin,member"`
		JoinedAt   string        `json:"joined_at" format:"date-time"`
		MutedUntil *string       `json:"muted_until" format:"date-time"`
	}
)

func (o *Operations) groupCreate(ctx context.Context, caller Caller, in groupCreateInput) (groupCreateResult, error) {
	if len(in.Members) > conversation.MaxFirstMembers {
		return groupCreateResult{}, domain.Errorf(domain.TooLarge, "a group begins with at most %d members", conversation.MaxFirstMembers)
	}
	create := conversation.CreateGroup{
		Stamp: o.stamp(caller), Title: in.Title, Members: in.Members,
		AvatarURL: in.AvatarURL, Join: in.Join, Limits: o.Limits,
	}
	request := command.Request[conversation.Command]{Entropy: entropy()}
	id := o.Placement.RandomGroup(request.Entropy)
	var err error
	if in.ClientID != nil {
		create.ClientID = *in.ClientID
		if request.ID, err = o.identify("group.create", caller.User, create.ClientID, in); err != nil {
			return groupCreateResult{}, err
		}
		id = o.Placement.Group(caller.User, create.ClientID)
	}
	request.Command = create
	if err := o.exist(ctx, in.Members); err != nil {
		return groupCreateResult{}, err
	}
	request.Aggregate = id.Aggregate()
	result, err := command.Execute(ctx, o.Log, command.Group, request)
	if err != nil {
		return groupCreateResult{}, err
	}
	if result.Duplicate {
		return o.groupAgain(ctx, caller, id, result.Position)
	}
	// The state still has pending sequences; the head is what the log gave.
	state := result.State
	state.Head = result.Seq
	v := view{id: id, user: caller.User, state: state, windows: domain.Windows{{From: result.Seq}}}
	return groupCreateResult{Conversation: conversationObject(v, inbox.Entry{}), Changed: at(result.Position)}, nil
}

// identify returns what makes a request with an optional client id safe to send again, and refuses what is no client id:
// who sends an empty one means to have one.
func (o *Operations) identify(method string, sender domain.UserID, clientID string, content any) (*domain.Request, error) {
	if err := conversation.CheckClientID(clientID, o.Limits); err != nil {
		return nil, err
	}
	return command.Identify(o.Placement, method, sender, clientID, content)
}

// groupAgain answers a request that created its group before.
func (o *Operations) groupAgain(ctx context.Context, caller Caller, id domain.ConversationID, p domain.Position) (groupCreateResult, error) {
	c, _, err := o.describe(ctx, caller, id)
	return groupCreateResult{Conversation: c, Changed: at(p)}, err
}

// group gives a group a command.
func (o *Operations) group(ctx context.Context, id domain.ConversationID, c conversation.Command) (Changed, error) {
	if partition, ok := id.Partition(); !id.IsGroup() || o.placed(partition, ok) != nil {
		return Changed{}, domain.Errorf(domain.NotFound, "there is no such group")
	}
	result, err := command.Execute(ctx, o.Log, command.Group, command.Request[conversation.Command]{
		Aggregate: id.Aggregate(), Command: c, Entropy: entropy(),
	})
	return at(result.Position), err
}

func (o *Operations) groupAdd(ctx context.Context, caller Caller, in groupAddInput) (Changed, error) {
	if len(in.Users) > domain.MaxCommitEvents {
		return Changed{}, domain.Errorf(domain.TooLarge, "at most %d members are added at once", domain.MaxCommitEvents)
	}
	// What the caller may not do is said before what does not exist.
	if err := o.adds(ctx, caller, in.Conversation); err != nil {
		return Changed{}, err
	}
	if err := o.exist(ctx, in.Users); err != nil {
		return Changed{}, err
	}
	return o.group(ctx, in.Conversation, conversation.AddMembers{Stamp: o.stamp(caller), Users: in.Users, Limits: o.Limits})
}

// adds refuses who is no member of the group.
func (o *Operations) adds(ctx context.Context, caller Caller, id domain.ConversationID) error {
	v, err := o.see(ctx, caller.User, id)
	if err != nil {
		return err
	}
	return v.present()
}

func (o *Operations) groupRemove(ctx context.Context, caller Caller, in groupRemoveInput) (Changed, error) {
	return o.group(ctx, in.Conversation, conversation.RemoveMember{Stamp: o.stamp(caller), User: in.User})
}

func (o *Operations) groupLeave(ctx context.Context, caller Caller, in groupInput) (Changed, error) {
	return o.group(ctx, in.Conversation, conversation.Leave{Stamp: o.stamp(caller)})
}

func (o *Operations) groupMembers(ctx context.Context, caller Caller, in groupMembersInput) (groupMembersResult, error) {
	limit, err := in.limit()
	if err != nil {
		return groupMembersResult{}, err
	}
	v, err := o.see(ctx, caller.User, in.Conversation)
	switch {
	case err != nil:
		return groupMembersResult{}, err
	case !in.Conversation.IsGroup():
		return groupMembersResult{}, domain.Errorf(domain.NotFound, "there is no such group")
	case !v.windows.Open():
		return groupMembersResult{}, v.present()
	}
	if err := o.await(ctx, in.ReadAfter, membersProjection); err != nil {
		return groupMembersResult{}, err
	}
	list, err := o.Members.List(ctx, in.Conversation, domain.UserID(in.After), limit+1)
	if err != nil {
		return groupMembersResult{}, err
	}
	var result groupMembersResult
	if len(list) > limit {
		list = list[:limit]
		result.Next = string(list[limit-1].User)
	}
	result.Members = make([]memberObject, len(list))
	for i, m := range list {
		result.Members[i] = memberObject{User: m.User, Role: m.Role, JoinedAt: formatTime(m.JoinedAt)}
		if !m.MutedUntil.IsZero() {
			until := formatTime(m.MutedUntil)
			result.Members[i].MutedUntil = &until
		}
	}
	return result, nil
}
