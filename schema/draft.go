package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"mpim/domain"
)

// Draft is an event as the appender hands it to the append script: complete but for the sequences.
type Draft struct {
	ID domain.EventID
	// Metadata is a MessagePack map that counts the entries which the script appends: PartitionSeqKey, and, where
	// Sequenced, SeqKey and OrdinalKey.
	Metadata []byte
	Payload  []byte
	// Pending says that the payload holds a pending sequence, as [domain.Seq.String] marks it. Then the event takes none itself.
	Pending bool
	// Sequenced says that the event takes a conversation sequence.
	Sequenced bool
	// Message says that the event takes an ordinal among messages.
	Message bool
}

// Drafts encodes the events of a commit. The ids follow from its request or its entropy. Personal members are sealed where seal
// is not nil.
func Drafts(c domain.Commit, seal Seal) ([]Draft, error) {
	drafts := make([]Draft, len(c.Events))
	aggregate := ""
	if c.Aggregate != (domain.Aggregate{}) {
		aggregate = c.Aggregate.String()
	}
	request := keepRequest(&c)
	for i, fact := range c.Events {
		data, err := EncodeFact(fact)
		if err != nil {
			return nil, err
		}
		id := domain.NewEventID(c.At, entropyOf(c, i))
		if seal != nil {
			data = sealData(seal, id, fact.EventType(), data)
		}
		// One buffer for both; what is appended to the metadata later must not run into the payload.
		b := make([]byte, 0, 192+len(c.Trace)+len(c.Actor)+len(data))
		b = appendMetadata(b, fact, aggregate, c.Trace, request)
		request = "" // which stands in the first event
		end := len(b)
		data, pending := mark(fact, data)
		b = appendPayload(b, c.At, c.Actor, data)
		drafts[i] = Draft{
			ID:        id,
			Metadata:  b[:end:end],
			Payload:   b[end:],
			Pending:   pending,
			Sequenced: fact.Sequenced(),
			Message:   fact.EventType() == domain.TypeMessageSent,
		}
	}
	return drafts, nil
}

// mark puts the mark of a pending sequence where the data of a fact holds one. No JSON text contains the mark, so the
// append script knows it for what it is.
func mark(fact domain.Fact, data []byte) (marked []byte, pending bool) {
	fired, ok := fact.(*domain.ScheduleFired)
	if !ok || fired.Message >= 0 {
		return data, false
	}
	return bytes.Replace(data, []byte(`"message":`+strconv.FormatInt(int64(fired.Message), 10)), []byte(`"message":`+fired.Message.String()), 1), true
}

// entropyOf returns the bytes that make the id of the event at index i. The first event of a request has the bytes of
// its key; those after it differ in the last two.
func entropyOf(c domain.Commit, i int) []byte {
	source := c.Entropy
	if c.Request != nil {
		source = c.Request.Key[:]
	}
	var entropy [domain.EventEntropy]byte
	copy(entropy[:], source)
	entropy[domain.EventEntropy-2] ^= byte(i >> 8) //nolint:gosec // the low bits are meant
	entropy[domain.EventEntropy-1] ^= byte(i)      //nolint:gosec // the low bits are meant
	return entropy[:]
}

// RequestEventID returns the id of the first event of a request that was appended at the given millisecond.
func RequestEventID(key [12]byte, at time.Time) domain.EventID {
	return domain.NewEventID(at, key[:])
}

func appendMetadata(b []byte, fact domain.Fact, aggregate, trace, request string) []byte {
	n := byte(3) // type, version, partition_seq
	if fact.Sequenced() {
		n += 2
	}
	for _, optional := range []string{aggregate, trace, request} {
		if optional != "" {
			n++
		}
	}
	b = append(b, 0x80|n)
	b = appendString(appendString(b, TypeKey), string(fact.EventType()))
	b = appendString(appendString(b, VersionKey), versions[fact.EventType()])
	for _, optional := range []struct{ key, value string }{{AggregateKey, aggregate}, {TraceKey, trace}, {RequestKey, request}} {
		if optional.value != "" {
			b = appendString(appendString(b, optional.key), optional.value)
		}
	}
	return b
}

// Placed returns the metadata of a draft without a conversation sequence, complete for a place in its partition.
func (d Draft) Placed(seq int64) []byte {
	return appendString(appendString(slices.Clone(d.Metadata), PartitionSeqKey), strconv.FormatInt(seq, 10))
}

// EncodeFact returns the data of an event as it is stored, in the newest version of its type.
func EncodeFact(fact domain.Fact) (json.RawMessage, error) {
	data, err := json.Marshal(fact)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", fact.EventType(), err)
	}
	return data, nil
}
