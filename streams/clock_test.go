package streams_test

import (
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"mpim/streams"
)

func TestCheckClock(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	for name, test := range map[string]struct {
		redis time.Duration
		want  string // of the error
		warn  int
	}{
		"the same":     {0, "", 0},
		"ahead":        {time.Minute, "", 1},
		"behind":       {-time.Minute, "", 1},
		"far ahead":    {2 * time.Hour, "behind that of redis: set it", 0},
		"far behind":   {-2 * time.Hour, "ahead of that of redis: set it", 0},
		"almost a day": {-23 * time.Hour, "ahead of that of redis: set it", 0},
	} {
		told := &lines{}
		server.SetTime(time.Now().Add(test.redis))
		err := streams.CheckClock(t.Context(), client, told.logger())
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if n := told.count("level=WARN"); n != test.warn {
			t.Errorf("%s: %d warnings, want %d", name, n, test.warn)
		}
		if skew, err := streams.ClockSkew(t.Context(), client); err != nil || (skew-test.redis).Abs() > 10*time.Second {
			t.Errorf("%s: redis is %s ahead, %v; want %s", name, skew, err, test.redis)
		}
	}
	server.Close()
	if err := streams.CheckClock(t.Context(), client, (&lines{}).logger()); err == nil {
		t.Error("a server that does not answer has the right time")
	}
}
