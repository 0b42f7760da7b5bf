package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

// directoryKey is a hash: gateway → "<milliseconds of the server's clock> <schema.GatewayLoad>".
const directoryKey = "gateways"

const (
	// AnnounceEvery is how often gateways say where they are.
	AnnounceEvery = 5 * time.Second
	// announced is how long that is believed.
	announced = 3 * AnnounceEvery
)

// Announce says where a gateway is and how loaded.
func (b *Bus) Announce(ctx context.Context, g schema.GatewayLoad) error {
	text, err := json.Marshal(g)
	if err != nil {
		return fmt.Errorf("encode the announcement of %s: %w", g.ID, err)
	}
	if err := announceScript.Run(ctx, b.client, []string{directoryKey}, g.ID, text, announced.Milliseconds()).Err(); err != nil {
		return unreachable(err)
	}
	return nil
}

// Retire takes a gateway off that takes no connections any more.
func (b *Bus) Retire(ctx context.Context, gateway string) error {
	if err := b.client.HDel(ctx, directoryKey, gateway).Err(); err != nil {
		return unreachable(err)
	}
	return nil
}

// Gateways returns those that were announced lately, in no order.
func (b *Bus) Gateways(ctx context.Context) ([]schema.GatewayLoad, error) {
	var clock *redis.TimeCmd
	var kept *redis.MapStringStringCmd
	_, err := b.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		clock, kept = p.Time(ctx), p.HGetAll(ctx, directoryKey)
		return nil
	})
	if err != nil {
		return nil, unreachable(err)
	}
	var found []schema.GatewayLoad
	for id, value := range kept.Val() {
		at, text, _ := strings.Cut(value, " ")
		var g schema.GatewayLoad
		if json.Unmarshal([]byte(text), &g) != nil || g.ID != id {
			continue // of a version that says it otherwise
		}
		var ms int64
		if _, err := fmt.Sscan(at, &ms); err == nil && clock.Val().UnixMilli()-ms <= announced.Milliseconds() {
			found = append(found, g)
		}
	}
	return found, nil
}
