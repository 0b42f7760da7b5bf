package streams

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// maxClockSkew is by how much the clock of a process may differ from that of Redis. Events and requests carry the
	// gateways' times, and the server's decides when a request is a day old.
	maxClockSkew = time.Hour
	// warnClockSkew is above which people see it.
	warnClockSkew = time.Second
)

// ClockSkew returns by how much the clock of Redis is ahead of this process's, to half the time that the answer took.
func ClockSkew(ctx context.Context, client redis.UniversalClient) (time.Duration, error) {
	before := time.Now()
	at, err := client.Time(ctx).Result()
	if err != nil {
		return 0, fmt.Errorf("ask redis for the time: %w", err)
	}
	return at.Sub(before.Add(time.Since(before) / 2)), nil
}

// CheckClock returns an error that says what to do where this process's clock differs from that of Redis by more than an
// hour: what it appends would be forgotten too soon or too late. Above a second it warns.
func CheckClock(ctx context.Context, client redis.UniversalClient, logger *slog.Logger) error {
	skew, err := ClockSkew(ctx, client)
	if err != nil {
		return err
	}
	apart := skew.Abs().Round(time.Millisecond)
	switch {
	case apart > maxClockSkew:
		return fmt.Errorf("the clock of this machine is %s %s that of redis: set it (NTP) and start again", apart, direction(skew))
	case apart > warnClockSkew:
		logger.Warn("the clocks of this machine and of redis differ: synchronise them (NTP)", slog.Duration("redis_ahead", skew))
	}
	return nil
}

func direction(skew time.Duration) string {
	if skew > 0 {
		return "behind"
	}
	return "ahead of"
}
