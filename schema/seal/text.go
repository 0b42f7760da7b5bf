package seal

import (
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"sync"

	"mpim/domain"
)

// format is the first byte of every sealed text.
const format = 1

var encoding = base64.RawStdEncoding

// Key seals and opens the texts of one user. It is safe for use by many goroutines.
type Key struct{ aead cipher.AEAD }

// NewKey returns the key with these bytes, for who keeps keys by himself.
func NewKey(key [KeyBytes]byte) (*Key, error) {
	aead, err := newAEAD(key[:])
	if err != nil {
		return nil, err
	}
	return &Key{aead}, nil
}

// Place is the event that a text belongs to. It opens nowhere else.
type Place struct {
	Event     domain.EventID
	Aggregate domain.Aggregate
	Type      domain.EventType
}

// bind appends the place as associated data.
func (p Place) bind(b []byte) []byte {
	b = append(append(b, p.Event...), 0)
	b = append(append(b, p.Aggregate.Kind...), ':')
	b = append(append(b, p.Aggregate.ID...), 0)
	return append(b, p.Type...)
}

// room is the memory that one text takes on its way.
type room struct{ packed, sealed, place []byte }

var rooms = sync.Pool{New: func() any { return new(room) }}

// Seal appends the sealed text of some members.
func (k *Key) Seal(text []byte, at Place, members []byte) []byte {
	r := rooms.Get().(*room) // nothing else is put there
	defer rooms.Put(r)
	r.place = at.bind(r.place[:0])
	r.packed = pack(r.packed[:0], members)
	r.sealed = k.aead.Seal(append(r.sealed[:0], format), nil, r.packed, r.place) //nolint:gosec // the cipher makes the nonce itself
	return encoding.AppendEncode(text, r.sealed)
}

var (
	errFormat = errors.New("the sealed text has a format that this version of mpim does not know")
	errText   = errors.New("the sealed text does not open: it was changed, or belongs to another event")
)

// Open returns the members of a sealed text. An error says that the text was changed or moved, or is of a later format.
func (k *Key) Open(at Place, text []byte) ([]byte, error) {
	r := rooms.Get().(*room) // nothing else is put there
	defer rooms.Put(r)
	var err error
	if r.sealed, err = encoding.AppendDecode(r.sealed[:0], text); err != nil || len(r.sealed) == 0 {
		return nil, errText
	}
	if r.sealed[0] != format {
		return nil, errFormat
	}
	r.place = at.bind(r.place[:0])
	if r.packed, err = k.aead.Open(r.packed[:0], nil, r.sealed[1:], r.place); err != nil {
		r.packed = nil
		return nil, errText
	}
	return unpack(r.packed)
}
