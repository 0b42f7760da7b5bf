package batch

import (
	"strconv"
	"strings"
)

// streamID is the address of an entry: milliseconds and a number in them.
type streamID struct{ ms, n uint64 }

// parseStreamID reads "ms-n". The zero id, before every entry, is what stands for no address.
func parseStreamID(s string) streamID {
	left, right, _ := strings.Cut(s, "-")
	ms, _ := strconv.ParseUint(left, 10, 64)
	n, _ := strconv.ParseUint(right, 10, 64)
	return streamID{ms, n}
}

func (a streamID) less(b streamID) bool { return a.ms < b.ms || a.ms == b.ms && a.n < b.n }

func (a streamID) String() string {
	return strconv.FormatUint(a.ms, 10) + "-" + strconv.FormatUint(a.n, 10)
}
