package presence

import (
	"strconv"
	"strings"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// Status is what others are told about a user.
type Status string

// The statuses. Only a choice can be Invisible; others are told Offline.
const (
	Online    Status = "online"
	Away      Status = "away"
	Busy      Status = "busy"
	Invisible Status = "invisible"
	Offline   Status = "offline"
)

// Grace is for how long a user whose last connection was lost is still taken for online: it may come back.
const Grace = time.Minute

// Presence is what others are told about a user.
type Presence struct {
	User   domain.UserID
	Status Status
	// Text is what the user says about it; empty while offline.
	Text string
	// LastSeenAt is when the user was seen last. It is zero while the user is online, and for who never was.
	LastSeenAt time.Time
}

func statuses(all []Presence) []schema.Status {
	out := make([]schema.Status, len(all))
	for i, p := range all {
		out[i] = schema.Status{User: p.User, Status: string(p.Status), Text: p.Text, LastSeenAt: p.LastSeenAt}
	}
	return out
}

// user is what the log says about one user.
type user struct {
	// seen is when a connection ended last, in Unix milliseconds; 0 for never.
	seen int64
	// due is when the user goes offline, if no connection is open, in Unix milliseconds.
	due int64
	// connections are those that are open, in the order in which they were opened.
	connections []domain.ConnectionID
}

// String returns the stored form: "<seen> <due>", and the connections.
func (u user) String() string {
	var b strings.Builder
	b.WriteString(strconv.FormatInt(u.seen, 10) + " " + strconv.FormatInt(u.due, 10))
	for _, id := range u.connections {
		b.WriteByte(' ')
		b.WriteString(string(id))
	}
	return b.String()
}

// parseUser reads what String writes. What is damaged reads as somebody who never was online.
func parseUser(text string) (u user) {
	words := strings.Fields(text)
	if len(words) < 2 {
		return u
	}
	u.seen, u.due = number(words[0]), number(words[1])
	for _, id := range words[2:] {
		u.connections = append(u.connections, domain.ConnectionID(id))
	}
	return u
}

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// choice is what a user wants to be seen as. The zero value is online, without a text.
type choice struct {
	at     int64 // Unix microseconds: of two choices right after each other, the later one wins
	status Status
	// text is shown to others. Of who is invisible it holds instead when others saw the user last, in Unix milliseconds:
	// whatever it does from then on tells nobody that it is there.
	text string
}

// String returns the stored form without the time, which the store puts in front.
func (c choice) String() string { return string(c.status) + " " + c.text }

func parseChoice(text string) (c choice) {
	at, rest, _ := strings.Cut(text, " ")
	status, words, _ := strings.Cut(rest, " ")
	return choice{number(at), Status(status), words}
}

// presenceOf says what others are told of a user at a time.
func presenceOf(id domain.UserID, u user, c choice, now time.Time) Presence {
	p := Presence{User: id, Status: Offline}
	if c.status == Invisible {
		p.LastSeenAt = milliseconds(number(c.text))
		return p
	}
	if len(u.connections) == 0 && now.UnixMilli() >= u.due {
		p.LastSeenAt = milliseconds(u.seen)
		return p
	}
	p.Status, p.Text = Online, c.text
	if c.status != "" {
		p.Status = c.status
	}
	return p
}

func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func milliseconds(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
