package audit

import (
	"context"

	"mpim/projections/database"
	"mpim/schema/proof"
)

// Heads are the signed heads in the database.
type Heads struct{ DB *database.DB }

// Newest returns the newest head, opened with the keys, and the note itself. It is false where there is none. The errors are
// those of [proof.Keys.Open].
func (s Heads) Newest(ctx context.Context, keys *proof.Keys) (h proof.Head, ok bool, err error) {
	row, err := store{s.DB}.newest(ctx)
	if err != nil || row == nil {
		return h, false, err
	}
	h, err = keys.Open(row.Note)
	return h, true, err
}

// Note returns the newest signed head as it is stored, nil where there is none.
func (s Heads) Note(ctx context.Context) ([]byte, error) {
	row, err := store{s.DB}.newest(ctx)
	if err != nil || row == nil {
		return nil, err
	}
	return row.Note, nil
}
