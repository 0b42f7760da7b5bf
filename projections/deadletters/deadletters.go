// Package deadletters keeps the events whose side effect was given up: which handler, which event, why, how often it was
// tried, and when first and last.
//
// # Design
//
// A dead letter names the event by its position and holds none of its data. The log has every event for ever, so nothing
// is lost by that; and what is erased in the log is not found here. A handler has at most one dead letter an event: one that
// fails again adds to it. What an operator discards is kept, with the reason, but counts no more.
package deadletters

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/uptrace/bun"

	"mpim/domain"
	"mpim/projections/database"
	"mpim/schema"
)

// Letter is one event that one handler gave up.
type Letter struct {
	bun.BaseModel `bun:"table:dead_letters"`

	// Handler names who gave up: a reactor, or "webhook:" and its id.
	Handler   string           `bun:"handler,pk"`
	Partition int              `bun:"log_partition,pk"`
	Seq       int64            `bun:"seq,pk"`
	Event     domain.EventID   `bun:"event"`
	Type      domain.EventType `bun:"type"`
	// Aggregate is empty where the event could not be read.
	Aggregate string `bun:"aggregate"`
	// Reason says what happened the last time.
	Reason string `bun:"reason"`
	// Failures counts the attempts.
	Failures      int       `bun:"failures"`
	FirstFailedAt time.Time `bun:"first_failed_at"`
	LastFailedAt  time.Time `bun:"last_failed_at"`
	// DiscardedAt is zero for a letter that stands; DiscardReason is what the operator said.
	DiscardedAt   time.Time `bun:"discarded_at,nullzero"`
	DiscardReason string    `bun:"discard_reason"`
}

// Of returns the letter of a record, with what is common to all handlers.
func Of(handler string, r *schema.Record, reason error, failures int, first, last time.Time) Letter {
	l := Letter{
		Handler: handler, Partition: r.Partition, Seq: r.Seq, Event: r.ID, Type: r.Type, Reason: reason.Error(),
		Failures: failures, FirstFailedAt: first, LastFailedAt: last,
	}
	if r.Aggregate != (domain.Aggregate{}) {
		l.Aggregate = r.Aggregate.String()
	}
	return l
}

// Position returns where the event stands.
func (l Letter) Position() domain.Position {
	return domain.Position{Partition: l.Partition, Seq: l.Seq}
}

// ID names the letter on command lines: "handler@partition:sequence".
func (l Letter) ID() string { return l.Handler + "@" + l.Position().String() }

// ParseID reads what ID writes. An error is of kind InvalidArgument.
func ParseID(id string) (handler string, p domain.Position, err error) {
	handler, position, found := strings.Cut(id, "@")
	if found && handler != "" {
		p, err = domain.ParsePosition(position)
	}
	if !found || handler == "" || err != nil {
		return "", p, domain.Errorf(domain.InvalidArgument, "%q names no dead letter: write handler@partition:sequence, as in offline@3:17", id)
	}
	return handler, p, nil
}

// Store is the table of dead letters.
type Store struct{ DB *database.DB }

// maxReason bounds how much of an error is kept, in bytes.
const maxReason = 2000

// Put writes letters. An error is marked by projections.Outside where the database is out of reach.
func (s Store) Put(ctx context.Context, letters []Letter) error {
	return s.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error { return Put(ctx, tx, letters) })
}

// Put writes letters as part of a transaction. One that is there already keeps when it failed first, and counts on.
func Put(ctx context.Context, tx bun.Tx, letters []Letter) error {
	for _, l := range letters {
		known, found, err := get(ctx, tx, l.Handler, l.Position())
		if err != nil {
			return err
		}
		l.FirstFailedAt, l.LastFailedAt = rounded(l.FirstFailedAt), rounded(l.LastFailedAt)
		l.Reason = shorten(l.Reason)
		if !found {
			if _, err := tx.NewInsert().Model(&l).Exec(ctx); err != nil {
				return fmt.Errorf("write a dead letter: %w", err)
			}
			continue
		}
		known.Failures += l.Failures
		known.Reason, known.LastFailedAt = l.Reason, l.LastFailedAt
		known.DiscardedAt, known.DiscardReason = time.Time{}, ""
		if _, err := tx.NewUpdate().Model(&known).Column("failures", "reason", "last_failed_at", "discarded_at", "discard_reason").WherePK().Exec(ctx); err != nil {
			return fmt.Errorf("write a dead letter: %w", err)
		}
	}
	return nil
}

// Filter chooses letters. The zero value chooses all that stand.
type Filter struct {
	// Handler is the only one, where it is set.
	Handler string
	// Discarded adds those that were discarded.
	Discarded bool
}

// List returns at most limit letters by handler and position.
func (s Store) List(ctx context.Context, f Filter, limit int) (letters []Letter, err error) {
	err = s.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		letters = nil
		query := tx.NewSelect().Model(&letters).Order("handler", "log_partition", "seq").Limit(int64(limit))
		if f.Handler != "" {
			query.Where("handler = ?", f.Handler)
		}
		if !f.Discarded {
			query.Where("discarded_at IS NULL")
		}
		return query.Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	for i := range letters {
		letters[i].inUTC()
	}
	return letters, nil
}

// Behind returns the letters of events behind a sequence of a partition, discarded ones too.
func (s Store) Behind(ctx context.Context, partition int, seq int64) (letters []Letter, err error) {
	err = s.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		letters = nil
		return tx.NewSelect().Model(&letters).Where("log_partition = ? AND seq > ?", partition, seq).Order("seq", "handler").Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return letters, nil
}

// Counts returns how many letters of each handler stand.
func (s Store) Counts(ctx context.Context) (map[string]int, error) {
	var rows []struct {
		Handler string `bun:"handler"`
		Letters int    `bun:"letters"`
	}
	err := s.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		rows = nil
		return tx.NewSelect().Model((*Letter)(nil)).Column("handler").ColumnExpr("COUNT(*) AS letters").Where("discarded_at IS NULL").Group("handler").Scan(ctx, &rows)
	})
	if err != nil {
		return nil, fmt.Errorf("count dead letters: %w", err)
	}
	counts := make(map[string]int, len(rows))
	for _, row := range rows {
		counts[row.Handler] = row.Letters
	}
	return counts, nil
}

// Get returns a letter, and false where there is none.
func (s Store) Get(ctx context.Context, handler string, p domain.Position) (l Letter, found bool, err error) {
	err = s.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		l, found, err = get(ctx, tx, handler, p)
		return err
	})
	return l, found, err
}

// Remove takes a letter away. It is false where there is none.
func (s Store) Remove(ctx context.Context, handler string, p domain.Position) (removed bool, err error) {
	err = s.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		result, err := tx.NewDelete().Model((*Letter)(nil)).
			Where("handler = ? AND log_partition = ? AND seq = ?", handler, p.Partition, p.Seq).Exec(ctx)
		if err != nil {
			return fmt.Errorf("remove a dead letter: %w", err)
		}
		n, err := result.RowsAffected()
		removed = n > 0
		return err
	})
	return removed, err
}

// Discard notes that a letter's side effect is given up for good. It is false where no such letter stands.
func (s Store) Discard(ctx context.Context, handler string, p domain.Position, reason string) (discarded bool, err error) {
	err = s.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		result, err := tx.NewUpdate().Model((*Letter)(nil)).Set("discarded_at = ?", rounded(time.Now())).Set("discard_reason = ?", shorten(reason)).
			Where("handler = ? AND log_partition = ? AND seq = ? AND discarded_at IS NULL", handler, p.Partition, p.Seq).Exec(ctx)
		if err != nil {
			return fmt.Errorf("discard a dead letter: %w", err)
		}
		n, err := result.RowsAffected()
		discarded = n > 0
		return err
	})
	return discarded, err
}

// forgotten stands for a reason that may have quoted what an erased user wrote.
const forgotten = "its writer was erased"

// Forget takes away the reasons of letters, where wrote says so of their position: the error of a service that was handed an event
// may quote it.
func (s Store) Forget(ctx context.Context, wrote func(domain.Position) bool) error {
	err := s.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		var letters []Letter
		if err := tx.NewSelect().Model(&letters).Column("handler", "log_partition", "seq").Scan(ctx); err != nil {
			return err
		}
		for _, l := range letters {
			if !wrote(l.Position()) {
				continue
			}
			if _, err := tx.NewUpdate().Model(&l).Set("reason = ?", forgotten).WherePK().Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget why dead letters are dead: %w", err)
	}
	return nil
}

// RemoveAll takes all letters of a handler away, as part of a transaction.
func RemoveAll(ctx context.Context, tx bun.Tx, handler string) error {
	if _, err := tx.NewDelete().Model((*Letter)(nil)).Where("handler = ?", handler).Exec(ctx); err != nil {
		return fmt.Errorf("remove the dead letters of %s: %w", handler, err)
	}
	return nil
}

func get(ctx context.Context, tx bun.Tx, handler string, p domain.Position) (Letter, bool, error) {
	var found []Letter
	err := tx.NewSelect().Model(&found).Where("handler = ? AND log_partition = ? AND seq = ?", handler, p.Partition, p.Seq).Scan(ctx)
	if err != nil {
		return Letter{}, false, fmt.Errorf("read a dead letter: %w", err)
	}
	if len(found) == 0 {
		return Letter{}, false, nil
	}
	found[0].inUTC()
	return found[0], true, nil
}

func (l *Letter) inUTC() {
	l.FirstFailedAt, l.LastFailedAt, l.DiscardedAt = l.FirstFailedAt.UTC(), l.LastFailedAt.UTC(), l.DiscardedAt.UTC()
}

func rounded(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// shorten cuts a reason so that it stays readable text.
func shorten(reason string) string {
	if len(reason) > maxReason {
		reason = reason[:maxReason]
		for !utf8.ValidString(reason) && len(reason) > maxReason-utf8.UTFMax {
			reason = reason[:len(reason)-1]
		}
	}
	return strings.ToValidUTF8(strings.ReplaceAll(reason, "\x00", ""), "\uFFFD")
}
