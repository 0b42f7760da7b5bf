package domaintest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"mpim/domain"
)

// Story tells what becomes of commands, in text that people read: ids by the names they were made for.
type Story[S any, C Command] struct {
	*Log[S, C]
	// Now is when the next command is given.
	Now   time.Time
	names map[string]string
}

var placement = domain.Placement{Partitions: 16}

// NewStory begins at the given time with an empty log.
func NewStory[S any, C Command](rules Rules[S, C], now time.Time) *Story[S, C] {
	return &Story[S, C]{Log: New(rules), Now: now, names: map[string]string{}}
}

// User returns the id of the user of that name; "" is the system.
func (s *Story[S, C]) User(name string) domain.UserID {
	if name == "" {
		return ""
	}
	id := placement.User(name)
	s.names[string(id)] = name
	return id
}

// Users returns the ids of users.
func (s *Story[S, C]) Users(names []string) []domain.UserID {
	users := make([]domain.UserID, len(names))
	for i, name := range names {
		users[i] = s.User(name)
	}
	return users
}

// By returns the stamp of a command that a user gives now.
func (s *Story[S, C]) By(name string) domain.Stamp { return domain.NewStamp(s.User(name), s.Now) }

// Tell gives a command and returns a line for each event it comes to, for each field it changes, and for its refusal.
func (s *Story[S, C]) Tell(c C) string {
	before := maps.Clone(s.Fields)
	events, refused, err := s.Give(c)
	if err != nil {
		return "WRONG: " + err.Error() + "\n"
	}
	var b strings.Builder
	for _, e := range events {
		b.WriteString(tellEvent(e))
	}
	b.WriteString(s.changed(before))
	switch {
	case refused != nil:
		fmt.Fprintf(&b, "%s: %v\n", domain.CodeOf(refused), refused)
	case len(events) == 0:
		b.WriteString("already so\n")
	}
	return s.Named(b.String())
}

// changed returns a line for each field that is not as before, in the order of their names.
func (s *Story[S, C]) changed(before domain.Fields) string {
	var lines []string
	for field, value := range s.Fields {
		if value != before[field] && field != domain.SeqField {
			lines = append(lines, s.Named("  "+field+" = "+value+"\n"))
		}
	}
	for field := range before {
		if _, kept := s.Fields[field]; !kept {
			lines = append(lines, s.Named("  "+field+" is gone\n"))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// Named returns the text with names in place of ids.
func (s *Story[S, C]) Named(text string) string {
	for id, name := range s.names {
		text = strings.ReplaceAll(text, id, name)
	}
	return text
}

func tellEvent(e domain.Event) string {
	var data bytes.Buffer
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e.Data); err != nil {
		return err.Error()
	}
	line := string(e.Data.EventType()) + " by " + string(e.Actor) + " " + data.String()
	if e.Data.Sequenced() {
		line = e.Seq.String() + " " + line
	}
	return line
}
