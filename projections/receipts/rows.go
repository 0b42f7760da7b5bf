package receipts

import (
	"cmp"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"mpim/projections/database"
	"mpim/projections/rows"
	"mpim/projections/tables"
)

// The rows of a build, as package doc describes them.
type (
	cursorRow struct {
		bun.BaseModel `bun:"alias:r"`

		Conversation string    `bun:"conversation,pk"`
		User         string    `bun:"user_id,pk"`
		FromSeq      int64     `bun:"from_seq"`
		ToSeq        int64     `bun:"to_seq,nullzero"`
		DeliveredSeq int64     `bun:"delivered_seq"`
		DeliveredAt  time.Time `bun:"delivered_at,nullzero"`
		ReadSeq      int64     `bun:"read_seq"`
		ReadAt       time.Time `bun:"read_at,nullzero"`
	}

	moveRow struct {
		bun.BaseModel `bun:"alias:r"`

		Conversation string    `bun:"conversation,pk"`
		User         string    `bun:"user_id,pk"`
		Kind         string    `bun:"kind,pk"`
		Seq          int64     `bun:"seq,pk"`
		At           time.Time `bun:"at"`
	}

	cursorKey struct{ conversation, user string }

	moveKey struct {
		cursorKey
		kind string
		seq  int64
	}
)

// Kinds of moves.
const (
	delivered = "delivered"
	read      = "read"
)

// columns define the tables of a build.
var columns = []tables.Table{
	{Name: "cursors", Columns: `
  conversation  {id} NOT NULL,
  user_id       {id} NOT NULL,
  from_seq      BIGINT NOT NULL,
  to_seq        BIGINT,
  delivered_seq BIGINT NOT NULL,
  delivered_at  {time},
  read_seq      BIGINT NOT NULL,
  read_at       {time},
  PRIMARY KEY (conversation, user_id)`},
	{Name: "moves", Columns: `
  conversation {id} NOT NULL,
  user_id      {id} NOT NULL,
  kind         {name} NOT NULL,
  seq          BIGINT NOT NULL,
  at           {time} NOT NULL,
  PRIMARY KEY (conversation, user_id, kind, seq)`},
}

var cursors = rows.Table[cursorKey, cursorRow]{
	Name: "cursors", Key: []string{"conversation", "user_id"},
	Columns: []string{"from_seq", "to_seq", "delivered_seq", "delivered_at", "read_seq", "read_at"},
	Of:      func(r *cursorRow) cursorKey { return cursorKey{r.Conversation, r.User} },
	Args:    func(k cursorKey) []any { return []any{k.conversation, k.user} },
	Compare: compareCursors,
	Write: func(r *cursorRow, v *database.Values) {
		v.String(r.Conversation)
		v.String(r.User)
		v.Int(r.FromSeq)
		v.IntOrNull(r.ToSeq)
		v.Int(r.DeliveredSeq)
		v.Time(r.DeliveredAt)
		v.Int(r.ReadSeq)
		v.Time(r.ReadAt)
	},
}

var moves = rows.Table[moveKey, moveRow]{
	Name: "moves", Key: []string{"conversation", "user_id", "kind", "seq"}, Columns: []string{"at"},
	Of:   func(r *moveRow) moveKey { return moveKey{cursorKey{r.Conversation, r.User}, r.Kind, r.Seq} },
	Args: func(k moveKey) []any { return []any{k.conversation, k.user, k.kind, k.seq} },
	Compare: func(a, b moveKey) int {
		return cmp.Or(compareCursors(a.cursorKey, b.cursorKey), strings.Compare(a.kind, b.kind), cmp.Compare(a.seq, b.seq))
	},
	Write: func(r *moveRow, v *database.Values) {
		v.String(r.Conversation)
		v.String(r.User)
		v.String(r.Kind)
		v.Int(r.Seq)
		v.Time(r.At)
	},
	Bytes: 120,
}

func compareCursors(a, b cursorKey) int {
	return cmp.Or(strings.Compare(a.conversation, b.conversation), strings.Compare(a.user, b.user))
}
