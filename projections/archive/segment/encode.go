package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"mpim/schema"
)

// Level says how hard to compress.
type Level int

// The levels. Both give the same events back.
const (
	// Fast is for segments that will soon be part of a larger one.
	Fast Level = iota
	// Best is for those that stay.
	Best
)

// magic names the form.
const magic = "mpimseg1"

// Columns with a meaning of their own. Those of strings and numbers in the data follow, in the order of first use.
const (
	colNames     = iota // aggregates and actors, a line each
	colTemplates        // see template
	colTemplate         // by event: the number of its template, or 0 for one that is kept whole
	colTime             // by event: milliseconds since the event before
	colEntropy          // by event: the bytes of its id behind the time
	colAggregate        // by event: the number of its aggregate's name
	colActor            // by event: the actor's number among those of the aggregate; a new one's name follows
	colSeq              // conversation sequence, less the one expected
	colOrdinal          // ordinal, less the one expected
	colStream           // by event: milliseconds between event and stream id
	colCounter          // by event: the counter of the stream id
	colWhole            // events that are kept whole
	colFirstValue
)

var errEmpty = errors.New("a segment has at least one event")

// Encode makes a segment of records that follow each other in one partition. Of each it keeps ID, StreamID, Metadata and
// Payload; all else follows from them. It has been decoded and compared when Encode returns.
func Encode(records []*schema.Record, level Level) ([]byte, error) {
	if len(records) == 0 {
		return nil, errEmpty
	}
	for i, r := range records {
		if r.Seq != records[0].Seq+int64(i) || r.Partition != records[0].Partition {
			return nil, fmt.Errorf("event %s does not follow event %s", r.Position, records[max(0, i-1)].Position)
		}
	}
	data := encode(records, level, false)
	if Compare(data, records) == nil {
		return data, nil
	}
	// A mistake in taking events apart costs space, not events.
	data = encode(records, level, true)
	if err := Compare(data, records); err != nil {
		return nil, fmt.Errorf("encode a segment: %w", err)
	}
	return data, nil
}

func encode(records []*schema.Record, level Level, whole bool) []byte {
	e := newEncoder()
	for _, r := range records {
		if whole || !e.parts.take(r) {
			e.addWhole(r)
		} else {
			e.add(&e.parts)
		}
	}
	return e.finish(records[0].Partition, records[0].Seq, len(records), level)
}

// Compare returns an error where the segment does not hold exactly these records.
func Compare(data []byte, records []*schema.Record) error {
	decoded, err := Decode(data)
	if err != nil {
		return err
	}
	if len(decoded) != len(records) {
		return fmt.Errorf("it holds %d events, not %d", len(decoded), len(records))
	}
	for i, r := range records {
		d := decoded[i]
		if d.Position != r.Position || d.ID != r.ID || d.StreamID != r.StreamID ||
			!bytes.Equal(d.Metadata, r.Metadata) || !bytes.Equal(d.Payload, r.Payload) {
			return fmt.Errorf("event %s did not come back as it was", r.Position)
		}
	}
	return nil
}

// encoder gathers columns.
type encoder struct {
	columns   [][]byte
	values    map[string]int // columns by the name of the member whose values they hold
	templates map[string]int
	names     map[string]int
	// aggregates is what is expected of each, by the number of its name.
	aggregates map[int]*expected
	lastTime   int64

	parts parts
}

// expected is what is known of an aggregate from the events before.
type expected struct {
	seq, ordinal int64
	actors       []int
}

func newEncoder() *encoder {
	return &encoder{
		columns: make([][]byte, colFirstValue), values: make(map[string]int),
		templates: make(map[string]int), names: make(map[string]int), aggregates: make(map[int]*expected),
	}
}

// addWhole keeps a record as it came.
func (e *encoder) addWhole(r *schema.Record) {
	e.put(colTemplate, 0)
	for _, field := range [][]byte{[]byte(r.ID), []byte(r.StreamID), r.Metadata, r.Payload} {
		e.put(colWhole, uint64(len(field)))
		e.columns[colWhole] = append(e.columns[colWhole], field...)
	}
}

func (e *encoder) add(p *parts) {
	e.put(colTemplate, e.template(p))
	e.putSigned(colTime, p.ms-e.lastTime)
	e.lastTime = p.ms
	e.columns[colEntropy] = append(e.columns[colEntropy], p.entropy[:]...)
	aggregate := e.name(p.aggregate)
	e.put(colAggregate, uint64(aggregate)) //nolint:gosec // a count
	known := e.aggregates[aggregate]
	if known == nil {
		known = new(expected)
		e.aggregates[aggregate] = known
	}
	e.actor(known, e.name(p.actor))
	if p.sequenced {
		e.putSigned(colSeq, p.seq-known.seq-1)
		e.putSigned(colOrdinal, p.ordinal-known.ordinal-1)
		known.seq, known.ordinal = p.seq, p.ordinal
	}
	e.putSigned(colStream, int64(p.stream.Milliseconds)-p.ms) //nolint:gosec // take has bounded it
	e.put(colCounter, p.stream.Counter)
	for _, v := range p.values {
		column := e.value(v.member)
		e.columns[column] = append(append(e.columns[column], v.text...), '\n')
	}
}

// actor writes which of the aggregate's actors it is.
func (e *encoder) actor(known *expected, name int) {
	for i, one := range known.actors {
		if one == name {
			e.put(colActor, uint64(i))
			return
		}
	}
	e.put(colActor, uint64(len(known.actors)))
	e.put(colActor, uint64(name)) //nolint:gosec // a count
	known.actors = append(known.actors, name)
}

func (e *encoder) name(text string) int {
	n, ok := e.names[text]
	if !ok {
		n = len(e.names)
		e.names[text] = n
		e.columns[colNames] = append(append(e.columns[colNames], text...), '\n')
	}
	return n
}

// value returns the column of a member's values.
func (e *encoder) value(member string) int {
	column, ok := e.values[member]
	if !ok {
		column = len(e.columns)
		e.values[member] = column
		e.columns = append(e.columns, nil)
	}
	return column
}

// template returns the number of the template, from 1.
func (e *encoder) template(p *parts) uint64 {
	p.key = p.appendKey(p.key[:0])
	n, ok := e.templates[string(p.key)]
	if !ok {
		n = len(e.templates) + 1
		e.templates[string(p.key)] = n
		e.columns[colTemplates] = p.appendTemplate(e.columns[colTemplates], e.value)
	}
	return uint64(n)
}

func (e *encoder) put(column int, n uint64) {
	e.columns[column] = binary.AppendUvarint(e.columns[column], n)
}

func (e *encoder) putSigned(column int, n int64) {
	e.columns[column] = binary.AppendVarint(e.columns[column], n)
}

// finish writes the head, then each column behind its lengths.
func (e *encoder) finish(partition int, from int64, count int, level Level) []byte {
	data := []byte(magic)
	for _, n := range []int64{int64(partition), from, int64(count), int64(len(e.templates)), int64(len(e.columns))} {
		data = binary.AppendUvarint(data, uint64(n)) //nolint:gosec // none is negative
	}
	sealed, hasSealed := e.values[schema.SealedMember]
	for i, column := range e.columns {
		columnLevel := level
		if hasSealed && i == sealed {
			columnLevel = ciphertext
		}
		packed := compress(column, columnLevel)
		data = binary.AppendUvarint(data, uint64(len(column)))
		if packed == nil {
			data = append(binary.AppendUvarint(data, 0), column...)
			continue
		}
		data = append(binary.AppendUvarint(data, uint64(len(packed))), packed...)
	}
	return data
}
