package projectionstest

import "time"

// Start makes the next event happen a second after at, in whole milliseconds. The times of a log are fixed otherwise, and
// so too old for what is kept for some days only.
func (l *Log) Start(at time.Time) { l.at = at.UTC().Truncate(time.Millisecond) }
