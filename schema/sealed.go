package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"mpim/domain"
)

// SealedMember is the member of an event's data that stands for its personal members where they are sealed. It is the last
// one, a string in base 64; package seal knows what is in it.
const SealedMember = "sealed"

// ErrSealed says that the personal members of an event were not opened before it was decoded.
var ErrSealed = errors.New("the event is sealed, and was read without its key")

// Seal appends a text that only the owner's key opens. Members are the personal members of an event as they stand in a JSON
// object, without its braces.
type Seal func(text []byte, event domain.EventID, t domain.EventType, members []byte) []byte

// personal names, for each type that has any, the JSON members that belong to a person.
var personal = make(map[domain.EventType][]string)

func init() {
	for name, t := range registry {
		if members := taggedMembers(reflect.TypeOf(t.new()).Elem(), sealedTag); len(members) > 0 {
			personal[name] = members
		}
	}
}

// Personal says whether events of the type have members that belong to a person, and so may be sealed.
func Personal(t domain.EventType) bool { return personal[t] != nil }

// Owner returns whose key seals the personal members of an event: the account that it belongs to, else its actor. It is
// empty for what the system does in a conversation, which is nobody's.
func Owner(a domain.Aggregate, actor domain.UserID) domain.UserID {
	if a.Kind == domain.Account {
		return domain.UserID(a.ID)
	}
	return actor
}

// Owner returns whose key seals the personal members of the record.
func (r *Record) Owner() domain.UserID { return Owner(r.Aggregate, r.Actor) }

var (
	sealedBegin = []byte(`"` + SealedMember + `":"`)
	sealedEnd   = []byte(`"}`)
)

// Sealed returns the sealed text of the data, and false where there is none.
func (r *Record) Sealed() (text []byte, ok bool) {
	if personal[r.Type] == nil {
		return nil, false
	}
	_, text, ok = cutSealed(r.Data)
	return text, ok
}

// cutSealed takes the sealed text from the end of the data. A text inside of another member cannot be taken for it: quotes
// are escaped there, and an object would end with another brace.
func cutSealed(data []byte) (rest, text []byte, ok bool) {
	head, ok := bytes.CutSuffix(data, sealedEnd)
	if !ok {
		return nil, nil, false
	}
	at := bytes.LastIndexByte(head, '"') + 1
	if !bytes.HasSuffix(head[:at], sealedBegin) {
		return nil, nil, false
	}
	return head[:at-len(sealedBegin)], head[at:], true
}

func (r *Record) unsealed() error {
	if _, sealed := r.Sealed(); sealed {
		return fmt.Errorf("event %s at %s: %w", r.ID, r.Position, ErrSealed)
	}
	return nil
}

// HasPersonal says whether the record holds something personal, sealed or not.
func (r *Record) HasPersonal() bool {
	names := personal[r.Type]
	if names == nil {
		return false
	}
	for name, member := range membersOf(r.Data) {
		if string(name) == SealedMember || isOneOf(name, names) && !bytes.HasSuffix(member, []byte(":null")) {
			return true
		}
	}
	return false
}

// Names says whether the data names a user. What people wrote does not count, so that it is the same whether it is sealed or not.
func (r *Record) Names(user domain.UserID) bool {
	quoted := []byte(`"` + string(user) + `"`)
	if !bytes.Contains(r.Data, quoted) {
		return false
	}
	names := personal[r.Type]
	for name, member := range membersOf(r.Data) {
		if !isOneOf(name, names) && bytes.Contains(member, quoted) {
			return true
		}
	}
	return false
}

// Open puts the personal members where the sealed text stands. The stored bytes, Payload and Metadata, stay as they are.
func (r *Record) Open(members []byte) {
	rest, _, ok := cutSealed(r.Data)
	if !ok {
		return
	}
	data := make([]byte, 0, len(rest)+len(members)+1)
	r.Data = append(append(append(data, rest...), members...), '}')
}

// Erase puts null for every personal member, sealed or not: their owner is erased.
func (r *Record) Erase() {
	names := personal[r.Type]
	if names == nil {
		return
	}
	nulls := []byte(`"` + strings.Join(names, `":null,"`) + `":null`)
	if _, sealed := r.Sealed(); sealed {
		r.Open(nulls)
	} else {
		data := []byte{'{'}
		for name, member := range membersOf(r.Data) {
			if !isOneOf(name, names) {
				data = append(append(data, member...), ',')
			}
		}
		r.Data = append(append(data, nulls...), '}')
	}
	r.Erased = true
}

// sealData seals the personal members of an event's data, as EncodeFact wrote it.
func sealData(seal Seal, id domain.EventID, t domain.EventType, data json.RawMessage) json.RawMessage {
	names := personal[t]
	if names == nil {
		return data
	}
	open := make([]byte, 0, len(data)+len(data)/2+64)
	open = append(open, '{')
	var members []byte
	for name, member := range membersOf(data) {
		if !isOneOf(name, names) {
			open = append(append(open, member...), ',')
			continue
		}
		if members != nil {
			member = append(append(slices.Clip(members), ','), member...)
		}
		members = member
	}
	if members == nil {
		return data
	}
	open = append(open, sealedBegin...)
	return append(seal(open, id, t, members), sealedEnd...)
}

func isOneOf(name []byte, names []string) bool { return slices.Contains(names, string(name)) }

// membersOf yields the members of a JSON object without white space between its parts, each with its name.
func membersOf(object []byte) func(yield func(name, member []byte) bool) {
	return func(yield func(name, member []byte) bool) {
		for at := 1; at < len(object)-1; {
			end := memberEnd(object, at)
			name, _, _ := bytes.Cut(object[at+1:end], []byte{'"'})
			if !yield(name, object[at:end:end]) {
				return
			}
			at = end + 1
		}
	}
}

// memberEnd returns where the member that begins at the given place ends: at a comma or brace outside of anything.
func memberEnd(object []byte, at int) int {
	depth, quoted := 0, false
	for ; at < len(object); at++ {
		switch c := object[at]; {
		case quoted && c == '\\':
			at++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			depth++
		case depth == 0 && (c == ',' || c == '}'):
			return at
		case c == '}', c == ']':
			depth--
		}
	}
	return len(object)
}
