package members_test

import (
	"fmt"
	"testing"

	"mpim/domain"
	"mpim/projections/checkpoint/checkpointtest"
	"mpim/projections/projectionstest"
	"mpim/streams/streamstest"
)

// BenchmarkApply folds messages with a member that comes or goes in every hundredth event, and nothing but such members.
func BenchmarkApply(b *testing.B) {
	for _, one := range []struct {
		name  string
		every int
	}{{"one in 100", 100}, {"all", 1}} {
		b.Run(one.name, func(b *testing.B) {
			log := projectionstest.NewLog(3)
			for i := range 20000 {
				c := domain.ConversationID(fmt.Sprintf("g%020d03", i*7919%100)).Aggregate()
				user := domain.UserID(fmt.Sprintf("u%020d03", i%1000))
				switch {
				case i%one.every != 0:
					log.Append(b, c, user, &domain.MessageSent{Body: domain.Body{Type: domain.TextBody, Text: "hello"}})
				case i%3 == 2:
					log.Append(b, c, user, &domain.MemberLeft{User: user})
				default:
					log.Append(b, c, user, &domain.MemberJoined{User: user})
				}
			}
			checkpointtest.Apply(b, streamstest.Server.Client(), open, log)
		})
	}
}
