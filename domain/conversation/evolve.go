package conversation

import (
	"maps"
	"time"

	"mpim/domain"
)

// Evolve returns the state after an event. It takes over the state it was given, which must not be used afterwards.
func Evolve(s State, e domain.Event) State {
	if e.Data.Sequenced() {
		// Sequences are dense, so this is right for a pending one too.
		s.Head++
	}
	switch fact := e.Data.(type) {
	case *domain.ConversationCreated:
		s.create(fact, e)
	case *domain.ConversationUpdated:
		s.update(fact)
	case *domain.ConversationDissolved:
		s.Dissolved, s.MemberCount = e.Seq, 0
	case *domain.MemberAdded:
		s.open(fact.User, e.Seq)
	case *domain.MemberJoined:
		s.open(fact.User, e.Seq)
	case *domain.MemberLeft:
		s.close(fact.User, e.Seq)
	case *domain.MemberRemoved:
		s.close(fact.User, e.Seq)
	case *domain.MemberRoleChanged:
		m := s.Members[fact.User]
		m.Role = fact.Role
		s.setMember(fact.User, m)
	case *domain.MemberMuted:
		m := s.Members[fact.User]
		m.MutedUntil = time.Time{}
		if fact.Until != nil {
			m.MutedUntil = domain.NewInstant(fact.Until.Time).Time
		}
		s.setMember(fact.User, m)
	case *domain.ScheduleCreated:
		s.schedule(e.Actor, fact)
	case *domain.ScheduleCancelled:
		s.unschedule(e.Actor, fact.Scheduled)
	case *domain.ScheduleFired:
		s.unschedule(e.Actor, fact.Scheduled)
	case *domain.ScheduleFailed:
		s.unschedule(e.Actor, fact.Scheduled)
	case *domain.ReceiptMoved:
		s.setProgress(e.Actor, s.Progress[e.Actor].moved(fact))
	default:
		// Messages and what becomes of them change nothing that is decided on.
	}
	return s
}

func (s *State) create(fact *domain.ConversationCreated, e domain.Event) {
	s.Header = Header{
		Kind: fact.Kind, CreatedAt: e.At.UTC().Truncate(time.Millisecond),
		Title: fact.Title, AvatarURL: fact.AvatarURL, Join: fact.Join, MemberCount: len(fact.Members),
	}
	for _, m := range fact.Members {
		if fact.Kind == domain.DirectConversation {
			s.Users = append(s.Users, m.User)
			continue
		}
		s.setMember(m.User, Member{Role: m.Role, Windows: domain.Windows{{From: e.Seq}}})
	}
}

func (s *State) update(fact *domain.ConversationUpdated) {
	set(&s.Title, fact.Title)
	set(&s.AvatarURL, fact.AvatarURL)
	set(&s.Join, fact.Join)
	set(&s.Announcement, fact.Announcement)
	set(&s.Muted, fact.Muted)
	set(&s.History, fact.History)
}

func set[T any](member, value *T) {
	if value != nil {
		*member = *value
	}
}

// open lets a user in, as a plain member whatever it was before.
func (s *State) open(user domain.UserID, seq domain.Seq) {
	m := s.Members[user]
	if m.Windows.Open() {
		return
	}
	s.MemberCount++
	s.setMember(user, Member{Role: domain.Member, Windows: m.Windows.Opened(seq)})
}

func (s *State) close(user domain.UserID, seq domain.Seq) {
	// What an open window shows depends on the group; what it showed last stays.
	m, windows := s.Members[user], s.Windows(user)
	if !windows.Open() {
		return
	}
	s.MemberCount--
	m.Windows = windows.Closed(seq)
	s.setMember(user, m)
}

// moved returns the cursors after a receipt. Of more sessions than a user has, the one that is furthest behind is
// forgotten: it was revoked, or has the most to fetch anyway.
func (c Cursors) moved(fact *domain.ReceiptMoved) Cursors {
	c.Delivered = max(c.Delivered, fact.DeliveredSeq)
	c.Read = max(c.Read, fact.ReadSeq)
	acknowledger := domain.Acknowledger(fact.Session, fact.Epoch)
	if fact.Session == "" || fact.DeliveredSeq <= c.Acknowledged[acknowledger] {
		return c
	}
	c.Acknowledged = maps.Clone(c.Acknowledged)
	c.set(acknowledger, fact.DeliveredSeq)
	if len(c.Acknowledged) <= MaxSessions {
		return c
	}
	var last domain.SessionID
	for session, seq := range c.Acknowledged {
		behind := c.Acknowledged[last]
		if session != acknowledger && (last == "" || seq < behind || seq == behind && session < last) {
			last = session
		}
	}
	delete(c.Acknowledged, last)
	return c
}

// Touched returns the fields that Evolve may have changed with an event.
func Touched(e domain.Event) []string {
	switch fact := e.Data.(type) {
	case *domain.ConversationCreated:
		fields := []string{domain.HeaderField}
		if fact.Kind == domain.GroupConversation {
			for _, m := range fact.Members {
				fields = append(fields, memberField(m.User))
			}
		}
		return fields
	case *domain.ConversationUpdated, *domain.ConversationDissolved:
		return []string{domain.HeaderField}
	case *domain.MemberAdded:
		return []string{domain.HeaderField, memberField(fact.User)}
	case *domain.MemberJoined:
		return []string{domain.HeaderField, memberField(fact.User)}
	case *domain.MemberLeft:
		return []string{domain.HeaderField, memberField(fact.User)}
	case *domain.MemberRemoved:
		return []string{domain.HeaderField, memberField(fact.User)}
	case *domain.MemberRoleChanged:
		return []string{memberField(fact.User)}
	case *domain.MemberMuted:
		return []string{memberField(fact.User)}
	case *domain.ReceiptMoved:
		return []string{cursorField(e.Actor)}
	case *domain.ScheduleCreated:
		return []string{WaitingField(fact.Scheduled), queueField(e.Actor)}
	case *domain.ScheduleCancelled:
		return []string{WaitingField(fact.Scheduled), queueField(e.Actor)}
	case *domain.ScheduleFired:
		return []string{WaitingField(fact.Scheduled), queueField(e.Actor)}
	case *domain.ScheduleFailed:
		return []string{WaitingField(fact.Scheduled), queueField(e.Actor)}
	default:
		return nil
	}
}
