package recent

import (
	"context"
	"fmt"
	"strings"
	"time"

	"mpim/domain"
	"mpim/projections/checkpoint"
)

// Dump returns what is kept of a partition in one form whatever way it came about: each event by conversation and sequence.
// Events older than TTL are left out, since it is chance whether they are still kept.
func (p *Projection) Dump(ctx context.Context, partition int) (map[string]string, error) {
	prefix := p.Key(partition, keyPrefix)
	keys, err := p.Keys(ctx, prefix)
	if err != nil {
		return nil, err
	}
	oldest := time.Now().Add(-TTL)
	dump := make(map[string]string)
	for _, key := range keys {
		elements, err := p.Client().LRange(ctx, key, 0, -1).Result()
		if err != nil {
			return nil, checkpoint.Outside(fmt.Errorf("read %s: %w", key, err))
		}
		id := domain.ConversationID(strings.TrimPrefix(key, prefix))
		for _, element := range elements {
			e, err := parseElement(id, element)
			if err != nil {
				return nil, err
			}
			h, err := e.Header()
			if err != nil {
				return nil, err
			}
			if h.At.After(oldest) {
				dump[fmt.Sprintf("%s %d", id, e.Seq)] = element
			}
		}
	}
	return dump, nil
}
