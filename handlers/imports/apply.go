package imports

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/domain/conversation"
	"mpim/domain/pair"
	"mpim/handlers/command"
)

// applier imports the lines about some things, one after the other.
type applier struct {
	Config
	counts  *Counts
	targets map[string]*target
}

// target is a conversation that lines are about.
type target struct {
	id    domain.ConversationID
	owner domain.UserID
	// sent are its messages that were imported, by client id.
	sent map[string]sent
}

type sent struct {
	seq    domain.Seq
	sender domain.UserID
	at     time.Time
}

func (a *applier) stamp(actor domain.UserID, at time.Time) domain.Stamp {
	return domain.NewStamp(actor, at)
}

func entropy() []byte {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails, as crypto/rand says
	return b
}

// user registers an account, unless its name is taken.
func (a *applier) user(ctx context.Context, l *userLine) (bool, error) {
	id := a.Placement.User(l.Username)
	execute := func(c account.Command) (command.Result[account.State], error) {
		return command.Execute(ctx, a.Log, command.Account, command.Request[account.Command]{
			Aggregate: id.Aggregate(), Command: c, Entropy: entropy(),
		})
	}
	_, err := execute(account.Register{
		Stamp: a.stamp(id, l.CreatedAt), Username: l.Username, DisplayName: l.DisplayName, PasswordHash: l.PasswordHash,
	})
	registered := err == nil
	if domain.CodeOf(err) == domain.Conflict {
		err = nil
	}
	if err != nil || l.AvatarURL == "" {
		return registered, err
	}
	// An import that was stopped in between has registered the account and done nothing else to it.
	fields, err := a.Log.Load(ctx, id.Aggregate(), []string{domain.VersionField})
	if err != nil || fields.Int(domain.VersionField) != 1 {
		return registered, err
	}
	_, err = execute(account.Update{Stamp: a.stamp(id, l.CreatedAt), AvatarURL: &l.AvatarURL})
	return err == nil, err
}

// group creates a group, unless there is one with its id.
func (a *applier) group(ctx context.Context, l *groupLine) (bool, error) {
	owner := a.Placement.User(l.Owner)
	create := conversation.CreateGroup{
		Stamp: a.stamp(owner, l.CreatedAt), Title: l.Title, AvatarURL: l.AvatarURL, Join: l.Join, Limits: a.Limits,
	}
	for _, name := range l.Members {
		create.Members = append(create.Members, a.Placement.User(name))
	}
	t := &target{id: a.Placement.Group(owner, Prefix+l.ID), owner: owner}
	a.targets[l.ID] = t
	_, err := a.inGroup(ctx, t, create)
	made := err == nil
	switch {
	case domain.CodeOf(err) == domain.Conflict:
		err = a.recall(ctx, t)
	case made:
		t.sent = make(map[string]sent)
	}
	if err != nil || l.History != conversation.All {
		return made, err
	}
	// An import that was stopped in between has created the group and done nothing else to it.
	state, err := a.state(ctx, t, owner)
	if err != nil || state.Head != 1 {
		return made, err
	}
	_, err = a.inGroup(ctx, t, conversation.Update{Stamp: create.Stamp, History: &l.History})
	return err == nil, err
}

func (a *applier) inGroup(ctx context.Context, t *target, c conversation.Command) (command.Result[conversation.State], error) {
	return command.Execute(ctx, a.Log, command.Group, command.Request[conversation.Command]{
		Aggregate: t.id.Aggregate(), Command: c, Entropy: entropy(),
	})
}

// recall reads which messages a conversation has that were imported before.
func (a *applier) recall(ctx context.Context, t *target) error {
	known, err := a.History.Sent(ctx, t.id, Prefix)
	if err != nil {
		return err
	}
	t.sent = make(map[string]sent, len(known))
	for _, m := range known {
		t.sent[m.ClientID] = sent{seq: m.Seq, sender: m.Sender, at: m.At}
	}
	return nil
}

// state returns a group as it is for one user.
func (a *applier) state(ctx context.Context, t *target, user domain.UserID) (conversation.State, error) {
	fields, err := a.Log.Load(ctx, t.id.Aggregate(), conversation.Fields(user))
	if err != nil {
		return conversation.State{}, fmt.Errorf("load %s: %w", t.id, err)
	}
	return conversation.Load(fields)
}

// member brings a user into a group, unless it is or was in it.
func (a *applier) member(ctx context.Context, l *memberLine) (bool, error) {
	t, user := a.targets[l.Group], a.Placement.User(l.User)
	stamp := a.stamp(t.owner, l.At)
	state, err := a.state(ctx, t, user)
	if err != nil {
		return false, err
	}
	member := state.Members[user]
	added := len(member.Windows) == 0
	if added {
		if _, err := a.inGroup(ctx, t, conversation.AddMembers{Stamp: stamp, Users: []domain.UserID{user}, Limits: a.Limits}); err != nil {
			return false, err
		}
	}
	// An import that was stopped in between has added the member, and nothing came after that.
	if l.Role != domain.Admin || !added && (state.Head != member.Windows.Joined() || member.Role != domain.Member) {
		return added, nil
	}
	_, err = a.inGroup(ctx, t, conversation.SetRole{Stamp: stamp, User: user, Role: l.Role})
	return err == nil, err
}

// left takes a user out of a group, unless it has left before.
func (a *applier) left(ctx context.Context, l *leftLine) (bool, error) {
	t, user := a.targets[l.Group], a.Placement.User(l.User)
	state, err := a.state(ctx, t, user)
	if windows := state.Members[user].Windows; err != nil || len(windows) != 1 || !windows.Open() {
		return false, err
	}
	_, err = a.inGroup(ctx, t, conversation.Leave{Stamp: a.stamp(user, l.At)})
	return err == nil, err
}

// message sends a message, unless it was sent before.
func (a *applier) message(ctx context.Context, l *messageLine) (bool, error) {
	t, err := a.conversation(ctx, l)
	if err != nil {
		return false, err
	}
	if _, known := t.sent[Prefix+l.ID]; known {
		return false, nil
	}
	sender := a.Placement.User(l.Sender)
	send := conversation.SendMessage{
		Stamp: a.stamp(sender, l.At), ClientID: Prefix + l.ID, Body: l.Body.Sized(), Limits: a.Limits,
	}
	if answered, ok := t.sent[Prefix+l.ReplyTo]; ok && l.ReplyTo != "" {
		send.ReplyTo, send.Answered = answered.seq, conversation.Facts{Sender: answered.sender, At: answered.at}
	}
	var seq domain.Seq
	if t.id.IsGroup() {
		result, failed := a.inGroup(ctx, t, send)
		seq, err = result.Seq, failed
	} else {
		result, failed := command.Execute(ctx, a.Log, command.Pair, command.Request[pair.Command]{
			Aggregate: t.id.Aggregate(), Command: pair.Send{To: a.Placement.User(l.To), Message: send}, Entropy: entropy(),
		})
		err = failed
		seq, _ = pair.Sent(result.Appended)
	}
	if err != nil {
		return false, err
	}
	t.sent[send.ClientID] = sent{seq: seq, sender: sender, at: send.At}
	return true, nil
}

// conversation returns the one that a message is of.
func (a *applier) conversation(ctx context.Context, l *messageLine) (*target, error) {
	if t := a.targets[l.about()]; t != nil {
		return t, nil
	}
	sender, to := a.Placement.User(l.Sender), a.Placement.User(l.To)
	t := &target{id: a.Placement.Pair(sender, to), sent: make(map[string]sent)}
	fields, err := a.Log.Load(ctx, t.id.Aggregate(), []string{domain.HeaderField})
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", t.id, err)
	}
	if fields[domain.HeaderField] != "" {
		if err := a.recall(ctx, t); err != nil {
			return nil, err
		}
	}
	a.targets[l.about()] = t
	return t, nil
}
