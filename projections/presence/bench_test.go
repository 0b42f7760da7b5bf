package presence_test

import (
	"fmt"
	"testing"

	"mpim/domain"
	"mpim/projections/checkpoint/checkpointtest"
	"mpim/projections/projectionstest"
	"mpim/streams/streamstest"
)

// BenchmarkApply folds connections of 1,000 users that open and end.
func BenchmarkApply(b *testing.B) {
	log := projectionstest.NewLog(3)
	for i := range 20000 {
		user := domain.UserID(fmt.Sprintf("u%020d03", i%1000))
		id := domain.ConnectionID(fmt.Sprintf("c%020d03", i%1000+i/2000*1000))
		if i%2000 < 1000 {
			log.Append(b, user.Aggregate(), user, connected(id, "g1"))
		} else {
			log.Append(b, user.Aggregate(), user, disconnected(id, "closed"))
		}
	}
	checkpointtest.Apply(b, streamstest.Server.Client(), open, log)
}
