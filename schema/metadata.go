package schema

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"mpim/domain"
)

// Keys of an entry's metadata.
const (
	TypeKey         = "type"
	VersionKey      = "version"
	AggregateKey    = "aggregate"
	TraceKey        = "traceparent"
	RequestKey      = "request"
	PartitionSeqKey = "partition_seq"
	SeqKey          = "seq"
	OrdinalKey      = "ordinal"
)

var errMetadata = errors.New("metadata is no MessagePack map of strings")

// appendString writes a MessagePack string of at most 65,535 bytes.
// See https://github.com/msgpack/msgpack/blob/master/spec.md.
func appendString(b []byte, s string) []byte {
	switch n := len(s); {
	case n < 32:
		b = append(b, 0xa0|byte(n))
	case n < 256:
		b = append(b, 0xd9, byte(n))
	default:
		b = binary.BigEndian.AppendUint16(append(b, 0xda), uint16(n)) //nolint:gosec // bounded by what is stored
	}
	return append(b, s...)
}

// readString reads a MessagePack string or binary.
func readString(b []byte) (s, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, errMetadata
	}
	var n, head int
	switch c := b[0]; {
	case c >= 0xa0 && c < 0xc0:
		n, head = int(c&0x1f), 1
	case (c == 0xd9 || c == 0xc4) && len(b) >= 2:
		n, head = int(b[1]), 2
	case (c == 0xda || c == 0xc5) && len(b) >= 3:
		n, head = int(binary.BigEndian.Uint16(b[1:])), 3
	case (c == 0xdb || c == 0xc6) && len(b) >= 5:
		n, head = int(binary.BigEndian.Uint32(b[1:])), 5
	default:
		return nil, nil, errMetadata
	}
	if len(b)-head < n {
		return nil, nil, errMetadata
	}
	return b[head : head+n], b[head+n:], nil
}

func readMapHeader(b []byte) (n int, rest []byte, err error) {
	switch {
	case len(b) >= 1 && b[0]&0xf0 == 0x80:
		return int(b[0] & 0x0f), b[1:], nil
	case len(b) >= 3 && b[0] == 0xde:
		return int(binary.BigEndian.Uint16(b[1:])), b[3:], nil
	default:
		return 0, nil, errMetadata
	}
}

// decodeMetadata fills what the metadata holds. Keys it does not know are passed over. A value that cannot be read is an
// error, but does not keep the others from being read: an entry whose sequence is known has a place in the log.
func (r *Record) decodeMetadata() error {
	n, rest, err := readMapHeader(r.Metadata)
	if err != nil {
		return err
	}
	var unreadable error
	for range n {
		var key, value []byte
		if key, rest, err = readString(rest); err != nil {
			return err
		}
		if value, rest, err = readString(rest); err != nil {
			return err
		}
		if err := r.setMetadata(key, value); err != nil && unreadable == nil {
			unreadable = fmt.Errorf("metadata %q: %w", key, err)
		}
	}
	if unreadable != nil {
		return unreadable
	}
	if r.Type == "" || r.Seq < 1 {
		return errors.New("metadata lacks type or partition_seq")
	}
	return nil
}

// metadatum returns one value of the metadata, "" where it is not there.
func (r *Record) metadatum(wanted string) string {
	n, rest, err := readMapHeader(r.Metadata)
	if err != nil {
		return ""
	}
	for range n {
		var key, value []byte
		if key, rest, err = readString(rest); err != nil {
			return ""
		}
		if value, rest, err = readString(rest); err != nil {
			return ""
		}
		if string(key) == wanted {
			return string(value)
		}
	}
	return ""
}

func (r *Record) setMetadata(key, value []byte) (err error) {
	switch string(key) {
	case TypeKey:
		r.Type = internType(value)
	case VersionKey:
		r.Version, err = strconv.Atoi(string(value))
	case AggregateKey:
		var ok bool
		if r.Aggregate, ok = domain.ParseAggregate(string(value)); !ok {
			return fmt.Errorf("%q is no aggregate", value)
		}
	case TraceKey:
		r.Trace = string(value)
	case PartitionSeqKey:
		r.Seq, err = strconv.ParseInt(string(value), 10, 64)
	case SeqKey:
		var seq int64
		seq, err = strconv.ParseInt(string(value), 10, 64)
		r.ConversationSeq = domain.Seq(seq)
	case OrdinalKey:
		r.Ordinal, err = strconv.ParseInt(string(value), 10, 64)
	}
	return err
}
