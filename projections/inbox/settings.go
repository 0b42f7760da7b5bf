package inbox

import (
	"context"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/projections/checkpoint"
	"mpim/schema"
)

// settings folds how users see conversations. Only what differs from everybody's is kept.
func (p *Projection) settings(records []*schema.Record, w *checkpoint.Writes) error {
	for _, r := range records {
		if r.Type != domain.TypeSettingsChanged {
			continue
		}
		fact, err := r.Fact()
		if err != nil {
			return err
		}
		changed, ok := fact.(*domain.SettingsChanged)
		if !ok {
			continue
		}
		key := p.Key(r.Partition, settingsName(r.Actor))
		for _, s := range [...]struct {
			field string
			value *bool
		}{{pinnedField, changed.Pinned}, {mutedField, changed.Muted}} {
			switch {
			case s.value == nil:
			case *s.value:
				w.HSet(key, s.field+string(changed.Conversation), "1")
			default:
				w.HDel(key, s.field+string(changed.Conversation))
			}
		}
	}
	return nil
}

// readSettings asks for a user's settings of conversations, two values each; nil where the id is no user's.
func readSettings(ctx context.Context, p redis.Pipeliner, r *checkpoint.Reading, user domain.UserID, ids []domain.ConversationID) *redis.SliceCmd {
	partition, ok := user.Partition()
	if !ok || len(ids) == 0 {
		return nil
	}
	fields := make([]string, 0, 2*len(ids))
	for _, id := range ids {
		fields = append(fields, pinnedField+string(id), mutedField+string(id))
	}
	return p.HMGet(ctx, r.Key(partition, settingsName(user)), fields...)
}

// set takes over the settings at an index of what readSettings asked for.
func (e *Entry) set(settings *redis.SliceCmd, i int) {
	if settings == nil {
		return
	}
	if values := settings.Val(); len(values) > 2*i+1 {
		e.Pinned, e.Muted = values[2*i] != nil, values[2*i+1] != nil
	}
}
