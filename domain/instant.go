package domain

import "time"

// Instant is a time in the data of an event: UTC, in whole milliseconds, which are always written.
type Instant struct{ time.Time }

// NewInstant returns the time in the form that events keep.
func NewInstant(t time.Time) Instant { return Instant{t.UTC().Truncate(time.Millisecond)} }

// instantFormat is RFC 3339 in UTC with milliseconds, in the quotes of a JSON string.
const instantFormat = `"2006-01-02T15:04:05.000Z"`

// MarshalJSON writes RFC 3339 in UTC with milliseconds.
func (i Instant) MarshalJSON() ([]byte, error) { return []byte(i.UTC().Format(instantFormat)), nil }
