package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"mpim/domain"
	"mpim/projections"
	"mpim/schema"
)

// ParkedEvent is an event that a build could not apply, or that stands behind one.
type ParkedEvent struct {
	// Record is the event as the log has it.
	Record *schema.Record
	Key    projections.Key
	// Reason says why it could not be applied the last time; empty where it only stands behind another.
	Reason string
	// Attempts is how often it was tried: none where it only stands behind another.
	Attempts int
	// First is when it was parked, Last when it was tried last.
	First, Last time.Time
}

// Discarded is an event that was given up.
type Discarded struct {
	bun.BaseModel `bun:"table:parked_discards"`

	Projection string           `bun:"projection,pk"`
	Build      int              `bun:"build,pk"`
	Partition  int              `bun:"log_partition,pk"`
	Seq        int64            `bun:"seq,pk"`
	Key        projections.Key  `bun:"aggregate"`
	Event      []byte           `bun:"event"`
	Type       domain.EventType `bun:"event_type"`
	// Reason is why it was parked, Why the reason for giving it up.
	Reason   string    `bun:"reason"`
	ParkedAt time.Time `bun:"parked_at"`
	By       string    `bun:"discarded_by"`
	At       time.Time `bun:"discarded_at"`
	Why      string    `bun:"why"`
}

type retryRow struct {
	bun.BaseModel `bun:"table:parked_retries"`

	Projection string    `bun:"projection,pk"`
	Build      int       `bun:"build,pk"`
	Partition  int       `bun:"log_partition,pk"`
	Seq        int64     `bun:"seq,pk"`
	Attempts   int       `bun:"attempts"`
	TriedAt    time.Time `bun:"tried_at"`
}

// ParkedEvents returns what the build has parked, by partition and sequence.
func (c SQL) ParkedEvents(ctx context.Context) (found []ParkedEvent, err error) {
	err = c.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		var rows []parkedRow
		if err := c.mine(tx.NewSelect().Model(&rows)).Order("log_partition", "seq").Scan(ctx); err != nil {
			return err
		}
		var retries []retryRow
		if err := c.mine(tx.NewSelect().Model(&retries)).Scan(ctx); err != nil {
			return err
		}
		tried := make(map[domain.Position]retryRow, len(retries))
		for _, r := range retries {
			tried[domain.Position{Partition: r.Partition, Seq: r.Seq}] = r
		}
		found = make([]ParkedEvent, len(rows))
		for i, row := range rows {
			found[i] = row.event(tried[domain.Position{Partition: row.Partition, Seq: row.Seq}])
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what %s has parked: %w", c.Build, err)
	}
	return found, nil
}

func (c SQL) mine(q *bun.SelectQuery) *bun.SelectQuery {
	return q.Where("projection = ? AND build = ?", c.Build.Name, c.Build.Number)
}

func (r *parkedRow) event(tried retryRow) ParkedEvent {
	e := ParkedEvent{
		Record: r.record(), Key: projections.Key(r.Aggregate), Reason: r.Reason, First: r.ParkedAt.UTC(), Last: r.ParkedAt.UTC(),
		Attempts: tried.Attempts,
	}
	if r.Reason != "" {
		e.Attempts++
	}
	if !tried.TriedAt.IsZero() {
		e.Last = tried.TriedAt.UTC()
	}
	return e
}

// record decodes the event again, since a newer binary may know better how.
func (r *parkedRow) record() *schema.Record {
	record, err := schema.DecodeRecord(r.Partition, r.StreamID, string(r.Event), r.Metadata, r.Payload)
	record.Broken = err
	record.Position = domain.Position{Partition: r.Partition, Seq: r.Seq}
	return &record
}

// Retry replays what is parked by a key of a partition, in order and in one transaction: all of it is applied and parked no
// more, or nothing is. Fold writes the rows. While it runs the partition is not fed. It returns how many events that were;
// an error is fold's, and the try is counted.
func (c SQL) Retry(
	ctx context.Context, partition int, key projections.Key, fold func(ctx context.Context, tx bun.Tx, records []*schema.Record) error,
) (n int, err error) {
	err = c.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		rows, err := c.lockParked(ctx, tx, partition, key)
		if err != nil {
			return err
		}
		n = len(rows)
		records := make([]*schema.Record, n)
		for i, row := range rows {
			if records[i] = row.record(); records[i].Broken != nil {
				return fmt.Errorf("event %s at %s: %w", row.Event, records[i].Position, records[i].Broken)
			}
		}
		if n == 0 {
			return nil
		}
		if err := fold(ctx, tx, records); err != nil {
			return err
		}
		return c.unpark(ctx, tx, rows)
	})
	if err != nil && !projections.IsOutside(err) {
		return 0, errors.Join(err, c.tried(ctx, partition, key, err))
	}
	return n, err
}

// lockParked returns what is parked by a key, while the partition's checkpoint is locked.
func (c SQL) lockParked(ctx context.Context, tx bun.Tx, partition int, key projections.Key) (rows []parkedRow, err error) {
	// Whatever the build is fed moves this row first.
	_, err = tx.NewUpdate().Model((*sqlRow)(nil)).Set("seq = seq").
		Where("projection = ? AND build = ? AND log_partition = ?", c.Build.Name, c.Build.Number, partition).Exec(ctx)
	if err != nil {
		return nil, err
	}
	err = c.mine(tx.NewSelect().Model(&rows)).Where("log_partition = ? AND aggregate = ?", partition, string(key)).
		Order("seq").Scan(ctx)
	return rows, err
}

func (c SQL) unpark(ctx context.Context, tx bun.Tx, rows []parkedRow) error {
	for i := range rows {
		if _, err := tx.NewDelete().Model(&rows[i]).WherePK().Exec(ctx); err != nil {
			return err
		}
		retry := retryRow{Projection: c.Build.Name, Build: c.Build.Number, Partition: rows[i].Partition, Seq: rows[i].Seq}
		if _, err := tx.NewDelete().Model(&retry).WherePK().Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// tried counts a try that failed, and why.
func (c SQL) tried(ctx context.Context, partition int, key projections.Key, cause error) error {
	return c.DB.Write(context.WithoutCancel(ctx), func(ctx context.Context, tx bun.Tx) error {
		rows, err := c.lockParked(ctx, tx, partition, key)
		if err != nil || len(rows) == 0 {
			return err
		}
		first := rows[0] // which the others stand behind
		var known []retryRow
		if err := c.mine(tx.NewSelect().Model(&known)).Where("log_partition = ? AND seq = ?", partition, first.Seq).Scan(ctx); err != nil {
			return err
		}
		row := retryRow{
			Projection: c.Build.Name, Build: c.Build.Number, Partition: partition, Seq: first.Seq, TriedAt: now(),
		}
		if first.Reason != "" {
			row.Attempts = 1 // beside the one that the reason stands for
		}
		if len(known) > 0 {
			row.Attempts += known[0].Attempts
		}
		q := c.DB.Upsert(tx.NewInsert().Model(&row), []string{"projection", "build", "log_partition", "seq"}, []string{"attempts", "tried_at"})
		if _, err := q.Exec(ctx); err != nil {
			return err
		}
		_, err = tx.NewUpdate().Model(&first).Set("reason = ?", shorten(cause.Error())).WherePK().Exec(ctx)
		return err
	})
}

// Discard gives up what is parked by a key of a partition, or the one event at seq where that is not 0, and keeps who did
// so and why. It returns how many events that were.
func (c SQL) Discard(ctx context.Context, partition int, key projections.Key, seq int64, by, why string) (n int, err error) {
	err = c.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		rows, err := c.lockParked(ctx, tx, partition, key)
		if err != nil {
			return err
		}
		var given []parkedRow
		for _, row := range rows {
			if seq == 0 || row.Seq == seq {
				given = append(given, row)
			}
		}
		if n = len(given); n == 0 {
			return nil
		}
		discarded := make([]Discarded, n)
		for i, row := range given {
			discarded[i] = Discarded{
				Projection: row.Projection, Build: row.Build, Partition: row.Partition, Seq: row.Seq, Key: key, Event: row.Event,
				Type: row.record().Type, Reason: row.Reason, ParkedAt: row.ParkedAt, By: by, At: now(), Why: why,
			}
		}
		if _, err := tx.NewInsert().Model(&discarded).Exec(ctx); err != nil {
			return err
		}
		return c.unpark(ctx, tx, given)
	})
	return n, err
}

// Discards returns what of the build was given up, by partition and sequence.
func (c SQL) Discards(ctx context.Context) (found []Discarded, err error) {
	err = c.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		found = nil
		return c.mine(tx.NewSelect().Model(&found)).Order("log_partition", "seq").Scan(ctx)
	})
	return found, err
}

// errRetried says that events stand behind nothing any more.
var errRetried = errors.New("what was parked was retried or discarded meanwhile")

// stillParked fails where an event is to be parked behind another one that is not there any more.
func (c SQL) stillParked(ctx context.Context, tx bun.Tx, step projections.Step) error {
	checked := make(map[projections.Key]bool)
	for _, p := range step.Parked {
		if p.Reason != "" {
			checked[p.Key] = true
		}
		if checked[p.Key] {
			continue
		}
		checked[p.Key] = true
		there, err := c.mine(tx.NewSelect().Model((*parkedRow)(nil))).
			Where("log_partition = ? AND aggregate = ?", step.Partition, string(p.Key)).Exists(ctx)
		if err != nil {
			return err
		}
		if !there {
			return projections.Outside(errRetried) // the batch is done again, by what is parked then
		}
	}
	return nil
}
