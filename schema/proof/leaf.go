package proof

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"mpim/schema"
)

// Event is what of an event is proved: its place and its exact bytes.
type Event struct {
	Partition int
	// Seq is the partition sequence, from 1; the leaf's index in the tree is one less.
	Seq int64
	// UUID, Metadata and Payload are the three fields of the entry, to the byte.
	UUID              string
	Metadata, Payload []byte
}

// EventOf returns what is proved of a record.
func EventOf(r *schema.Record) Event {
	return Event{Partition: r.Partition, Seq: r.Seq, UUID: string(r.ID), Metadata: r.Metadata, Payload: r.Payload}
}

// AppendLeaf appends the leaf of an event: partition and sequence as decimal digits, then uuid, metadata and payload; before each
// of the five stands its length in bytes, as four bytes, the highest first.
func AppendLeaf(b []byte, e Event) []byte {
	var digits [20]byte
	b = appendField(b, strconv.AppendInt(digits[:0], int64(e.Partition), 10))
	b = appendField(b, strconv.AppendInt(digits[:0], e.Seq, 10))
	b = appendField(b, e.UUID)
	b = appendField(b, e.Metadata)
	return appendField(b, e.Payload)
}

func appendField[T string | []byte](b []byte, field T) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(field))) //nolint:gosec // an entry of Redis has at most 512 MiB
	return append(b, field...)
}

// Hasher hashes many leaves without taking memory for each. The zero value is ready; it is not for several goroutines.
type Hasher struct{ leaf []byte }

// Hash returns the hash of an event's leaf: SHA-256 of a byte 0 and the leaf.
func (h *Hasher) Hash(e Event) tlog.Hash {
	h.leaf = AppendLeaf(append(h.leaf[:0], 0), e)
	return sha256.Sum256(h.leaf)
}
