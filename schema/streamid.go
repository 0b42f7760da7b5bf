package schema

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// StreamID is the address of an entry in a Redis stream: the millisecond at which the server took it, and a counter
// within that. The zero value is before every entry.
type StreamID struct {
	Milliseconds uint64
	Counter      uint64
}

// ParseStreamID reads "1700000000000-0", and "1700000000000" as Redis does. The empty string is the zero value.
func ParseStreamID(s string) (StreamID, error) {
	if s == "" {
		return StreamID{}, nil
	}
	left, right, found := strings.Cut(s, "-")
	ms, err := strconv.ParseUint(left, 10, 64)
	if err != nil {
		return StreamID{}, fmt.Errorf("%q is no stream id", s)
	}
	id := StreamID{Milliseconds: ms}
	if !found {
		return id, nil
	}
	if id.Counter, err = strconv.ParseUint(right, 10, 64); err != nil {
		return StreamID{}, fmt.Errorf("%q is no stream id", s)
	}
	return id, nil
}

// String returns the form that Redis reads and writes.
func (id StreamID) String() string {
	b := make([]byte, 0, 24)
	b = strconv.AppendUint(b, id.Milliseconds, 10)
	b = append(b, '-')
	return string(strconv.AppendUint(b, id.Counter, 10))
}

// Compare returns -1, 0 or 1 as id is before, at or after other.
func (id StreamID) Compare(other StreamID) int {
	if c := cmp.Compare(id.Milliseconds, other.Milliseconds); c != 0 {
		return c
	}
	return cmp.Compare(id.Counter, other.Counter)
}
