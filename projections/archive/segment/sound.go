package segment

import (
	"errors"
	"fmt"
	"strconv"

	"mpim/domain"
	"mpim/schema"
)

// sound wants what the template says of its events to be what their metadata say: type and version stand in both, and sequences, aggregate
// and trace have to stand where they are read from. Otherwise a segment could give every byte back as it was and call the event another.
func (t *template) sound() error {
	m := metadataReader{pieces: t.metadata}
	for range m.header() {
		key, ok := m.text()
		if !ok || m.seen[key] {
			return fmt.Errorf("its metadata cannot be read behind %q", key)
		}
		m.seen[key] = true
		if !m.value(t, key) {
			return fmt.Errorf("its metadata have another %s", key)
		}
	}
	if m.rest != "" || len(m.pieces) > 0 || m.seen[schema.SeqKey] != m.seen[schema.OrdinalKey] {
		return errors.New("its metadata are not whole")
	}
	for _, key := range []string{schema.TypeKey, schema.VersionKey, schema.AggregateKey, schema.PartitionSeqKey} {
		if !m.seen[key] {
			return fmt.Errorf("its metadata have no %s", key)
		}
	}
	return nil
}

// metadataReader reads the pieces of a template's metadata. Rest is what is left of the literal that was begun.
type metadataReader struct {
	pieces []decodedPiece
	rest   string
	seen   map[string]bool
}

// header returns how many members there are.
func (m *metadataReader) header() int {
	m.seen = make(map[string]bool)
	m.fill()
	if m.rest == "" || m.rest[0]&0xf0 != 0x80 {
		return 0 // a member will be missing
	}
	n := int(m.rest[0] & 0x0f)
	m.rest = m.rest[1:]
	return n
}

// fill begins the next literal where one is next.
func (m *metadataReader) fill() {
	if m.rest == "" && len(m.pieces) > 0 && m.pieces[0].kind == literal {
		m.rest, m.pieces = m.pieces[0].text, m.pieces[1:]
	}
}

// text reads a string that is the same for all events.
func (m *metadataReader) text() (string, bool) {
	m.fill()
	text, end, ok := packedString([]byte(m.rest))
	if ok {
		m.rest = m.rest[end:]
	}
	return text, ok
}

// value reads a member's value. It is false for one that is not what is taken for it.
func (m *metadataReader) value(t *template, key string) bool {
	if key == schema.TypeKey || key == schema.VersionKey {
		text, ok := m.text()
		if key == schema.TypeKey {
			return ok && domain.EventType(text) == t.eventType
		}
		version, err := strconv.Atoi(text)
		return ok && err == nil && version == t.version
	}
	if m.rest != "" || len(m.pieces) == 0 {
		return false
	}
	one := m.pieces[0]
	m.pieces = m.pieces[1:]
	switch key {
	case schema.AggregateKey:
		return one.kind == packedAggregate
	case schema.PartitionSeqKey:
		return one.kind == packedPartitionSeq
	case schema.SeqKey:
		return one.kind == packedSeq
	case schema.OrdinalKey:
		return one.kind == packedOrdinal
	default:
		return one.kind == packedValue && one.trace == (key == schema.TraceKey)
	}
}
