package contacts

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
	userRow struct {
		bun.BaseModel `bun:"alias:r"`

		User        string    `bun:"user_id,pk"`
		Username    string    `bun:"username"`
		DisplayName string    `bun:"display_name"`
		AvatarURL   string    `bun:"avatar_url"`
		CreatedAt   time.Time `bun:"created_at"`
		UpdatedAt   time.Time `bun:"updated_at"`
		SuspendedAt time.Time `bun:"suspended_at,nullzero"`
		ErasedAt    time.Time `bun:"erased_at,nullzero"`
	}

	nameRow struct {
		bun.BaseModel `bun:"alias:r"`

		Name []byte `bun:"name,pk"`
		User string `bun:"user_id,pk"`
	}

	relationRow struct {
		bun.BaseModel `bun:"alias:r"`

		User string    `bun:"user_id,pk"`
		Kind string    `bun:"kind,pk"`
		Peer string    `bun:"peer,pk"`
		At   time.Time `bun:"at"`
		Note string    `bun:"note"`
	}

	nameKey     struct{ name, user string }
	relationKey struct{ user, kind, peer string }
)

// Kinds of relations.
const (
	contact  = "contact"
	incoming = "incoming"
	outgoing = "outgoing"
	blocked  = "blocked"
)

// columns define the tables of a build.
var columns = []tables.Table{
	{Name: "users", Columns: `
  user_id      {id} NOT NULL,
  username     {name} NOT NULL,
  display_name {text} NOT NULL,
  avatar_url   {text} NOT NULL,
  created_at   {time} NOT NULL,
  updated_at   {time} NOT NULL,
  suspended_at {time},
  erased_at    {time},
  PRIMARY KEY (user_id)`},
	{Name: "names", Columns: `
  name    {key} NOT NULL,
  user_id {id} NOT NULL,
  PRIMARY KEY (name, user_id)`},
	{Name: "relations", Columns: `
  user_id {id} NOT NULL,
  kind    {name} NOT NULL,
  peer    {id} NOT NULL,
  at      {time} NOT NULL,
  note    {text} NOT NULL,
  PRIMARY KEY (user_id, kind, peer)`},
}

var users = rows.Table[string, userRow]{
	Name: "users", Key: []string{"user_id"},
	Columns: []string{"username", "display_name", "avatar_url", "created_at", "updated_at", "suspended_at", "erased_at"},
	Of:      func(r *userRow) string { return r.User },
	Args:    func(user string) []any { return []any{user} },
	Compare: strings.Compare,
	Write: func(r *userRow, v *database.Values) {
		v.String(r.User)
		v.String(r.Username)
		v.String(r.DisplayName)
		v.String(r.AvatarURL)
		v.Time(r.CreatedAt)
		v.Time(r.UpdatedAt)
		v.Time(r.SuspendedAt)
		v.Time(r.ErasedAt)
	},
}

var names = rows.Table[nameKey, nameRow]{
	Name: "names", Key: []string{"name", "user_id"},
	Of:   func(r *nameRow) nameKey { return nameKey{string(r.Name), r.User} },
	Args: func(k nameKey) []any { return []any{[]byte(k.name), k.user} },
	Compare: func(a, b nameKey) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.user, b.user))
	},
	Write: func(r *nameRow, v *database.Values) {
		v.Bytes(r.Name)
		v.String(r.User)
	},
}

var relations = rows.Table[relationKey, relationRow]{
	Name: "relations", Key: []string{"user_id", "kind", "peer"}, Columns: []string{"at", "note"},
	Of:   func(r *relationRow) relationKey { return relationKey{r.User, r.Kind, r.Peer} },
	Args: func(k relationKey) []any { return []any{k.user, k.kind, k.peer} },
	Compare: func(a, b relationKey) int {
		return cmp.Or(strings.Compare(a.user, b.user), strings.Compare(a.kind, b.kind), strings.Compare(a.peer, b.peer))
	},
	Write: func(r *relationRow, v *database.Values) {
		v.String(r.User)
		v.String(r.Kind)
		v.String(r.Peer)
		v.Time(r.At)
		v.String(r.Note)
	},
}
