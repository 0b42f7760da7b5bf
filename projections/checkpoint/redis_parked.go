package checkpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"mpim/domain"
	"mpim/projections"
	"mpim/schema"
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
	// ParkedAt is absent in what was parked by older versions. Attempts and TriedAt are of retries.
	ParkedAt time.Time `json:"parked_at,omitzero"`
	Attempts int       `json:"attempts,omitempty"`
	TriedAt  time.Time `json:"tried_at,omitzero"`
}

// discardedForm is how a discarded event is kept.
type discardedForm struct {
	parkedForm

	By  string    `json:"by"`
	At  time.Time `json:"at"`
	Why string    `json:"why"`
}

// parkedKey is a hash of parked events by partition sequence, parkedKeysKey the set of the keys they park by, discardedKey a
// hash like the first.
func (c *Redis) parkedKey(partition int) string { return c.Key(partition, "parked:"+c.config.Name) }

func (c *Redis) parkedKeysKey(partition int) string {
	return c.Key(partition, "parked_keys:"+c.config.Name)
}

func (c *Redis) discardedKey(partition int) string {
	return c.Key(partition, "discarded:"+c.config.Name)
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

// putAside adds the parked records of a piece to its writes. What only stands behind another is parked only where that is
// still there: it may have been retried or discarded meanwhile.
func (c *Redis) putAside(w *Writes, piece projections.Step) error {
	checked := make(map[projections.Key]bool)
	for _, p := range piece.Parked {
		text, err := json.Marshal(parkedForm{
			Key: p.Key, Reason: shorten(p.Reason), Event: p.Record.ID, Type: p.Record.Type, StreamID: p.Record.StreamID,
			Metadata: p.Record.Metadata, Payload: p.Record.Payload, ParkedAt: now(),
		})
		if err != nil {
			return fmt.Errorf("encode parked event %s: %w", p.Record.ID, err)
		}
		if p.Reason == "" && !checked[p.Key] {
			w.check("SISMEMBER", c.parkedKeysKey(piece.Partition), string(p.Key))
		}
		checked[p.Key] = true
		w.HSet(c.parkedKey(piece.Partition), strconv.FormatInt(p.Record.Seq, 10), string(text))
		w.Do("SADD", c.parkedKeysKey(piece.Partition), string(p.Key))
	}
	return nil
}

// ParkedEvents returns what the build has parked, by partition and sequence.
func (c *Redis) ParkedEvents(ctx context.Context) (found []ParkedEvent, err error) {
	for partition := range c.config.Partitions {
		kept, err := c.readParked(ctx, partition)
		if err != nil {
			return nil, err
		}
		for _, k := range kept {
			e := ParkedEvent{
				Record: k.record(), Key: k.Key, Reason: k.Reason, Attempts: k.Attempts, First: k.ParkedAt, Last: k.ParkedAt,
			}
			if k.Reason != "" {
				e.Attempts++
			}
			if !k.TriedAt.IsZero() {
				e.Last = k.TriedAt
			}
			found = append(found, e)
		}
	}
	return found, nil
}

// kept is a parked event and where it stands in the log.
type kept struct {
	domain.Position
	parkedForm
}

func (k kept) field() string { return strconv.FormatInt(k.Seq, 10) }

// record decodes the event again, since a newer binary may know better how.
func (k kept) record() *schema.Record {
	record, err := schema.DecodeRecord(k.Partition, k.StreamID, string(k.Event), k.Metadata, k.Payload)
	record.Broken = err
	record.Position = k.Position
	return &record
}

// readParked returns what is parked in a partition, by sequence.
func (c *Redis) readParked(ctx context.Context, partition int) ([]kept, error) {
	fields, err := c.config.Client.HGetAll(ctx, c.parkedKey(partition)).Result()
	if err != nil {
		return nil, Outside(fmt.Errorf("read what %s has parked: %w", c.config.Build, err))
	}
	all := make([]kept, 0, len(fields))
	for field, text := range fields {
		k := kept{Position: domain.Position{Partition: partition}}
		if k.Seq, err = strconv.ParseInt(field, 10, 64); err == nil {
			err = json.Unmarshal([]byte(text), &k.parkedForm)
		}
		if err != nil {
			return nil, fmt.Errorf("parked event %s of partition %d is damaged: %w", field, partition, err)
		}
		all = append(all, k)
	}
	slices.SortFunc(all, func(a, b kept) int { return int(a.Seq - b.Seq) })
	return all, nil
}

// Discards returns what of the build was given up, by partition and sequence.
func (c *Redis) Discards(ctx context.Context) (found []Discarded, err error) {
	for partition := range c.config.Partitions {
		fields, err := c.config.Client.HGetAll(ctx, c.discardedKey(partition)).Result()
		if err != nil {
			return nil, Outside(fmt.Errorf("read what of %s was discarded: %w", c.config.Build, err))
		}
		for field, text := range fields {
			var form discardedForm
			seq, err := strconv.ParseInt(field, 10, 64)
			if err = errors.Join(err, json.Unmarshal([]byte(text), &form)); err != nil {
				return nil, fmt.Errorf("discarded event %s of partition %d is damaged: %w", field, partition, err)
			}
			found = append(found, Discarded{
				Projection: c.config.Name, Build: c.config.Build.Number, Partition: partition, Seq: seq, Key: form.Key,
				Event: []byte(form.Event), Type: form.Type, Reason: form.Reason, ParkedAt: form.ParkedAt, By: form.By, At: form.At, Why: form.Why,
			})
		}
	}
	slices.SortFunc(found, func(a, b Discarded) int {
		if a.Partition != b.Partition {
			return a.Partition - b.Partition
		}
		return int(a.Seq - b.Seq)
	})
	return found, nil
}

// Discard gives up what is parked by a key of a partition, or the one event at seq where that is not 0, and keeps who did
// so and why. It returns how many events that were.
func (c *Redis) Discard(ctx context.Context, partition int, key projections.Key, seq int64, by, why string) (n int, err error) {
	err = c.still(ctx, partition, func(at stillAt) error {
		all, err := c.readParked(ctx, partition)
		if err != nil {
			return err
		}
		w := c.newWrites(partition)
		n = 0
		for _, k := range of(all, key) {
			if seq != 0 && k.Seq != seq {
				continue
			}
			n++
			given := discardedForm{parkedForm: k.parkedForm, By: by, At: now(), Why: why}
			given.Metadata, given.Payload = nil, nil // nobody applies it any more, and the log has it
			text, err := json.Marshal(given)
			if err != nil {
				return err
			}
			w.HSet(c.discardedKey(partition), k.field(), string(text))
			c.unpark(w, k)
		}
		if n == len(of(all, key)) {
			w.Do("SREM", c.parkedKeysKey(partition), string(key))
		}
		if n == 0 {
			return nil
		}
		return c.commitStill(ctx, at, w)
	})
	return n, err
}

// of returns what is parked by a key.
func of(all []kept, key projections.Key) []kept {
	return slices.DeleteFunc(slices.Clone(all), func(k kept) bool { return k.Key != key })
}

// unpark takes an event off, which has to be there.
func (c *Redis) unpark(w *Writes, k kept) {
	w.check("HEXISTS", c.parkedKey(k.Partition), k.field())
	w.HDel(c.parkedKey(k.Partition), k.field())
}

// stillAt is where a checkpoint stands while nobody else moves it.
type stillAt struct {
	holder string
	step   projections.Step
}

// still calls do while nobody feeds the partition.
func (c *Redis) still(ctx context.Context, partition int, do func(at stillAt) error) error {
	who := newHolder()
	for deadline := time.Now().Add(switchWait); ; {
		err := c.holdOne(ctx, partition, who, stillWait)
		if err == nil {
			break
		}
		if !errors.Is(err, errHeld) || time.Now().After(deadline) {
			return err
		}
		if err := rest(ctx, heldPause); err != nil {
			return err
		}
	}
	defer func() {
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = c.holdOne(release, partition, who, 0) // it ends by itself
	}()
	values, err := c.config.Client.HMGet(ctx, c.checkpointKey(partition), "seq", "token", "id", "at").Result()
	if err != nil {
		return Outside(fmt.Errorf("read the checkpoint: %w", err))
	}
	at := stillAt{holder: who}
	at.step.Partition, at.step.To, at.step.From = partition, number(values[0]), number(values[0])+1
	at.step.Token, at.step.At = number(values[1]), milliseconds(number(values[3]))
	at.step.StreamID, _ = values[2].(string)
	return do(at)
}

// commitStill writes while the checkpoint stays where it is.
func (c *Redis) commitStill(ctx context.Context, at stillAt, w *Writes) error {
	stands, err := c.commit(ctx, at.step, w, at.holder)
	if err == nil && stands != at.step.To {
		err = projections.ErrDeposed
	}
	return err
}

func (c *Redis) newWrites(partition int) *Writes {
	return newWrites(partition, c.checkpointKey(partition))
}
