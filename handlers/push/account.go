package push

import (
	"encoding/json"
	"log/slog"
	"slices"

	"mpim/domain"
	"mpim/schema"
)

// Close codes of the client protocol.
const (
	closeRevoked   = 4101
	closeSuspended = 4102
)

// account closes the connections of sessions that were revoked and of users who were suspended.
func (p *partition) account(out *outbox, r *schema.Record) {
	switch r.Type {
	case domain.TypeSessionRevoked, domain.TypeAccountSuspended, domain.TypeAccountRestored:
	default:
		return
	}
	user := domain.UserID(r.Aggregate.ID)
	fact, err := r.Fact()
	if err != nil {
		p.owner.metrics.unreadable.Inc()
		p.logger.Error("event cannot be acted upon", slog.String("event", string(r.ID)), slog.Any("error", err))
		return
	}
	registry := p.owner.registry
	switch fact := fact.(type) {
	case *domain.SessionRevoked:
		// Barred first: a connection that is folded in between is then found by either.
		registry.bar(user, fact.Session, closeRevoked)
		out.end(closeRevoked, p.gathering.of(only(user), func(c *connection) bool { return c.session == fact.Session }))
	case *domain.AccountSuspended:
		registry.bar(user, "", closeSuspended)
		out.end(closeSuspended, p.gathering.of(only(user), nil))
	case *domain.AccountRestored:
		registry.unbar(user)
	default:
	}
}

// personal tells users what changed of their own: contacts, profile, settings.
func (p *partition) personal(out *outbox, r *schema.Record) {
	if !isPersonal(r.Type) {
		return
	}
	fact, err := r.Fact()
	var data json.RawMessage
	if err == nil {
		data, err = r.Public()
	}
	if err != nil {
		// Its clients learn of it from the count of such changes.
		p.unreadable(r, err)
		return
	}
	if a := p.gathering.of(slices.Values(domain.Personal(r.Aggregate, r.Actor, fact)), nil); a.connections > 0 {
		out.put(schema.ClassEvent, accountFrame(r, data), a)
	}
}

// isPersonal says whether an event of the type may change something of a user's own, so that others are not decoded.
func isPersonal(t domain.EventType) bool {
	switch t {
	case domain.TypeAccountUpdated, domain.TypeSettingsChanged, domain.TypeContactRequested, domain.TypeContactAccepted,
		domain.TypeContactDeclined, domain.TypeContactRemoved, domain.TypeContactRemarked, domain.TypeUserBlocked,
		domain.TypeUserUnblocked:
		return true
	default:
		return false
	}
}

func only(user domain.UserID) func(yield func(domain.UserID) bool) {
	return func(yield func(domain.UserID) bool) { yield(user) }
}
