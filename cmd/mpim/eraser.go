package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/domain/conversation"
	"mpim/domain/pair"
	"mpim/handlers/command"
	"mpim/projections"
	"mpim/projections/checkpoint"
	"mpim/projections/deadletters"
	"mpim/projections/presence"
	"mpim/projections/userkeys"
	"mpim/streams"
)

// eraser erases one user. Every step may be done again, so a run that was cut off is simply started anew.
type eraser struct {
	i      *invocation
	stores *stores
	log    *streams.Log
	user   domain.UserID
}

func (e *eraser) erase(argument string, wait time.Duration) (*certificate, error) {
	ctx, s := e.i.ctx, e.stores
	e.user = domain.UserID(argument)
	if _, ok := e.user.Partition(); !ok {
		e.user = s.identity.Placement().User(strings.TrimPrefix(argument, "@"))
	}
	if err := e.exists(argument); err != nil {
		return nil, err
	}
	done := &certificate{User: e.user, Log: s.identity.ID, Left: []leftGroup{}, Beyond: beyond}
	var err error
	if done.DestroyedAt, err = (userkeys.Store{DB: s.db}).Destroy(ctx, e.user); err != nil {
		return nil, fmt.Errorf("destroy the key: %w", err)
	}
	if err := s.keys.Destroy(ctx, e.user); err != nil {
		return nil, fmt.Errorf("the key is destroyed, but other processes may hold it for ten minutes; run this again: %w", err)
	}
	s.ring.Drop(e.user)
	at, err := e.endAccount()
	if err != nil {
		return nil, err
	}
	done.Account = at.String()
	// Nothing more comes from the user: search the whole log for what came.
	found, err := e.search(done)
	if err != nil {
		return nil, err
	}
	ends := map[int]int64{at.Partition: at.Seq}
	for _, a := range slices.SortedFunc(maps.Keys(found), func(a, b domain.Aggregate) int { return strings.Compare(a.String(), b.String()) }) {
		done.add(a, found[a])
		if a.Kind == domain.Account || found[a].erased {
			continue
		}
		position, err := e.endConversation(a, found[a], done)
		if err != nil {
			return nil, err
		}
		ends[position.Partition] = max(ends[position.Partition], position.Seq)
	}
	done.addPlain(found)
	if err := e.forget(ctx, done, found); err != nil {
		return nil, err
	}
	err = e.await(done, ends, wait)
	done.CompletedAt = time.Now().UTC().Truncate(time.Millisecond)
	return done, err
}

// exists refuses what never was a user.
func (e *eraser) exists(argument string) error {
	fields, err := e.log.Load(e.i.ctx, e.user.Aggregate(), account.ProfileFields())
	if err != nil {
		return err
	}
	state, err := account.Load(fields)
	if err == nil && !state.Exists() && !state.Erased {
		err = domain.Errorf(domain.NotFound, "there is no user %s: `mpim user list` shows all", argument)
	}
	return err
}

// endAccount ends the account and its sessions, and returns where that stands.
func (e *eraser) endAccount() (domain.Position, error) {
	result, err := command.Execute(e.i.ctx, e.log, command.Account, command.Request[account.Command]{
		Aggregate: e.user.Aggregate(), Command: account.Erase{Stamp: domain.NewStamp("", time.Now())}, Entropy: freshEntropy(),
	})
	return result.Position, err
}

// tries bounds how often an heir is looked for who has not left meanwhile.
const tries = 10

// endConversation appends to a conversation that the user's texts there are gone, and takes the user out of a group.
func (e *eraser) endConversation(a domain.Aggregate, w *wrote, done *certificate) (at domain.Position, err error) {
	for range tries {
		if at, err = e.tryConversation(a, w, done); domain.CodeOf(err) != domain.FailedPrecondition {
			return at, err
		}
	}
	return at, err
}

func (e *eraser) tryConversation(a domain.Aggregate, w *wrote, done *certificate) (domain.Position, error) {
	state, err := e.conversation(a)
	if err != nil {
		return domain.Position{}, err
	}
	erase := conversation.Erase{Stamp: domain.NewStamp(e.user, time.Now()), Waiting: state.Queues[e.user], Peer: w.peer}
	if a.Kind == domain.Pair {
		result, err := command.Execute(e.i.ctx, e.log, command.Pair, command.Request[pair.Command]{
			Aggregate: a, Command: pair.Shared{Command: erase}, Entropy: freshEntropy(),
		})
		return result.Position, err
	}
	in := state.Role(e.user) != ""
	if !in && w.sealed+w.plain == 0 {
		return domain.Position{}, nil // it went long ago, and left nothing
	}
	if in && state.Role(e.user) == domain.Owner {
		erase.Heir = state.Heir(e.user)
	}
	result, err := command.Execute(e.i.ctx, e.log, command.Group, command.Request[conversation.Command]{
		Aggregate: a, Command: erase, Entropy: freshEntropy(),
	})
	if err == nil && in {
		done.Left = append(done.Left, leftGroup{Conversation: domain.ConversationID(a.ID), Heir: erase.Heir})
	}
	return result.Position, err
}

// conversation loads what decides how the user is erased from a conversation: all members where the user owns a group.
func (e *eraser) conversation(a domain.Aggregate) (conversation.State, error) {
	fields := append(conversation.QueueFields(e.user), conversation.Fields(e.user)...)
	if a.Kind == domain.Pair {
		fields = conversation.QueueFields(e.user)
	}
	for {
		loaded, err := e.log.Load(e.i.ctx, a, fields)
		if err != nil {
			return conversation.State{}, err
		}
		state, err := conversation.Load(loaded)
		if err != nil || fields == nil || state.Kind != domain.GroupConversation || state.Role(e.user) != domain.Owner {
			return state, err
		}
		fields = nil
	}
}

func freshEntropy() []byte {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, as crypto/rand says
	return b[:]
}

// forget takes away what is kept of the user outside of the log and its projections' tables, and notes which plain events of the
// user are set aside by projections: those tables have them as the log does.
func (e *eraser) forget(ctx context.Context, done *certificate, found map[domain.Aggregate]*wrote) error {
	if err := presence.NewChoices(e.stores.redis, e.stores.bus).Forget(ctx, e.user); err != nil {
		return fmt.Errorf("forget the user's status: %w", err)
	}
	mine, plain := make(map[domain.Position]bool), make(map[domain.Position]bool)
	for _, w := range found {
		for _, at := range w.at {
			mine[at] = true
		}
		for _, at := range w.plainAt {
			plain[at] = true
		}
	}
	// What a database says of a row that it refuses may quote it.
	if err := (deadletters.Store{DB: e.stores.db}).Forget(ctx, func(p domain.Position) bool { return mine[p] }); err != nil {
		return err
	}
	if err := checkpoint.Forget(ctx, e.stores.db, func(p domain.Position) bool { return mine[p] }); err != nil || len(plain) == 0 {
		return err
	}
	for _, f := range e.stores.families() {
		all, err := (&parkedChoice{}).parkedOf(ctx, e.stores, f)
		if err != nil {
			return err
		}
		for _, in := range all {
			for _, event := range in.events {
				if plain[event.Record.Position] {
					done.PlainParked = append(done.PlainParked, fmt.Sprintf("%s at %s", in.build, event.Record.Position))
				}
			}
		}
	}
	return nil
}

// await waits until every projection has passed the given sequences.
func (e *eraser) await(done *certificate, ends map[int]int64, wait time.Duration) error {
	deadline := time.Now().Add(wait)
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := e.look(done, ends)
		if err == nil && len(done.Behind) == 0 || time.Now().After(deadline) {
			return err
		}
		select {
		case <-e.i.ctx.Done():
			return e.i.ctx.Err()
		case <-ticker.C:
		}
	}
}

// look notes which builds have passed the given sequences. One that has not begun will find nothing to read.
func (e *eraser) look(done *certificate, ends map[int]int64) error {
	all, err := e.stores.statuses(e.i.ctx, true)
	done.Purged, done.Behind = []string{}, []string{}
	for _, p := range all {
		name := fmt.Sprintf("%s build %d", p.Name, p.Build)
		switch {
		case len(p.Partitions) == 0:
		case passed(p.Partitions, ends):
			done.Purged = append(done.Purged, name)
		default:
			done.Behind = append(done.Behind, name)
		}
	}
	return err
}

func passed(all []projections.PartitionStatus, ends map[int]int64) bool {
	at := make(map[int]int64)
	for _, one := range all {
		at[one.Partition] = one.Checkpoint.Seq
	}
	for partition, seq := range ends {
		if at[partition] < seq {
			return false
		}
	}
	return true
}
