package push

import (
	"slices"

	"mpim/domain"
)

// audience is the connections that get the same frame, by gateway.
type audience struct {
	parts []part
	// connections is how many there are.
	connections int
}

// part is the connections of one gateway, ascending. Each audience has one list a gateway, so that envelopes carry it
// once.
type part struct {
	gateway *gateway
	numbers []uint32
}

// gathering makes audiences. It is used by one goroutine at a time and keeps its memory.
type gathering struct {
	registry *registry
	// index is, at a gateway's slot, one more than the index of its part in the audience being made.
	index []int
}

// of returns the connections of all the users that pass, to each of which keep is applied.
func (g *gathering) of(users func(yield func(domain.UserID) bool), keep func(*connection) bool) audience {
	var a audience
	g.registry.mu.RLock()
	if n := g.registry.slots; len(g.index) < n {
		g.index = append(g.index, make([]int, n-len(g.index))...)
	}
	for user := range users {
		for _, c := range g.registry.users[user] {
			if keep != nil && !keep(c) {
				continue
			}
			at := g.index[c.gateway.slot]
			if at == 0 {
				a.parts = append(a.parts, part{gateway: c.gateway})
				at = len(a.parts)
				g.index[c.gateway.slot] = at
			}
			a.parts[at-1].numbers = append(a.parts[at-1].numbers, c.number)
			a.connections++
		}
	}
	g.registry.mu.RUnlock()
	for i := range a.parts {
		g.index[a.parts[i].gateway.slot] = 0
		slices.Sort(a.parts[i].numbers)
		// Numbers do not come twice; should a gateway give one twice, its envelopes must still be readable.
		a.parts[i].numbers = slices.Compact(a.parts[i].numbers)
	}
	return a
}
