package activity

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"mpim/domain"
	"mpim/projections/database"
	"mpim/projections/rows"
	"mpim/projections/tables"
	"mpim/schema"
)

// Name is the name of the projection and of its consumer.
const Name = "activity"

// Definition makes the tables of activity.
var Definition = tables.Definition{
	Name:    Name,
	Version: 1,
	Types: []domain.EventType{
		domain.TypeConversationCreated, domain.TypeConversationDissolved, domain.TypeMemberAdded, domain.TypeMemberJoined,
		domain.TypeMemberLeft, domain.TypeMemberRemoved, domain.TypeMessageSent, domain.TypeMessageEdited,
		domain.TypeMessageReacted, domain.TypeReceiptMoved, domain.TypeSessionConnected,
	},
	Tables: []tables.Table{
		{Name: "users", Columns: `
  day       {name} NOT NULL,
  hour      BIGINT NOT NULL,
  user_id   {id} NOT NULL,
  messages  BIGINT NOT NULL,
  edits     BIGINT NOT NULL,
  reactions BIGINT NOT NULL,
  receipts  BIGINT NOT NULL,
  logins    BIGINT NOT NULL,
  PRIMARY KEY (day, hour, user_id)`},
		{Name: "conversations", Columns: `
  conversation {id} NOT NULL,
  kind         {name} NOT NULL,
  members      BIGINT NOT NULL,
  messages     BIGINT NOT NULL,
  last_sender  {id} NOT NULL,
  last_at      {time},
  PRIMARY KEY (conversation)`},
		{Name: "responses", Columns: `
  day       {name} NOT NULL,
  kind      {name} NOT NULL,
  within_s  BIGINT NOT NULL,
  responses BIGINT NOT NULL,
  PRIMARY KEY (day, kind, within_s)`},
	},
	Views:  views,
	Decode: decode,
}

// New returns the projection on a database.
func New(db *database.DB) *tables.Projection { return tables.New(db, Definition) }

// The rows of a build, as package doc describes them.
type (
	userRow struct {
		bun.BaseModel `bun:"alias:r"`

		Day       string `bun:"day,pk"`
		Hour      int64  `bun:"hour,pk"`
		User      string `bun:"user_id,pk"`
		Messages  int64  `bun:"messages"`
		Edits     int64  `bun:"edits"`
		Reactions int64  `bun:"reactions"`
		Receipts  int64  `bun:"receipts"`
		Logins    int64  `bun:"logins"`
	}

	conversationRow struct {
		bun.BaseModel `bun:"alias:r"`

		Conversation string    `bun:"conversation,pk"`
		Kind         string    `bun:"kind"`
		Members      int64     `bun:"members"`
		Messages     int64     `bun:"messages"`
		LastSender   string    `bun:"last_sender"`
		LastAt       time.Time `bun:"last_at,nullzero"`
	}

	responseRow struct {
		bun.BaseModel `bun:"alias:r"`

		Day       string `bun:"day,pk"`
		Kind      string `bun:"kind,pk"`
		WithinS   int64  `bun:"within_s,pk"`
		Responses int64  `bun:"responses"`
	}
)

var conversations = rows.Table[string, conversationRow]{
	Name: "conversations", Key: []string{"conversation"},
	Columns: []string{"kind", "members", "messages", "last_sender", "last_at"},
	Of:      func(r *conversationRow) string { return r.Conversation },
	Args:    func(k string) []any { return []any{k} },
	Compare: cmp.Compare[string],
	Write: func(r *conversationRow, v *database.Values) {
		v.String(r.Conversation)
		v.String(r.Kind)
		v.Int(r.Members)
		v.Int(r.Messages)
		v.String(r.LastSender)
		v.Time(r.LastAt)
	},
}

// change is a record; fact is nil where its data do not matter.
type change struct {
	*schema.Record

	fact *domain.ConversationCreated
}

// decode decodes the records and returns what folds them.
func decode(records []*schema.Record) (tables.Write, error) {
	users := make(map[userRow]*userRow)
	var changes []change
	for _, record := range records {
		c := change{Record: record}
		if record.Type == domain.TypeConversationCreated {
			fact, err := record.Fact()
			if err != nil {
				return nil, err
			}
			c.fact, _ = fact.(*domain.ConversationCreated)
		}
		countUser(users, record)
		if record.Conversation() != "" {
			changes = append(changes, c)
		}
	}
	return func(ctx context.Context, tx *tables.Tx) error {
		if err := tables.Add(ctx, tx, "users", slices.Collect(maps.Values(users))); err != nil {
			return err
		}
		return foldConversations(ctx, tx, changes)
	}, nil
}

// countUser counts what the actor did.
func countUser(users map[userRow]*userRow, record *schema.Record) {
	at := record.At.UTC()
	key := userRow{Day: at.Format(time.DateOnly), Hour: int64(at.Hour()), User: string(record.Actor)}
	row := users[key]
	if row == nil {
		row = &userRow{Day: key.Day, Hour: key.Hour, User: key.User}
	}
	switch record.Type {
	case domain.TypeMessageSent:
		row.Messages++
	case domain.TypeMessageEdited:
		row.Edits++
	case domain.TypeMessageReacted:
		row.Reactions++
	case domain.TypeReceiptMoved:
		row.Receipts++
	case domain.TypeSessionConnected:
		row.Logins++
	default: // others may concern a user, and are nothing the user did for the chat
		return
	}
	if key.User != "" {
		users[key] = row
	}
}
