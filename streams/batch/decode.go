package batch

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"

	"mpim/schema"
)

// decoded is an entry with its record; nil where it has no place in the log.
type decoded struct {
	id     streamID
	entry  string
	record *schema.Record
}

// decodeAll returns the records of entries, from the cache where another consumer has read them before, with what is sealed in
// them opened. An error says that the keys for that cannot be had just now.
func (r *reader) decodeAll(ctx context.Context, entries []redis.XMessage) ([]decoded, error) {
	all := make([]decoded, len(entries))
	var fresh []*schema.Record
	for i, entry := range entries {
		id := parseStreamID(entry.ID)
		all[i] = decoded{id: id, entry: entry.ID, record: r.cached(id, entry)}
		if all[i].record != nil {
			r.metrics.shared.Inc()
			continue
		}
		if all[i].record = r.decode(ctx, entry); all[i].record == nil {
			continue
		}
		r.metrics.decoded.Inc()
		if fresh == nil {
			fresh = make([]*schema.Record, 0, len(entries)-i)
		}
		fresh = append(fresh, all[i].record)
	}
	if len(fresh) == 0 {
		return all, nil
	}
	if r.config.Opener != nil {
		if err := r.config.Opener.Open(ctx, fresh); err != nil {
			return nil, fmt.Errorf("open events: %w", err)
		}
	}
	for _, record := range fresh {
		r.cache.put(r.Partition, parseStreamID(record.StreamID), record)
	}
	return all, nil
}

// cached returns the record of an entry that was read before, unless it was opened with a key that is gone.
func (r *reader) cached(id streamID, entry redis.XMessage) *schema.Record {
	metadata, _ := entry.Values[schema.MetadataField].(string)
	payload, _ := entry.Values[schema.PayloadField].(string)
	record := r.cache.get(r.Partition, id, metadata, payload)
	if record != nil && r.config.Opener != nil && r.config.Opener.Stale(record) {
		return nil
	}
	return record
}

// decode returns the record of an entry as the log has it; nil for one that has no place in the log.
func (r *reader) decode(ctx context.Context, entry redis.XMessage) *schema.Record {
	uuid, _ := entry.Values[schema.UUIDField].(string)
	metadata, _ := entry.Values[schema.MetadataField].(string)
	payload, _ := entry.Values[schema.PayloadField].(string)
	record, err := schema.DecodeRecord(r.Partition, entry.ID, uuid, []byte(metadata), []byte(payload))
	if err != nil && record.Seq < 1 {
		r.metrics.unreadable.WithLabelValues(r.Consumer).Inc()
		r.logger.ErrorContext(ctx, "entry without a sequence passed over", slog.String("stream_id", entry.ID), slog.Any("error", err))
		return nil
	}
	if err != nil {
		r.metrics.broken.WithLabelValues(r.Consumer).Inc()
		record.Broken = err
	}
	return &record
}
