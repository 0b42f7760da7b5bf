package api

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/domain/conversation"
	"mpim/domain/pair"
	"mpim/handlers/command"
)

// sendDirect appends a message to a pair. To is the other user where that, and not the conversation, was named.
//
// Whether the other hears strangers stands in its account, so that is read beside the pair: at the same time, where the
// other is known beforehand, so that a message costs no round trip more.
func (o *Operations) sendDirect(
	ctx context.Context, id domain.ConversationID, to domain.UserID, message conversation.SendMessage, request *domain.Request,
) (domain.Appended, error) {
	peer := to
	if peer == "" {
		peer = o.peers.of(id, message.Actor)
	}
	var state pair.State
	var fields domain.Fields
	var other account.Profile
	send := pair.Send{To: to, Message: message}
	group, both := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		state, fields, err = o.pair(both, id, append(pair.Needs(send), domain.VersionField))
		return err
	})
	if peer != "" {
		group.Go(func() (err error) {
			other, err = o.profile(both, peer)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return domain.Appended{}, err
	}
	if peer == "" && state.Exists() && state.Role(message.Actor) != "" {
		peer = state.Peer(message.Actor)
		o.peers.keep(id, state.Users)
		var err error
		if other, err = o.profile(ctx, peer); err != nil {
			return domain.Appended{}, err
		}
	}
	send.ContactsOnly = other.ContactsOnly
	result, err := command.Execute(ctx, o.Log, command.Pair, command.Request[pair.Command]{
		Aggregate: id.Aggregate(), Command: send, Entropy: entropy(), ID: request, Loaded: fields,
	})
	return result.Appended, err
}

// pair reads fields of a pair's decision state.
func (o *Operations) pair(ctx context.Context, id domain.ConversationID, names []string) (pair.State, domain.Fields, error) {
	fields, err := o.load(ctx, id, names)
	if err != nil {
		return pair.State{}, nil, err
	}
	state, err := pair.Load(fields)
	if err != nil {
		return pair.State{}, nil, fmt.Errorf("read the state of %s: %w", id, err)
	}
	return state, fields, nil
}

// peers remembers who the two of a pair are, which never changes: its id is made of them.
type peers struct {
	mu    sync.Mutex
	known map[domain.ConversationID][2]domain.UserID
}

// mostPeers bounds what is remembered, to about 10 MB.
const mostPeers = 1 << 16

// of returns the other user of a pair that user is in; "" where that is not known.
func (p *peers) of(id domain.ConversationID, user domain.UserID) domain.UserID {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch sides := p.known[id]; user {
	case sides[0]:
		return sides[1]
	case sides[1]:
		return sides[0]
	default:
		return ""
	}
}

func (p *peers) keep(id domain.ConversationID, users []domain.UserID) {
	if len(users) != 2 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) >= mostPeers || p.known == nil {
		p.known = make(map[domain.ConversationID][2]domain.UserID)
	}
	p.known[id] = [2]domain.UserID{users[0], users[1]}
}
