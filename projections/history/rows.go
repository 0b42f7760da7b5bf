package history

import (
	"time"

	"github.com/uptrace/bun"

	"mpim/projections/tables"
)

// The rows of a build, as package doc describes them. Members in pointers or with nullzero are null where they are not
// set. Nothing but this package writes them.
type (
	conversationRow struct {
		bun.BaseModel `bun:"alias:r"`

		Conversation string    `bun:"conversation,pk"`
		Kind         string    `bun:"kind"`
		Title        []byte    `bun:"title"`
		AvatarURL    []byte    `bun:"avatar_url"`
		Announcement []byte    `bun:"announcement"`
		JoinRule     string    `bun:"join_rule"`
		HistoryRule  string    `bun:"history_rule"`
		Muted        bool      `bun:"muted"`
		CreatedBy    string    `bun:"created_by"`
		CreatedAt    time.Time `bun:"created_at"`
		UpdatedAt    time.Time `bun:"updated_at"`
		DissolvedAt  time.Time `bun:"dissolved_at,nullzero"`

		mark mark
	}

	memberRow struct {
		bun.BaseModel `bun:"alias:r"`

		Conversation string    `bun:"conversation,pk"`
		User         string    `bun:"user_id,pk"`
		FromSeq      int64     `bun:"from_seq,pk"`
		FromAt       time.Time `bun:"from_at"`
		// Began and Ended are the types of the events that did it.
		Began      string    `bun:"began"`
		Role       string    `bun:"role"`
		MutedUntil time.Time `bun:"muted_until,nullzero"`
		ToSeq      int64     `bun:"to_seq,nullzero"`
		ToAt       time.Time `bun:"to_at,nullzero"`
		Ended      string    `bun:"ended"`

		mark mark
	}

	messageRow struct {
		bun.BaseModel `bun:"alias:r"`

		Conversation string    `bun:"conversation,pk"`
		Seq          int64     `bun:"seq,pk"`
		Ordinal      int64     `bun:"ordinal"`
		Event        string    `bun:"event"`
		Sender       string    `bun:"sender"`
		At           time.Time `bun:"at"`
		Kind         string    `bun:"kind"`
		ClientID     []byte    `bun:"client_id"`
		ReplyTo      int64     `bun:"reply_to,nullzero"`
		Mentions     []byte    `bun:"mentions"`
		ExpiresAt    time.Time `bun:"expires_at,nullzero"`
		Body         []byte    `bun:"body"`
		EditedSeq    int64     `bun:"edited_seq,nullzero"`
		EditedAt     time.Time `bun:"edited_at,nullzero"`
		RecalledBy   string    `bun:"recalled_by"`
		RecalledAt   time.Time `bun:"recalled_at,nullzero"`
		ExpiredAt    time.Time `bun:"expired_at,nullzero"`

		mark mark
	}

	revisionRow struct {
		bun.BaseModel `bun:"alias:r"`

		Conversation string    `bun:"conversation,pk"`
		Message      int64     `bun:"message,pk"`
		Seq          int64     `bun:"seq,pk"`
		Event        string    `bun:"event"`
		At           time.Time `bun:"at"`
		Body         []byte    `bun:"body"`
	}

	reactionRow struct {
		bun.BaseModel `bun:"alias:r"`

		Conversation string    `bun:"conversation,pk"`
		Message      int64     `bun:"message,pk"`
		User         string    `bun:"user_id,pk"`
		Emoji        []byte    `bun:"emoji,pk"`
		FromSeq      int64     `bun:"from_seq,pk"`
		FromAt       time.Time `bun:"from_at"`
		ToSeq        int64     `bun:"to_seq,nullzero"`
		ToAt         time.Time `bun:"to_at,nullzero"`

		mark mark
	}
)

// mark says whether a row is in the database, and whether it differs from there.
type mark struct{ stored, changed bool }

func (r *conversationRow) marks() mark { return r.mark }
func (r *memberRow) marks() mark       { return r.mark }
func (r *messageRow) marks() mark      { return r.mark }
func (r *reactionRow) marks() mark     { return r.mark }
func (*revisionRow) marks() mark       { return mark{changed: true} }

// gone says that the message's body is gone for everyone.
func (r *messageRow) gone() bool { return !r.RecalledAt.IsZero() || !r.ExpiredAt.IsZero() }

// Names of the tables of a build.
const (
	conversationsTable = "conversations"
	membersTable       = "members"
	messagesTable      = "messages"
	revisionsTable     = "revisions"
	reactionsTable     = "reactions"
)

// columns define the tables of a build.
var columns = []tables.Table{
	{Name: conversationsTable, Columns: `
  conversation {id} NOT NULL,
  kind         {name} NOT NULL,
  title        {bytes} NOT NULL,
  avatar_url   {bytes} NOT NULL,
  announcement {bytes} NOT NULL,
  join_rule    {name} NOT NULL,
  history_rule {name} NOT NULL,
  muted        {flag} NOT NULL,
  created_by   {id} NOT NULL,
  created_at   {time} NOT NULL,
  updated_at   {time} NOT NULL,
  dissolved_at {time},
  PRIMARY KEY (conversation)`},
	{Name: membersTable, Columns: `
  conversation {id} NOT NULL,
  user_id      {id} NOT NULL,
  from_seq     BIGINT NOT NULL,
  from_at      {time} NOT NULL,
  began        {name} NOT NULL,
  role         {name} NOT NULL,
  muted_until  {time},
  to_seq       BIGINT,
  to_at        {time},
  ended        {name} NOT NULL,
  PRIMARY KEY (conversation, user_id, from_seq)`},
	{Name: messagesTable, Columns: `
  conversation {id} NOT NULL,
  seq          BIGINT NOT NULL,
  ordinal      BIGINT NOT NULL,
  event        {name} NOT NULL,
  sender       {id} NOT NULL,
  at           {time} NOT NULL,
  kind         {name} NOT NULL,
  client_id    {bytes} NOT NULL,
  reply_to     BIGINT,
  mentions     {bytes},
  expires_at   {time},
  body         {bytes},
  edited_seq   BIGINT,
  edited_at    {time},
  recalled_by  {id} NOT NULL,
  recalled_at  {time},
  expired_at   {time},
  PRIMARY KEY (conversation, seq)`},
	{Name: revisionsTable, Columns: `
  conversation {id} NOT NULL,
  message      BIGINT NOT NULL,
  seq          BIGINT NOT NULL,
  event        {name} NOT NULL,
  at           {time} NOT NULL,
  body         {bytes},
  PRIMARY KEY (conversation, message, seq)`},
	{Name: reactionsTable, Columns: `
  conversation {id} NOT NULL,
  message      BIGINT NOT NULL,
  user_id      {id} NOT NULL,
  emoji        {key} NOT NULL,
  from_seq     BIGINT NOT NULL,
  from_at      {time} NOT NULL,
  to_seq       BIGINT,
  to_at        {time},
  PRIMARY KEY (conversation, message, user_id, emoji, from_seq)`},
}
