package receipts

import "mpim/projections/tables"

// views are what analysts read.
var views = []tables.View{
	{Name: "receipts", Select: `SELECT
  r.conversation AS conversation, -- the conversation
  r.user_id AS user_id, -- whose cursor moved
  r.kind AS kind, -- delivered or read
  r.seq AS seq, -- up to which sequence, this one included
  r.at AS moved_at -- when it moved there
FROM {moves} AS r`},
}
