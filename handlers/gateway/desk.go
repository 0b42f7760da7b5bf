package gateway

// Call is a request that is to be made. The session that returned it takes its outcome through [Session.Finish].
type Call struct {
	Method string
	Params []byte

	id       []byte // nil for a notification
	batch    *batch // nil where the answer stands alone
	lane     string
	together bool
	read     bool
}

// batch gathers the answers to the requests of one frame.
type batch struct {
	left    int
	answers [][]byte
	bytes   int
}

// desk decides when requests are made: those of one lane one after the other, and not too many at a time. Whether there
// is room for one more request is asked before.
type desk struct {
	pending, pendingBytes int
	running, reading      int
	// lanes holds each lane with a request that is being made.
	lanes map[string]*lane
	// ready are requests whose turn it is, when there is room to run them.
	ready []*Call
}

// lane is requests that are made one after the other.
type lane struct {
	// busy is how many are being made: more than one only where all of them are together.
	busy     int
	together bool
	// waiting are those behind them.
	waiting []*Call
}

// has says whether a request with n bytes of parameters may be taken in.
func (d *desk) has(n int, l Limits) bool {
	return d.pending == 0 || d.pending < l.Pending && d.pendingBytes+n <= l.PendingBytes
}

// reserve counts a request that was taken in.
func (d *desk) reserve(c *Call) {
	d.pending++
	d.pendingBytes += len(c.Params) + len(c.id)
}

// begin puts a reserved request in its lane.
func (d *desk) begin(c *Call) {
	if c.lane != "" {
		l := d.lanes[c.lane]
		switch {
		case l == nil:
			if d.lanes == nil {
				d.lanes = make(map[string]*lane)
			}
			d.lanes[c.lane] = &lane{busy: 1, together: c.together}
		case l.together && c.together && len(l.waiting) == 0:
			l.busy++
		default:
			l.waiting = append(l.waiting, c)
			return
		}
	}
	d.ready = append(d.ready, c)
}

// next takes the request whose turn it is, and those behind it that are to be made at once with it.
func (l *lane) next() (turn []*Call) {
	n := 1
	for l.waiting[0].together && n < len(l.waiting) && l.waiting[n].together {
		n++
	}
	turn, l.busy, l.together = l.waiting[:n], n, l.waiting[0].together
	l.waiting = l.waiting[n:]
	return turn
}

// end takes a request off that was made.
func (d *desk) end(c *Call) {
	d.running--
	if c.read {
		d.reading--
	}
	d.forget(c)
	if c.lane != "" {
		l := d.lanes[c.lane]
		switch l.busy--; {
		case l.busy > 0:
		case len(l.waiting) > 0:
			d.ready = append(d.ready, l.next()...)
		default:
			delete(d.lanes, c.lane)
		}
	}
	if d.pending == 0 {
		// An idle connection keeps nothing of a busy time.
		*d = desk{}
	}
}

// forget uncounts a reserved request.
func (d *desk) forget(c *Call) {
	d.pending--
	d.pendingBytes -= len(c.Params) + len(c.id)
}

// next returns what is to be made now. A read that has to wait for others is overtaken by what is none.
func (d *desk) next(l Limits) (calls []*Call) {
	waiting := d.ready[:0]
	for _, c := range d.ready {
		if d.running >= l.Running || c.read && d.reading >= l.Reading {
			waiting = append(waiting, c)
			continue
		}
		d.running++
		if c.read {
			d.reading++
		}
		calls = append(calls, c)
	}
	clear(d.ready[len(waiting):])
	d.ready = waiting
	return calls
}
