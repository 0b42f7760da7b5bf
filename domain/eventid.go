package domain

import (
	"encoding/base32"
	"time"
)

// EventID names an event for ever: 26 letters, a ULID (https://github.com/ulid/spec) of the event's millisecond and 10
// bytes. The bytes come from the idempotency key where the command has one, so a retried command names the same event.
type EventID string

// EventEntropy is how many bytes beside the time make an event id.
const EventEntropy = 10

var crockford = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// NewEventID returns the id of an event at the given time. Entropy must hold at least EventEntropy bytes.
func NewEventID(at time.Time, entropy []byte) EventID {
	// A ULID is 128 bits in 26 letters of 5 bits: two zero bits come first, so 20 bytes are encoded and six letters
	// of leading zeros dropped.
	var padded [20]byte
	ms := at.UnixMilli()
	for i := range 6 {
		padded[4+i] = byte(ms >> (8 * (5 - i))) //nolint:gosec // the low bits are meant
	}
	copy(padded[10:], entropy[:EventEntropy])
	return EventID(crockford.EncodeToString(padded[:])[6:])
}

// Time returns the millisecond in the id. It is false for what is no event id.
func (id EventID) Time() (time.Time, bool) {
	raw, ok := id.decode()
	if !ok {
		return time.Time{}, false
	}
	var ms int64
	for _, b := range raw[4:10] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms).UTC(), true
}

// Behind returns the id of the event that stands index places behind the one that id names in one commit, of which that
// is the first. It returns "" for what is no event id.
func (id EventID) Behind(index int) EventID {
	at, ok := id.Time()
	if !ok {
		return ""
	}
	raw, _ := id.decode()
	entropy := raw[len(raw)-EventEntropy:]
	entropy[EventEntropy-2] ^= byte(index >> 8) //nolint:gosec // the low bits are meant
	entropy[EventEntropy-1] ^= byte(index)      //nolint:gosec // the low bits are meant
	return NewEventID(at, entropy)
}

// Entropy returns the bytes beside the time in the id. It is false for what is no event id.
func (id EventID) Entropy() ([]byte, bool) {
	raw, ok := id.decode()
	if !ok {
		return nil, false
	}
	return raw[len(raw)-EventEntropy:], true
}

// decode returns the 20 bytes that NewEventID encoded.
func (id EventID) decode() (raw []byte, ok bool) {
	if len(id) != 26 {
		return nil, false
	}
	text := "000000" + string(id)
	raw, err := crockford.DecodeString(text)
	// The decoder passes over line ends, and takes the byte 0xff for padding.
	return raw, err == nil && len(raw) == 20 && raw[3] == 0 && crockford.EncodeToString(raw) == text
}
