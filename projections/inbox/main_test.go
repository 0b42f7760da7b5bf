package inbox_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections/checkpoint/checkpointtest"
	"mpim/projections/inbox"
	"mpim/streams/streamstest"
)

// server is shared by the tests of this package; each uses keys of its own.
var server *streamstest.RedisServer

func TestMain(m *testing.M) {
	var err error
	if server, err = streamstest.NewRedis(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func onMiniredis(tb testing.TB) *redis.Client {
	tb.Helper()
	client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(tb).Addr()})
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

func open(client redis.UniversalClient, space string) checkpointtest.Projection {
	return inbox.New(inbox.Config{Client: client, Partitions: 16, Space: space})
}

const (
	group domain.ConversationID = "g0123456789abcdefghjk03"
	pair  domain.ConversationID = "d0123456789abcdefghjk03"
	alice domain.UserID         = "u0123456789abcdefghja03"
	bob   domain.UserID         = "u0123456789abcdefghjb00"
)
