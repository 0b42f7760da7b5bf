package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/api/apitest"
)

// gateLog is a log whose first append of a receipt waits until it is let through.
type gateLog struct {
	api.Log

	began, goOn chan struct{}
	appended    atomic.Int64
}

func (l *gateLog) Append(ctx context.Context, c domain.Commit) (domain.Appended, error) {
	if _, ok := c.Events[0].(*domain.ReceiptMoved); ok && l.appended.Add(1) == 1 {
		close(l.began)
		<-l.goOn
	}
	return l.Log.Append(ctx, c)
}

// Receipts that come while one is appended become one event, and each is answered only when that is in the log.
func TestReceiptsAreGathered(t *testing.T) {
	log := &gateLog{began: make(chan struct{}), goOn: make(chan struct{})}
	b := apitest.New(t, func(c *api.Config) { log.Log, c.Log = c.Log, log })
	alice, bob := b.User(t, "alice"), b.User(t, "bob")
	const n = 60
	id := fmt.Sprint(send(t, b, alice, P{"user": bob.User}, words(n)...)["conversation"])
	if err := b.Fold(t.Context()); err != nil {
		t.Fatal(err)
	}
	read := func(seq int) error {
		operation, _ := b.Registry.Lookup("receipt.read")
		_, err := operation.Call(t.Context(), bob, json.RawMessage(fmt.Sprintf(`{"conversation":%q,"read_seq":%d}`, id, seq)))
		return err
	}
	var group sync.WaitGroup
	group.Go(func() {
		if err := read(2); err != nil {
			t.Error(err)
		}
	})
	<-log.began
	answered := make(chan error, n)
	for seq := 3; seq <= n; seq++ {
		group.Go(func() { answered <- read(seq) })
	}
	// One that is wrong is refused, and takes none of the others with it.
	refused := make(chan error, 1)
	group.Go(func() { refused <- read(n + 2) })
	select {
	case err := <-answered:
		t.Fatalf("answered before it was appended: %v", err)
	default:
	}
	close(log.goOn)
	group.Wait()
	wantCode(t, <-refused, domain.InvalidArgument)
	for range n - 2 {
		if err := <-answered; err != nil {
			t.Error(err)
		}
	}
	wantMembers(t, b.Must(t, bob, "conversation.get", P{"conversation": id})["conversation"], P{"read_seq": float64(n), "unread": 1.0})
}
