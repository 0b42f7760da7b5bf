package members

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"mpim/domain"
	"mpim/projections/checkpoint"
)

// Dump returns what is kept of a partition in one form whatever way it came about: each field by key and name.
func (p *Projection) Dump(ctx context.Context, partition int) (map[string]string, error) {
	dump := make(map[string]string)
	guard := checkpoint.GuardField(partition)
	lives := func(id string) bool {
		home, ok := domain.ConversationID(id).Partition()
		return ok && home == partition
	}
	for _, part := range []struct {
		name string
		// want says whether a field of the hash of id comes from this partition.
		want func(id, field string) bool
	}{
		{rosterName, func(id, _ string) bool { return lives(id) }},
		{userName, func(_, field string) bool { return lives(field) || field == guard }},
		{seqName, func(_, field string) bool { return field == strconv.Itoa(partition) || field == guard }},
		{scheduledName, func(_, field string) bool {
			id, _ := domain.ScheduledID(field).Conversation()
			return lives(string(id)) || field == guard
		}},
	} {
		keys, err := p.Keys(ctx, strings.TrimSuffix(p.OutsideKey(part.name, ""), "}"))
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			id := idOf(key)
			fields, err := p.Client().HGetAll(ctx, key).Result()
			if err != nil {
				return nil, checkpoint.Outside(fmt.Errorf("read %s: %w", key, err))
			}
			for field, value := range fields {
				if part.want(id, field) {
					dump[part.name+" "+id+" "+field] = value
				}
			}
		}
	}
	return dump, p.dumpOrder(ctx, lives, dump)
}

func (p *Projection) dumpOrder(ctx context.Context, lives func(string) bool, dump map[string]string) error {
	keys, err := p.Keys(ctx, strings.TrimSuffix(p.OutsideKey(orderName, ""), "}"))
	if err != nil {
		return err
	}
	for _, key := range keys {
		if !lives(idOf(key)) {
			continue
		}
		users, err := p.Client().ZRange(ctx, key, 0, -1).Result()
		if err != nil {
			return checkpoint.Outside(fmt.Errorf("read %s: %w", key, err))
		}
		dump[orderName+" "+idOf(key)] = strings.Join(users, " ")
	}
	return nil
}

// idOf returns the id that stands in braces at the end of a key.
func idOf(key string) string {
	_, id, _ := strings.Cut(key, "{")
	return strings.TrimSuffix(id, "}")
}
