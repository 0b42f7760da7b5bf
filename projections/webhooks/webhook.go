package webhooks

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"mpim/domain"
	"mpim/projections/database"
	"mpim/projections/deadletters"
)

// ErrGone says that there is no such webhook, or none any more.
var ErrGone = errors.New("there is no such webhook")

// Webhook is one receiver of events.
type Webhook struct {
	bun.BaseModel `bun:"table:webhooks"`

	// ID is given by who adds it.
	ID  string `bun:"id,pk"`
	URL string `bun:"url"`
	// Types are patterns of event types as path.Match has them, with commas between.
	Types string `bun:"types"`
	// Secret signs what is sent.
	Secret []byte `bun:"secret"`
	// Rewinds counts how often it was set to another place.
	Rewinds   int       `bun:"rewinds"`
	CreatedAt time.Time `bun:"created_at"`
}

// Handler is what dead letters of the webhook are kept under.
func (w Webhook) Handler() string { return HandlerPrefix + w.ID }

// HandlerPrefix begins the handler's name of every webhook.
const HandlerPrefix = "webhook:"

// Wants says whether the receiver is told of events of a type.
func (w Webhook) Wants(t domain.EventType) bool {
	for pattern := range strings.SplitSeq(w.Types, ",") {
		if ok, _ := path.Match(pattern, string(t)); ok {
			return true
		}
	}
	return false
}

// Store is the tables of webhooks. Errors are marked by projections.Outside where the database is out of reach.
type Store struct{ DB *database.DB }

// Add writes a webhook that begins after the given sequence of each partition.
func (s Store) Add(ctx context.Context, w Webhook, after []int64) error {
	w.CreatedAt = w.CreatedAt.UTC().Truncate(time.Microsecond)
	rows := make([]row, len(after))
	for partition, seq := range after {
		rows[partition] = row{Webhook: w.ID, Partition: partition, Seq: seq, UpdatedAt: now()}
	}
	return s.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewInsert().Model(&w).Exec(ctx); err != nil {
			return fmt.Errorf("add the webhook: %w", err)
		}
		if _, err := tx.NewInsert().Model(&rows).Exec(ctx); err != nil {
			return fmt.Errorf("add the webhook's checkpoints: %w", err)
		}
		return nil
	})
}

// List returns all webhooks, the oldest first.
func (s Store) List(ctx context.Context) (all []Webhook, err error) {
	err = s.DB.Read(ctx, func(ctx context.Context, tx bun.Tx) error {
		all = nil
		return tx.NewSelect().Model(&all).Order("created_at", "id").Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("list the webhooks: %w", err)
	}
	for i := range all {
		all[i].CreatedAt = all[i].CreatedAt.UTC()
	}
	return all, nil
}

// Get returns a webhook, or ErrGone.
func (s Store) Get(ctx context.Context, id string) (Webhook, error) {
	all, err := s.List(ctx)
	if err != nil {
		return Webhook{}, err
	}
	for _, w := range all {
		if w.ID == id {
			return w, nil
		}
	}
	return Webhook{}, ErrGone
}

// Remove takes a webhook away, with its dead letters. It returns ErrGone where there is none.
func (s Store) Remove(ctx context.Context, id string) error {
	return s.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		result, err := tx.NewDelete().Model((*Webhook)(nil)).Where("id = ?", id).Exec(ctx)
		if err != nil {
			return fmt.Errorf("remove the webhook: %w", err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return ErrGone
		}
		if _, err := tx.NewDelete().Model((*row)(nil)).Where("webhook = ?", id).Exec(ctx); err != nil {
			return fmt.Errorf("remove the webhook's checkpoints: %w", err)
		}
		return deadletters.RemoveAll(ctx, tx, HandlerPrefix+id)
	})
}

// Rewind sets the webhook to the given sequences by partition: what comes after them is delivered, again or for the first
// time. Partitions that are not named stay where they are. Who delivers now notices and begins anew. It returns ErrGone where
// there is no such webhook.
func (s Store) Rewind(ctx context.Context, id string, after map[int]int64) error {
	return s.DB.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		result, err := tx.NewUpdate().Model((*Webhook)(nil)).Set("rewinds = rewinds + 1").Where("id = ?", id).Exec(ctx)
		if err != nil {
			return fmt.Errorf("rewind the webhook: %w", err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return ErrGone
		}
		for partition, seq := range after {
			_, err := tx.NewUpdate().Model((*row)(nil)).Set("seq = ?", seq).Set("rewinds = rewinds + 1").
				Set("failing_since = NULL").Set("next_at = NULL").Set("attempts = 0").Set("reason = ''").Set("updated_at = ?", now()).
				Where("webhook = ? AND log_partition = ?", id, partition).Exec(ctx)
			if err != nil {
				return fmt.Errorf("rewind partition %d of the webhook: %w", partition, err)
			}
		}
		return nil
	})
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
