package account

import (
	"strings"

	"mpim/domain"
)

// ChangeSettings changes how the actor sees one conversation. That it is in it was checked.
type ChangeSettings struct {
	domain.Stamp
	Conversation domain.ConversationID
	// Pinned and Muted are nil to stay as they are.
	Pinned, Muted *bool
}

func (ChangeSettings) command() {}

// Settings are how a user sees one conversation.
type Settings struct{ Pinned, Muted bool }

const settingsPrefix = "t:"

func settingsField(id domain.ConversationID) string { return settingsPrefix + string(id) }

// decideChangeSettings notes what differs, and nothing else.
func decideChangeSettings(s State, c ChangeSettings) ([]domain.Fact, error) {
	if c.Pinned == nil && c.Muted == nil {
		return nil, domain.Errorf(domain.InvalidArgument, "settings have pinned, muted or both")
	}
	now := s.Settings[c.Conversation]
	fact := domain.SettingsChanged{Conversation: c.Conversation}
	if c.Pinned != nil && *c.Pinned != now.Pinned {
		fact.Pinned = c.Pinned
	}
	if c.Muted != nil && *c.Muted != now.Muted {
		fact.Muted = c.Muted
	}
	if fact.Pinned == nil && fact.Muted == nil {
		return nil, nil
	}
	return []domain.Fact{&fact}, nil
}

// change takes a fact over. Settings that are those of everybody are not kept.
func (s *State) change(fact *domain.SettingsChanged) {
	settings := s.Settings[fact.Conversation]
	if fact.Pinned != nil {
		settings.Pinned = *fact.Pinned
	}
	if fact.Muted != nil {
		settings.Muted = *fact.Muted
	}
	if s.Settings == nil {
		s.Settings = make(map[domain.ConversationID]Settings)
	}
	s.Settings[fact.Conversation] = settings
	if settings == (Settings{}) {
		delete(s.Settings, fact.Conversation)
	}
}

// String returns the stored form: "p", "m", both, or nothing.
func (s Settings) String() string {
	var b strings.Builder
	if s.Pinned {
		b.WriteByte('p')
	}
	if s.Muted {
		b.WriteByte('m')
	}
	return b.String()
}

func parseSettings(text string) Settings {
	return Settings{Pinned: strings.Contains(text, "p"), Muted: strings.Contains(text, "m")}
}
