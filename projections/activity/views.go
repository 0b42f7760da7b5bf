package activity

import "mpim/projections/tables"

// views are what analysts read.
var views = []tables.View{
	{Name: "activity_hourly", Select: `SELECT
  r.day AS day, -- the day in UTC, YYYY-MM-DD
  r.hour AS hour, -- the hour in UTC, 0 to 23
  COUNT(*) AS active_users, -- users who did anything
  CAST(SUM(r.messages) AS SIGNED) AS messages, -- messages sent
  CAST(SUM(r.edits) AS SIGNED) AS edits, -- messages edited
  CAST(SUM(r.reactions) AS SIGNED) AS reactions, -- reactions put or taken off
  CAST(SUM(r.logins) AS SIGNED) AS connections -- sockets opened
FROM {users} AS r GROUP BY r.day, r.hour`},
	{Name: "activity_daily", Select: `SELECT
  r.day AS day, -- the day in UTC, YYYY-MM-DD
  COUNT(DISTINCT r.user_id) AS active_users, -- users who did anything, each once
  CAST(SUM(r.messages) AS SIGNED) AS messages, -- messages sent
  CAST(SUM(r.edits) AS SIGNED) AS edits, -- messages edited
  CAST(SUM(r.reactions) AS SIGNED) AS reactions, -- reactions put or taken off
  CAST(SUM(r.logins) AS SIGNED) AS connections -- sockets opened
FROM {users} AS r GROUP BY r.day`},
	{Name: "activity_users", Select: `SELECT
  r.day AS day, -- the day in UTC, YYYY-MM-DD
  r.hour AS hour, -- the hour in UTC, 0 to 23
  r.user_id AS user_id, -- the user
  r.messages AS messages, -- messages sent
  r.edits AS edits, -- messages edited
  r.reactions AS reactions, -- reactions put or taken off
  r.receipts AS receipts, -- moves of cursors
  r.logins AS connections -- sockets opened
FROM {users} AS r`},
	{Name: "conversation_sizes", Select: `SELECT
  r.conversation AS conversation, -- the conversation
  r.kind AS kind, -- direct or group
  r.members AS members, -- how many are members now
  r.messages AS messages, -- how many messages were sent
  r.last_at AS last_message_at -- when the last was sent; null for none
FROM {conversations} AS r`},
	{Name: "response_times", Select: `SELECT
  r.day AS day, -- the day in UTC, YYYY-MM-DD
  r.kind AS kind, -- direct or group
  r.within_s AS within_s, -- the upper end of the bucket, in seconds
  r.responses AS responses -- messages that followed one of somebody else within this time, but not within the next smaller one
FROM {responses} AS r`},
}
