package inbox_test

import (
	"os"
	"testing"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections/checkpoint/checkpointtest"
	"mpim/projections/inbox"
	"mpim/streams/streamstest"
)

func TestMain(m *testing.M) { os.Exit(streamstest.Main(m)) }

func open(client redis.UniversalClient, space string) checkpointtest.Projection {
	return inbox.New(inbox.Config{Client: client, Partitions: 16, Space: space})
}

const (
	group domain.ConversationID = "g0123456789abcdefghjk03"
	pair  domain.ConversationID = "d0123456789abcdefghjk03"
	alice domain.UserID         = "u0123456789abcdefghja03"
	bob   domain.UserID         = "u0123456789abcdefghjb00"
)
