package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
	"golang.org/x/mod/sumdb/tlog"

	"mpim/projections/database"
)

// headRow is a signed head.
type headRow struct {
	bun.BaseModel `bun:"table:audit_heads"`

	Number   int64     `bun:"number,pk"`
	SignedAt time.Time `bun:"signed_at"`
	Note     []byte    `bun:"note"`
}

// tileRow is a part of a partition's tree.
type tileRow struct {
	bun.BaseModel `bun:"table:audit_tiles"`

	Partition int    `bun:"log_partition,pk"`
	Level     int    `bun:"level,pk"`
	N         int64  `bun:"n,pk"`
	Hashes    []byte `bun:"hashes"`
}

// store reads and writes the tables of the audit.
type store struct{ db *database.DB }

// newest returns the signed head with the highest number, nil where there is none.
func (s store) newest(ctx context.Context) (*headRow, error) {
	var found []headRow
	err := s.db.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		found = nil
		return tx.NewSelect().Model(&found).OrderExpr("number DESC").Limit(1).Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("read the newest signed head: %w", err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	return &found[0], nil
}

// headsAfter returns the next heads in order of their number, some at a time.
func (s store) headsAfter(ctx context.Context, number int64) (found []headRow, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		found = nil
		return tx.NewSelect().Model(&found).Where("number > ?", number).Order("number").Limit(headsAtOnce).Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("read the signed heads: %w", err)
	}
	return found, nil
}

// headsAtOnce is how many heads one query reads.
const headsAtOnce = 500

// tiles returns those of the given ones that there are, as they are stored.
func (s store) tiles(ctx context.Context, partition int, wanted []tlog.Tile) (found []tileRow, err error) {
	if len(wanted) == 0 {
		return nil, nil
	}
	err = s.db.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		found = nil
		return tx.NewSelect().Model(&found).Where("log_partition = ?", partition).
			WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
				for _, t := range wanted {
					q = q.WhereOr("(level = ? AND n = ?)", t.L, t.N)
				}
				return q
			}).Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("read the tree of partition %d: %w", partition, err)
	}
	return found, nil
}

// leavesFrom returns tiles of events, in order from number n on, some at a time.
func (s store) leavesFrom(ctx context.Context, partition int, n int64) (found []tileRow, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		found = nil
		return tx.NewSelect().Model(&found).Where("log_partition = ? AND level = 0 AND n >= ?", partition, n).Order("n").Limit(tilesAtOnce).Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("read the tree of partition %d: %w", partition, err)
	}
	return found, nil
}

// tilesAtOnce is how many tiles one statement reads or writes: half a megabyte.
const tilesAtOnce = 64

// write writes tiles, whole or longer than they were, and heads, all or none. Heads that are there already are an error: somebody
// else wrote them.
func (s store) write(ctx context.Context, heads []headRow, tiles []tileRow) error {
	return s.db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewInsert().Model(&heads).Exec(ctx); err != nil {
			return fmt.Errorf("write a signed head: %w", err)
		}
		for rest := tiles; len(rest) > 0; {
			some := rest[:min(len(rest), tilesAtOnce)]
			rest = rest[len(some):]
			insert := s.db.Upsert(tx.NewInsert().Model(&some), []string{"log_partition", "level", "n"}, []string{"hashes"})
			if _, err := insert.Exec(ctx); err != nil {
				return fmt.Errorf("write hashes: %w", err)
			}
		}
		return nil
	})
}

// edge loads the edge of a partition's tree as it was at a size. Whether it is the right one its root says.
func (s store) edge(ctx context.Context, partition int, size int64) (*edge, error) {
	found, err := s.tiles(ctx, partition, edgeTiles(size))
	if err != nil {
		return nil, err
	}
	e, err := newEdge(size, func(t tlog.Tile) []byte {
		for _, row := range found {
			if row.Level == t.L && row.N == t.N {
				return row.Hashes
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("the tree of partition %d: %w", partition, err)
	}
	return e, nil
}
