package lease

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

// Holder says who holds the lease of a partition.
type Holder struct {
	Partition int
	Worker    string
	Token     int64
}

// Holders returns the holders of a consumer's partitions, in their order, in one round trip. A partition that nobody
// holds is missing.
func Holders(ctx context.Context, client redis.UniversalClient, partitions int, consumer string) ([]Holder, error) {
	calls := make([]call, partitions)
	for p := range calls {
		calls[p] = call{renewScript, leasesKey(p), []any{0, ""}}
	}
	commands, err := runAll(ctx, client, calls)
	if err != nil {
		return nil, fmt.Errorf("read the holders of %s: %w", consumer, err)
	}
	holders := make([]Holder, 0, partitions)
	for p, command := range commands {
		standing, err := parseStanding(command)
		if err != nil {
			return nil, fmt.Errorf("read the holders of %s: %w", consumer, err)
		}
		if s, ok := standing[consumer]; ok {
			holders = append(holders, Holder{Partition: p, Worker: s.worker, Token: s.token})
		}
	}
	return holders, nil
}

// standing is a lease that has not expired.
type standing struct {
	worker    string
	token     int64
	remaining time.Duration
}

// parseStanding reads the answer of renew.lua: the leases of one partition by consumer.
func parseStanding(command *redis.Cmd) (map[string]standing, error) {
	reply, err := command.StringSlice()
	if err != nil {
		return nil, err
	}
	if len(reply)%4 != 0 {
		return nil, errReply
	}
	leases := make(map[string]standing, len(reply)/4)
	for i := 0; i < len(reply); i += 4 {
		token, errToken := strconv.ParseInt(reply[i+2], 10, 64)
		remaining, errRemaining := strconv.ParseInt(reply[i+3], 10, 64)
		if errToken != nil || errRemaining != nil {
			return nil, errReply
		}
		leases[reply[i]] = standing{reply[i+1], token, time.Duration(remaining) * time.Millisecond}
	}
	return leases, nil
}

func leasesKey(partition int) string { return schema.PartitionKey(partition, "leases") }
