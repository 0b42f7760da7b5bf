package segment

import (
	"bytes"
	"encoding/base32"
	"encoding/binary"
	"strconv"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// crockford is the alphabet of event ids (https://github.com/ulid/spec).
var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// parts is an event taken apart.
type parts struct {
	ms        int64
	entropy   [domain.EventEntropy]byte
	stream    schema.StreamID
	aggregate string
	actor     string
	sequenced bool
	seq       int64
	ordinal   int64
	eventType domain.EventType
	version   int

	metadata, data []piece
	values         []value
	// key is where the encoder puts what tells this template from others.
	key []byte

	scratch [32]byte
}

// piece is a part of a template.
type piece struct {
	kind pieceKind
	// text is the literal, or the name of the member whose value stands here.
	text string
}

type pieceKind byte

// What stands at a place of a template. A packed one is a MessagePack string, and a value is a line of a column.
const (
	literal pieceKind = iota
	textValue
	packedValue
	packedAggregate
	packedPartitionSeq
	packedSeq
	packedOrdinal
)

// value is what a member has in one event.
type value struct{ member, text string }

// maxPieces bounds a template: what has more is hardly ever seen twice.
const maxPieces = 200

// take takes a record apart. It is false where the record has not exactly the usual form; it is then kept whole.
func (p *parts) take(r *schema.Record) bool {
	p.metadata, p.data, p.values = p.metadata[:0], p.data[:0], p.values[:0]
	p.aggregate, p.sequenced, p.seq, p.ordinal = "", false, 0, 0
	if r.Broken != nil || !p.takeID(string(r.ID)) || !p.takeStream(r.StreamID) || !p.takeMetadata(r) || !p.takePayload(r.Payload) {
		return false
	}
	return len(p.metadata)+len(p.data) <= maxPieces
}

func (p *parts) takeID(id string) bool {
	if len(id) != 26 {
		return false
	}
	var raw [20]byte
	if n, err := crockford.Decode(raw[:], append([]byte("000000"), id...)); err != nil || n != len(raw) {
		return false
	}
	p.ms = int64(binary.BigEndian.Uint64(append([]byte{0, 0}, raw[4:10]...))) //nolint:gosec // 48 bits
	copy(p.entropy[:], raw[10:])
	return p.ms < lastMillisecond && string(appendID(p.scratch[:0], p.ms, p.entropy[:])) == id
}

// lastMillisecond is where years begin to have five digits.
const lastMillisecond = 253402300800000

// appendID writes the id that begins with a millisecond.
func appendID(b []byte, ms int64, entropy []byte) []byte {
	var raw [20]byte
	binary.BigEndian.PutUint64(raw[2:], uint64(ms)) //nolint:gosec // from an id
	copy(raw[10:], entropy)
	var text [32]byte
	crockford.Encode(text[:], raw[:])
	return append(b, text[6:]...)
}

func (p *parts) takeStream(id string) bool {
	var err error
	p.stream, err = schema.ParseStreamID(id)
	return err == nil && p.stream.Milliseconds < 1<<62 && p.stream.String() == id
}

// takeMetadata takes a MessagePack map of strings apart that has each of its names once.
func (p *parts) takeMetadata(r *schema.Record) bool {
	b := r.Metadata
	if len(b) == 0 || b[0]&0xf0 != 0x80 {
		return false
	}
	n := int(b[0] & 0x0f)
	p.lit(&p.metadata, string(b[:1]))
	b = b[1:]
	seen := make(map[string]bool, n)
	for range n {
		key, keyEnd, ok := packedString(b)
		if !ok || seen[key] {
			return false
		}
		text, textEnd, ok := packedString(b[keyEnd:])
		if !ok {
			return false
		}
		seen[key] = true
		p.lit(&p.metadata, string(b[:keyEnd]))
		if !p.takeMetadatum(r, key, text, string(b[keyEnd:keyEnd+textEnd])) {
			return false
		}
		b = b[keyEnd+textEnd:]
	}
	return len(b) == 0 && p.aggregate != "" && seen[schema.TypeKey] && seen[schema.VersionKey] && seen[schema.PartitionSeqKey] &&
		seen[schema.SeqKey] == seen[schema.OrdinalKey] && p.eventType == r.Type && p.version == r.Version
}

func (p *parts) takeMetadatum(r *schema.Record, key, text, packed string) bool {
	var err error
	switch key {
	case schema.TypeKey:
		p.eventType = domain.EventType(text)
		p.lit(&p.metadata, packed)
	case schema.VersionKey:
		if p.version, err = strconv.Atoi(text); err != nil {
			return false
		}
		p.lit(&p.metadata, packed)
	case schema.AggregateKey:
		p.aggregate = text
		p.metadata = append(p.metadata, piece{kind: packedAggregate})
		return r.Aggregate.String() == text
	case schema.PartitionSeqKey:
		p.metadata = append(p.metadata, piece{kind: packedPartitionSeq})
		return strconv.FormatInt(r.Seq, 10) == text
	case schema.SeqKey:
		p.sequenced, p.seq = true, int64(r.ConversationSeq)
		p.metadata = append(p.metadata, piece{kind: packedSeq})
		return strconv.FormatInt(p.seq, 10) == text
	case schema.OrdinalKey:
		p.ordinal = r.Ordinal
		p.metadata = append(p.metadata, piece{kind: packedOrdinal})
		return strconv.FormatInt(p.ordinal, 10) == text
	default:
		if key == schema.TraceKey && text != r.Trace || bytes.IndexByte([]byte(text), '\n') >= 0 {
			return false
		}
		p.metadata = append(p.metadata, piece{kind: packedValue, text: "metadata " + key})
		p.values = append(p.values, value{"metadata " + key, text})
	}
	return true
}

// packedString reads a MessagePack string in its shortest form, and returns where it ends.
func packedString(b []byte) (s string, end int, ok bool) {
	if len(b) == 0 {
		return "", 0, false
	}
	var n, head int
	switch c := b[0]; {
	case c >= 0xa0 && c < 0xc0:
		n, head = int(c&0x1f), 1
	case c == 0xd9 && len(b) >= 2 && b[1] >= 32:
		n, head = int(b[1]), 2
	default:
		return "", 0, false
	}
	if len(b) < head+n {
		return "", 0, false
	}
	return string(b[head : head+n]), head + n, true
}

// appendPacked writes what packedString reads.
func appendPacked[S string | []byte](b []byte, s S) []byte {
	if len(s) < 32 {
		b = append(b, 0xa0|byte(len(s))) //nolint:gosec // checked
	} else {
		b = append(b, 0xd9, byte(len(s))) //nolint:gosec // packedString reads no longer one
	}
	return append(b, s...)
}

// What stands around the data in every payload.
const (
	beforeAt    = `{"at":"`
	beforeActor = `","actor":"`
	beforeData  = `","data":`
	behindData  = `}`
)

// takePayload takes the payload apart that is written for an event at the time of its id.
func (p *parts) takePayload(payload []byte) bool {
	rest, ok := bytes.CutPrefix(payload, time.UnixMilli(p.ms).UTC().AppendFormat([]byte(beforeAt), schema.TimeFormat))
	if !ok {
		return false
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(beforeActor)); !ok {
		return false
	}
	actor, rest, ok := bytes.Cut(rest, []byte(beforeData))
	data, ends := bytes.CutSuffix(rest, []byte(behindData))
	if !ok || !ends || len(data) < 2 || !plain(actor) {
		return false
	}
	p.actor = string(actor)
	return p.takeData(data)
}

// plain says whether text in quotes means itself in JSON, and is one line.
func plain(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// lit adds a literal, to the one before where there is one.
func (p *parts) lit(pieces *[]piece, text string) {
	if n := len(*pieces); n > 0 && (*pieces)[n-1].kind == literal {
		(*pieces)[n-1].text += text
		return
	}
	*pieces = append(*pieces, piece{text: text})
}
