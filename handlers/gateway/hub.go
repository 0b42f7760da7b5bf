package gateway

import "sync"

// hub knows the connections of the gateway by number.
type hub struct {
	mu    sync.RWMutex
	conns map[uint32]*conn
	last  uint32
}

func newHub() *hub { return &hub{conns: make(map[uint32]*conn)} }

// add gives a connection a number that no other has, nor had lately. Zero is none.
func (h *hub) add(c *conn) uint32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		h.last++
		if _, taken := h.conns[h.last]; h.last != 0 && !taken {
			h.conns[h.last] = c
			return h.last
		}
	}
}

func (h *hub) remove(number uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, number)
}

// get returns the connection with the given number, or nil.
func (h *hub) get(number uint32) *conn {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.conns[number]
}

// find appends those of the numbered connections that are still there.
func (h *hub) find(dst []*conn, numbers []uint32) []*conn {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, n := range numbers {
		if c := h.conns[n]; c != nil {
			dst = append(dst, c)
		}
	}
	return dst
}

// all returns every connection.
func (h *hub) all() []*conn {
	h.mu.RLock()
	defer h.mu.RUnlock()
	conns := make([]*conn, 0, len(h.conns))
	for _, c := range h.conns {
		conns = append(conns, c)
	}
	return conns
}

// byPartition returns the connections that have said hello, by the partition that their users live in.
func (h *hub) byPartition() map[int][]*conn {
	conns := make(map[int][]*conn)
	for _, c := range h.all() {
		if p, ok := c.known().Connection.Partition(); ok {
			conns[p] = append(conns[p], c)
		}
	}
	return conns
}
