package contacts

import "mpim/projections/tables"

// views are what analysts read.
var views = []tables.View{
	{Name: "users", Select: `SELECT
  r.user_id AS user_id, -- the id of the user
  r.username AS username, -- the name to log in with; empty once erased
  r.display_name AS display_name, -- what the user is called; empty once erased
  r.avatar_url AS avatar_url, -- the picture; empty for none
  r.created_at AS created_at, -- when the account was registered
  r.updated_at AS updated_at, -- when the row changed last
  r.suspended_at AS suspended_at, -- since when the user is kept out; null for who is not
  r.erased_at AS erased_at -- when the account was erased; null for one that stands
FROM {users} AS r`},
	{Name: "contacts", Select: `SELECT
  r.user_id AS user_id, -- whose contact it is; each contact is two rows, one for each side
  r.peer AS peer, -- the other user
  r.at AS since, -- when the two became contacts
  r.note AS remark -- what user_id noted about the other; empty for nothing
FROM {relations} AS r WHERE r.kind = 'contact'`},
}
