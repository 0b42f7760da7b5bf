package bus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// quiet is how long a subscription may bring nothing before the server is asked whether it is still there, and how long
// it then has to answer.
const quiet = 3 * time.Second

var (
	errSilent       = errors.New("the server does not answer")
	errResubscribed = errors.New("the connection was replaced")
)

// Listen subscribes to channels, calls ready once all of them are heard, and then hear with each message, in order and
// from one goroutine. It returns nil when ctx ends, and an error when the connection broke or the server fell silent:
// what is published from then on, until the caller listens again and is ready, may never be heard.
//
// The payload may be kept. What hear takes long for is not lost, but Redis drops a listener that is tens of megabytes
// behind. See schema.GatewayChannel and schema.StatusChannel for what to listen to.
func (b *Bus) Listen(ctx context.Context, channels []string, ready func(), hear func(channel string, payload []byte)) error {
	// The library would replace a broken connection by itself and say nothing, so it is closed at the first fault.
	subscription := b.client.Subscribe(ctx)
	// Closing is what interrupts a read.
	stop := context.AfterFunc(ctx, func() { _ = subscription.Close() })
	defer func() {
		stop()
		_ = subscription.Close()
	}()
	err := subscription.Subscribe(ctx, channels...)
	if err == nil {
		err = receive(ctx, subscription, channels, ready, hear)
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("subscription: %w", err)
}

func receive(ctx context.Context, s *redis.PubSub, channels []string, ready func(), hear func(string, []byte)) error {
	awaited := make(map[string]bool, len(channels))
	for _, channel := range channels {
		awaited[channel] = true
	}
	asked := false
	for {
		received, err := s.ReceiveTimeout(ctx, quiet)
		switch {
		case isTimeout(err) && asked:
			return errSilent
		case isTimeout(err):
			asked = true
			if err := s.Ping(ctx); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		asked = false
		switch m := received.(type) {
		case *redis.Subscription:
			if !awaited[m.Channel] {
				return errResubscribed
			}
			if delete(awaited, m.Channel); len(awaited) == 0 {
				ready()
			}
		case *redis.Message:
			hear(m.Channel, []byte(m.Payload))
		}
	}
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}
