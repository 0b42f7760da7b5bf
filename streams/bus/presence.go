package bus

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
)

const (
	// pageSize is how many connections or entries one call reads.
	pageSize = 1000
	// readBlock bounds a blocking read that cannot be interrupted.
	readBlock = time.Second
)

// PresenceStart returns, for each partition, the entry after which its presence stream must be folded by who reads the
// registry of connections from now on, so that it misses none: some minutes back, or more where the registry, which is a
// projection of the log, lags behind.
func (b *Bus) PresenceStart(ctx context.Context) ([]schema.StreamID, error) {
	space, err := b.registry(ctx)
	if err != nil {
		return nil, err
	}
	registries := make([]*redis.SliceCmd, b.partitions)
	heads := make([]*redis.StringCmd, b.partitions)
	var clock *redis.TimeCmd
	_, err = b.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		clock = p.Time(ctx)
		for partition := range b.partitions {
			registries[partition] = p.HMGet(ctx, schema.PartitionKey(partition, space+registryName), "seq", "id")
			heads[partition] = p.HGet(ctx, schema.PartitionKey(partition, metaName), "seq")
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, unreachable(err)
	}
	start := make([]schema.StreamID, b.partitions)
	for partition := range start {
		back := clock.Val().Add(-foldFrom).UnixMilli()
		if seq, id := registryAt(registries[partition]); seq != heads[partition].Val() {
			back = min(back, int64(id.Milliseconds)-foldFrom.Milliseconds()) //nolint:gosec // a time
		}
		start[partition].Milliseconds = uint64(max(back, 0))
	}
	return start, nil
}

// registry returns what stands in front of the keys of the registry that is read now. A build that was read a moment ago is
// fed and kept for some seconds more, so there is no need to look again while it is read.
func (b *Bus) registry(ctx context.Context) (space string, err error) {
	values, err := b.client.HMGet(ctx, schema.BuildsKey(registryOf), schema.LiveField).Result()
	if err != nil {
		return "", unreachable(err)
	}
	text, _ := values[0].(string)
	live := schema.ParseLiveBuild(text)
	if live.Number == 0 {
		return "", unreachable(errors.New("no build of presence is live"))
	}
	return schema.BuildSpace(registryOf, live.Number), nil
}

// registryAt returns the sequence up to which the registry is folded, and its entry in the log.
func registryAt(checkpoint *redis.SliceCmd) (seq string, id schema.StreamID) {
	values := checkpoint.Val()
	if len(values) != 2 {
		return "", id
	}
	seq, _ = values[0].(string)
	text, _ := values[1].(string)
	id, err := schema.ParseStreamID(text)
	if err != nil {
		return "", schema.StreamID{}
	}
	return seq, id
}

// Connections calls each with all live connections of the users of a partition, as far as the registry knows them. What
// changes meanwhile may or may not be seen.
func (b *Bus) Connections(ctx context.Context, partition int, each func(domain.ConnectionID, schema.Connection)) error {
	space, err := b.registry(ctx)
	if err != nil {
		return err
	}
	key := schema.PartitionKey(partition, space+connectionsName)
	for cursor := uint64(0); ; {
		page, next, err := b.client.HScan(ctx, key, cursor, "", pageSize).Result()
		if err != nil {
			return unreachable(err)
		}
		for i := 0; i+1 < len(page); i += 2 {
			var c schema.Connection
			if err := json.Unmarshal([]byte(page[i+1]), &c); err != nil {
				b.logger.Error("registry of connections has an entry that cannot be read",
					slog.Int("partition", partition), slog.String("connection", page[i]), slog.Any("error", err))
				continue
			}
			each(domain.ConnectionID(page[i]), c)
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// PresenceHeads returns the id of the last entry of each partition's presence stream, zero where it has none.
func (b *Bus) PresenceHeads(ctx context.Context) ([]schema.StreamID, error) {
	last := make([]*redis.XMessageSliceCmd, b.partitions)
	_, err := b.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for partition := range last {
			last[partition] = p.XRevRangeN(ctx, schema.PartitionKey(partition, presenceName), "+", "-", 1)
		}
		return nil
	})
	if err != nil {
		return nil, unreachable(err)
	}
	heads := make([]schema.StreamID, b.partitions)
	for partition, reply := range last {
		if entries := reply.Val(); len(entries) > 0 {
			if heads[partition], err = parseID(entries[0].ID); err != nil {
				return nil, err
			}
		}
	}
	return heads, nil
}

// FollowPresence reads the presence streams of all partitions after the given entries, one for each partition, and calls
// apply with what each read brought, in order within a partition, until ctx ends; then it returns nil. It returns an
// error when a read fails. It blocks on one connection of its own.
func (b *Bus) FollowPresence(ctx context.Context, after []schema.StreamID, apply func([]schema.PresenceRead)) error {
	reader, finish, err := b.blockingReader(ctx)
	if err != nil {
		return err
	}
	defer finish()
	partitions := make(map[string]int, b.partitions)
	streams := make([]string, 2*b.partitions)
	for partition := range b.partitions {
		streams[partition] = schema.PartitionKey(partition, presenceName)
		streams[b.partitions+partition] = after[partition].String()
		partitions[streams[partition]] = partition
	}
	for ctx.Err() == nil {
		read, err := reader.XRead(ctx, &redis.XReadArgs{Streams: streams, Count: pageSize, Block: readBlock}).Result()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, redis.Nil):
			continue
		case err != nil:
			return unreachable(err)
		}
		var entries []schema.PresenceRead
		for _, stream := range read {
			partition := partitions[stream.Stream]
			for _, message := range stream.Messages {
				entry, err := b.decode(partition, message)
				if err != nil {
					return err
				}
				entries = append(entries, entry)
				streams[b.partitions+partition] = message.ID
			}
		}
		apply(entries)
	}
	return nil
}

// decode reads an entry. One that cannot be read has no Entry: it is passed over, as nothing can be done about it.
func (b *Bus) decode(partition int, message redis.XMessage) (schema.PresenceRead, error) {
	id, err := parseID(message.ID)
	if err != nil {
		return schema.PresenceRead{}, err
	}
	entry, err := schema.DecodePresence(message.Values)
	if err != nil {
		b.logger.Error("presence stream has an entry that cannot be read",
			slog.Int("partition", partition), slog.String("entry", message.ID), slog.Any("error", err))
		entry = nil
	}
	return schema.PresenceRead{Partition: partition, ID: id, Entry: entry}, nil
}

// streamReader is what a blocking read needs.
type streamReader interface {
	XRead(ctx context.Context, a *redis.XReadArgs) *redis.XStreamSliceCmd
}

// blockingReader returns what to block on. On one server that is a connection of its own, whose read is ended from
// another connection as soon as ctx ends: the library does not interrupt a read by itself. A server without CLIENT
// UNBLOCK ends it within readBlock.
func (b *Bus) blockingReader(ctx context.Context) (reader streamReader, finish func(), err error) {
	single, ok := b.client.(*redis.Client)
	if !ok {
		return b.client, func() {}, nil
	}
	conn := single.Conn()
	id, err := conn.ClientID(ctx).Result()
	if err != nil {
		if isReply(err) {
			return conn, func() { _ = conn.Close() }, nil
		}
		_ = conn.Close()
		return nil, nil, unreachable(err)
	}
	stop := context.AfterFunc(ctx, func() {
		unblock, cancel := context.WithTimeout(context.WithoutCancel(ctx), readBlock)
		defer cancel()
		_ = single.ClientUnblock(unblock, id).Err() // else the read ends by itself
	})
	return conn, func() {
		stop()
		_ = conn.Close()
	}, nil
}

// isReply says whether err is an answer of the server, as from one that lacks a command.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}
