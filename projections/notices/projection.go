package notices

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"

	"github.com/uptrace/bun"

	"mpim/domain"
	"mpim/projections/database"
	"mpim/projections/rows"
	"mpim/projections/tables"
	"mpim/schema"
)

// Name is the name of the projection and of its consumer.
const Name = "notices"

// Definition makes the tables of notices.
var Definition = tables.Definition{
	Name:    Name,
	Version: 1,
	Types:   []domain.EventType{domain.TypeNoticePublished},
	Tables: []tables.Table{
		{Name: "notices", Columns: `
  at_ms     BIGINT NOT NULL,
  event     {id} NOT NULL,
  publisher {id} NOT NULL,
  title     {text} NOT NULL,
  body      {text} NOT NULL,
  priority  {name} NOT NULL,
  PRIMARY KEY (at_ms, event)`},
		{Name: "audiences", Columns: `
  audience {name} NOT NULL,
  at_ms    BIGINT NOT NULL,
  event    {id} NOT NULL,
  PRIMARY KEY (audience, at_ms, event)`},
	},
	Decode: decode,
}

// New returns the projection on a database.
func New(db *database.DB) *tables.Projection { return tables.New(db, Definition) }

// The rows of a build, as package doc describes them.
type (
	noticeRow struct {
		bun.BaseModel `bun:"alias:r"`

		AtMS      int64  `bun:"at_ms,pk"`
		Event     string `bun:"event,pk"`
		Publisher string `bun:"publisher"`
		Title     string `bun:"title"`
		Text      string `bun:"body"`
		Priority  string `bun:"priority"`
	}

	audienceRow struct {
		bun.BaseModel `bun:"alias:r"`

		Audience string `bun:"audience,pk"`
		AtMS     int64  `bun:"at_ms,pk"`
		Event    string `bun:"event,pk"`
	}
)

var notices = rows.Table[noticeRow, noticeRow]{
	Name: "notices", Key: []string{"at_ms", "event"}, Columns: []string{"publisher", "title", "body", "priority"},
	Of:   func(r *noticeRow) noticeRow { return noticeRow{AtMS: r.AtMS, Event: r.Event} },
	Args: func(k noticeRow) []any { return []any{k.AtMS, k.Event} },
	Compare: func(a, b noticeRow) int {
		return cmp.Or(cmp.Compare(a.AtMS, b.AtMS), strings.Compare(a.Event, b.Event))
	},
	Write: func(r *noticeRow, v *database.Values) {
		v.Int(r.AtMS)
		v.String(r.Event)
		v.String(r.Publisher)
		v.String(r.Title)
		v.String(r.Text)
		v.String(r.Priority)
	},
}

var audiences = rows.Table[audienceRow, audienceRow]{
	Name: "audiences", Key: []string{"audience", "at_ms", "event"},
	Of:   func(r *audienceRow) audienceRow { return *r },
	Args: func(k audienceRow) []any { return []any{k.Audience, k.AtMS, k.Event} },
	Compare: func(a, b audienceRow) int {
		return cmp.Or(strings.Compare(a.Audience, b.Audience), cmp.Compare(a.AtMS, b.AtMS), strings.Compare(a.Event, b.Event))
	},
	Write: func(r *audienceRow, v *database.Values) {
		v.String(r.Audience)
		v.Int(r.AtMS)
		v.String(r.Event)
	},
}

// decode decodes the records and returns what writes their rows.
func decode(records []*schema.Record) (tables.Write, error) {
	var published []noticeRow
	var to []audienceRow
	for _, record := range records {
		fact, err := record.Fact()
		if err != nil {
			return nil, err
		}
		notice, ok := fact.(*domain.NoticePublished)
		if !ok {
			continue
		}
		at, event := record.At.UnixMilli(), string(record.ID)
		published = append(published, noticeRow{
			AtMS: at, Event: event, Publisher: string(record.Actor), Title: notice.Title, Text: notice.Text, Priority: notice.Priority,
		})
		for _, audience := range audiencesOf(notice.To) {
			to = append(to, audienceRow{Audience: audience, AtMS: at, Event: event})
		}
	}
	return func(ctx context.Context, tx *tables.Tx) error {
		all, audience := rows.In(tx, notices), rows.In(tx, audiences)
		for i := range published {
			all.Put(&published[i])
		}
		for i := range to {
			audience.Put(&to[i])
		}
		if err := all.Flush(ctx); err != nil {
			return err
		}
		return audience.Flush(ctx)
	}, nil
}

// everybody is the audience of a notice to all.
const everybody = "all"

// audiencesOf returns the keys of those whom a notice is for.
func audiencesOf(to json.RawMessage) (keys []string) {
	var all string
	if json.Unmarshal(to, &all) == nil && all == everybody {
		return []string{everybody}
	}
	var some struct {
		Users        []domain.UserID       `json:"users"`
		Conversation domain.ConversationID `json:"conversation"`
		Roles        []domain.Role         `json:"roles"`
		Gateway      string                `json:"gateway"`
		Client       string                `json:"client"`
	}
	if json.Unmarshal(to, &some) != nil {
		return nil
	}
	if some.Users == nil && some.Conversation == "" && (some.Gateway != "" || some.Client != "") {
		// Who is connected where and with what is not known to a list: whoever might be meant finds it.
		return []string{everybody}
	}
	for _, user := range some.Users {
		if _, ok := user.Partition(); ok {
			keys = append(keys, string(user))
		}
	}
	if _, ok := some.Conversation.Partition(); !ok {
		return keys
	}
	for _, role := range some.Roles {
		keys = append(keys, roleOf(some.Conversation, role))
	}
	if len(some.Roles) == 0 {
		keys = append(keys, string(some.Conversation))
	}
	return keys
}

// maxRole keeps what is no role out of the key.
const maxRole = 16

// roleOf returns the audience of a conversation's members of one role.
func roleOf(id domain.ConversationID, role domain.Role) string {
	return string(id) + "/" + string(role[:min(len(role), maxRole)])
}
