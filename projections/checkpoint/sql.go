package checkpoint

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/uptrace/bun"

	"mpim/projections"
	"mpim/projections/builds"
	"mpim/projections/database"
	"mpim/schema"
)

// SQL keeps the checkpoints of one build and what it parked, in the database that holds its rows.
type SQL struct {
	DB    *database.DB
	Build builds.Build
}

// maxReason bounds how much of an error is kept with a parked event, in bytes.
const maxReason = 2000

type sqlRow struct {
	bun.BaseModel `bun:"table:checkpoints"`

	Projection string    `bun:"projection,pk"`
	Build      int       `bun:"build,pk"`
	Partition  int       `bun:"log_partition,pk"`
	Seq        int64     `bun:"seq"`
	StreamID   string    `bun:"stream_id"`
	Token      int64     `bun:"token"`
	At         time.Time `bun:"at,nullzero"`
	UpdatedAt  time.Time `bun:"updated_at"`
}

type parkedRow struct {
	bun.BaseModel `bun:"table:parked_events"`

	Projection string    `bun:"projection,pk"`
	Build      int       `bun:"build,pk"`
	Partition  int       `bun:"log_partition,pk"`
	Aggregate  string    `bun:"aggregate,pk"`
	Seq        int64     `bun:"seq,pk"`
	StreamID   string    `bun:"stream_id"`
	Event      []byte    `bun:"event"`
	Metadata   []byte    `bun:"metadata"`
	Payload    []byte    `bun:"payload"`
	Reason     string    `bun:"reason"`
	ParkedAt   time.Time `bun:"parked_at"`
}

// Take implements projections.Checkpoints. It waits for a transaction of the partition that is under way.
func (c SQL) Take(ctx context.Context, partition int, token int64) (at schema.Checkpoint, err error) {
	err = c.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		row := sqlRow{Projection: c.Build.Name, Build: c.Build.Number, Partition: partition, UpdatedAt: now()}
		if _, err := tx.NewInsert().Model(&row).Ignore().Exec(ctx); err != nil {
			return fmt.Errorf("begin the checkpoint: %w", err)
		}
		result, err := tx.NewUpdate().Model(&row).Set("token = ?", token).WherePK().Where("token <= ?", token).Exec(ctx)
		if err != nil {
			return fmt.Errorf("take the checkpoint: %w", err)
		}
		if taken, err := result.RowsAffected(); err != nil || taken == 0 {
			return projections.ErrDeposed
		}
		row, err = c.read(ctx, tx, partition)
		at = schema.Checkpoint{Seq: row.Seq, StreamID: row.StreamID}
		return err
	})
	return at, err
}

// Advance moves the checkpoint over a step, as the first thing in the transaction that writes the step's rows, and writes what the
// step parks. It returns false and no error where the step was done before, so that nothing is left to do, and ErrDeposed
// where the checkpoint stands elsewhere or under another token.
func (c SQL) Advance(ctx context.Context, tx bun.Tx, step projections.Step) (moved bool, err error) {
	row := sqlRow{Projection: c.Build.Name, Build: c.Build.Number, Partition: step.Partition}
	update := tx.NewUpdate().Model(&row).
		Set("seq = ?", step.To).Set("stream_id = ?", step.StreamID).Set("updated_at = ?", now()).
		WherePK().Where("seq = ? AND token = ?", step.From-1, step.Token)
	if !step.At.IsZero() {
		update.Set("at = ?", step.At.UTC())
	}
	result, err := update.Exec(ctx)
	if err != nil {
		return false, fmt.Errorf("move the checkpoint: %w", err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return false, fmt.Errorf("move the checkpoint: %w", err)
	}
	if n == 1 {
		return true, c.park(ctx, tx, step)
	}
	if row, err = c.read(ctx, tx, step.Partition); err != nil {
		return false, err
	}
	if row.Token == step.Token && row.Seq >= step.To {
		return false, nil
	}
	return false, projections.ErrDeposed
}

func (c SQL) read(ctx context.Context, tx bun.Tx, partition int) (sqlRow, error) {
	row := sqlRow{Projection: c.Build.Name, Build: c.Build.Number, Partition: partition}
	var found []sqlRow
	if err := tx.NewSelect().Model(&found).Where("projection = ? AND build = ? AND log_partition = ?",
		row.Projection, row.Build, partition).Scan(ctx); err != nil {
		return row, fmt.Errorf("read the checkpoint: %w", err)
	}
	if len(found) == 0 { // never taken, so no token is right
		return row, nil
	}
	return found[0], nil
}

func (c SQL) park(ctx context.Context, tx bun.Tx, step projections.Step) error {
	if len(step.Parked) == 0 {
		return nil
	}
	if err := c.stillParked(ctx, tx, step); err != nil {
		return err
	}
	rows := make([]parkedRow, len(step.Parked))
	for i, p := range step.Parked {
		rows[i] = parkedRow{
			Projection: c.Build.Name, Build: c.Build.Number, Partition: step.Partition,
			Aggregate: string(p.Key), Seq: p.Record.Seq, StreamID: p.Record.StreamID,
			Event: []byte(p.Record.ID), Metadata: orEmpty(p.Record.Metadata), Payload: orEmpty(p.Record.Payload),
			Reason: shorten(p.Reason), ParkedAt: now(),
		}
	}
	if _, err := tx.NewInsert().Model(&rows).Exec(ctx); err != nil {
		return fmt.Errorf("park events: %w", err)
	}
	return nil
}

// Parked implements projections.Checkpoints.
func (c SQL) Parked(ctx context.Context, partition int) ([]projections.Key, error) {
	var keys []projections.Key
	err := c.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		keys = nil
		return tx.NewSelect().Model((*parkedRow)(nil)).Distinct().Column("aggregate").
			Where("projection = ? AND build = ? AND log_partition = ?", c.Build.Name, c.Build.Number, partition).
			Order("aggregate").Scan(ctx, &keys)
	})
	if err != nil {
		return nil, fmt.Errorf("read what is parked: %w", err)
	}
	return keys, nil
}

// Status implements projections.Checkpoints.
func (c SQL) Status(ctx context.Context) (projections.Status, error) {
	s := projections.Status{
		Name: c.Build.Name, Version: c.Build.Version, Build: c.Build.Number, Store: projections.SQLStore,
	}
	err := c.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		var rows []sqlRow
		err := tx.NewSelect().Model(&rows).Where("projection = ? AND build = ?", s.Name, s.Build).
			Order("log_partition").Scan(ctx)
		if err != nil {
			return err
		}
		s.Partitions = make([]projections.PartitionStatus, len(rows))
		for i, row := range rows {
			s.Partitions[i] = projections.PartitionStatus{
				Partition: row.Partition, Checkpoint: schema.Checkpoint{Seq: row.Seq, StreamID: row.StreamID},
				At: row.At.UTC(), UpdatedAt: row.UpdatedAt.UTC(),
			}
		}
		parked, err := tx.NewSelect().Model((*parkedRow)(nil)).Where("projection = ? AND build = ?", s.Name, s.Build).Count(ctx)
		if err != nil {
			return err
		}
		s.Parked = parked
		return tx.NewSelect().Model((*builds.Build)(nil)).Column("state").
			Where("name = ? AND build = ?", s.Name, s.Build).Scan(ctx, &s.State)
	})
	if err != nil {
		return s, fmt.Errorf("status of projection %s: %w", s.Name, err)
	}
	return s, nil
}

// Fence keeps everybody from feeding the build from now on, in the partitions that it has begun. Of a build that is fenced
// already it forgets how far it had come.
func (c SQL) Fence(ctx context.Context) error {
	return c.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		update := tx.NewUpdate().Model((*sqlRow)(nil)).Set("token = ?", int64(fenceToken)).
			Where("projection = ? AND build = ?", c.Build.Name, c.Build.Number)
		if c.Build.State == projections.Fenced {
			update.Set("seq = 0").Set("stream_id = ''")
		}
		_, err := update.Exec(ctx)
		return err
	})
}

// Forget deletes the checkpoints of the build and what it parked.
func (c SQL) Forget(ctx context.Context) error {
	return c.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		for _, table := range []string{"parked_events", "parked_retries", "parked_discards", "checkpoints"} {
			_, err := tx.NewDelete().Table(table).Where("projection = ? AND build = ?", c.Build.Name, c.Build.Number).Exec(ctx)
			if err != nil {
				return err
			}
		}
		_, err := tx.NewDelete().Table("projection_goals").Where("name = ? AND build = ?", c.Build.Name, c.Build.Number).Exec(ctx)
		return err
	})
}

// SQLSource says how far the live builds of projections in a database have come. It implements Source.
type SQLSource struct{ DB *database.DB }

// Positions implements Source.
func (s SQLSource) Positions(ctx context.Context, projection string, partitions []int) ([]int64, error) {
	positions := make([]int64, len(partitions))
	err := s.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		build, err := builds.Live(ctx, tx, projection)
		if err != nil {
			return err
		}
		var rows []sqlRow
		err = tx.NewSelect().Model(&rows).Column("log_partition", "seq").
			Where("projection = ? AND build = ?", projection, build).Scan(ctx)
		for _, row := range rows {
			if i := slices.Index(partitions, row.Partition); i >= 0 {
				positions[i] = row.Seq
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("positions of projection %s: %w", projection, err)
	}
	return positions, nil
}

// Seen returns the highest sequence of each partition that any build of any projection has applied, 0 where none has applied one. Builds
// that were fenced, because the log has lost what they saw, do not count.
func (s SQLSource) Seen(ctx context.Context, partitions int) ([]int64, error) {
	var rows []struct {
		Partition int   `bun:"log_partition"`
		Seq       int64 `bun:"seq"`
	}
	err := s.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		return tx.NewSelect().Table("checkpoints").ColumnExpr("log_partition, MAX(seq) AS seq").
			Where("NOT EXISTS (SELECT 1 FROM projection_builds AS b WHERE b.name = checkpoints.projection AND b.build = checkpoints.build AND b.state IN (?, ?))",
				projections.Fenced, projections.Dropped).
			Group("log_partition").Scan(ctx, &rows)
	})
	if err != nil {
		return nil, fmt.Errorf("how far projections have seen the log: %w", err)
	}
	seen := make([]int64, partitions)
	for _, row := range rows {
		if row.Partition >= 0 && row.Partition < partitions {
			seen[row.Partition] = row.Seq
		}
	}
	return seen, nil
}

var _ Source = SQLSource{}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// shorten cuts a reason so that it stays readable text.
func shorten(reason string) string {
	if len(reason) > maxReason {
		reason = reason[:maxReason]
		for !utf8.ValidString(reason) && len(reason) > maxReason-utf8.UTFMax {
			reason = reason[:len(reason)-1]
		}
	}
	return strings.ToValidUTF8(reason, "\uFFFD")
}
