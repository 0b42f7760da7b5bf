package receipts_test

import (
	"fmt"
	"testing"

	"mpim/domain"
	"mpim/projections/projectionstest"
	"mpim/projections/rows/rowstest"
)

// BenchmarkApply moves cursors of 50 groups of 20: in each batch every tenth event is a message, which moves its sender's,
// and the others are receipts of members whose last is some messages old.
func BenchmarkApply(b *testing.B) {
	groups := make([]domain.Aggregate, 50)
	users := make([]domain.UserID, 20)
	for i := range users {
		users[i] = domain.UserID(fmt.Sprintf("u%020d00", i))
	}
	n := 0
	rowstest.Bench(b, open, func(log *projectionstest.Log) {
		if n == 0 {
			for i := range groups {
				groups[i] = domain.ConversationID(fmt.Sprintf("g%020d00", i)).Aggregate()
				log.Append(b, groups[i], users[0], created(users...))
			}
		}
		for range 500 {
			group, user := groups[n%len(groups)], users[n/len(groups)%len(users)]
			if n++; n/len(groups)%10 == 0 {
				log.Append(b, group, user, sent())
				continue
			}
			log.Append(b, group, user, &domain.ReceiptMoved{DeliveredSeq: log.Seq(group), ReadSeq: log.Seq(group)})
		}
	}, "cursors")
}
