package checkpoint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mpim/schema"
)

// maxFields bounds the fields of one HSET or HDEL. Lua's unpack takes a few thousand arguments; miniredis and Redis agree
// up to here.
const maxFields = 1000

// Writes collects what a fold changes. Nothing is sent before the fold is done.
//
// A write is a command of Redis that has its key first, or one of those that lua/ops.lua adds. It must come to the same
// however often it is done: set, replace, raise, never add.
type Writes struct {
	prefix string
	// keys are KEYS of the script; the first is the checkpoint's.
	keys    []string
	indices map[string]int
	// args are the writes as the script reads them, checks what has to be there.
	args, checks []any
	// guarded are the writes outside of the partition, in the order in which their keys first came.
	guarded []*Guarded
	byKey   map[string]*Guarded
	// guard is the field of theirs that holds the last sequence that was written.
	guard string
	err   error
}

func newWrites(partition int, checkpointKey string) *Writes {
	return &Writes{
		prefix:  schema.PartitionKey(partition, ""),
		guard:   GuardField(partition),
		keys:    []string{checkpointKey},
		indices: map[string]int{checkpointKey: 1},
	}
}

// Do adds a write to a key of the checkpoint's partition.
func (w *Writes) Do(command, key string, args ...string) {
	if !strings.HasPrefix(key, w.prefix) && w.err == nil {
		w.err = fmt.Errorf("key %q does not live in the partition of the checkpoint", key)
	}
	w.args = appendWrite(w.args, command, indexOf(&w.keys, w.indices, key), args)
}

// check has the step done only where a set or a hash has a member or field; command is SISMEMBER or HEXISTS.
func (w *Writes) check(command, key, member string) {
	w.checks = append(w.checks, indexOf(&w.keys, w.indices, key), command, member)
}

// Guard returns the field of guarded hashes that holds the sequence up to which they were written. Where what is parked is
// done later than what came behind it, it is another one than GuardField returns.
func (w *Writes) Guard() string { return w.guard }

// HSet sets fields of a hash: names and values in turn.
func (w *Writes) HSet(key string, pairs ...string) {
	for chunk := range slices.Chunk(pairs, 2*maxFields) {
		w.Do("HSET", key, chunk...)
	}
}

// HDel deletes fields of a hash.
func (w *Writes) HDel(key string, fields ...string) {
	for chunk := range slices.Chunk(fields, maxFields) {
		w.Do("HDEL", key, chunk...)
	}
}

// Guarded returns the writes to a hash outside of the partition, and to keys that have the same tag. They are sent before
// the others, and each is done only where no write of its partition with the same or a higher sequence was done before.
// The hash lives for ttl after its last write; for ever where that is 0.
func (w *Writes) Guarded(key string, ttl time.Duration) *Guarded {
	g := w.byKey[key]
	if g == nil {
		g = &Guarded{keys: []string{key}, indices: map[string]int{key: 1}}
		if w.byKey == nil {
			w.byKey = make(map[string]*Guarded)
		}
		w.byKey[key] = g
		w.guarded = append(w.guarded, g)
	}
	g.ttl = ttl
	return g
}

// Guarded collects writes to one hash outside of the partition.
type Guarded struct {
	keys    []string
	indices map[string]int
	ttl     time.Duration
	args    []any
}

// Do adds a write that follows from the event with the given partition sequence. Writes come in the order of their
// sequences; those with the same one are done all or none.
func (g *Guarded) Do(seq int64, command, key string, args ...string) {
	g.args = append(g.args, seq)
	g.args = appendWrite(g.args, command, indexOf(&g.keys, g.indices, key), args)
}

// HSet sets fields of the hash: names and values in turn.
func (g *Guarded) HSet(seq int64, pairs ...string) {
	for chunk := range slices.Chunk(pairs, 2*maxFields) {
		g.Do(seq, "HSET", g.keys[0], chunk...)
	}
}

// HDel deletes fields of the hash.
func (g *Guarded) HDel(seq int64, fields ...string) {
	for chunk := range slices.Chunk(fields, maxFields) {
		g.Do(seq, "HDEL", g.keys[0], chunk...)
	}
}

// GuardField returns the field in which guarded hashes keep the last sequence of a partition that was written.
func GuardField(partition int) string { return "~" + strconv.Itoa(partition) }

func appendWrite(b []any, command string, index int, args []string) []any {
	b = append(b, command, index, len(args))
	for _, arg := range args {
		b = append(b, arg)
	}
	return b
}

// indexOf returns the index of a key in KEYS, from 1.
func indexOf(keys *[]string, indices map[string]int, key string) int {
	index, known := indices[key]
	if !known {
		*keys = append(*keys, key)
		index = len(*keys)
		indices[key] = index
	}
	return index
}
