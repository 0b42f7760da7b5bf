package presence_test

import (
	"context"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections/checkpoint/checkpointtest"
	"mpim/projections/presence"
	"mpim/streams/streamstest"
)

func TestMain(m *testing.M) { os.Exit(streamstest.Main(m)) }

func open(client redis.UniversalClient, space string) checkpointtest.Projection {
	return leased{presence.New(presence.Config{Client: client, Partitions: 16, Space: space})}
}

// leased is the projection with its leases in the dump, which tests outrun.
type leased struct{ *presence.Projection }

func (p leased) Dump(ctx context.Context, partition int) (map[string]string, error) {
	dump, err := p.Projection.Dump(ctx, partition)
	if err != nil {
		return nil, err
	}
	for _, user := range []domain.UserID{alice, carol} {
		for _, name := range []string{"route", "user:status"} {
			fields, err := p.Client().HGetAll(ctx, p.OutsideKey(name, string(user))).Result()
			if err != nil {
				return nil, err
			}
			for field, value := range fields {
				dump[name+" "+string(user)+" "+field] = value
			}
		}
	}
	return dump, nil
}

const (
	alice domain.UserID = "u0123456789abcdefghja03"
	carol domain.UserID = "u0123456789abcdefghjc03"
)
