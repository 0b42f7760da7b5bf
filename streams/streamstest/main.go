package streamstest

import (
	"fmt"
	"os"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

// Server is the Redis that the tests of a package share, each with keys of its own. Main starts it.
var Server *RedisServer

// Main runs the tests of a package beside a Redis and returns the exit status. No goroutine may be left at the end, but those that
// are ignored.
func Main(m *testing.M, ignored ...goleak.Option) (code int) {
	var err error
	if Server, err = NewRedis(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code = m.Run()
	err = Server.Close()
	if err == nil && code == 0 {
		err = goleak.Find(ignored...)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// Miniredis returns a client of an embedded server of its own.
func Miniredis(tb testing.TB) *redis.Client {
	tb.Helper()
	client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(tb).Addr()})
	tb.Cleanup(func() { _ = client.Close() })
	return client
}
