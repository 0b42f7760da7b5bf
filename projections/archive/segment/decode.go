package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// Decode returns the records of a segment, as they are read from the stream. They share memory. An error says that the
// segment is damaged; it never panics.
func Decode(data []byte) ([]*schema.Record, error) {
	d, err := newDecoder(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	records := make([]schema.Record, d.count)
	all := make([]*schema.Record, d.count)
	for i := range records {
		all[i] = &records[i]
		if err := d.next(all[i]); err != nil {
			return nil, fmt.Errorf("%w: event %d:%d: %w", errDamaged, d.partition, d.seq, err)
		}
		if d.failed() {
			return nil, fmt.Errorf("%w: a column ends early", errDamaged)
		}
	}
	d.nameAll(all)
	return all, nil
}

// Decompress decompresses every column and does nothing with it: what decoding cannot be faster than.
func Decompress(data []byte) (bytes int, err error) {
	_, columns, err := split(data)
	for _, column := range columns {
		bytes += len(column)
	}
	return bytes, err
}

// reader reads a column from the front. What is not there reads as zero and is noted.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) uvarint() uint64 {
	if len(r.b) > 0 && r.b[0] < 0x80 {
		n := r.b[0]
		r.b = r.b[1:]
		return uint64(n)
	}
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.failed = true
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) varint() int64 {
	n := r.uvarint()
	if n&1 != 0 {
		return ^int64(n >> 1)
	}
	return int64(n >> 1)
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.failed = true
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) text() string { return string(r.bytes(r.uvarint())) }

// line returns what comes before the next end of line.
func (r *reader) line() []byte {
	n := bytes.IndexByte(r.b, '\n')
	if n < 0 {
		r.failed = true
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n+1:]
	return b
}

// head is what stands before the columns.
type head struct {
	partition        int
	from             int64
	count, templates int
}

// split reads the head and decompresses the columns.
func split(data []byte) (h head, columns [][]byte, err error) {
	rest, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok {
		return h, nil, fmt.Errorf("it does not begin with %q: was it written by a newer mpim?", magic)
	}
	r := &reader{b: rest}
	var numbers [5]int
	for i := range numbers {
		n := r.uvarint()
		if n > math.MaxInt64/2 || i != 1 && n > maxColumn {
			return h, nil, fmt.Errorf("number %d of its head is %d", i, n)
		}
		numbers[i] = int(n)
	}
	h = head{partition: numbers[0], from: int64(numbers[1]), count: numbers[2], templates: numbers[3]}
	for range numbers[4] {
		size, packed := r.uvarint(), r.uvarint()
		var column []byte
		if packed == 0 {
			column = r.bytes(size)
		} else if b := r.bytes(packed); !r.failed {
			column, err = decompress(b, int(min(size, math.MaxInt64/2)))
		}
		if r.failed || err != nil {
			return h, nil, fmt.Errorf("column %d cannot be read: %w", len(columns), err)
		}
		columns = append(columns, column)
	}
	if len(columns) < colFirstValue || h.partition >= domain.MaxPartitions || h.count < 1 || h.count > len(columns[colTemplate]) {
		return h, nil, fmt.Errorf("%d events of partition %d in %d columns", h.count, h.partition, len(columns))
	}
	return h, columns, nil
}

// decoder puts events together again.
type decoder struct {
	head
	columns   []reader
	templates []template
	names     []decodedName
	seq, last int64
	second    second
	// arena is what metadata and payloads are cut from.
	arena []byte
	// ids and streams are the texts of ids, which become strings all at once; ends is where the stream ids end.
	ids, streams []byte
	ends         []int
}

// decodedName is an aggregate or an actor.
type decodedName struct {
	text      []byte
	user      domain.UserID
	aggregate domain.Aggregate
	parsed    bool
	expected
}

func newDecoder(data []byte) (*decoder, error) {
	h, columns, err := split(data)
	if err != nil {
		return nil, err
	}
	d := &decoder{head: h, seq: h.from, columns: make([]reader, len(columns))}
	total := 0
	for i, column := range columns {
		d.columns[i].b = column
		total += len(column)
	}
	for names := &d.columns[colNames]; len(names.b) > 0 && !names.failed; {
		text := names.line()
		d.names = append(d.names, decodedName{text: text, user: domain.UserID(text)})
	}
	if d.templates, err = readTemplates(&d.columns[colTemplates], h.templates, len(columns)); err != nil {
		return nil, err
	}
	d.arena = make([]byte, 0, arenaBlock)
	d.ids = make([]byte, 0, 26*h.count)
	d.streams = make([]byte, 0, 16*h.count)
	d.ends = make([]int, 0, h.count)
	if d.failed() {
		return nil, fmt.Errorf("its tables cannot be read (%d bytes)", total)
	}
	return d, nil
}

func (d *decoder) failed() bool {
	for i := range d.columns {
		if d.columns[i].failed {
			return true
		}
	}
	return false
}

// next reads one event.
func (d *decoder) next(r *schema.Record) error {
	r.Partition, r.Seq = d.partition, d.seq
	n := d.columns[colTemplate].uvarint()
	switch {
	case n == 0:
		d.whole(r)
	case n > uint64(len(d.templates)):
		return fmt.Errorf("there is no template %d", n)
	default:
		if err := d.assemble(r, &d.templates[n-1]); err != nil {
			return err
		}
	}
	d.seq++
	return nil
}

// whole reads an event that was kept as it came.
func (d *decoder) whole(r *schema.Record) {
	column := &d.columns[colWhole]
	id, stream := column.text(), column.text()
	metadata, payload := column.bytes(column.uvarint()), column.bytes(column.uvarint())
	decoded, err := schema.DecodeRecord(d.partition, stream, id, metadata, payload)
	// The place in the segment is certain, whatever the metadata say.
	decoded.Position = r.Position
	*r = decoded
	r.Broken = err
	d.ids = append(d.ids, make([]byte, 26)...)
	d.ends = append(d.ends, len(d.streams))
}

// assemble reads an event of a template.
func (d *decoder) assemble(r *schema.Record, t *template) error {
	ms := d.last + d.columns[colTime].varint()
	d.last = ms
	entropy := d.columns[colEntropy].bytes(domain.EventEntropy)
	aggregate, known := d.columns[colAggregate].uvarint(), uint64(len(d.names))
	if aggregate >= known {
		return fmt.Errorf("there is no name %d", aggregate)
	}
	name := &d.names[aggregate]
	if !name.parsed {
		if name.aggregate, name.parsed = domain.ParseAggregate(string(name.text)); !name.parsed {
			return fmt.Errorf("name %d is no aggregate", aggregate)
		}
	}
	actor, err := d.actor(name)
	if err != nil {
		return err
	}
	if ms < 0 || ms >= lastMillisecond || !plain(d.names[actor].text) {
		return errors.New("its time or its actor is none")
	}
	if t.sequenced {
		name.seq += d.columns[colSeq].varint() + 1
		name.ordinal += d.columns[colOrdinal].varint() + 1
		r.ConversationSeq, r.Ordinal = domain.Seq(name.seq), name.ordinal
	}
	stream := schema.StreamID{Milliseconds: uint64(ms + d.columns[colStream].varint()), Counter: d.columns[colCounter].uvarint()} //nolint:gosec // parts.take has bounded it
	d.ids = appendID(d.ids, ms, entropy)
	d.streams = appendStream(d.streams, stream)
	d.ends = append(d.ends, len(d.streams))
	r.Type, r.Version, r.Aggregate, r.Actor = t.eventType, t.version, name.aggregate, d.names[actor].user
	r.At = d.second.time(ms)
	d.text(r, t, name.text, d.names[actor].text)
	return nil
}

// actor reads which of the aggregate's actors it is.
func (d *decoder) actor(aggregate *decodedName) (int, error) {
	column := &d.columns[colActor]
	n := column.uvarint()
	if n < uint64(len(aggregate.actors)) {
		return aggregate.actors[n], nil
	}
	name := column.uvarint()
	if n > uint64(len(aggregate.actors)) || name >= uint64(len(d.names)) {
		return 0, fmt.Errorf("there is no actor %d", n)
	}
	aggregate.actors = append(aggregate.actors, int(name)) //nolint:gosec // an index
	return int(name), nil                                  //nolint:gosec // an index
}

// arenaBlock is how much memory is taken at once.
const arenaBlock = 256 << 10

// text writes metadata and payload.
func (d *decoder) text(r *schema.Record, t *template, aggregate, actor []byte) {
	if cap(d.arena)-len(d.arena) < 4096 {
		d.arena = make([]byte, 0, arenaBlock)
	}
	start := len(d.arena)
	b := d.pieces(d.arena, r, t.metadata, aggregate)
	middle := len(b)
	b = append(b, beforeAt...)
	b = d.second.append(b)
	b = append(append(append(b, beforeActor...), actor...), beforeData...)
	data := len(b)
	b = d.pieces(b, r, t.data, aggregate)
	b = append(b, behindData...)
	end := len(b)
	r.Metadata, r.Payload = b[start:middle:middle], b[middle:end:end]
	r.Data = b[data : end-len(behindData) : end-len(behindData)]
	d.arena = b
}

func (d *decoder) pieces(b []byte, r *schema.Record, pieces []decodedPiece, aggregate []byte) []byte {
	var digits [20]byte
	for i := range pieces {
		one := &pieces[i]
		switch one.kind {
		case literal:
			b = append(b, one.text...)
		case textValue:
			b = append(b, d.columns[one.column].line()...)
		case packedValue:
			text := d.columns[one.column].line()
			if len(text) > math.MaxUint8 {
				d.columns[one.column].failed = true
				text = nil
			}
			if one.trace {
				r.Trace = string(text)
			}
			b = appendPacked(b, text)
		case packedAggregate:
			b = appendPacked(b, aggregate)
		case packedPartitionSeq:
			b = appendPacked(b, strconv.AppendInt(digits[:0], d.seq, 10))
		case packedSeq:
			b = appendPacked(b, strconv.AppendInt(digits[:0], int64(r.ConversationSeq), 10))
		case packedOrdinal:
			b = appendPacked(b, strconv.AppendInt(digits[:0], r.Ordinal, 10))
		}
	}
	return b
}

// nameAll makes strings of the ids, in one piece of memory each.
func (d *decoder) nameAll(records []*schema.Record) {
	ids, streams, from := string(d.ids), string(d.streams), 0
	for i, r := range records {
		to := d.ends[i]
		if to > from { // else it was kept whole
			r.ID = domain.EventID(ids[26*i : 26*i+26])
			r.StreamID = streams[from:to]
		}
		from = to
	}
}

func appendStream(b []byte, id schema.StreamID) []byte {
	b = append(strconv.AppendUint(b, id.Milliseconds, 10), '-')
	return strconv.AppendUint(b, id.Counter, 10)
}

// second keeps the text of the time that was written last: most events follow another within the same second.
type second struct {
	at   int64
	set  bool
	text [len(schema.TimeFormat)]byte
}

// time returns the time and keeps its text.
func (s *second) time(ms int64) time.Time {
	at := time.UnixMilli(ms).UTC()
	if unix := at.Unix(); !s.set || unix != s.at {
		s.at, s.set = unix, true
		text := at.AppendFormat(nil, schema.TimeFormat)
		if copy(s.text[:], text) != len(text) {
			s.set = false
		}
	}
	rest := ms - s.at*1000
	s.text[20], s.text[21], s.text[22] = byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10) //nolint:gosec // digits
	return at
}

func (s *second) append(b []byte) []byte { return append(b, s.text[:]...) }
