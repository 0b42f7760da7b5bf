package seal

import (
	"context"
	"log/slog"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// erased are all users whose keys were destroyed. There are few of them.
type erased struct {
	users map[domain.UserID]bool
	// until is when the store is to be asked again.
	until time.Time
}

func (e *erased) add(user domain.UserID) {
	if e.users == nil {
		e.users = make(map[domain.UserID]bool)
	}
	e.users[user] = true
}

// askAgain is how long the store is left alone after it could not say who is erased.
const askAgain = 30 * time.Second

// erasePlain takes away what erased users wrote while nothing was sealed: it is in the log for ever, but is not to be read. Where the
// store cannot say who is erased, such texts stay until the event of the erasure, which takes them from all that is computed.
func (r *Ring) erasePlain(ctx context.Context, records []*schema.Record) {
	asked := false
	for _, record := range records {
		if !schema.Personal(record.Type) || record.Erased || record.Broken != nil {
			continue
		}
		if _, sealed := record.Sealed(); sealed {
			continue
		}
		if !asked {
			asked = true
			r.askErased(ctx)
		}
		r.mu.RLock()
		gone := r.erased.users[record.Owner()]
		r.mu.RUnlock()
		if gone && record.HasPersonal() {
			record.Erase()
		}
	}
}

// askErased makes sure that it is known who is erased.
func (r *Ring) askErased(ctx context.Context) {
	now := time.Now()
	r.mu.RLock()
	known := now.Before(r.erased.until)
	r.mu.RUnlock()
	if known {
		return
	}
	limit, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	users, err := r.config.Store.Erased(limit)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.erased.until = now.Add(askAgain)
		r.config.Logger.WarnContext(ctx, "not known who is erased: what they wrote while nothing was sealed may be read", slog.Any("error", err))
		return
	}
	r.erased.until = now.Add(keptFor)
	for _, user := range users {
		r.erased.add(user)
	}
}
