package domain

import "time"

// Stamp says who gave a command, and when. Every command embeds one, and its events take it over.
type Stamp struct {
	// Actor is empty for the system itself.
	Actor UserID
	// At is in whole milliseconds, as events keep it.
	At time.Time
}

// NewStamp returns a stamp with the time brought to the form that events keep: UTC, whole milliseconds.
func NewStamp(actor UserID, at time.Time) Stamp {
	return Stamp{Actor: actor, At: at.UTC().Truncate(time.Millisecond)}
}

// By returns the stamp, whatever command it is embedded in.
func (s Stamp) By() Stamp { return s }
