package projections

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"mpim/domain"
	"mpim/schema"
)

// ErrDeposed says that another worker has taken the partition, or that the checkpoint stands elsewhere than the batch
// begins. Nothing was written. Who still holds the lease takes the partition again, from its checkpoint.
var ErrDeposed = errors.New("the checkpoint of this partition was moved or taken by another worker")

// OutsideError is an error whose cause is not in the events: the same batch may succeed later.
type OutsideError struct{ Cause error }

// Outside marks an error of a store as not the events' fault. It returns nil for nil.
func Outside(err error) error {
	if err == nil {
		return nil
	}
	return &OutsideError{Cause: err}
}

// Error returns the cause's text.
func (e *OutsideError) Error() string { return e.Cause.Error() }

// Unwrap returns the cause.
func (e *OutsideError) Unwrap() error { return e.Cause }

// IsOutside says whether the cause of err is not in the events: it is marked so, a context has ended, a connection is
// broken, or the code is domain.Unavailable.
func IsOutside(err error) bool {
	if _, marked := errors.AsType[*OutsideError](err); marked {
		return true
	}
	if _, network := errors.AsType[net.Error](err); network {
		return true
	}
	for _, known := range []error{
		context.Canceled, context.DeadlineExceeded, driver.ErrBadConn, net.ErrClosed, io.EOF, io.ErrUnexpectedEOF,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return domain.CodeOf(err) == domain.Unavailable
}

// errNewer says that a record was written by a newer mpim.
func errNewer(r *schema.Record, known int) error {
	return Outside(fmt.Errorf("event %s at %s has version %d of %s, this mpim knows %d: run a newer worker",
		r.ID, r.Position, r.Version, r.Type, known))
}
