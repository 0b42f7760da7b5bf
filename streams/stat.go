package streams

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

// PartitionStat describes one partition.
type PartitionStat struct {
	Partition int `json:"partition"`
	// Keys are the stream, the counters and the timers of the partition.
	Keys []string `json:"keys"`
	// Entries are what the stream holds, Bytes the memory it takes.
	Entries int64 `json:"entries"`
	Bytes   int64 `json:"bytes"`
	// Head is the last partition sequence, First the lowest that the stream holds; 0 where it is empty.
	Head  int64 `json:"head"`
	First int64 `json:"first"`
	// FirstAt and LastAt are the times of the oldest and the newest event in the stream; nil where it is empty.
	FirstAt *time.Time `json:"first_at"`
	LastAt  *time.Time `json:"last_at"`
	Standing
}

// Stat describes the log.
type Stat struct {
	ID         string          `json:"id"`
	Epoch      int64           `json:"epoch"`
	Partitions []PartitionStat `json:"partitions"`
	Entries    int64           `json:"entries"`
	Bytes      int64           `json:"bytes"`
	// UsedMemory and MaxMemory are the server's, in bytes; MaxMemory is 0 where it has no limit.
	UsedMemory int64 `json:"used_memory"`
	MaxMemory  int64 `json:"max_memory"`
}

// ReadStat describes the log that identity names.
func ReadStat(ctx context.Context, client redis.UniversalClient, server Server, identity Identity) (Stat, error) {
	stat := Stat{ID: identity.ID, Epoch: identity.Epoch}
	reader := Reader{Client: client, Partitions: identity.Partitions}
	for partition := range identity.Partitions {
		p, err := readPartitionStat(ctx, client, reader, partition)
		if err != nil {
			return stat, err
		}
		stat.Partitions = append(stat.Partitions, p)
		stat.Entries += p.Entries
		stat.Bytes += p.Bytes
	}
	standings, err := ReadStandings(ctx, client, server, identity)
	if err != nil {
		return stat, err
	}
	for partition, standing := range standings {
		stat.Partitions[partition].Standing = standing
	}
	stat.UsedMemory, stat.MaxMemory, err = server.Memory(ctx)
	return stat, err
}

func readPartitionStat(ctx context.Context, client redis.UniversalClient, reader Reader, partition int) (PartitionStat, error) {
	key := schema.PartitionKey(partition, logName)
	stat := PartitionStat{Partition: partition, Keys: []string{
		key, schema.PartitionKey(partition, metaName), schema.PartitionKey(partition, "due"),
	}}
	var err error
	if stat.Entries, err = client.XLen(ctx, key).Result(); err != nil {
		return stat, unreachable(err)
	}
	if stat.Head, err = client.HGet(ctx, schema.PartitionKey(partition, metaName), "seq").Int64(); err != nil {
		return stat, unreachable(err)
	}
	if stat.Entries == 0 {
		return stat, nil
	}
	// The embedded store cannot tell how much memory a key takes.
	if stat.Bytes, err = client.MemoryUsage(ctx, key).Result(); err != nil && replyKind(err) == "" {
		return stat, unreachable(err)
	}
	oldest, err := reader.firstFrom(ctx, partition, "-")
	if err != nil {
		return stat, err
	}
	newest, err := reader.newest(ctx, partition, 1)
	if err != nil {
		return stat, err
	}
	if oldest != nil && len(newest) == 1 {
		stat.First, stat.FirstAt, stat.LastAt = oldest.Seq, &oldest.At, &newest[0].At
	}
	return stat, nil
}
