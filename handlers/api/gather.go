package api

import (
	"context"
	"sync"
	"time"

	"mpim/domain"
)

// gatherTimeout bounds one append for several receipts, which belongs to none of the requests that wait for it.
const gatherTimeout = 10 * time.Second

// gatherer makes one receipt of those of a session in a conversation that come while another is being appended. They are
// cumulative, so the highest says what all of them say, and each is answered when that is in the log.
type gatherer struct {
	mu sync.Mutex
	// flights has an entry for each whose receipt is being appended, with those that wait for it; nil for none.
	flights map[gatherKey]*gathering
}

type gatherKey struct {
	caller       Caller
	conversation domain.ConversationID
}

// gathering is receipts that wait together.
type gathering struct {
	in    receiptInput
	count int
	// done is closed when changed and err stand.
	done    chan struct{}
	changed Changed
	err     error
}

func newGatherer() *gatherer { return &gatherer{flights: make(map[gatherKey]*gathering)} }

type moveReceipt func(context.Context, Caller, receiptInput) (Changed, error)

// move moves cursors, alone or together with others. One that is refused together with others is tried alone: only it
// may be wrong.
func (g *gatherer) move(ctx context.Context, caller Caller, in receiptInput, move moveReceipt) (Changed, error) {
	// What the session acknowledges does not depend on the way by which it says so.
	key := gatherKey{Caller{User: caller.User, Session: caller.Session}, in.Conversation}
	waiting := g.join(key, in)
	if waiting == nil {
		defer g.next(ctx, key, caller, move)
		return move(ctx, caller, in)
	}
	select {
	case <-waiting.done:
	case <-ctx.Done():
		return Changed{}, ctx.Err()
	}
	if waiting.err != nil && waiting.count > 1 {
		return move(ctx, caller, in)
	}
	return waiting.changed, waiting.err
}

// join returns what to wait for; nil where nobody is before the caller.
func (g *gatherer) join(key gatherKey, in receiptInput) *gathering {
	g.mu.Lock()
	defer g.mu.Unlock()
	waiting, busy := g.flights[key]
	if !busy {
		g.flights[key] = nil
		return nil
	}
	if waiting == nil {
		waiting = &gathering{in: receiptInput{Conversation: in.Conversation}, done: make(chan struct{})}
		g.flights[key] = waiting
	}
	waiting.count++
	waiting.in.DeliveredSeq = higher(waiting.in.DeliveredSeq, in.DeliveredSeq)
	waiting.in.ReadSeq = higher(waiting.in.ReadSeq, in.ReadSeq)
	return waiting
}

// next lets those go on that wait, if there are any.
func (g *gatherer) next(ctx context.Context, key gatherKey, caller Caller, move moveReceipt) {
	g.mu.Lock()
	waiting := g.flights[key]
	if waiting == nil {
		delete(g.flights, key)
	} else {
		g.flights[key] = nil
	}
	g.mu.Unlock()
	if waiting == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), gatherTimeout)
	go func() {
		defer cancel()
		defer g.next(ctx, key, caller, move)
		defer close(waiting.done)
		waiting.err = domain.Errorf(domain.Internal, "the receipts were not moved")
		waiting.changed, waiting.err = move(ctx, caller, waiting.in)
	}()
}

func higher(a, b *domain.Seq) *domain.Seq {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}
