package recent

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections/checkpoint"
)

// Queries reads recent events. Its errors are of kind Unavailable where Redis is out of reach.
type Queries struct{ live *checkpoint.Live }

// NewQueries returns queries on the live build.
func NewQueries(client redis.UniversalClient) *Queries {
	return &Queries{live: checkpoint.NewLive(client, Name)}
}

// Range asks for the events of one conversation above After, at most Limit of them.
type Range struct {
	Conversation domain.ConversationID
	After        domain.Seq
	Limit        int
}

// Events is the answer to a Range.
type Events struct {
	Conversation domain.ConversationID
	// Events are those above the Range's After that are at hand, in order and without a gap between them.
	Events []Event
	// Whole says that nothing between the Range's After and the first of Events is missing. Where it is false, older
	// events were asked for than are kept. It is false as well where nothing is at hand: compare After with the head that
	// mpim/projections/inbox knows before asking.
	Whole bool
	// Head is the highest sequence at hand; 0 where nothing is.
	Head domain.Seq
}

// Facts are what never changes about an event, and whether it was taken back: what edit, recall, react and reply are
// decided on.
type Facts struct {
	Seq    domain.Seq
	Type   domain.EventType
	Sender domain.UserID
	At     time.Time
	// Kind is the type of the body, for messages that are not gone.
	Kind string
	// ExpiresAt is when the message goes by itself; zero for never, and for messages that are gone.
	ExpiresAt time.Time
	// Gone says that the message was recalled or has expired.
	Gone bool
	// Ordinal is how many messages the conversation had with this event.
	Ordinal int64
}

// Since returns the events of one conversation above after.
func (q *Queries) Since(ctx context.Context, id domain.ConversationID, after domain.Seq, limit int) (Events, error) {
	all, err := q.Ranges(ctx, []Range{{Conversation: id, After: after, Limit: limit}})
	if err != nil {
		return Events{}, err
	}
	return all[0], nil
}

// Ranges answers several ranges in one round trip, in their order. An error is of kind NotFound where an id is none.
func (q *Queries) Ranges(ctx context.Context, ranges []Range) ([]Events, error) {
	partitions := make([]int, len(ranges))
	for i, r := range ranges {
		partition, ok := r.Conversation.Partition()
		if !ok {
			return nil, domain.Errorf(domain.NotFound, "there is no such conversation")
		}
		partitions[i] = partition
	}
	var replies []rangeReply
	err := q.live.Read(ctx, func(ctx context.Context, reading *checkpoint.Reading) (err error) {
		keys := make([]keyRange, len(ranges))
		for i, r := range ranges {
			keys[i] = keyRange{reading.Key(partitions[i], keyName(r.Conversation)), r.After, r.Limit}
		}
		replies, err = readRanges(ctx, reading, keys)
		return err
	})
	if err != nil {
		return nil, domain.Wrap(domain.Unavailable, err, "recent events cannot be read now")
	}
	all := make([]Events, len(ranges))
	for i, r := range ranges {
		reply := replies[i]
		all[i] = Events{
			Conversation: r.Conversation, Events: make([]Event, len(reply.elements)),
			Whole: reply.last > 0 && r.After+1 >= reply.first, Head: reply.last,
		}
		for n, element := range reply.elements {
			if all[i].Events[n], err = parseElement(r.Conversation, element); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// Get returns the facts of the event at seq. It is false where that event is not at hand: too old, or not there yet.
func (q *Queries) Get(ctx context.Context, id domain.ConversationID, seq domain.Seq) (Facts, bool, error) {
	if seq < 1 {
		return Facts{}, false, nil
	}
	found, err := q.Since(ctx, id, seq-1, 1)
	if err != nil || len(found.Events) == 0 || found.Events[0].Seq != seq {
		return Facts{}, false, err
	}
	e := found.Events[0]
	h, err := e.Header()
	if err != nil {
		return Facts{}, false, err
	}
	facts := Facts{Seq: seq, Type: h.Type, Sender: h.Actor, At: h.At, Gone: e.Gone, Ordinal: e.Ordinal}
	if h.Type == domain.TypeMessageSent && !e.Gone {
		var data struct {
			Body      domain.Body `json:"body"`
			ExpiresAt time.Time   `json:"expires_at"`
		}
		if err := json.Unmarshal(h.Data, &data); err != nil {
			return Facts{}, false, fmt.Errorf("recent event %d of %s is damaged: %w", seq, id, err)
		}
		facts.Kind, facts.ExpiresAt = data.Body.Type, data.ExpiresAt
	}
	return facts, true, nil
}

//go:embed range.lua
var rangeLua string

var rangeScript = redis.NewScript(rangeLua)

// keyRange is a Range of a key.
type keyRange struct {
	key   string
	after domain.Seq
	limit int
}

// rangeReply is what range.lua answers.
type rangeReply struct {
	first, last domain.Seq
	elements    []string
}

// pipeline sends what ask asks for in one round trip.
type pipeline interface {
	Pipelined(ctx context.Context, ask func(p redis.Pipeliner) error) error
}

// readRanges reads several keys in one round trip, two where a server does not know the script.
func readRanges(ctx context.Context, through pipeline, ranges []keyRange) ([]rangeReply, error) {
	commands := make([]*redis.Cmd, len(ranges))
	read := func(run func(p redis.Pipeliner, keys []string, args ...any) *redis.Cmd) error {
		return through.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, r := range ranges {
				commands[i] = run(p, []string{r.key}, int64(r.after), r.limit)
			}
			return nil
		})
	}
	err := read(func(p redis.Pipeliner, keys []string, args ...any) *redis.Cmd {
		return p.EvalSha(ctx, rangeScript.Hash(), keys, args...)
	})
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		err = read(func(p redis.Pipeliner, keys []string, args ...any) *redis.Cmd {
			return p.Eval(ctx, rangeLua, keys, args...)
		})
	}
	if err != nil {
		return nil, err
	}
	replies := make([]rangeReply, len(ranges))
	for i, command := range commands {
		if replies[i], err = parseReply(command); err != nil {
			return nil, err
		}
	}
	return replies, nil
}

var errReply = errors.New("the answer of range.lua is not understood")

func parseReply(command *redis.Cmd) (reply rangeReply, err error) {
	values, err := command.Slice()
	if err != nil {
		return reply, err
	}
	if len(values) != 3 {
		return reply, errReply
	}
	first, okFirst := values[0].(int64)
	last, okLast := values[1].(int64)
	elements, okElements := values[2].([]any)
	if !okFirst || !okLast || !okElements {
		return reply, errReply
	}
	reply = rangeReply{domain.Seq(first), domain.Seq(last), make([]string, len(elements))}
	for i, element := range elements {
		text, ok := element.(string)
		if !ok {
			return reply, errReply
		}
		reply.elements[i] = text
	}
	return reply, nil
}
