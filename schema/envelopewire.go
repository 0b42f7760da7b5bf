package schema

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/klauspost/compress/s2"

	"mpim/domain"
)

// Bounds of a decoded message of a gateway's channel. A sender splits what is larger into several envelopes.
const (
	// MaxPushBytes is its longest body.
	MaxPushBytes = 8 << 20
	// MaxPushItems is the most items that an envelope may have.
	MaxPushItems = 1 << 14
)

// compressFrom is the length from which the body is compressed.
const compressFrom = 1 << 10

// The first byte of a message is its kind; with flagCompressed the rest is an S2 block
// (https://github.com/klauspost/compress/tree/master/s2). A body consists of unsigned varints, and of byte strings that
// follow their length.
const (
	pushEnvelope   = 1
	pushHeartbeat  = 2
	flagCompressed = 0x80
)

var errPush = errors.New("not a message of a gateway's channel")

// Append appends the wire form to b: partition, token, number, start and sequence; the distinct connection lists, each
// as its length, its first number and the distances from one to the next; the items, each as class, close code, index
// of its list, and frame.
func (e *Envelope) Append(b []byte) []byte {
	body := make([]byte, 0, e.size())
	for _, v := range []uint64{
		uint64(e.Partition), uint64(e.Token), e.Number, uint64(e.Start), uint64(e.Seq), //nolint:gosec // none is negative
	} {
		body = binary.AppendUvarint(body, v)
	}
	lists, index := e.lists()
	body = binary.AppendUvarint(body, uint64(len(lists)))
	for _, list := range lists {
		body = appendConnections(body, list)
	}
	body = binary.AppendUvarint(body, uint64(len(e.Items)))
	for i, item := range e.Items {
		body = append(body, byte(item.Class))
		body = binary.AppendUvarint(body, uint64(item.Close))
		body = binary.AppendUvarint(body, uint64(index[i])) //nolint:gosec // an index
		body = binary.AppendUvarint(body, uint64(len(item.Frame)))
		body = append(body, item.Frame...)
	}
	return appendBody(b, pushEnvelope, body)
}

// lists returns the distinct connection lists of the items, and for each item the index of its own. Lists are told
// apart by identity: the sender makes one for each audience.
func (e *Envelope) lists() (lists [][]uint32, index []int) {
	index = make([]int, len(e.Items))
	seen := make(map[*uint32]int, 1)
	for i, item := range e.Items {
		var first *uint32
		if len(item.Connections) > 0 {
			first = &item.Connections[0]
		}
		n, ok := seen[first]
		if !ok || len(lists[n]) != len(item.Connections) {
			n = len(lists)
			seen[first] = n
			lists = append(lists, item.Connections)
		}
		index[i] = n
	}
	return lists, index
}

// size is an estimate.
func (e *Envelope) size() int {
	n := 64
	for _, item := range e.Items {
		n += 8 + len(item.Frame)
	}
	if len(e.Items) > 0 {
		n += 2 * len(e.Items[0].Connections)
	}
	return n
}

func appendConnections(b []byte, list []uint32) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	var last uint32
	for _, number := range list {
		b = binary.AppendUvarint(b, uint64(number-last))
		last = number
	}
	return b
}

// Append appends the wire form to b: worker; the leases, each as partition, token, number, start and sequence; the
// folded positions, each as milliseconds and counter.
func (h *Heartbeat) Append(b []byte) []byte {
	body := make([]byte, 0, 32+len(h.Worker)+24*len(h.Leases)+8*len(h.Folded))
	body = binary.AppendUvarint(body, uint64(len(h.Worker)))
	body = append(body, h.Worker...)
	body = binary.AppendUvarint(body, uint64(len(h.Leases)))
	for _, l := range h.Leases {
		for _, v := range []uint64{
			uint64(l.Partition), uint64(l.Token), l.Number, uint64(l.Start), uint64(l.Seq), //nolint:gosec // none is negative
		} {
			body = binary.AppendUvarint(body, v)
		}
	}
	body = binary.AppendUvarint(body, uint64(len(h.Folded)))
	for _, id := range h.Folded {
		body = binary.AppendUvarint(body, id.Milliseconds)
		body = binary.AppendUvarint(body, id.Counter)
	}
	return appendBody(b, pushHeartbeat, body)
}

func appendBody(b []byte, kind byte, body []byte) []byte {
	if len(body) < compressFrom {
		return append(append(b, kind), body...)
	}
	b = append(b, kind|flagCompressed)
	return append(b, s2.Encode(nil, body)...)
}

// DecodePush reads a message of a gateway's channel. What it returns aliases b. It never takes more than a few times
// the memory of the decompressed message, which is at most MaxPushBytes.
func DecodePush(b []byte) (Push, error) {
	if len(b) == 0 {
		return nil, errPush
	}
	kind, body := b[0], b[1:]
	if kind&flagCompressed != 0 {
		kind &^= flagCompressed
		n, err := s2.DecodedLen(body)
		if err != nil || n > MaxPushBytes {
			return nil, fmt.Errorf("%w: compressed length %d: %w", errPush, n, errors.Join(err))
		}
		if body, err = s2.Decode(nil, body); err != nil {
			return nil, fmt.Errorf("%w: %w", errPush, err)
		}
	}
	if len(body) > MaxPushBytes {
		return nil, fmt.Errorf("%w: %d bytes", errPush, len(body))
	}
	r := &wireReader{rest: body}
	var p Push
	switch kind {
	case pushEnvelope:
		p = r.envelope()
	case pushHeartbeat:
		p = r.heartbeat()
	default:
		return nil, fmt.Errorf("%w: kind %d", errPush, kind)
	}
	if r.bad || len(r.rest) > 0 {
		return nil, errPush
	}
	return p, nil
}

// wireReader takes a body apart. After a fault all it reads is zero and bad is set.
type wireReader struct {
	rest []byte
	bad  bool
}

func (r *wireReader) uvarint(most uint64) uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > most || r.bad {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *wireReader) int64() int64 { return int64(r.uvarint(math.MaxInt64)) } //nolint:gosec // bounded

func (r *wireReader) partition() int { return int(r.uvarint(domain.MaxPartitions - 1)) } //nolint:gosec // bounded

// count reads how many things follow, each of which takes at least size bytes.
func (r *wireReader) count(size int) int {
	return int(r.uvarint(uint64(len(r.rest) / size))) //nolint:gosec // bounded by the length of the message
}

// entries reads how many entries of a list follow, of which each takes more memory than bytes on the wire.
func (r *wireReader) entries(size int) int {
	n := r.count(size)
	if n > MaxPushItems {
		r.bad = true
		return 0
	}
	return n
}

func (r *wireReader) bytes() []byte {
	n := r.count(1)
	if r.bad || n > len(r.rest) {
		r.bad = true
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *wireReader) envelope() *Envelope {
	e := &Envelope{
		Partition: r.partition(), Token: r.int64(), Number: r.uvarint(math.MaxUint64), Start: r.int64(), Seq: r.int64(),
	}
	lists := make([][]uint32, r.entries(1))
	for i := range lists {
		lists[i] = r.connections()
	}
	e.Items = make([]Item, r.entries(4))
	for i := range e.Items {
		item := &e.Items[i]
		item.Class = Class(r.uvarint(math.MaxInt8))    //nolint:gosec // bounded, and one byte long
		item.Close = uint16(r.uvarint(math.MaxUint16)) //nolint:gosec // bounded
		list := r.uvarint(math.MaxInt32)
		if list >= uint64(len(lists)) {
			r.bad = true
			return e
		}
		item.Connections = lists[list]
		item.Frame = r.bytes()
	}
	return e
}

func (r *wireReader) connections() []uint32 {
	list := make([]uint32, r.count(1))
	var last uint64
	for i := range list {
		last += r.uvarint(math.MaxUint32)
		if last > math.MaxUint32 || i > 0 && uint64(list[i-1]) >= last {
			r.bad = true
			return nil
		}
		list[i] = uint32(last)
	}
	return list
}

func (r *wireReader) heartbeat() *Heartbeat {
	h := &Heartbeat{Worker: string(r.bytes())}
	h.Leases = make([]LeaseReport, r.entries(5))
	for i := range h.Leases {
		h.Leases[i] = LeaseReport{
			Partition: r.partition(), Token: r.int64(), Number: r.uvarint(math.MaxUint64), Start: r.int64(), Seq: r.int64(),
		}
	}
	h.Folded = make([]StreamID, r.entries(2))
	for i := range h.Folded {
		h.Folded[i] = StreamID{Milliseconds: r.uvarint(math.MaxUint64), Counter: r.uvarint(math.MaxUint64)}
	}
	return h
}
