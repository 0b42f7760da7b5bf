package push

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"mpim/domain"
	"mpim/schema"
)

const (
	// staleAfter is how long presence streams may go unread before the registry is read anew: their entries are kept for an
	// hour.
	staleAfter = 30 * time.Minute
	firstRetry = 50 * time.Millisecond
	lastRetry  = time.Second
)

// follow loads the registry and keeps it, whatever becomes of the connection, until ctx ends.
func (o *Owner) follow(ctx context.Context) error {
	wait := firstRetry
	// Wall-clock time: a machine that slept must know.
	var last time.Time
	for {
		began := time.Now().Round(0)
		fault := o.resume(ctx, began.Sub(last) > staleAfter)
		if fault == nil {
			last = began
			wait = firstRetry
			fault = o.config.Bus.FollowPresence(ctx, o.registry.position(), func(entries []schema.PresenceRead) {
				o.registry.fold(entries)
				last = time.Now().Round(0)
			})
		}
		if ctx.Err() == nil {
			o.logger.Warn("presence streams cannot be read", slog.Any("error", fault), slog.Duration("retry_in", wait))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, lastRetry)
	}
}

// resume prepares the registry to be folded from where it stands.
func (o *Owner) resume(ctx context.Context, stale bool) error {
	if stale {
		return o.load(ctx)
	}
	// A server that lost the end of a stream gives ids to new entries that may be below what was folded.
	heads, err := o.config.Bus.PresenceHeads(ctx)
	if err != nil {
		return err
	}
	o.registry.lower(heads)
	return nil
}

// load reads the registry of all partitions.
func (o *Owner) load(ctx context.Context) error {
	start, err := o.config.Bus.PresenceStart(ctx)
	if err != nil {
		return fmt.Errorf("begin of the presence streams: %w", err)
	}
	fresh := newRegistry(o.config.Partitions, nil)
	for partition := range o.config.Partitions {
		err := o.config.Bus.Connections(ctx, partition, func(id domain.ConnectionID, c schema.Connection) {
			fresh.add(schema.Connected{Connection: id, User: c.User, Session: c.Session, Gateway: c.Gateway, Client: c.Client})
		})
		if err != nil {
			return fmt.Errorf("connections of partition %d: %w", partition, err)
		}
	}
	fresh.folded = start
	o.registry.replace(fresh)
	select {
	case <-o.loaded:
		o.logger.Warn("registry of connections was read anew: its streams had not been read for too long")
	default:
		close(o.loaded)
	}
	return nil
}

// folded passes on what was folded: gateways with new connections hear at once how far that is.
func (o *Owner) folded(f folded) {
	if len(f.gateways) > 0 {
		o.beatSoon(f.gateways)
	}
	if len(f.typing) == 0 && len(f.late) == 0 {
		return
	}
	select {
	case o.aside <- f:
	default:
		// What is typed may be lost, and who is behind by so much has other troubles.
		o.metrics.dropped.Add(float64(len(f.typing) + len(f.late)))
	}
}
