package history

import (
	"context"

	"mpim/domain"
	"mpim/projections/database"
	"mpim/projections/tables"
	"mpim/schema"
)

// Name is the name of the projection and of its consumer.
const Name = "history"

// Version is that of the rows that this code makes. It rises when the same events would make others.
const Version = 1

// Definition makes history's tables.
var Definition = tables.Definition{
	Name:    Name,
	Version: Version,
	Types: []domain.EventType{
		domain.TypeConversationCreated, domain.TypeConversationUpdated, domain.TypeConversationDissolved,
		domain.TypeMemberAdded, domain.TypeMemberJoined, domain.TypeMemberLeft, domain.TypeMemberRemoved,
		domain.TypeMemberRoleChanged, domain.TypeMemberMuted,
		domain.TypeMessageSent, domain.TypeMessageEdited, domain.TypeMessageRecalled, domain.TypeMessageReacted,
		domain.TypeMessageExpired, domain.TypeAccountErased,
	},
	Tables: columns,
	Views:  views,
	Decode: decoded,
}

// Projection writes one build of history.
type Projection = tables.Projection

// New returns the projection. It does nothing before Ensure, or before its first partition is taken.
func New(db *database.DB) *Projection { return tables.New(db, Definition) }

// decoded decodes the records and returns what folds them.
func decoded(records []*schema.Record) (tables.Write, error) {
	changes, err := decode(records)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, tx *tables.Tx) error {
		f := newFold(&store{tx})
		if err := f.load(ctx, changes); err != nil {
			return err
		}
		for i := range changes {
			f.apply(&changes[i])
		}
		return f.write(ctx)
	}, nil
}
