package streams

import (
	"context"
	_ "embed" // for the script
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

var (
	//go:embed lua/trim.lua
	trimLua    string
	trimScript = redis.NewScript(trimLua)
)

// Stream is the log in Redis, as the archiver reads and trims it.
type Stream struct {
	// Client reaches the server; it is not closed.
	Client redis.UniversalClient
	// Identity returns the log's as it is now.
	Identity func() Identity
}

// Read returns the next records of a partition behind a checkpoint, at most limit; none at the end. An entry that cannot be
// decoded comes as a broken record, and one that has no place in the log not at all. It fails with a GapError where the
// stream does not go on there, or does not have the event at the checkpoint any more: then it is another branch, which must not
// be taken for what follows.
func (s Stream) Read(ctx context.Context, partition int, after schema.Checkpoint, limit int) ([]*schema.Record, error) {
	at := place{
		Reader: Reader{Client: s.Client, Partitions: s.Identity().Partitions, Page: int64(limit)}, Checkpoint: after, partition: partition,
	}
	records, err := at.fromStream(ctx)
	if err != nil || len(records) == 0 || after.Seq == 0 || after.StreamID == "" {
		return records, err
	}
	there, _, err := at.stretch(ctx, partition, stretch{from: after.StreamID, to: after.StreamID})
	if err == nil && (len(there) != 1 || there[0].Seq != after.Seq) {
		err = fmt.Errorf("%w: event %d is not at %s any more", &GapError{Partition: partition, After: after.Seq, Got: after.Seq}, after.Seq, after.StreamID)
	}
	if err != nil {
		return nil, err
	}
	return records, nil
}

// Trim drops entries before the one that the checkpoint names, as far as the server took them longer ago than keep, and
// returns how many. It drops whole nodes of the stream, some hundred entries each, so a few more stay than must. The entry at
// the checkpoint stays: so the stream is never empty, and shows where it begins. A server that holds another log, or whose
// partition takes no appends, is an error, and one that has less than the checkpoint says a GapError.
func (s Stream) Trim(ctx context.Context, partition int, to schema.Checkpoint, keep time.Duration) (int64, error) {
	now, err := s.Client.Time(ctx).Result()
	if err != nil {
		return 0, unreachable(err)
	}
	limit, err := schema.ParseStreamID(to.StreamID)
	if err != nil {
		return 0, fmt.Errorf("trim partition %d: %w", partition, err)
	}
	if floor := (schema.StreamID{Milliseconds: uint64(max(0, now.Add(-keep).UnixMilli()))}); floor.Compare(limit) < 0 {
		limit = floor
	}
	identity := s.Identity()
	keys := []string{schema.PartitionKey(partition, logName), schema.PartitionKey(partition, metaName)}
	var trimmed int64
	for {
		n, err := trimScript.Run(ctx, s.Client, keys, identity.ID, identity.Epoch, to.Seq, limit.String()).Int64()
		if head, forked := forkedAt(err); forked {
			err = &GapError{Partition: partition, After: to.Seq, Got: head}
		}
		if err != nil {
			return trimmed, fmt.Errorf("trim partition %d: %w", partition, err)
		}
		if trimmed += n; n == 0 {
			return trimmed, nil
		}
	}
}

// forkedAt returns where a script found the counter that refused because somebody had seen more.
func forkedAt(err error) (head int64, forked bool) {
	if replyKind(err) != "FORKED" {
		return 0, false
	}
	_, text, _ := strings.Cut(err.Error(), "FORKED at ")
	head, err = strconv.ParseInt(text, 10, 64)
	return head, err == nil
}

// Trimmable returns how many entries Trim would drop at most.
func (s Stream) Trimmable(ctx context.Context, partition int, to schema.Checkpoint, keep time.Duration) (int64, error) {
	now, err := s.Client.Time(ctx).Result()
	if err != nil {
		return 0, unreachable(err)
	}
	reader := Reader{Client: s.Client, Partitions: s.Identity().Partitions}
	first, err := reader.firstFrom(ctx, partition, "-")
	if err != nil || first == nil {
		return 0, err
	}
	kept, err := reader.firstFrom(ctx, partition, idAt(now.Add(-keep)))
	if err != nil {
		return 0, err
	}
	end := to.Seq
	if kept != nil {
		end = min(end, kept.Seq)
	}
	return max(0, end-first.Seq), nil
}
