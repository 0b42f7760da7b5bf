package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// quiet is how long a subscription may bring nothing before the server is asked whether it is still there, and how
	// long it then has to answer.
	quiet = 3 * time.Second
	// Between attempts to subscribe again.
	firstRetry = 50 * time.Millisecond
	lastRetry  = 2 * time.Second
)

// Listener hears what is published. Its methods are called from one goroutine, in the order of publication; what they
// take long for is not lost, but Redis drops a listener that is tens of megabytes behind.
type Listener interface {
	// Subscribed says that all channels are heard from here on. It is called first of all, and again after each break:
	// what was published between the last message and the second and later calls may never have been heard.
	Subscribed()
	// Hear takes one message. The payload may be kept.
	Hear(channel string, payload []byte)
}

var (
	errSilent       = errors.New("the server does not answer")
	errResubscribed = errors.New("the connection was replaced")
)

// Listen subscribes to channels and tells the listener what is published there, until ctx ends; then it returns nil. A
// broken connection, or one on which the server falls silent, is replaced for as long as it takes. See
// schema.GatewayChannel and schema.StatusChannel for what to listen to.
func (b *Bus) Listen(ctx context.Context, listener Listener, channels ...string) error {
	retry := firstRetry
	for {
		stood, broken := b.listen(ctx, listener, channels)
		if ctx.Err() != nil {
			return nil
		}
		if stood {
			retry = firstRetry
		}
		b.logger.Warn("subscription broke: subscribing again",
			slog.Any("error", broken), slog.Duration("retry_in", retry))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retry):
		}
		retry = min(2*retry, lastRetry)
	}
}

// listen lasts for one connection. The library would replace it by itself and say nothing, so it is closed at the first
// fault. Stood says whether all channels were subscribed to.
func (b *Bus) listen(ctx context.Context, listener Listener, channels []string) (stood bool, err error) {
	subscription := b.client.Subscribe(ctx)
	// Closing is what interrupts a read.
	stop := context.AfterFunc(ctx, func() { _ = subscription.Close() })
	defer func() {
		stop()
		_ = subscription.Close()
	}()
	if err := subscription.Subscribe(ctx, channels...); err != nil {
		return false, fmt.Errorf("subscribe: %w", err)
	}
	awaited := make(map[string]bool, len(channels))
	for _, channel := range channels {
		awaited[channel] = true
	}
	asked := false
	for {
		received, err := subscription.ReceiveTimeout(ctx, quiet)
		if timeout(err) {
			if asked {
				return stood, errSilent
			}
			asked = true
			if err := subscription.Ping(ctx); err != nil {
				return stood, fmt.Errorf("ping: %w", err)
			}
			continue
		}
		if err != nil {
			return stood, fmt.Errorf("receive: %w", err)
		}
		asked = false
		switch m := received.(type) {
		case *redis.Subscription:
			if !awaited[m.Channel] {
				return stood, errResubscribed
			}
			if delete(awaited, m.Channel); len(awaited) == 0 {
				stood = true
				listener.Subscribed()
			}
		case *redis.Message:
			listener.Hear(m.Channel, []byte(m.Payload))
		}
	}
}

func timeout(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}
