package archive

import (
	"errors"
	"fmt"
)

// DamagedError says that a segment is not what was written: its bytes changed since. Events from From to To cannot be
// read from here; restore the row from a backup.
type DamagedError struct {
	Partition int
	From, To  int64
	Cause     error
}

// Error names the events.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("events %d:%d to %d:%d of the archive are damaged (%v): restore that row of archive_segments from a backup",
		e.Partition, e.From, e.Partition, e.To, e.Cause)
}

// Unwrap returns the cause.
func (e *DamagedError) Unwrap() error { return e.Cause }

var (
	errHash  = errors.New("its SHA-256 is another than was written")
	errPlace = errors.New("it holds other events than it says")
	// errDeposed says that another archiver wrote meanwhile.
	errDeposed = errors.New("another worker archives")
)

func isDeposed(err error) bool { return errors.Is(err, errDeposed) }

func isStream(err error) bool {
	_, ok := errors.AsType[*streamError](err)
	return ok
}
