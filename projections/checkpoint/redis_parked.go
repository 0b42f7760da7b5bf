package checkpoint

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"mpim/domain"
	"mpim/projections"
)

// parkedForm is how a parked event is kept: the entry as the log has it, because the log is trimmed, and why it is here.
type parkedForm struct {
	Key      projections.Key  `json:"key"`
	Reason   string           `json:"reason,omitempty"`
	Event    domain.EventID   `json:"event"`
	Type     domain.EventType `json:"type"`
	StreamID string           `json:"stream_id"`
	Metadata []byte           `json:"metadata"`
	Payload  []byte           `json:"payload"`
}

// parkedKey is a hash of parked events by partition sequence, parkedKeysKey the set of the keys they park by.
func (c *Redis) parkedKey(partition int) string { return c.Key(partition, "parked:"+c.config.Name) }

func (c *Redis) parkedKeysKey(partition int) string {
	return c.Key(partition, "parked_keys:"+c.config.Name)
}

// Parked implements projections.Checkpoints.
func (c *Redis) Parked(ctx context.Context, partition int) ([]projections.Key, error) {
	members, err := c.config.Client.SMembers(ctx, c.parkedKeysKey(partition)).Result()
	if err != nil {
		return nil, Outside(fmt.Errorf("read the parked keys of partition %d: %w", partition, err))
	}
	keys := make([]projections.Key, len(members))
	for i, member := range members {
		keys[i] = projections.Key(member)
	}
	return keys, nil
}

// putAside adds the parked records of a piece to its writes.
func (c *Redis) putAside(w *Writes, piece projections.Step) error {
	for _, p := range piece.Parked {
		text, err := json.Marshal(parkedForm{
			Key: p.Key, Reason: p.Reason, Event: p.Record.ID, Type: p.Record.Type, StreamID: p.Record.StreamID,
			Metadata: p.Record.Metadata, Payload: p.Record.Payload,
		})
		if err != nil {
			return fmt.Errorf("encode parked event %s: %w", p.Record.ID, err)
		}
		w.HSet(c.parkedKey(piece.Partition), strconv.FormatInt(p.Record.Seq, 10), string(text))
		w.Do("SADD", c.parkedKeysKey(piece.Partition), string(p.Key))
	}
	return nil
}
