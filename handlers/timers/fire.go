package timers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/domain/conversation"
	"mpim/domain/pair"
	"mpim/handlers/command"
)

// errNothing says that an entry of the due list names what is not there.
var errNothing = errors.New("there is nothing that it is for")

// fire does what a timer is for. It returns nil as well where that was done or taken back meanwhile.
func (w *Worker) fire(ctx context.Context, timer domain.Timer) error {
	due, ok := conversation.ParseDue(timer.Name)
	if !ok {
		return errNothing
	}
	var changed bool
	var err error
	if due.Sends != "" {
		changed, err = w.send(ctx, timer.Name, due)
	} else {
		expire := conversation.ExpireMessage{Stamp: domain.NewStamp("", w.config.Now()), Message: due.Expires}
		changed, err = w.execute(ctx, timer.Name, due.Conversation, expire)
	}
	switch {
	case err != nil:
		return gone(err)
	case !changed:
		return w.nothing(ctx, timer)
	}
	w.metrics.fire(due, w.config.Now().Sub(timer.At))
	return nil
}

// gone returns nil for the error that says that the entry is not there any more, and all others as they are.
func gone(err error) error {
	if domain.CodeOf(err) == domain.FailedPrecondition {
		return nil
	}
	return err
}

// nothing tells an entry that was taken off between the look at the list and the look at the state from one that is for
// nothing.
func (w *Worker) nothing(ctx context.Context, timer domain.Timer) error {
	due, _ := conversation.ParseDue(timer.Name)
	partition, _ := due.Conversation.Partition()
	// All that is due at the same time stands together, so a few are enough.
	entries, err := w.config.Log.Due(ctx, partition, timer.At, look)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name == timer.Name {
			return errNothing
		}
	}
	return nil
}

// send sends a scheduled message in the name of its sender.
func (w *Worker) send(ctx context.Context, timer string, due conversation.Due) (changed bool, err error) {
	fields := []string{conversation.WaitingField(due.Sends), domain.HeaderField}
	stored, err := w.config.Log.Load(ctx, due.Conversation.Aggregate(), fields)
	if err != nil {
		return false, err
	}
	state, err := conversation.Load(stored)
	if err != nil {
		return false, fmt.Errorf("read the state of %s: %w", due.Conversation, err)
	}
	waiting, found := state.Waiting[due.Sends]
	if !found {
		return false, nil
	}
	fire := conversation.FireScheduled{
		Stamp: domain.NewStamp(waiting.Sender, w.config.Now()), Scheduled: due.Sends,
	}
	sender, err := w.profile(ctx, waiting.Sender)
	if err != nil {
		return false, err
	}
	fire.Barred = sender.Suspended || !sender.Exists()
	peer := state.Peer(waiting.Sender)
	if !state.Exists() {
		peer = waiting.To
	}
	if peer != "" {
		other, err := w.profile(ctx, peer)
		if err != nil {
			return false, err
		}
		fire.ContactsOnly = other.ContactsOnly
	}
	return w.execute(ctx, timer, due.Conversation, fire)
}

// profile returns an account's profile, an empty one where there is no such account.
func (w *Worker) profile(ctx context.Context, user domain.UserID) (account.Profile, error) {
	stored, err := w.config.Log.Load(ctx, user.Aggregate(), account.ProfileFields())
	if err != nil {
		return account.Profile{}, err
	}
	state, err := account.Load(stored)
	if err != nil {
		return account.Profile{}, fmt.Errorf("read the state of %s: %w", user, err)
	}
	return state.Profile, nil
}

// execute gives a conversation a command that fires a timer.
func (w *Worker) execute(
	ctx context.Context, timer string, id domain.ConversationID, c conversation.MessageCommand,
) (changed bool, err error) {
	entropy := make([]byte, 16)
	_, _ = rand.Read(entropy) // never fails, as crypto/rand says
	if id.IsGroup() {
		result, err := command.Execute(ctx, w.config.Log, command.Group, command.Request[conversation.Command]{
			Aggregate: id.Aggregate(), Command: c, Entropy: entropy, Fires: timer,
		})
		return result.Changed, err
	}
	result, err := command.Execute(ctx, w.config.Log, command.Pair, command.Request[pair.Command]{
		Aggregate: id.Aggregate(), Command: pair.Shared{Command: c}, Entropy: entropy, Fires: timer,
	})
	return result.Changed, err
}
