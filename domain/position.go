package domain

import (
	"strconv"
	"strings"
)

// Position is a place in the log: a partition and a sequence in it, from 1; 0 is before the first event.
type Position struct {
	Partition int
	Seq       int64
}

// String returns "partition:sequence", as in "3:17".
func (p Position) String() string {
	return strconv.Itoa(p.Partition) + ":" + strconv.FormatInt(p.Seq, 10)
}

// ParsePosition reads what String writes. An error is of kind InvalidArgument.
func ParsePosition(s string) (Position, error) {
	left, right, found := strings.Cut(s, ":")
	partition, errPartition := strconv.ParseUint(left, 10, 8)
	seq, errSeq := strconv.ParseInt(right, 10, 64)
	if !found || errPartition != nil || errSeq != nil || seq < 0 {
		return Position{}, Errorf(InvalidArgument, "%q is no position: write partition:sequence, as in 3:17", s)
	}
	return Position{Partition: int(partition), Seq: seq}, nil
}
