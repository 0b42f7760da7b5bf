// Package keys is where all processes find the wrapped keys of users for some minutes, in Redis, and hear that one was
// destroyed.
//
// # Design
//
// A key of Redis for each user, "user:key:{<id>}", holds the wrapping key's name, a space and the wrapped key, for as long as
// it may be used. Where a user's key was destroyed it holds a mark, which nothing replaces: a process that asked SQL a moment
// before cannot put back what is gone. What is lost here is fetched from SQL again, so it may live on a Redis that evicts, but
// lives on the log's: what runs without SQL needs it.
//
// That a key is destroyed is published on a channel, too. Pub/Sub loses what is published while a connection is broken, so who
// listens drops all keys each time it begins.
package keys

import (
	"context"
	_ "embed" // for the script
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema/seal"
)

// destroyed is the mark for a key that is gone for good; channel is where that is said.
const (
	destroyed = "-"
	channel   = "user:keys:destroyed"
)

var (
	//go:embed lua/put.lua
	putSource string
	putScript = redis.NewScript(putSource)
)

// Listener hears channels; see bus.Bus.
type Listener interface {
	Listen(ctx context.Context, channels []string, ready func(), hear func(channel string, payload []byte)) error
}

// Cache implements seal.Cache.
type Cache struct {
	// Client reaches the server; it is not closed.
	Client redis.UniversalClient
	// Listener hears what is destroyed.
	Listener Listener
	// Logger receives what an operator should know; nil for nothing.
	Logger *slog.Logger
}

var _ seal.Cache = Cache{}

func keyOf(user domain.UserID) string { return "user:key:{" + string(user) + "}" }

// Get returns what is kept of these users.
func (c Cache) Get(ctx context.Context, users []domain.UserID) ([]seal.Kept, error) {
	values, left := make([]*redis.StringCmd, len(users)), make([]*redis.DurationCmd, len(users))
	_, err := c.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, user := range users {
			values[i], left[i] = p.Get(ctx, keyOf(user)), p.PTTL(ctx, keyOf(user))
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("read the keys of %d users: %w", len(users), err)
	}
	var kept []seal.Kept
	for i, user := range users {
		value, err := values[i].Result()
		// Without an end it was written by nobody of us; a key that ends now is as good as none.
		if err != nil || left[i].Val() <= 0 {
			continue
		}
		wrapping, key, _ := strings.Cut(value, " ")
		k := seal.Kept{Wrapped: seal.Wrapped{User: user, Wrapping: wrapping, Key: []byte(key)}, Left: left[i].Val()}
		if value == destroyed {
			k.Wrapping = ""
		}
		kept = append(kept, k)
	}
	return kept, nil
}

// Put keeps keys, but not in the place of one that was destroyed.
func (c Cache) Put(ctx context.Context, keys []seal.Wrapped, left time.Duration) error {
	put := func() error {
		_, err := c.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, k := range keys {
				value := destroyed
				if !k.Destroyed() {
					value = k.Wrapping + " " + string(k.Key)
				}
				p.EvalSha(ctx, putScript.Hash(), []string{keyOf(k.User)}, value, left.Milliseconds())
			}
			return nil
		})
		return err
	}
	err := put()
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		if err = putScript.Load(ctx, c.Client).Err(); err == nil {
			err = put()
		}
	}
	if err != nil {
		return fmt.Errorf("keep the keys of %d users: %w", len(keys), err)
	}
	return nil
}

// Destroy marks the key of a user as destroyed for twice as long as any process may hold it, and tells all of them.
func (c Cache) Destroy(ctx context.Context, user domain.UserID) error {
	if err := c.Client.Set(ctx, keyOf(user), destroyed, 2*seal.MaxAge).Err(); err != nil {
		return fmt.Errorf("mark the key of %s as destroyed: %w", user, err)
	}
	if err := c.Client.Publish(ctx, channel, string(user)).Err(); err != nil {
		return fmt.Errorf("tell that the key of %s is destroyed: %w", user, err)
	}
	return nil
}

// retry is the wait before a broken subscription is made again.
const retry = time.Second

// Destroyed implements seal.Cache.
func (c Cache) Destroyed(ctx context.Context, gone func(domain.UserID), lost func()) error {
	for ctx.Err() == nil {
		err := c.Listener.Listen(ctx, []string{channel}, lost, func(_ string, payload []byte) { gone(domain.UserID(payload)) })
		if err == nil {
			return nil
		}
		if c.Logger != nil && ctx.Err() == nil {
			c.Logger.WarnContext(ctx, "not heard for a moment which keys are destroyed", slog.Any("error", err))
		}
		timer := time.NewTimer(retry)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}
