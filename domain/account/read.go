package account

import "mpim/domain"

// SessionFields returns what State.Admits of one session is read from.
func SessionFields(session domain.SessionID) []string {
	return []string{domain.HeaderField, sessionField(session)}
}

// ProfileFields returns what State.Profile is read from.
func ProfileFields() []string { return []string{domain.HeaderField} }

// Admits refuses a session that has ended (Unauthenticated), or whose account is suspended (PermissionDenied).
func (s State) Admits(session domain.SessionID) error { return s.admits(session) }
