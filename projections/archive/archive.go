package archive

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/uptrace/bun"

	"mpim/domain"
	"mpim/projections"
	"mpim/projections/database"
	"mpim/schema"
)

// Name is the archive's name as a consumer.
const Name = "archive"

// Archive reads what was archived.
type Archive struct {
	// DB is where it is.
	DB *database.DB
}

// After returns the records of a partition behind a sequence, those of one segment. There are none where the archive does
// not go on there.
func (a Archive) After(ctx context.Context, partition int, seq int64) ([]*schema.Record, error) {
	var found []row
	err := a.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		found = nil
		return tx.NewSelect().Model(&found).Where("log_partition = ? AND from_seq <= ?", partition, seq+1).
			OrderExpr("from_seq DESC").Limit(1).Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("read the archive: %w", err)
	}
	if len(found) == 0 || found[0].To <= seq {
		return nil, nil
	}
	records, err := found[0].decode()
	if err != nil {
		return nil, err
	}
	return records[seq+1-found[0].From:], nil
}

// Event returns the record with the id. The error is of kind NotFound where the archive does not hold it.
func (a Archive) Event(ctx context.Context, id domain.EventID) (*schema.Record, error) {
	missing := domain.Errorf(domain.NotFound, "the archive holds no event %s", id)
	at, ok := id.Time()
	if !ok {
		return nil, missing
	}
	var candidates []head
	err := a.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		candidates = nil
		return tx.NewSelect().Model(&candidates).Where("first_at <= ? AND last_at >= ?", at, at).Order("log_partition", "from_seq").Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("search the archive: %w", err)
	}
	for _, c := range candidates {
		// Merged meanwhile or not, what stands there holds the events of the candidate.
		for seq := c.From - 1; seq < c.To; {
			records, err := a.After(ctx, c.Partition, seq)
			if err != nil {
				return nil, err
			}
			for _, r := range records {
				if r.ID == id {
					return r, nil
				}
				seq = r.Seq
			}
			if len(records) == 0 {
				break
			}
		}
	}
	return nil, missing
}

// Before returns a sequence of the partition up to which every event has an effective time before at: the latest of all times
// up to it. It is 0 where the archive cannot tell of any.
func (a Archive) Before(ctx context.Context, partition int, at time.Time) (int64, error) {
	var seq int64
	err := a.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		return tx.NewSelect().Model((*head)(nil)).ColumnExpr("COALESCE(MAX(to_seq), 0)").
			Where("log_partition = ? AND reached_at < ?", partition, at.UTC()).Scan(ctx, &seq)
	})
	if err != nil {
		return 0, fmt.Errorf("read the archive: %w", err)
	}
	return seq, nil
}

// PartitionState is how far the archive is in one partition.
type PartitionState struct {
	Partition int
	// ArchivedTo is the last event that is archived, VerifiedTo the last that was read back too.
	ArchivedTo, VerifiedTo int64
	// StreamID is the address of the event at VerifiedTo, ReachedAt the latest time of an event up to ArchivedTo.
	StreamID  string
	ReachedAt time.Time
	UpdatedAt time.Time
}

// States returns how far the archive is, in all partitions that it has begun.
func (a Archive) States(ctx context.Context) ([]PartitionState, error) {
	rows, err := a.partitions(ctx)
	if err != nil {
		return nil, err
	}
	states := make([]PartitionState, len(rows))
	for i, r := range rows {
		states[i] = r.state()
	}
	return states, nil
}

func (r partitionRow) state() PartitionState {
	return PartitionState{
		Partition: r.Partition, ArchivedTo: r.ArchivedTo, VerifiedTo: r.VerifiedTo, StreamID: r.StreamID,
		ReachedAt: r.ReachedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
	}
}

func (a Archive) partitions(ctx context.Context) (rows []partitionRow, err error) {
	err = a.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		rows = nil
		return tx.NewSelect().Model(&rows).Order("log_partition").Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("read how far the archive is: %w", err)
	}
	return rows, nil
}

// Size is what the archive takes.
type Size struct {
	// Segments and Events are how many there are, Bytes what the segments take, and Raw what the events take in the log.
	Segments, Events, Bytes, Raw int64
}

// Size returns what the archive takes. It looks at every segment.
func (a Archive) Size(ctx context.Context) (s Size, err error) {
	err = a.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		return tx.NewSelect().Model((*row)(nil)).
			ColumnExpr("COUNT(*), COALESCE(SUM(count), 0), COALESCE(SUM(LENGTH(data)), 0), COALESCE(SUM(bytes), 0)").
			Scan(ctx, &s.Segments, &s.Events, &s.Bytes, &s.Raw)
	})
	if err != nil {
		return s, fmt.Errorf("measure the archive: %w", err)
	}
	return s, nil
}

// Status describes the archive as lists of projections show it.
func (a Archive) Status(ctx context.Context) (projections.Status, error) {
	status := projections.Status{Name: Name, Version: 1, Build: 1, Store: projections.SQLStore, State: projections.Live}
	states, err := a.States(ctx)
	for _, s := range states {
		status.Partitions = append(status.Partitions, projections.PartitionStatus{
			Partition: s.Partition, Checkpoint: schema.Checkpoint{Seq: s.VerifiedTo, StreamID: s.StreamID}, At: s.ReachedAt, UpdatedAt: s.UpdatedAt,
		})
	}
	return status, err
}

// At returns the record at a position. The error is of kind NotFound where the archive does not hold it.
func (a Archive) At(ctx context.Context, p domain.Position) (*schema.Record, error) {
	records, err := a.After(ctx, p.Partition, p.Seq-1)
	if err != nil {
		return nil, err
	}
	if len(records) == 0 || records[0].Seq != p.Seq {
		return nil, domain.Errorf(domain.NotFound, "the archive holds no event at %s", p)
	}
	return records[0], nil
}

// Message returns the record of a conversation's event, which is searched for among those of the time around it: a message
// was sent before it was answered or changed. The error is of kind NotFound where the archive does not hold it.
func (a Archive) Message(ctx context.Context, id domain.ConversationID, seq domain.Seq) (*schema.Record, error) {
	partition, ok := id.Partition()
	if !ok || seq < 1 {
		return nil, domain.Errorf(domain.NotFound, "there is no message %d in %s", seq, id)
	}
	heads, err := a.heads(ctx, partition)
	if err != nil {
		return nil, err
	}
	// Segments in which the conversation has no event tell nothing, so this looks at all of them, the newest first.
	for _, h := range slices.Backward(heads) {
		records, err := a.After(ctx, partition, h.From-1)
		if err != nil {
			return nil, err
		}
		mine := records[:0:0]
		for _, r := range records {
			if r.Conversation() == id && r.ConversationSeq > 0 {
				mine = append(mine, r)
			}
		}
		if n := sort.Search(len(mine), func(n int) bool { return mine[n].ConversationSeq >= seq }); n < len(mine) && mine[n].ConversationSeq == seq {
			return mine[n], nil
		}
		if len(mine) > 0 && mine[0].ConversationSeq < seq {
			break
		}
	}
	return nil, domain.Errorf(domain.NotFound, "the archive holds no event %d of %s", seq, id)
}

func (a Archive) heads(ctx context.Context, partition int) (heads []head, err error) {
	err = a.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		heads = nil
		return tx.NewSelect().Model(&heads).Where("log_partition = ?", partition).Order("from_seq").Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("list the segments of partition %d: %w", partition, err)
	}
	return heads, nil
}

// Facts are what does not change of a message.
type Facts struct {
	Sender domain.UserID
	At     time.Time
	// ExpiresAt is zero for a message that stays.
	ExpiresAt time.Time
}

// Facts returns those of a message. The error is of kind NotFound where the archive holds no such message. What became of it
// since it does not say: a change that crosses a recall is settled when it is applied.
func (a Archive) Facts(ctx context.Context, id domain.ConversationID, seq domain.Seq) (Facts, error) {
	record, err := a.Message(ctx, id, seq)
	if err != nil {
		return Facts{}, err
	}
	fact, err := record.Fact()
	if err != nil {
		return Facts{}, err
	}
	sent, ok := fact.(*domain.MessageSent)
	if !ok {
		return Facts{}, domain.Errorf(domain.NotFound, "event %d of %s is no message", seq, id)
	}
	facts := Facts{Sender: record.Actor, At: record.At}
	if sent.ExpiresAt != nil {
		facts.ExpiresAt = sent.ExpiresAt.Time
	}
	return facts, nil
}
