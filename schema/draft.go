package schema

import (
	"encoding/json"
	"fmt"
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
	// Sequenced says that the event takes a conversation sequence.
	Sequenced bool
	// Message says that the event takes an ordinal among messages.
	Message bool
}

// Drafts encodes the events of a commit. The ids follow from its request or its entropy. Personal members are sealed where seal
// is not nil.
func Drafts(c domain.Commit, seal Seal) ([]Draft, error) {
	drafts := make([]Draft, len(c.Events))
	aggregate := c.Aggregate.String()
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
		b = appendMetadata(b, fact, aggregate, c.Trace)
		end := len(b)
		b = appendPayload(b, c.At, c.Actor, data)
		drafts[i] = Draft{
			ID:        id,
			Metadata:  b[:end:end],
			Payload:   b[end:],
			Sequenced: fact.Sequenced(),
			Message:   fact.EventType() == domain.TypeMessageSent,
		}
	}
	return drafts, nil
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

func appendMetadata(b []byte, fact domain.Fact, aggregate, trace string) []byte {
	n := byte(4) // type, version, aggregate, partition_seq
	if fact.Sequenced() {
		n += 2
	}
	if trace != "" {
		n++
	}
	b = append(b, 0x80|n)
	b = appendString(appendString(b, TypeKey), string(fact.EventType()))
	b = appendString(appendString(b, VersionKey), versions[fact.EventType()])
	b = appendString(appendString(b, AggregateKey), aggregate)
	if trace != "" {
		b = appendString(appendString(b, TraceKey), trace)
	}
	return b
}

// EncodeFact returns the data of an event as it is stored, in the newest version of its type.
func EncodeFact(fact domain.Fact) (json.RawMessage, error) {
	data, err := json.Marshal(fact)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", fact.EventType(), err)
	}
	return data, nil
}
