package seal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// Open opens the records that are sealed, in place: those whose key was destroyed read null for every personal member, and those
// that cannot be opened for good are marked as broken. It fails, and may have opened some, where keys cannot be had just now. What
// was stored open by users whose keys were destroyed since reads null as well.
func (r *Ring) Open(ctx context.Context, records []*schema.Record) error {
	r.erasePlain(ctx, records)
	missing := r.openHeld(records, nil)
	if len(missing) == 0 {
		return nil
	}
	for _, users := range chunks(slices.Collect(maps.Keys(missing)), refreshed) {
		if err := r.fetch(ctx, users, 0); err != nil {
			return err
		}
	}
	// A user that has no key now never had one: nothing will open what is sealed with it.
	if missing = r.openHeld(records, missing); len(missing) > 0 {
		return fmt.Errorf("the keys of %d users were dropped while they were fetched", len(missing))
	}
	return nil
}

func chunks(users []domain.UserID, n int) [][]domain.UserID {
	return slices.Collect(slices.Chunk(users, n))
}

var errNoKey = errors.New("its owner has no key in this database: the event is of another log, or the database was restored from before it")

// openHeld opens what can be opened with the keys that are held, and returns whose are not. Records of users that were asked
// for and have none are marked as broken.
func (r *Ring) openHeld(records []*schema.Record, asked map[domain.UserID]bool) (missing map[domain.UserID]bool) {
	now := time.Now()
	for _, record := range records {
		text, sealed := record.Sealed()
		if !sealed || record.Broken != nil {
			continue
		}
		owner := record.Owner()
		r.mu.RLock()
		h := r.find(owner, now)
		dropped, used := false, h != nil && h.used
		if h == nil {
			_, dropped = r.gone[owner]
			dropped = dropped || !r.cleared.Before(now.Add(-r.config.Timeout))
		}
		r.mu.RUnlock()
		switch {
		case h == nil && asked[owner] && !dropped:
			record.Broken = errNoKey
		case h == nil:
			if missing == nil {
				missing = make(map[domain.UserID]bool)
			}
			missing[owner] = true
		case h.err != nil:
			record.Broken = h.err
		case h.key == nil:
			record.Erase()
		default:
			if !used {
				r.use(h)
			}
			open(record, h.key, text)
		}
	}
	return missing
}

func open(record *schema.Record, key *Key, text []byte) {
	members, err := key.Open(Place{Event: record.ID, Aggregate: record.Aggregate, Type: record.Type}, text)
	if err != nil {
		record.Broken = err
		return
	}
	record.Open(members)
}

// Stale says that a record was opened with a key that was destroyed since, so that it must be read again.
func (r *Ring) Stale(record *schema.Record) bool {
	return schema.Personal(record.Type) && !record.Erased && r.Gone(record.Owner())
}

// OpenPayload opens a message as the stock Watermill package delivers it, and returns the payload with the personal members
// where the sealed text stood. A payload that is not sealed is returned as it is. Erased says that the key was destroyed and
// the members are null.
func (r *Ring) OpenPayload(ctx context.Context, uuid string, metadata map[string]string, payload []byte) (opened []byte, erased bool, err error) {
	aggregate, ok := domain.ParseAggregate(metadata[schema.AggregateKey])
	if !ok {
		return nil, false, fmt.Errorf("metadata %q is %q, which is no aggregate", schema.AggregateKey, metadata[schema.AggregateKey])
	}
	var envelope struct {
		At    string          `json:"at"`
		Actor domain.UserID   `json:"actor"`
		Data  json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(payload, &envelope); err != nil {
		return nil, false, fmt.Errorf("payload: %w", err)
	}
	record := &schema.Record{
		ID: domain.EventID(uuid), Type: domain.EventType(metadata[schema.TypeKey]), Actor: envelope.Actor, Aggregate: aggregate,
		Data: envelope.Data,
	}
	if !schema.Personal(record.Type) {
		return payload, false, nil
	}
	_, sealed := record.Sealed()
	if err := r.Open(ctx, []*schema.Record{record}); err != nil {
		return nil, false, err
	}
	if record.Broken != nil {
		return nil, false, record.Broken
	}
	if !sealed && !record.Erased {
		return payload, false, nil
	}
	envelope.Data = record.Data
	opened, err = json.Marshal(envelope)
	return opened, record.Erased, err
}
