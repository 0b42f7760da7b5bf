package contacts

import (
	"context"

	"mpim/domain"
	"mpim/projections/database"
	"mpim/projections/tables"
	"mpim/schema"
)

// Name is the name of the projection and of its consumer.
const Name = "contacts"

// Definition makes the tables of contacts.
var Definition = tables.Definition{
	Name:    Name,
	Version: 1,
	Types: []domain.EventType{
		domain.TypeAccountRegistered, domain.TypeAccountUpdated, domain.TypeAccountSuspended, domain.TypeAccountRestored,
		domain.TypeAccountErased,
		domain.TypeContactRequested, domain.TypeContactAccepted, domain.TypeContactDeclined, domain.TypeContactRemoved,
		domain.TypeContactRemarked, domain.TypeUserBlocked, domain.TypeUserUnblocked,
	},
	Tables: columns,
	Views:  views,
	Decode: decode,
}

// New returns the projection on a database.
func New(db *database.DB) *tables.Projection { return tables.New(db, Definition) }

// decode decodes the records and returns what folds them.
func decode(records []*schema.Record) (tables.Write, error) {
	changes := make([]change, len(records))
	for i, record := range records {
		fact, err := record.Fact()
		if err != nil {
			return nil, err
		}
		changes[i] = change{record, fact}
	}
	return func(ctx context.Context, tx *tables.Tx) error { return newFold(tx).run(ctx, changes) }, nil
}
