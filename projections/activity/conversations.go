package activity

import (
	"context"
	"maps"
	"slices"
	"time"

	"mpim/domain"
	"mpim/projections/rows"
	"mpim/projections/tables"
)

// foldConversations writes how large conversations are and how fast was answered in them.
func foldConversations(ctx context.Context, tx *tables.Tx, changes []change) error {
	all := rows.In(tx, conversations)
	keys := make([]string, len(changes))
	for i, c := range changes {
		keys[i] = string(c.Conversation())
	}
	if err := all.Load(ctx, keys); err != nil {
		return err
	}
	responses := make(map[responseRow]*responseRow)
	for _, c := range changes {
		row := all.Get(string(c.Conversation()))
		if c.fact != nil {
			all.Put(&conversationRow{
				Conversation: string(c.Conversation()), Kind: c.fact.Kind, Members: int64(len(c.fact.Members)),
			})
			continue
		}
		if row == nil {
			continue
		}
		switch c.Type {
		case domain.TypeMemberAdded, domain.TypeMemberJoined:
			row.Members++
		case domain.TypeMemberLeft, domain.TypeMemberRemoved:
			row.Members = max(row.Members-1, 0)
		case domain.TypeConversationDissolved:
			row.Members = 0
		case domain.TypeMessageSent:
			answer(responses, row, c)
			row.Messages, row.LastSender, row.LastAt = row.Messages+1, string(c.Actor), c.At
		default: // nothing else changes a conversation's size
			continue
		}
		all.Put(row)
	}
	if err := all.Flush(ctx); err != nil {
		return err
	}
	return tables.Add(ctx, tx, "responses", slices.Collect(maps.Values(responses)))
}

// bounds are the upper ends of the buckets of response times, in seconds.
var bounds = []int64{1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 43200, 86400}

// answer counts a message that answers another user's.
func answer(responses map[responseRow]*responseRow, row *conversationRow, c change) {
	if row.LastAt.IsZero() || row.LastSender == string(c.Actor) {
		return
	}
	took := max(c.At.Sub(row.LastAt), 0)
	bucket := slices.IndexFunc(bounds, func(s int64) bool { return took <= time.Duration(s)*time.Second })
	if bucket < 0 {
		return
	}
	key := responseRow{Day: c.At.UTC().Format(time.DateOnly), Kind: row.Kind, WithinS: bounds[bucket]}
	if responses[key] == nil {
		counted := key
		responses[key] = &counted
	}
	responses[key].Responses++
}
