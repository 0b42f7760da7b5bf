package streams

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
)

// Identity names one log. It is kept in Redis, in every partition, and in SQL.
type Identity struct {
	// ID is 32 hexadecimal digits.
	ID string
	// Key makes ids and idempotency hashes unguessable. It is made with the log and never changes.
	Key [32]byte
	// Partitions never changes.
	Partitions int
	// Epoch rises with each repair, from 1.
	Epoch int64
}

// Placement returns how the log places aggregates.
func (i Identity) Placement() domain.Placement {
	return domain.Placement{Key: i.Key, Partitions: i.Partitions}
}

// NewIdentity draws the identity of a new log.
func NewIdentity(partitions int) (Identity, error) {
	if partitions < 1 || partitions > domain.MaxPartitions {
		return Identity{}, fmt.Errorf("a log has 1 to %d partitions, not %d", domain.MaxPartitions, partitions)
	}
	i := Identity{Partitions: partitions, Epoch: 1}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails, as crypto/rand says
	_, _ = rand.Read(i.Key[:])
	i.ID = hex.EncodeToString(id[:])
	return i, nil
}

// ErrNoLog says that Redis holds no log at all.
var ErrNoLog = errors.New("redis holds no log")

// ReadIdentity returns the identity of the log that Redis holds, ErrNoLog where it holds none, and another error where
// its partitions disagree.
func ReadIdentity(ctx context.Context, client redis.UniversalClient) (Identity, error) {
	first, err := readMeta(ctx, client, 0)
	if err != nil {
		return Identity{}, err
	}
	for partition := 1; partition < first.Partitions; partition++ {
		other, err := readMeta(ctx, client, partition)
		if err != nil && !errors.Is(err, ErrNoLog) {
			return Identity{}, err
		}
		if other != first {
			return Identity{}, fmt.Errorf("partition %d of log %s is missing or belongs to another log: run `mpim log repair`", partition, first.ID)
		}
	}
	return first, nil
}

func readMeta(ctx context.Context, client redis.UniversalClient, partition int) (Identity, error) {
	meta, err := client.HGetAll(ctx, schema.PartitionKey(partition, metaName)).Result()
	if err != nil {
		return Identity{}, fmt.Errorf("read the log's identity: %w", err)
	}
	if meta["id"] == "" {
		return Identity{}, ErrNoLog
	}
	i := Identity{ID: meta["id"]}
	key, errKey := hex.DecodeString(meta["key"])
	partitions, errPartitions := strconv.Atoi(meta["partitions"])
	epoch, errEpoch := strconv.ParseInt(meta["epoch"], 10, 64)
	if err := errors.Join(errKey, errPartitions, errEpoch); err != nil || len(key) != len(i.Key) {
		return Identity{}, fmt.Errorf("the identity of partition %d is damaged (%w): restore Redis from its append-only file", partition, err)
	}
	copy(i.Key[:], key)
	i.Partitions, i.Epoch = partitions, epoch
	return i, nil
}

// Create writes the identity into every partition. It may be repeated; a partition that belongs to another log is an
// error.
func Create(ctx context.Context, client redis.UniversalClient, i Identity) error {
	script := redis.NewScript(createLua)
	for partition := range i.Partitions {
		key := schema.PartitionKey(partition, metaName)
		id, err := script.Run(ctx, client, []string{key}, i.ID, hex.EncodeToString(i.Key[:]), i.Partitions, i.Epoch).Text()
		if err != nil {
			return fmt.Errorf("create partition %d: %w", partition, err)
		}
		if id != i.ID {
			return fmt.Errorf("redis already holds log %s: use an empty database, or the SQL database that belongs to it", id)
		}
	}
	return nil
}
