package api

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"mpim/domain"
)

const (
	defaultPage = 50
	maxPage     = 200
)

// Page is embedded in parameters of reads that answer in pages.
type Page struct {
	Limit *int   `json:"limit,omitempty" minimum:"1" maximum:"200" default:"50"`
	After string `json:"after,omitempty" doc:"The next of the page before."`
	ReadAfter
}

func (p Page) limit() (int, error) { return limitOf(p.Limit, defaultPage, maxPage) }

// limitOf returns how many things a page has.
func limitOf(asked *int, usual, most int) (int, error) {
	switch {
	case asked == nil:
		return usual, nil
	case *asked < 1 || *asked > most:
		return 0, domain.Errorf(domain.InvalidArgument, "limit is 1 to %d", most)
	default:
		return *asked, nil
	}
}

// place is where a conversation stands in an order of pinned first, and then newest first.
type place struct {
	pinned bool
	at     time.Time
	id     domain.ConversationID
}

// before says whether p comes before q.
func (p place) before(q place) bool {
	if p.pinned != q.pinned {
		return p.pinned
	}
	if !p.at.Equal(q.at) {
		return p.at.After(q.at)
	}
	return p.id < q.id
}

func (p place) compare(q place) int {
	switch {
	case p == q:
		return 0
	case p.before(q):
		return -1
	default:
		return 1
	}
}

// pinnedMark stands in front of a place among those that are pinned.
const pinnedMark = "!"

// token returns the opaque form of places.
func token(places ...place) string {
	parts := make([]string, len(places))
	for i, p := range places {
		parts[i] = strconv.FormatInt(p.at.UnixMilli(), 36) + " " + string(p.id)
		if p.pinned {
			parts[i] = pinnedMark + parts[i]
		}
	}
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join(parts, " ")))
}

// parseToken reads n places from what token wrote.
func parseToken(s string, n int) ([]place, error) {
	errToken := domain.Errorf(domain.InvalidArgument, "after is no next that was answered here")
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil, errToken
	}
	parts := strings.Split(string(raw), " ")
	if len(parts) != 2*n {
		return nil, errToken
	}
	places := make([]place, n)
	for i := range places {
		at, pinned := strings.CutPrefix(parts[2*i], pinnedMark)
		ms, err := strconv.ParseInt(at, 36, 64)
		if err != nil {
			return nil, errToken
		}
		places[i] = place{pinned: pinned, at: time.UnixMilli(ms).UTC(), id: domain.ConversationID(parts[2*i+1])}
	}
	return places, nil
}
