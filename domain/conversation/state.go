package conversation

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mpim/domain"
)

// State is what a conversation's commands are decided on, as far as it was loaded.
type State struct {
	Header
	// Head is the last sequence.
	Head domain.Seq
	// Members are a group's members, those who were included.
	Members map[domain.UserID]Member
	// Progress is how far users have come.
	Progress map[domain.UserID]Cursors
	// Waiting are the messages that wait to be sent, and Queues whose they are.
	Waiting map[domain.ScheduledID]Waiting
	Queues  map[domain.UserID][]domain.ScheduledID
}

// Header is what a conversation has once. One without a kind means that there is no such conversation.
type Header struct {
	// Kind is domain.DirectConversation or domain.GroupConversation.
	Kind      string
	CreatedAt time.Time
	// Users are the two of a pair, in order.
	Users []domain.UserID
	// Title and all below are a group's.
	Title        string
	AvatarURL    string
	Announcement string
	Join         string
	History      string
	Muted        bool
	// MemberCount is how many members there are now.
	MemberCount int
	// Dissolved is the sequence of the event that ended the group; 0 while it stands.
	Dissolved domain.Seq
}

// Exists says whether the conversation was created.
func (h Header) Exists() bool { return h.Kind != "" }

// Member is somebody in a group, or somebody who was.
type Member struct {
	// Role is the last one held.
	Role domain.Role
	// MutedUntil is when a mute ends; zero for none.
	MutedUntil time.Time
	Windows    domain.Windows
}

// Cursors is how far a user has come.
type Cursors struct {
	// Delivered is the highest sequence that any session acknowledged, Read the highest read.
	Delivered, Read domain.Seq
	// Acknowledged is what each session has.
	Acknowledged map[domain.SessionID]domain.Seq
}

const (
	memberPrefix = "m:"
	cursorPrefix = "c:"
)

func memberField(user domain.UserID) string { return memberPrefix + string(user) }
func cursorField(user domain.UserID) string { return cursorPrefix + string(user) }

// headerForm is the stored form, which can never change but by new members.
type headerForm struct {
	Kind         string          `json:"kind"`
	CreatedAt    int64           `json:"created_at"`
	Users        []domain.UserID `json:"users,omitempty"`
	Title        string          `json:"title,omitempty"`
	AvatarURL    string          `json:"avatar_url,omitempty"`
	Announcement string          `json:"announcement,omitempty"`
	Join         string          `json:"join,omitempty"`
	History      string          `json:"history,omitempty"`
	Muted        bool            `json:"muted,omitempty"`
	MemberCount  int             `json:"member_count"`
	// Dissolved is written by hand, because it may be pending when it is.
	Dissolved domain.Seq `json:"dissolved,omitzero"`
}

// Load reads a stored state. An error means that what is stored is damaged.
func Load(fields domain.Fields) (State, error) {
	s := State{Head: domain.Seq(fields.Int(domain.SeqField))}
	for field, value := range fields {
		if value == "" {
			continue
		}
		if err := s.load(field, value); err != nil {
			return State{}, fmt.Errorf("conversation field %q: %w", field, err)
		}
	}
	return s, nil
}

func (s *State) load(field, value string) error {
	if field == domain.HeaderField {
		var form headerForm
		if err := json.Unmarshal([]byte(value), &form); err != nil {
			return err
		}
		s.Header = Header{
			Kind: form.Kind, CreatedAt: time.UnixMilli(form.CreatedAt).UTC(), Users: form.Users,
			Title: form.Title, AvatarURL: form.AvatarURL, Announcement: form.Announcement,
			Join: form.Join, History: form.History, Muted: form.Muted, MemberCount: form.MemberCount,
			Dissolved: form.Dissolved,
		}
		return nil
	}
	if user, ok := strings.CutPrefix(field, memberPrefix); ok {
		member, err := parseMember(value)
		s.setMember(domain.UserID(user), member)
		return err
	}
	if user, ok := strings.CutPrefix(field, cursorPrefix); ok {
		cursors, err := parseCursors(value)
		s.setProgress(domain.UserID(user), cursors)
		return err
	}
	if id, ok := strings.CutPrefix(field, waitingPrefix); ok {
		return s.loadWaiting(id, value)
	}
	return nil
}

// Store returns the stored form of a field; present is false where the field is to be deleted.
func Store(s State, field string) (value string, present bool) {
	if field == domain.HeaderField && s.Exists() {
		return s.stored(), true
	}
	if user, ok := strings.CutPrefix(field, memberPrefix); ok {
		if member, found := s.Members[domain.UserID(user)]; found {
			return member.String(), true
		}
	}
	if user, ok := strings.CutPrefix(field, cursorPrefix); ok {
		if cursors, found := s.Progress[domain.UserID(user)]; found {
			return cursors.String(), true
		}
	}
	if id, ok := strings.CutPrefix(field, waitingPrefix); ok {
		return s.storeWaiting(id)
	}
	return "", false
}

// stored returns the stored form, a JSON object.
func (h Header) stored() string {
	b, err := json.Marshal(headerForm{
		Kind: h.Kind, CreatedAt: h.CreatedAt.UnixMilli(), Users: h.Users,
		Title: h.Title, AvatarURL: h.AvatarURL, Announcement: h.Announcement,
		Join: h.Join, History: h.History, Muted: h.Muted, MemberCount: h.MemberCount,
	})
	if err != nil {
		// Strings, numbers and truth values always encode.
		panic(err)
	}
	if h.Dissolved != 0 {
		b = append(b[:len(b)-1], `,"dissolved":`+h.Dissolved.String()+"}"...)
	}
	return string(b)
}

// String returns the stored form: role, end of the mute in Unix milliseconds or nothing, windows, as in
// "member;;3-17,42-".
func (m Member) String() string {
	var muted string
	if !m.MutedUntil.IsZero() {
		muted = strconv.FormatInt(m.MutedUntil.UnixMilli(), 10)
	}
	return string(m.Role) + ";" + muted + ";" + m.Windows.String()
}

func parseMember(s string) (m Member, err error) {
	parts := strings.Split(s, ";")
	if len(parts) < 3 {
		return m, fmt.Errorf("%q is no member", s)
	}
	m.Role = domain.Role(parts[0])
	if parts[1] != "" {
		muted, err := strconv.ParseInt(parts[1], 10, 64)
		if err != nil {
			return m, fmt.Errorf("%q is no member", s)
		}
		m.MutedUntil = time.UnixMilli(muted).UTC()
	}
	m.Windows, err = domain.ParseWindows(parts[2])
	return m, err
}

// String returns the stored form: delivered, read, and each session with what it acknowledged, by session, as in
// "12 9 s…=12 s…=7".
func (c Cursors) String() string {
	b := []byte(c.Delivered.String() + " " + c.Read.String())
	sessions := make([]domain.SessionID, 0, len(c.Acknowledged))
	for session := range c.Acknowledged {
		sessions = append(sessions, session)
	}
	slices.Sort(sessions)
	for _, session := range sessions {
		b = append(append(append(append(b, ' '), session...), '='), c.Acknowledged[session].String()...)
	}
	return string(b)
}

func parseCursors(s string) (c Cursors, err error) {
	parts := strings.Split(s, " ")
	if len(parts) < 2 {
		return c, fmt.Errorf("%q are no cursors", s)
	}
	if c.Delivered, err = parseSeq(parts[0]); err != nil {
		return c, err
	}
	if c.Read, err = parseSeq(parts[1]); err != nil {
		return c, err
	}
	for _, part := range parts[2:] {
		session, at, _ := strings.Cut(part, "=")
		seq, err := parseSeq(at)
		if err != nil {
			return c, err
		}
		c.set(domain.SessionID(session), seq)
	}
	return c, nil
}

func parseSeq(s string) (domain.Seq, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is no sequence", s)
	}
	return domain.Seq(n), nil
}

func (c *Cursors) set(session domain.SessionID, seq domain.Seq) {
	if c.Acknowledged == nil {
		c.Acknowledged = make(map[domain.SessionID]domain.Seq)
	}
	c.Acknowledged[session] = seq
}

func (s *State) setMember(user domain.UserID, m Member) {
	if s.Members == nil {
		s.Members = make(map[domain.UserID]Member)
	}
	s.Members[user] = m
}

func (s *State) setProgress(user domain.UserID, c Cursors) {
	if s.Progress == nil {
		s.Progress = make(map[domain.UserID]Cursors)
	}
	s.Progress[user] = c
}
