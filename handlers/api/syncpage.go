package api

import (
	"slices"
)

// cursor is where a sync in several pages stands. Everything from top down to last was answered. What has moved above top
// since then, because something was said there, would be passed over if the next page only went on below last: it is
// answered again, so that no page leaves a hole.
type cursor struct {
	top, last place
	begun     bool
}

func parseCursor(next string) (cursor, error) {
	if next == "" {
		return cursor{}, nil
	}
	places, err := parseToken(next, 2)
	if err != nil {
		return cursor{}, err
	}
	return cursor{top: places[0], last: places[1], begun: true}, nil
}

// moved says whether a conversation has come above what was answered.
func (c cursor) moved(m missing) bool { return c.begun && placeOf(m.entry).before(c.top) }

// waits says whether it is still to be answered, by its place.
func (c cursor) waits(m missing) bool { return !c.begun || c.last.before(placeOf(m.entry)) }

// choose returns the conversations of the next page in the order in which they are to be worked through: first those that
// moved, the one that moved first before the others, then the newest of those that wait.
func (c cursor) choose(all []missing, limit int) []missing {
	var moved, waiting []missing
	for _, m := range all {
		switch {
		case c.moved(m):
			moved = append(moved, m)
		case c.waits(m):
			waiting = append(waiting, m)
		}
	}
	slices.Reverse(moved)
	chosen := slices.Concat(moved, waiting)
	return chosen[:min(limit, len(chosen))]
}

// next returns the token of the page after the one that answered done; "" where nothing is left.
func (c cursor) next(all, done []missing) string {
	if len(all) == 0 || len(done) == 0 {
		return ""
	}
	after := c
	if !c.begun {
		after = cursor{top: placeOf(all[0].entry), last: placeOf(done[len(done)-1].entry), begun: true}
	}
	for _, m := range done {
		if c.moved(m) {
			after.top = placeOf(m.entry)
		} else {
			after.last = placeOf(m.entry)
		}
	}
	if len(after.choose(all, 1)) == 0 {
		return ""
	}
	return token(after.top, after.last)
}
