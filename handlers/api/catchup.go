package api

import (
	"context"
	"encoding/json"
	"slices"

	"mpim/domain"
	"mpim/projections/recent"
)

// syncChunk is how many conversations are read first, so that an answer which is full early did not read them all. Where
// these leave room for all, the others are read at once.
const syncChunk = 5

// objectBytes is more than a conversation takes in the answer without its last message's body and its events.
const objectBytes = 2 << 10

// catchUp fills the answer with the chosen conversations, as far as there is room, the newest first. It returns how many
// of them it is done with.
func (o *Operations) catchUp(ctx context.Context, user domain.UserID, chosen []missing, result *syncResult) (done int, err error) {
	type answered struct {
		object syncObject
		place  place
	}
	var all []answered
	views, err := o.viewsOf(ctx, user, chosen)
	if err != nil {
		return 0, err
	}
	room, size := syncBytes, syncChunk
fill:
	for done < len(chosen) {
		end := min(done+size, len(chosen))
		chunk := chosen[done:end]
		objects, err := o.caughtUp(ctx, chunk, views[done:end])
		if err != nil {
			return 0, err
		}
		for i, object := range objects {
			if object.Conversation != "" {
				if !object.fit(&room, len(all) == 0) {
					break fill
				}
				all = append(all, answered{object, placeOf(chunk[i].entry)})
			}
			done++
		}
		if used := syncBytes - room; used/end*len(chosen) < syncBytes {
			size = len(chosen)
		}
	}
	slices.SortFunc(all, func(a, b answered) int { return a.place.compare(b.place) })
	result.Conversations = make([]syncObject, len(all))
	for i, a := range all {
		result.Conversations[i] = a.object
	}
	return done, nil
}

// fit cuts the events to what there is room for. It is false where that is none of them; the first conversation always
// has one, so that each answer gets the client on.
func (s *syncObject) fit(room *int, first bool) bool {
	bytes := objectBytes
	if s.LastMessage != nil {
		bytes += len(s.LastMessage.Body)
	}
	if bytes > *room {
		return false
	}
	for i, event := range s.Events {
		if bytes+len(event)+1 > *room && (i > 0 || !first) {
			if i == 0 {
				return false
			}
			s.Events, s.Complete = s.Events[:i], false
			break
		}
		bytes += len(event) + 1
	}
	*room -= bytes
	return true
}

// viewsOf returns what the user may see of the conversations, in their order.
func (o *Operations) viewsOf(ctx context.Context, user domain.UserID, chosen []missing) ([]view, error) {
	ids := make([]domain.ConversationID, len(chosen))
	for i, m := range chosen {
		ids[i] = m.entry.Conversation
	}
	return o.seeAll(ctx, user, ids)
}

// caughtUp returns what the conversations have for who has these views, in their order. One that turns out to have
// nothing is left zero.
func (o *Operations) caughtUp(ctx context.Context, chosen []missing, views []view) (objects []syncObject, err error) {
	var ranges []recent.Range
	asked := make([]int, len(chosen))
	for i, m := range chosen {
		pieces := m.ranges(views[i].windows)
		ranges, asked[i] = append(ranges, pieces...), len(pieces)
	}
	var found []recent.Events
	if len(ranges) > 0 {
		if found, err = o.Recent.Ranges(ctx, ranges); err != nil {
			return nil, err
		}
	}
	objects = make([]syncObject, len(chosen))
	for i, m := range chosen {
		n := asked[i]
		objects[i], err = m.object(views[i].windows, ranges[:n], found[:n])
		if err != nil {
			return nil, err
		}
		ranges, found = ranges[n:], found[n:]
	}
	return objects, nil
}

// ranges returns which events the user is to get, at most syncEvents of them; none where the client has to start over.
// Sequences are dense, so this needs no look at the events.
func (m missing) ranges(windows domain.Windows) []recent.Range {
	above := windows.Above(m.from, m.entry.HeadSeq)
	var count domain.Seq
	for _, w := range above {
		count += w.To - w.From + 1
	}
	if m.reset || count > syncMissing {
		return nil
	}
	var ranges []recent.Range
	left := syncEvents
	for _, w := range above {
		n := min(left, int(w.To-w.From+1))
		if n == 0 {
			break
		}
		ranges = append(ranges, recent.Range{Conversation: m.entry.Conversation, After: w.From - 1, Limit: n})
		left -= n
	}
	return ranges
}

// object returns what a conversation has for the user, given the events that were found for what was asked.
func (m missing) object(windows domain.Windows, asked []recent.Range, found []recent.Events) (syncObject, error) {
	if len(windows) == 0 {
		return syncObject{}, nil
	}
	entry := m.entry.Within(windows)
	head := windows.Last(m.entry.HeadSeq)
	s := syncObject{
		Conversation: entry.Conversation, HeadSeq: min(head, m.entry.HeadSeq), Unread: entry.Unread, Mentions: entry.Mentions,
		ReadSeq: entry.ReadSeq, LastMessage: lastMessage(entry.Conversation, entry.Last, windows),
		Events: []json.RawMessage{}, Complete: true, Left: !windows.Open() && head <= m.entry.HeadSeq,
	}
	if len(asked) == 0 {
		s.Reset = true
		return s, nil
	}
	last, short := m.from, false
	for i, events := range found {
		if !events.Whole {
			s.Events, s.Reset = []json.RawMessage{}, true
			return s, nil
		}
		for _, event := range events.Events {
			text, err := eventText(entry.Conversation, event, windows)
			if err != nil {
				return s, err
			}
			s.Events = append(s.Events, text)
			last = event.Seq
		}
		if short = len(events.Events) < asked[i].Limit; short {
			break
		}
	}
	switch {
	case short && len(s.Events) == 0:
		// The inbox has passed where the log stood, recent has too, but one of them is further: nothing is missing yet.
		return syncObject{}, nil
	case short:
		s.HeadSeq, s.Left = last, false
	default:
		s.Complete = last >= s.HeadSeq
	}
	return s, nil
}
