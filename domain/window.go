package domain

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Window is a run of a conversation that a user may see, both ends included. To is 0 while it is open. In JSON it is
// the array [from, to].
type Window struct{ From, To Seq }

// Contains says whether seq lies in the window.
func (w Window) Contains(seq Seq) bool { return seq >= w.From && (w.To == 0 || seq <= w.To) }

// Open says whether the user is a member now.
func (w Window) Open() bool { return w.To == 0 }

// MarshalJSON writes [from, to].
func (w Window) MarshalJSON() ([]byte, error) { return json.Marshal([2]Seq{w.From, w.To}) }

// UnmarshalJSON reads what MarshalJSON writes.
func (w *Window) UnmarshalJSON(b []byte) error {
	var ends [2]Seq
	if err := json.Unmarshal(b, &ends); err != nil {
		return err
	}
	*w = Window{From: ends[0], To: ends[1]}
	return nil
}

// Windows are all windows of one user in one conversation, oldest first. They never overlap, and only the last can be
// open. None at all means that the user was never a member.
type Windows []Window

// Contains says whether the user may see seq.
func (ws Windows) Contains(seq Seq) bool {
	// Joining again is rare and recent messages are what is asked for, so the newest window comes first.
	for _, w := range slices.Backward(ws) {
		if seq >= w.From {
			return w.Contains(seq)
		}
	}
	return false
}

// Open says whether the user is a member now.
func (ws Windows) Open() bool { return len(ws) > 0 && ws[len(ws)-1].Open() }

// Joined returns where the last window begins; 0 for who was never a member.
func (ws Windows) Joined() Seq {
	if len(ws) == 0 {
		return 0
	}
	return ws[len(ws)-1].From
}

// Last returns the highest sequence that the user may see in a conversation that has come to head; 0 where that is
// none.
func (ws Windows) Last(head Seq) Seq {
	switch {
	case len(ws) == 0:
		return 0
	case ws.Open():
		return head
	default:
		return ws[len(ws)-1].To
	}
}

// Opened returns the windows after the user was brought in by the event at seq. Who is a member already keeps what it
// has.
func (ws Windows) Opened(seq Seq) Windows {
	if ws.Open() {
		return ws
	}
	return append(slices.Clip(ws), Window{From: seq})
}

// Closed returns the windows after the user went with the event at seq, which is the last one it sees.
func (ws Windows) Closed(seq Seq) Windows {
	if !ws.Open() {
		return ws
	}
	closed := slices.Clone(ws)
	closed[len(closed)-1].To = seq
	return closed
}

// Above returns the parts of the windows above seq and up to head, without the empty ones: what a client that stands at
// seq may still ask for.
func (ws Windows) Above(seq, head Seq) Windows {
	if seq >= head {
		return nil // seq+1 of the highest number there is would be the lowest
	}
	var above Windows
	for _, w := range ws {
		from, to := max(w.From, seq+1), head
		if !w.Open() {
			to = min(w.To, head)
		}
		if from <= to {
			above = append(above, Window{From: from, To: to})
		}
	}
	return above
}

// String returns the stored form, as in "3-17,42-". Pending sequences are written as the append script replaces them.
func (ws Windows) String() string {
	var b strings.Builder
	for i, w := range ws {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(w.From.String())
		b.WriteByte('-')
		if w.To != 0 {
			b.WriteString(w.To.String())
		}
	}
	return b.String()
}

// ParseWindows reads what String writes once no sequence is pending. It refuses windows that overlap, or that are out of
// order.
func ParseWindows(s string) (Windows, error) {
	if s == "" {
		return nil, nil
	}
	var ws Windows
	for part := range strings.SplitSeq(s, ",") {
		from, to, found := strings.Cut(part, "-")
		w, err := parseWindow(from, to)
		if !found || err != nil || len(ws) > 0 && (ws.Open() || w.From <= ws[len(ws)-1].To) {
			return nil, fmt.Errorf("%q are no windows", s)
		}
		ws = append(ws, w)
	}
	return ws, nil
}

func parseWindow(from, to string) (w Window, err error) {
	first, err := strconv.ParseInt(from, 10, 64)
	if err != nil || first < 1 {
		return w, fmt.Errorf("%q is no sequence", from)
	}
	w.From = Seq(first)
	if to == "" {
		return w, nil
	}
	last, err := strconv.ParseInt(to, 10, 64)
	if err != nil || last < first {
		return w, fmt.Errorf("%q is no sequence", to)
	}
	w.To = Seq(last)
	return w, nil
}
