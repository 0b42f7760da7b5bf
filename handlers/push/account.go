package push

import (
	"log/slog"

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

func only(user domain.UserID) func(yield func(domain.UserID) bool) {
	return func(yield func(domain.UserID) bool) { yield(user) }
}
