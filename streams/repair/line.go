package repair

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams"
)

// meta is what a partition says of itself.
type meta struct {
	exists bool
	id     string
	run    string // in which life of the server it was closed or opened
	epoch  int64
	// seq is the counter, first and last the sequences that the stream begins and ends with; 0 for an empty one.
	seq, first, last int64
	// repairing says that a repairer closed it.
	repairing bool
	opened    int64 // -1 where it was not opened in this life of the server
	parted    int64 // where it had been opened in the one in which it was marked as forked, -1 where that is this one
	forked    int64 // 0 where nobody missed anything
	repaired  int64 // the epoch whose log.repaired is appended
	// seen is the highest that somebody said.
	seen int64
}

// metas reads what all partitions say, each at one moment.
func (r *Repairer) metas(ctx context.Context, partitions int) ([]meta, error) {
	all := make([]meta, partitions)
	for n := range all {
		var fields *redis.MapStringStringCmd
		var said *redis.StringSliceCmd
		var first, last *redis.XMessageSliceCmd
		_, err := r.Client.TxPipelined(ctx, func(p redis.Pipeliner) error {
			fields = p.HGetAll(ctx, schema.PartitionKey(n, "meta"))
			said = p.HVals(ctx, schema.PartitionKey(n, "seen"))
			first = p.XRangeN(ctx, schema.PartitionKey(n, "log"), "-", "+", foreign)
			last = p.XRevRangeN(ctx, schema.PartitionKey(n, "log"), "+", "-", foreign)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("look at partition %d: %w", n, err)
		}
		all[n] = metaOf(fields.Val(), said.Val())
		all[n].first, all[n].last = placeOf(n, first.Val()), placeOf(n, last.Val())
	}
	return all, nil
}

// foreign is how many entries at either end of a stream may have no place in the log.
const foreign = 16

// placeOf returns the sequence of the first entry that has one.
func placeOf(partition int, entries []redis.XMessage) int64 {
	for _, e := range entries {
		metadata, _ := e.Values[schema.MetadataField].(string)
		payload, _ := e.Values[schema.PayloadField].(string)
		uuid, _ := e.Values[schema.UUIDField].(string)
		if r, _ := schema.DecodeRecord(partition, e.ID, uuid, []byte(metadata), []byte(payload)); r.Seq > 0 { // whatever else is wrong with it
			return r.Seq
		}
	}
	return 0
}

func metaOf(fields map[string]string, said []string) meta {
	number := func(text string) int64 {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	m := meta{
		exists: fields["id"] != "", id: fields["id"], run: fields["run"], epoch: number(fields["epoch"]), seq: number(fields["seq"]),
		repairing: fields["repairing"] != "", opened: number(fields["opened"]), parted: number(fields["parted"]),
		forked: number(fields["forked"]), repaired: number(fields["repaired"]),
	}
	if fields["opened"] == "" {
		m.opened = -1
	}
	if fields["parted"] == "" {
		m.parted = -1
	}
	for _, text := range said {
		m.seen = max(m.seen, number(text))
	}
	return m
}

// line is a partition as it stands when all is written back: what the archive has, and behind that what Redis has.
type line struct {
	*Repairer
	partition  int
	archivedTo int64
	// end is the last event of it.
	end int64

	page []*schema.Record
}

// archived returns an event from the archive, nil where that does not have it.
func (l *line) archived(ctx context.Context, seq int64) (*schema.Record, error) {
	if n := len(l.page); n == 0 || seq < l.page[0].Seq || seq > l.page[n-1].Seq {
		page, err := l.Archive.After(ctx, l.partition, seq-1)
		if err != nil {
			return nil, err
		}
		l.page = page
	}
	if len(l.page) == 0 || seq < l.page[0].Seq {
		return nil, nil
	}
	return l.page[seq-l.page[0].Seq], nil
}

// stored returns an event from Redis, nil where that does not have it.
func (l *line) stored(ctx context.Context, seq int64) (*schema.Record, error) {
	reader := streams.Reader{Client: l.Client, Partitions: l.partition + 1}
	record, err := reader.At(ctx, domain.Position{Partition: l.partition, Seq: seq})
	if domain.CodeOf(err) == domain.NotFound {
		return nil, nil
	}
	return record, err
}

// agreed returns the last event of which Redis and the archive have the same. Branches never meet again, so it is found by
// halving. What was trimmed had been archived, so it is the same.
func (l *line) agreed(ctx context.Context, m meta) (int64, error) {
	if m.last == 0 {
		return 0, nil
	}
	if m.first > l.archivedTo+1 {
		return 0, fmt.Errorf("events %d to %d are neither in Redis nor in the archive: restore the SQL database from a newer backup", l.archivedTo+1, m.first-1)
	}
	low, high := m.first-1, min(m.last, l.archivedTo) // the same at low, perhaps at high
	for next := high; low < high; next = low + (high-low+1)/2 {
		same, err := l.same(ctx, next)
		if err != nil {
			return 0, err
		}
		if same {
			low = next
		} else {
			high = next - 1
		}
	}
	return low, nil
}

// same says whether Redis and the archive have the same event at a sequence.
func (l *line) same(ctx context.Context, seq int64) (bool, error) {
	a, err := l.archived(ctx, seq)
	if err != nil || a == nil {
		return false, err
	}
	b, err := l.stored(ctx, seq)
	if err != nil || b == nil {
		return false, err
	}
	return a.ID == b.ID && a.StreamID == b.StreamID && bytes.Equal(a.Metadata, b.Metadata) && bytes.Equal(a.Payload, b.Payload), nil
}

// lacks says whether the line has no event, or another one, where a checkpoint stands: then whoever stands there has seen what is
// lost. A checkpoint without address is believed as far as the line goes.
func (l *line) lacks(ctx context.Context, c schema.Checkpoint) (bool, error) {
	switch {
	case c.Seq == 0:
		return false, nil
	case c.Seq > l.end:
		return true, nil
	case c.StreamID == "":
		return false, nil
	}
	get := l.stored
	if c.Seq <= l.archivedTo {
		get = l.archived
	}
	record, err := get(ctx, c.Seq)
	return record == nil || record.StreamID != c.StreamID, err
}

// otherwise says whether Redis has no event, or another one, where a checkpoint stands.
func (l *line) otherwise(ctx context.Context, c schema.Checkpoint) (bool, error) {
	record, err := l.stored(ctx, c.Seq)
	return record == nil || record.StreamID != c.StreamID, err
}

// noEnd is the end of a line that was repaired: whatever Redis has.
const noEnd = math.MaxInt64

// holds says whether the line has the event at a sequence.
func (l *line) holds(ctx context.Context, seq int64, id domain.EventID) (bool, error) {
	if seq > l.end {
		return false, nil
	}
	get := l.stored
	if seq <= l.archivedTo {
		get = l.archived
	}
	record, err := get(ctx, seq)
	return record != nil && record.ID == id, err
}
