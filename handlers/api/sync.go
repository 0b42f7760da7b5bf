package api

import (
	"context"
	"encoding/json"

	"mpim/domain"
	"mpim/projections/inbox"
	"mpim/projections/members"
)

type (
	syncInput struct {
		Since   map[domain.ConversationID]domain.Seq `json:"since,omitempty" doc:"For each conversation, the seq up to which the client has everything."`
		Only    bool                                 `json:"only,omitzero" doc:"Leave out conversations that since does not list."`
		UserSeq *int64                               `json:"user_seq,omitempty"`
		Epoch   string                               `json:"epoch,omitempty"`
		Limit   *int                                 `json:"limit,omitempty" minimum:"1" maximum:"20" default:"20"`
		After   string                               `json:"after,omitempty" doc:"The next of the page before; the other members as in the first request."`
		ReadAfter
	}
	syncResult struct {
		Conversations   []syncObject `json:"conversations" nullable:"false"`
		UserSeq         int64        `json:"user_seq"`
		ContactsChanged bool         `json:"contacts_changed"`
		Epoch           string       `json:"epoch"`
		Changed
		Next string `json:"next,omitempty"`
	}
	syncObject struct {
		Conversation domain.ConversationID `json:"conversation"`
		HeadSeq      domain.Seq            `json:"head_seq"`
		Unread       int                   `json:"unread"`
		Mentions     int                   `json:"mentions"`
		ReadSeq      domain.Seq            `json:"read_seq"`
		LastMessage  *Message              `json:"last_message"`
		Events       []json.RawMessage     `json:"events" nullable:"false" doc:"Event objects."`
		Complete     bool                  `json:"complete" doc:"The client now stands at head_seq. Otherwise it asks again from the last seq."`
		Reset        bool                  `json:"reset" doc:"Drop the local copy, stand at head_seq, and page message.history."`
		Left         bool                  `json:"left,omitzero"`
	}
)

// Bounds of one answer of sync.
const (
	syncConversations = 20
	syncEvents        = 100
	// syncMissing is how many events may be missing before the client is better off with message.history.
	syncMissing = 1000
	// syncBytes leaves, of the largest frame to a client, room for what stands around the events.
	syncBytes = 960 << 10
)

// missing is a conversation that has something new for the caller.
type missing struct {
	entry inbox.Entry
	// from is the seq up to which the client has everything.
	from  domain.Seq
	reset bool
}

func (o *Operations) sync(ctx context.Context, caller Caller, in syncInput) (syncResult, error) {
	limit, err := limitOf(in.Limit, syncConversations, syncConversations)
	if err != nil {
		return syncResult{}, err
	}
	cursor, err := parseCursor(in.After)
	if err != nil {
		return syncResult{}, err
	}
	if _, err := o.parsePosition(in.AfterPosition); err != nil {
		return syncResult{}, err
	}
	for id, seq := range in.Since {
		if seq < 0 {
			return syncResult{}, domain.Errorf(domain.InvalidArgument, "since.%s is negative", id)
		}
	}
	// Everything appended before the request came is in the answer: so the counters are read first.
	heads, err := o.heads(ctx)
	if err != nil {
		return syncResult{}, err
	}
	if err := o.passed(ctx, heads, membersProjection, inboxProjection, recentProjection); err != nil {
		return syncResult{}, err
	}
	result := syncResult{Epoch: o.Epoch(), Changed: Changed{Position: positionToken(heads...)}}
	if result.UserSeq, err = o.Members.UserSeq(ctx, caller.User); err != nil {
		return syncResult{}, err
	}
	otherEpoch := in.Epoch != "" && in.Epoch != result.Epoch
	result.ContactsChanged = otherEpoch || in.UserSeq == nil && result.UserSeq > 0 || in.UserSeq != nil && result.UserSeq != *in.UserSeq
	all, err := o.missing(ctx, caller, in, otherEpoch)
	if err != nil {
		return syncResult{}, err
	}
	chosen := cursor.choose(all, limit)
	done, err := o.catchUp(ctx, caller.User, chosen, &result)
	if err != nil {
		return syncResult{}, err
	}
	result.Next = cursor.next(all, chosen[:done])
	return result, nil
}

// heads returns where the partitions of the log stand; of an empty log, its beginning.
func (o *Operations) heads(ctx context.Context) ([]domain.Position, error) {
	seqs, err := o.Log.Heads(ctx)
	if err != nil {
		return nil, err
	}
	var heads []domain.Position
	for partition, seq := range seqs {
		if seq > 0 {
			heads = append(heads, domain.Position{Partition: partition, Seq: seq})
		}
	}
	if heads == nil {
		heads = []domain.Position{{}}
	}
	return heads, nil
}

// missing returns the conversations that have something new for the caller, the newest first.
func (o *Operations) missing(ctx context.Context, caller Caller, in syncInput, otherEpoch bool) ([]missing, error) {
	entries, err := o.entries(ctx, caller, func(m members.Membership) bool {
		_, listed := in.Since[m.Conversation]
		return listed || !in.Only
	})
	if err != nil {
		return nil, err
	}
	var all []missing
	for _, entry := range entries {
		from, listed := in.Since[entry.Conversation]
		if !listed {
			from = entry.AcknowledgedSeq
		}
		m := missing{entry: entry, from: from, reset: otherEpoch || from > entry.HeadSeq}
		if m.reset || from < entry.HeadSeq {
			all = append(all, m)
		}
	}
	return all, nil
}
