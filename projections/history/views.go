package history

import "mpim/projections/tables"

// views are what analysts read.
var views = []tables.View{
	{Name: "conversations", Select: `SELECT
  r.conversation AS conversation, -- the id of the conversation
  r.kind AS kind, -- direct or group
  CAST(r.title AS CHAR) AS title, -- the title of a group
  CAST(r.announcement AS CHAR) AS announcement, -- the announcement of a group
  r.join_rule AS join_rule, -- invite or open
  r.history_rule AS history_rule, -- joined or all: from where new members see; empty for joined
  r.muted AS muted, -- 1 where only admins may send
  r.created_by AS created_by, -- who created it
  r.created_at AS created_at, -- when it was created
  r.updated_at AS updated_at, -- when its title or settings changed last
  r.dissolved_at AS dissolved_at -- when it was dissolved; null while it stands
FROM {conversations} AS r`},
	{Name: "members", Select: `SELECT
  r.conversation AS conversation, -- the conversation
  r.user_id AS user_id, -- the member
  r.role AS role, -- owner, admin or member, for as long as this row lasts
  r.from_seq AS from_seq, -- the event that began it
  r.from_at AS from_at, -- when it began
  r.to_seq AS to_seq, -- the event that ended it; null while it lasts
  r.to_at AS to_at, -- when it ended; null while it lasts
  r.began AS began, -- the type of the event that began it
  r.ended AS ended, -- the type of the event that ended it; empty while it lasts
  r.muted_until AS muted_until -- until when the member may not send; null for who may
FROM {members} AS r`},
	{Name: "messages", Select: `SELECT
  r.conversation AS conversation, -- the conversation
  r.seq AS seq, -- the sequence in the conversation
  r.ordinal AS ordinal, -- how many messages the conversation had with this one
  r.event AS event, -- the id of the event
  r.sender AS sender, -- who sent it
  r.at AS sent_at, -- when it was sent
  r.kind AS kind, -- text, file or custom; erased where the sender was
  CAST(r.body AS CHAR) AS body, -- what it says now, as JSON; null once recalled, expired or erased
  r.reply_to AS reply_to, -- the sequence of the message that it answers; null for none
  CAST(r.mentions AS CHAR) AS mentions, -- whom it mentions, a JSON array of ids or "all"; null for nobody
  r.edited_at AS edited_at, -- when it was edited last; null for never
  r.recalled_at AS recalled_at, -- when it was recalled; null for never
  r.recalled_by AS recalled_by, -- who recalled it; empty for nobody
  r.expires_at AS expires_at, -- when it goes by itself; null for never
  r.expired_at AS expired_at -- when it went by itself; null while it stands
FROM {messages} AS r`},
	{Name: "message_revisions", Select: `SELECT
  r.conversation AS conversation, -- the conversation
  r.message AS message, -- the sequence of the message, which was edited at least once
  r.seq AS seq, -- the sequence of the edit; that of the message for its first body
  r.event AS event, -- the id of the event
  r.at AS written_at, -- when this body was written
  CAST(r.body AS CHAR) AS body -- the body, as JSON; null once the message was recalled, expired or erased
FROM {revisions} AS r`},
	{Name: "reactions", Select: `SELECT
  r.conversation AS conversation, -- the conversation
  r.message AS message, -- the sequence of the message
  r.user_id AS user_id, -- who reacted
  CAST(r.emoji AS CHAR) AS emoji, -- with what
  r.from_seq AS from_seq, -- the event that put it on
  r.from_at AS from_at, -- when it was put on
  r.to_seq AS to_seq, -- the event that took it off; null while it stands
  r.to_at AS to_at -- when it was taken off; null while it stands
FROM {reactions} AS r`},
}
