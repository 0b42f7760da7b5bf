package api

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"mpim/domain"
)

// However many receipts come while one is appended, one more append says what all of them say.
func TestGatheredReceiptsAreTwoAppends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 60
		g, goOn := newGatherer(), make(chan struct{})
		var appends atomic.Int64
		var highest domain.Seq
		move := func(ctx context.Context, _ Caller, in receiptInput) (Changed, error) {
			appends.Add(1)
			<-goOn
			highest = max(highest, *in.ReadSeq)
			return Changed{Position: "1:1"}, ctx.Err()
		}
		var group sync.WaitGroup
		for i := range n {
			seq := domain.Seq(i + 1)
			group.Go(func() {
				if _, err := g.move(t.Context(), Caller{User: "u"}, receiptInput{Conversation: "g", ReadSeq: &seq}, move); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait() // until one is appended, and all others wait for it
		close(goOn)
		group.Wait()
		synctest.Wait()
		if appends.Load() != 2 || highest != n {
			t.Errorf("%d receipts are %d appends, up to %d", n, appends.Load(), highest)
		}
		if len(g.flights) != 0 {
			t.Errorf("%d are left in flight", len(g.flights))
		}
	})
}
