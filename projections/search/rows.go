package search

import (
	"cmp"
	"strings"

	"github.com/uptrace/bun"

	"mpim/projections/database"
	"mpim/projections/rows"
	"mpim/projections/tables"
)

// The rows of a build, as package doc describes them.
type (
	messageRow struct {
		bun.BaseModel `bun:"alias:r"`

		Conversation string `bun:"conversation,pk"`
		Seq          int64  `bun:"seq,pk"`
		Sender       string `bun:"sender"`
		AtMS         int64  `bun:"at_ms"`
		// ExpiresMS is 0 for a message that stays.
		ExpiresMS int64 `bun:"expires_ms"`
		// EditedSeq is the sequence of the last edit; 0 for none.
		EditedSeq int64 `bun:"edited_seq"`
		// Text is folded.
		Text []byte `bun:"folded"`
	}

	termRow struct {
		bun.BaseModel `bun:"alias:r"`

		Conversation string `bun:"conversation,pk"`
		Term         []byte `bun:"term,pk"`
		AtMS         int64  `bun:"at_ms,pk"`
		Seq          int64  `bun:"seq,pk"`
	}

	messageKey struct {
		conversation string
		seq          int64
	}

	termKey struct {
		conversation, term string
		at, seq            int64
	}
)

// columns define the tables of a build.
var columns = []tables.Table{
	{Name: "messages", Columns: `
  conversation {id} NOT NULL,
  seq          BIGINT NOT NULL,
  sender       {id} NOT NULL,
  at_ms        BIGINT NOT NULL,
  expires_ms   BIGINT NOT NULL,
  edited_seq   BIGINT NOT NULL,
  folded       {bytes} NOT NULL,
  PRIMARY KEY (conversation, seq)`},
	{Name: "terms", Columns: `
  conversation {id} NOT NULL,
  term         {key} NOT NULL,
  at_ms        BIGINT NOT NULL,
  seq          BIGINT NOT NULL,
  PRIMARY KEY (conversation, term, at_ms, seq)`},
}

var messages = rows.Table[messageKey, messageRow]{
	Name: "messages", Key: []string{"conversation", "seq"},
	Columns: []string{"sender", "at_ms", "expires_ms", "edited_seq", "folded"},
	Of:      func(r *messageRow) messageKey { return messageKey{r.Conversation, r.Seq} },
	Args:    func(k messageKey) []any { return []any{k.conversation, k.seq} },
	Compare: func(a, b messageKey) int {
		return cmp.Or(strings.Compare(a.conversation, b.conversation), cmp.Compare(a.seq, b.seq))
	},
	Write: func(r *messageRow, v *database.Values) {
		v.String(r.Conversation)
		v.Int(r.Seq)
		v.String(r.Sender)
		v.Int(r.AtMS)
		v.Int(r.ExpiresMS)
		v.Int(r.EditedSeq)
		v.Bytes(r.Text)
	},
	Bytes: 400,
}

var terms = rows.Table[termKey, termRow]{
	Name: "terms", Key: []string{"conversation", "term", "at_ms", "seq"},
	Of:   func(r *termRow) termKey { return termKey{r.Conversation, string(r.Term), r.AtMS, r.Seq} },
	Args: func(k termKey) []any { return []any{k.conversation, []byte(k.term), k.at, k.seq} },
	Compare: func(a, b termKey) int {
		return cmp.Or(strings.Compare(a.conversation, b.conversation), strings.Compare(a.term, b.term),
			cmp.Compare(a.at, b.at), cmp.Compare(a.seq, b.seq))
	},
	Write: func(r *termRow, v *database.Values) {
		v.String(r.Conversation)
		v.Bytes(r.Term)
		v.Int(r.AtMS)
		v.Int(r.Seq)
	},
	Bytes: 80,
}
