package checkpoint

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"mpim/domain"
	"mpim/projections/database"
)

// forgotten stands for a reason that may have quoted what an erased user wrote.
const forgotten = "its writer was erased"

// Forget takes away why events were parked or discarded, by whatever build, where wrote says so of their position: the error of a
// database may quote what it refused.
func Forget(ctx context.Context, db *database.DB, wrote func(domain.Position) bool) error {
	err := db.Write(ctx, func(ctx context.Context, tx bun.Tx) error {
		var rows []parkedRow
		if err := tx.NewSelect().Model(&rows).Column("projection", "build", "log_partition", "aggregate", "seq").Where("reason <> ''").Scan(ctx); err != nil {
			return err
		}
		for _, row := range rows {
			if !wrote(domain.Position{Partition: row.Partition, Seq: row.Seq}) {
				continue
			}
			if _, err := tx.NewUpdate().Model(&row).Set("reason = ?", forgotten).WherePK().Exec(ctx); err != nil {
				return err
			}
		}
		var discards []Discarded
		if err := tx.NewSelect().Model(&discards).Column("projection", "build", "log_partition", "seq").Where("reason <> ''").Scan(ctx); err != nil {
			return err
		}
		for _, d := range discards {
			if !wrote(domain.Position{Partition: d.Partition, Seq: d.Seq}) {
				continue
			}
			if _, err := tx.NewUpdate().Model(&d).Set("reason = ?", forgotten).WherePK().Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget why events were parked: %w", err)
	}
	return nil
}
