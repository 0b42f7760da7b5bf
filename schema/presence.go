package schema

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"mpim/domain"
)

// Connection is one live connection as the presence projection keeps it, in JSON, under its id in the hash
// {p}:connections of the partition that its user lives in.
type Connection struct {
	User    domain.UserID    `json:"user"`
	Session domain.SessionID `json:"session"`
	// Gateway is the id of the gateway that has the socket.
	Gateway string `json:"gateway"`
	// Client is what the client called itself, "name/version", or empty.
	Client string    `json:"client,omitempty"`
	At     time.Time `json:"at"`
}

// Status is a user's presence as it is published on the status channel of the user's partition, in JSON: an array of
// these a message.
type Status struct {
	User domain.UserID `json:"user"`
	// Status is "online", "away", "busy" or "offline"; who is invisible shows as offline.
	Status string `json:"status"`
	Text   string `json:"text,omitempty"`
	// LastSeenAt is when the user was last connected; zero where that is not known, or the user is connected.
	LastSeenAt time.Time `json:"last_seen_at,omitzero"`
}

// PresenceEntry is one entry of the stream {p}:presence, which tells the push owners what moves too fast for the log:
// where users are connected, and who is typing. It is kept for an hour.
//
//sumtype:decl
type PresenceEntry interface {
	// Fields returns the entry as names and values in turn, in a fixed order, so that Redis stores the names once.
	Fields() []string
	presenceEntry()
}

// PresenceRead is an entry as it was read.
type PresenceRead struct {
	Partition int
	ID        StreamID
	// Entry is nil for one that cannot be read, or that this version does not know.
	Entry PresenceEntry
}

// Entries of presence streams.
type (
	// Connected says that a connection is open and wants pushes. It stands in the stream of the user's partition. The
	// same connection may be said to be connected any number of times.
	Connected struct {
		Connection domain.ConnectionID
		User       domain.UserID
		Session    domain.SessionID
		Gateway    string
		Client     string
	}
	// Disconnected says that a connection has ended. It stands in the stream of the user's partition.
	Disconnected struct {
		Connection domain.ConnectionID
		User       domain.UserID
		Gateway    string
	}
	// GatewayExpired says that a gateway fell silent, and that all its connections whose users live in this partition
	// have ended.
	GatewayExpired struct{ Gateway string }
	// Typing says that a user began or ended typing. It stands in the stream of the conversation's partition.
	Typing struct {
		Conversation domain.ConversationID
		User         domain.UserID
		Typing       bool
	}
	// StatusChanged says that a user chose another status. It stands in the stream of the user's partition.
	StatusChanged struct {
		User   domain.UserID
		Status string
		Text   string
	}
)

// The field that tells entries apart, and its values.
const (
	presenceKind       = "kind"
	kindConnected      = "connected"
	kindDisconnected   = "disconnected"
	kindGatewayExpired = "gateway_expired"
	kindTyping         = "typing"
	kindStatus         = "status"
)

func (Connected) presenceEntry()      {}
func (Disconnected) presenceEntry()   {}
func (GatewayExpired) presenceEntry() {}
func (Typing) presenceEntry()         {}
func (StatusChanged) presenceEntry()  {}

// Fields returns the entry as names and values in turn.
func (e Connected) Fields() []string {
	return []string{
		presenceKind, kindConnected, "connection", string(e.Connection), "user", string(e.User),
		"session", string(e.Session), "gateway", e.Gateway, "client", e.Client,
	}
}

// Fields returns the entry as names and values in turn.
func (e Disconnected) Fields() []string {
	return []string{
		presenceKind, kindDisconnected, "connection", string(e.Connection), "user", string(e.User), "gateway", e.Gateway,
	}
}

// Fields returns the entry as names and values in turn.
func (e GatewayExpired) Fields() []string {
	return []string{presenceKind, kindGatewayExpired, "gateway", e.Gateway}
}

// Fields returns the entry as names and values in turn.
func (e Typing) Fields() []string {
	return []string{
		presenceKind, kindTyping, "conversation", string(e.Conversation), "user", string(e.User),
		"typing", strconv.FormatBool(e.Typing),
	}
}

// Fields returns the entry as names and values in turn.
func (e StatusChanged) Fields() []string {
	return []string{presenceKind, kindStatus, "user", string(e.User), "status", e.Status, "text", e.Text}
}

// DecodePresence reads an entry. It is nil without an error for a kind that this version does not know, which a newer
// one may write while both run.
func DecodePresence(fields map[string]any) (PresenceEntry, error) {
	field := func(name string) string { s, _ := fields[name].(string); return s }
	switch kind := field(presenceKind); kind {
	case kindConnected:
		e := Connected{
			Connection: domain.ConnectionID(field("connection")), User: domain.UserID(field("user")),
			Session: domain.SessionID(field("session")), Gateway: field("gateway"), Client: field("client"),
		}
		return e, requireIDs(kind, string(e.Connection), string(e.User), e.Gateway)
	case kindDisconnected:
		e := Disconnected{
			Connection: domain.ConnectionID(field("connection")), User: domain.UserID(field("user")),
			Gateway: field("gateway"),
		}
		return e, requireIDs(kind, string(e.Connection), string(e.User), e.Gateway)
	case kindGatewayExpired:
		e := GatewayExpired{Gateway: field("gateway")}
		return e, requireIDs(kind, e.Gateway)
	case kindTyping:
		e := Typing{
			Conversation: domain.ConversationID(field("conversation")), User: domain.UserID(field("user")),
			Typing: field("typing") == "true",
		}
		return e, requireIDs(kind, string(e.Conversation), string(e.User))
	case kindStatus:
		e := StatusChanged{User: domain.UserID(field("user")), Status: field("status"), Text: field("text")}
		return e, requireIDs(kind, string(e.User), e.Status)
	case "":
		return nil, fmt.Errorf("presence entry lacks the field %q", presenceKind)
	default:
		return nil, nil
	}
}

func requireIDs(kind string, ids ...string) error {
	if slices.Contains(ids, "") {
		return fmt.Errorf("presence entry %q lacks an id", kind)
	}
	return nil
}

// EncodeStatuses returns the message of a status channel.
func EncodeStatuses(statuses []Status) ([]byte, error) {
	b, err := json.Marshal(statuses)
	if err != nil {
		return nil, fmt.Errorf("encode statuses: %w", err)
	}
	return b, nil
}

// DecodeStatuses reads a message of a status channel.
func DecodeStatuses(b []byte) ([]Status, error) {
	var statuses []Status
	if err := json.Unmarshal(b, &statuses); err != nil {
		return nil, fmt.Errorf("decode statuses: %w", err)
	}
	return statuses, nil
}
