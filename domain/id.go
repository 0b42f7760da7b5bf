package domain

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"strconv"
	"strings"
)

// Identifiers are opaque to clients, at most [MaxIDBytes] long, and end in two hexadecimal digits that name the
// partition they live in, so finding a thing never takes a look-up. The first letter names the kind.
type (
	// UserID names an account: "u", 20 letters, partition.
	UserID string
	// ConversationID names a group ("g…") or a pair ("d…").
	ConversationID string
	// SessionID names a login: "s…", in the partition of its account.
	SessionID string
	// ConnectionID names one open socket: "c…", in the partition of its account.
	ConnectionID string
	// ScheduledID names a message that waits to be sent: "t", 15 letters and the id of its conversation.
	ScheduledID string
)

// MaxIDBytes bounds every identifier that a client may send.
const MaxIDBytes = 40

// MaxPartitions is the largest partition count that an identifier can name.
const MaxPartitions = 256

const (
	idBytes       = 12 // hashed or random bytes in an identifier
	idLetters     = 20 // what they take in base 32
	partitionTail = 2  // hexadecimal digits

	scheduledBytes   = 9 // hashed bytes in the id of a scheduled message
	scheduledLetters = 15
)

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// Placement decides where things live. It is fixed when the log is created.
type Placement struct {
	// Key makes identifiers unguessable from what they were made of. It is created with the log and kept beside its id.
	Key [32]byte
	// Partitions is how many partitions the log has, 1 to MaxPartitions.
	Partitions int
}

// User returns the id of the account called username. Names differ only by case share an id, so the append that
// registers an account also guards its name.
func (p Placement) User(username string) UserID {
	return UserID(p.derive("u", "user", strings.ToLower(username)))
}

// Pair returns the id of the direct conversation of a and b, in either order.
func (p Placement) Pair(a, b UserID) ConversationID {
	if b < a {
		a, b = b, a
	}
	return ConversationID(p.derive("d", "pair", string(a), string(b)))
}

// Group returns the id of the group that creator makes with clientID, the same each time the request is sent.
func (p Placement) Group(creator UserID, clientID string) ConversationID {
	return ConversationID(p.derive("g", "group", string(creator), clientID))
}

// RandomGroup returns the id of a group made without a client id. Entropy must hold at least 16 random bytes.
func (p Placement) RandomGroup(entropy []byte) ConversationID {
	return ConversationID(p.derive("g", "random group", string(entropy)))
}

// Scheduled returns the id of the message that sender schedules with clientID, the same each time the request is sent.
func (p Placement) Scheduled(id ConversationID, sender UserID, clientID string) ScheduledID {
	sum := p.sum("scheduled", string(id), string(sender), clientID)
	return ScheduledID("t" + idEncoding.EncodeToString(sum[:scheduledBytes]) + string(id))
}

func (p Placement) derive(prefix string, parts ...string) string {
	sum := p.sum(parts...)
	partition := int(binary.BigEndian.Uint32(sum[idBytes:])) % p.Partitions
	return makeID(prefix, sum[:idBytes], partition)
}

func (p Placement) sum(parts ...string) []byte {
	mac := hmac.New(sha256.New, p.Key[:])
	for _, part := range parts {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(part))) //nolint:gosec // a part is shorter than a frame
		mac.Write(length[:])
		mac.Write([]byte(part))
	}
	return mac.Sum(nil)
}

// NewSessionID returns the id of a session of user. Entropy must hold at least 12 random bytes.
func NewSessionID(user UserID, entropy []byte) SessionID {
	partition, _ := user.Partition()
	return SessionID(makeID("s", entropy[:idBytes], partition))
}

// NewConnectionID returns the id of a connection of user. Entropy must hold at least 12 random bytes.
func NewConnectionID(user UserID, entropy []byte) ConnectionID {
	partition, _ := user.Partition()
	return ConnectionID(makeID("c", entropy[:idBytes], partition))
}

func makeID(prefix string, b []byte, partition int) string {
	tail := strconv.FormatInt(int64(partition), 16)
	if len(tail) < partitionTail {
		tail = "0" + tail
	}
	return prefix + idEncoding.EncodeToString(b) + tail
}

// Partition returns the partition the account lives in. It is false for what is no user id.
func (id UserID) Partition() (int, bool) { return partitionOf(string(id), "u") }

// Partition returns the partition the conversation lives in. It is false for what is no conversation id.
func (id ConversationID) Partition() (int, bool) { return partitionOf(string(id), "gd") }

// Partition returns the partition of the account that the session belongs to. It is false for what is no session id.
func (id SessionID) Partition() (int, bool) { return partitionOf(string(id), "s") }

// Partition returns the partition of the account that the connection belongs to. It is false for what is no
// connection id.
func (id ConnectionID) Partition() (int, bool) { return partitionOf(string(id), "c") }

// Conversation returns where the message is to be sent. It is false for what is no id of a scheduled message.
func (id ScheduledID) Conversation() (ConversationID, bool) {
	if len(id) <= scheduledLetters || id[0] != 't' {
		return "", false
	}
	conversation := ConversationID(id[1+scheduledLetters:])
	_, ok := conversation.Partition()
	return conversation, ok && isID(string(id))
}

// Number returns the last four of the connection's random bytes as a big-endian number: the gateway that made the id put
// its own number for the connection there, so that pushes can name connections briefly. It is false for what is no
// connection id.
func (id ConnectionID) Number() (uint32, bool) {
	if _, ok := id.Partition(); !ok {
		return 0, false
	}
	raw, err := idEncoding.DecodeString(string(id[1 : 1+idLetters]))
	if err != nil || len(raw) != idBytes {
		return 0, false
	}
	return binary.BigEndian.Uint32(raw[idBytes-4:]), true
}

// IsGroup says whether id names a group and not a pair.
func (id ConversationID) IsGroup() bool { return strings.HasPrefix(string(id), "g") }

// Aggregate returns the aggregate that holds the conversation.
func (id ConversationID) Aggregate() Aggregate {
	if id.IsGroup() {
		return Aggregate{Kind: Group, ID: string(id)}
	}
	return Aggregate{Kind: Pair, ID: string(id)}
}

// Aggregate returns the account aggregate of the user.
func (id UserID) Aggregate() Aggregate { return Aggregate{Kind: Account, ID: string(id)} }

func partitionOf(id, prefixes string) (int, bool) {
	if len(id) != 1+idLetters+partitionTail || !strings.Contains(prefixes, id[:1]) {
		return 0, false
	}
	if !isID(id) {
		return 0, false
	}
	partition, err := strconv.ParseUint(id[len(id)-partitionTail:], 16, 8)
	return int(partition), err == nil
}

// isID says whether there are digits and small letters alone.
func isID(id string) bool {
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// AggregateKind is the kind of a consistency boundary.
type AggregateKind string

// The aggregates.
const (
	Account AggregateKind = "account"
	Group   AggregateKind = "group"
	Pair    AggregateKind = "pair"
)

// Aggregate names one consistency boundary: what a command is decided on and what its events belong to.
type Aggregate struct {
	Kind AggregateKind
	ID   string
}

// ParseAggregate reads the form that String writes. It is false for anything else.
func ParseAggregate(s string) (Aggregate, bool) {
	kind, id, found := strings.Cut(s, ":")
	a := Aggregate{Kind: AggregateKind(kind), ID: id}
	_, ok := a.Partition()
	return a, found && ok
}

// String returns "account:…", "group:…" or "pair:…".
func (a Aggregate) String() string { return string(a.Kind) + ":" + a.ID }

// Conversation returns the conversation that the aggregate is, or "" for an account.
func (a Aggregate) Conversation() ConversationID {
	if a.Kind == Account {
		return ""
	}
	return ConversationID(a.ID)
}

// Partition returns the partition that the aggregate's events are appended to. It is false for an unknown kind or id.
func (a Aggregate) Partition() (int, bool) {
	switch a.Kind {
	case Account:
		return partitionOf(a.ID, "u")
	case Group:
		return partitionOf(a.ID, "g")
	case Pair:
		return partitionOf(a.ID, "d")
	default:
		return 0, false
	}
}
