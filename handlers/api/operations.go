package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/handlers/auth"
	"mpim/handlers/command"
	"mpim/projections/archive"
	"mpim/projections/contacts"
	"mpim/projections/history"
	"mpim/projections/inbox"
	"mpim/projections/members"
	"mpim/projections/notices"
	"mpim/projections/presence"
	"mpim/projections/receipts"
	"mpim/projections/recent"
	"mpim/projections/search"
	"mpim/schema"
)

// Names of the projections that reads wait for.
const (
	membersProjection  = "members"
	inboxProjection    = "inbox"
	recentProjection   = "recent"
	historyProjection  = "history"
	presenceProjection = "presence"
	receiptsProjection = "receipts"
	contactsProjection = "contacts"
	searchProjection   = "search"
	noticesProjection  = "notices"
)

// Log is the log as operations need it beside their commands.
type Log interface {
	command.Store
	// LoadAll is Load for several aggregates, in their order and in one round trip.
	LoadAll(ctx context.Context, wanted []domain.Wanted) ([]domain.Fields, error)
	// Heads returns the last sequence of every partition.
	Heads(ctx context.Context) ([]int64, error)
}

// What operations ask of the projections; the Queries of the package that an interface is called after implement it.
type (
	// Members says who is in which conversation.
	Members interface {
		Conversations(ctx context.Context, user domain.UserID) ([]members.Membership, error)
		List(ctx context.Context, id domain.ConversationID, after domain.UserID, limit int) ([]members.Member, error)
		UserSeq(ctx context.Context, user domain.UserID) (int64, error)
		// Scheduled returns what of a user's waits to be sent, in the order of its time.
		Scheduled(ctx context.Context, user domain.UserID) ([]members.Scheduled, error)
	}
	// Inbox says how conversations look to one user.
	Inbox interface {
		Entries(ctx context.Context, user domain.UserID, session domain.SessionID, ids []domain.ConversationID) ([]inbox.Entry, error)
		Cursors(ctx context.Context, id domain.ConversationID, users []domain.UserID) ([]inbox.Cursor, error)
		// Delivered keeps an acknowledgement that is no event.
		Delivered(ctx context.Context, id domain.ConversationID, user domain.UserID, session domain.SessionID, seq domain.Seq) error
	}
	// Recent has the last events of conversations.
	Recent interface {
		Ranges(ctx context.Context, ranges []recent.Range) ([]recent.Events, error)
		Get(ctx context.Context, id domain.ConversationID, seq domain.Seq) (recent.Facts, bool, error)
		// Reacted says whether a reaction stands, where that is known.
		Reacted(
			ctx context.Context, id domain.ConversationID, message, head domain.Seq, user domain.UserID, emoji string,
		) (stands, known bool, err error)
	}
	// History has every message.
	History interface {
		Page(ctx context.Context, id domain.ConversationID, view history.View, r history.Range) ([]history.Message, error)
		Message(
			ctx context.Context, id domain.ConversationID, seq domain.Seq, view history.View,
		) (history.Message, []history.Edit, error)
		Messages(ctx context.Context, user domain.UserID, found []history.Found) ([]history.Message, error)
		Facts(ctx context.Context, id domain.ConversationID, seq domain.Seq) (history.Facts, error)
		// Ordinal returns how many messages the conversation has up to seq.
		Ordinal(ctx context.Context, id domain.ConversationID, seq domain.Seq) (int64, error)
	}
	// Archive has every event. It says of a message what never changes, where History cannot.
	Archive interface {
		Facts(ctx context.Context, id domain.ConversationID, seq domain.Seq) (archive.Facts, error)
	}
	// Contacts says what users are to each other, and finds them by their names.
	Contacts interface {
		Book(ctx context.Context, user domain.UserID) (contacts.Book, error)
		Blocks(ctx context.Context, user domain.UserID) ([]contacts.Block, error)
		Search(ctx context.Context, prefix string, limit int) ([]contacts.User, error)
		List(ctx context.Context, after domain.UserID, limit int) ([]contacts.User, error)
	}
	// Receipts says who got and read a message, and when.
	Receipts interface {
		Message(ctx context.Context, id domain.ConversationID, seq domain.Seq, sender domain.UserID) (receipts.Receipts, error)
	}
	// Gateways says where clients can connect.
	Gateways interface {
		Gateways(ctx context.Context) ([]schema.GatewayLoad, error)
	}
	// Search finds messages by their words.
	Search interface {
		Search(ctx context.Context, scopes []search.Scope, written, after string, limit int) (hits []search.Hit, next string, err error)
	}
	// Notices has every notice.
	Notices interface {
		List(ctx context.Context, reader notices.Reader, after string, limit int) ([]notices.Notice, string, error)
	}
	// Directory reads users and contacts through a cache, so what it returns may be a little older.
	Directory interface {
		Users(ctx context.Context, ids []domain.UserID) ([]contacts.User, error)
		Book(ctx context.Context, user domain.UserID) (contacts.Book, error)
	}
	// Presence says who is online.
	Presence interface {
		Get(ctx context.Context, users []domain.UserID) ([]presence.Presence, error)
	}
	// Choices keeps what users choose to be seen as.
	Choices interface {
		Set(ctx context.Context, user domain.UserID, status presence.Status, text string) error
	}
	// Waiter waits until a projection has passed positions; an error is of kind Unavailable when that takes too long.
	Waiter interface {
		Wait(ctx context.Context, projection string, positions ...domain.Position) error
	}
	// Typing tells members that somebody types.
	Typing interface {
		Typing(ctx context.Context, partition int, entry schema.Typing) error
	}
	// Attempts counts, across all gateways, what may be done only a few times.
	Attempts interface {
		// Take takes one of limit attempts in the window that began with the first of them. Where none is left, it
		// returns how long until the window ends; otherwise 0.
		Take(ctx context.Context, key string, limit int, window time.Duration) (wait time.Duration, err error)
		// Return gives one back.
		Return(ctx context.Context, key string) error
	}
)

// Config is what operations work with. All members without a default are required.
type Config struct {
	Log       Log
	Placement domain.Placement
	// Durability is what an answer of message.send proves: "appended", "replicated" or "fsynced".
	Durability string
	// Epoch returns the log's epoch as clients see it.
	Epoch func() string
	// EpochNumber returns the same as a number that rises with each repair, from 1. Default: always 1.
	EpochNumber func() int64

	Tokens    *auth.Tokens
	Passwords *auth.Passwords
	Attempts  Attempts

	Members Members
	Inbox   Inbox
	Recent  Recent
	History History
	// Archive may be nil: then what History cannot say is not known.
	Archive  Archive
	Contacts Contacts
	Receipts Receipts
	Gateways Gateways
	Search   Search
	Notices  Notices
	// Directory answers what need not see a certain change. Default: all is read where it is never behind.
	Directory Directory
	Presence  Presence
	Choices   Choices
	Waiter    Waiter
	Typing    Typing

	// Limits bound messages and groups. Default: conversation.DefaultLimits.
	Limits conversation.Limits
	// Rates bound how often things are done at first; the zero value does not. See DefaultRates and SetRates.
	Rates Rates
	// LargeReads is how many answers of sync and message.history are made at the same time; the others wait for a
	// second and are then refused as Unavailable. An answer takes some mebibytes until it is encoded. Default: 64.
	LargeReads int
	// LargeReadsPerSession is how many of them one session has. Default: 4.
	LargeReadsPerSession int
	// ReadTimeout is how long a read may take, the wait for projections included; then it is Unavailable. What changes
	// something has the time that its transport gives, because its outcome is not known earlier. Default: 2.5 s, which
	// is a little more than projections are waited for.
	ReadTimeout time.Duration
	// Now tells the time. Default: time.Now.
	Now func() time.Time
}

// Operations are the operations of the client protocol.
type Operations struct {
	Config
	// rates are those in force, which SetRates replaces.
	rates           atomic.Pointer[Rates]
	sends, receipts *buckets
	large           *turns
	gathered        *gatherer
	peers           peers
}

// Defaults of Config.
const (
	DefaultLargeReads           = 64
	DefaultLargeReadsPerSession = 4
	DefaultReadTimeout          = 2500 * time.Millisecond
)

func (c *Config) setDefaults() {
	if c.Limits == (conversation.Limits{}) {
		c.Limits = conversation.DefaultLimits()
	}
	if c.EpochNumber == nil {
		c.EpochNumber = func() int64 { return 1 }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.LargeReads <= 0 {
		c.LargeReads = DefaultLargeReads
	}
	if c.LargeReadsPerSession <= 0 {
		c.LargeReadsPerSession = DefaultLargeReadsPerSession
	}
	if c.ReadTimeout <= 0 {
		c.ReadTimeout = DefaultReadTimeout
	}
}

// New returns operations. It starts nothing.
func New(config Config) (*Operations, error) {
	for name, missing := range map[string]bool{
		"Log": config.Log == nil, "Placement": config.Placement.Partitions == 0, "Durability": config.Durability == "",
		"Epoch": config.Epoch == nil, "Tokens": config.Tokens == nil, "Passwords": config.Passwords == nil,
		"Attempts": config.Attempts == nil, "Members": config.Members == nil, "Inbox": config.Inbox == nil,
		"Recent": config.Recent == nil, "History": config.History == nil, "Search": config.Search == nil, "Contacts": config.Contacts == nil,
		"Presence": config.Presence == nil, "Receipts": config.Receipts == nil, "Gateways": config.Gateways == nil, "Notices": config.Notices == nil,
		"Choices": config.Choices == nil, "Waiter": config.Waiter == nil, "Typing": config.Typing == nil,
	} {
		if missing {
			return nil, fmt.Errorf("api: Config.%s is missing", name)
		}
	}
	config.setDefaults()
	operations := &Operations{
		Config: config, sends: newBuckets(), receipts: newBuckets(),
		large: newTurns(config.LargeReads, config.LargeReadsPerSession), gathered: newGatherer(),
	}
	operations.SetRates(config.Rates)
	return operations, nil
}

// stamp is who and when of a command that begins now.
func (o *Operations) stamp(caller Caller) domain.Stamp { return domain.NewStamp(caller.User, o.Now()) }

// entropy is what a command draws its ids from.
func entropy() []byte {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails, as crypto/rand says
	return b
}

// late makes an error that came when time was up one that says so, whatever the store made of it.
func late(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*domain.Error](err); ok || ctx.Err() == nil {
		return err
	}
	return domain.Wrap(domain.Unavailable, err, "this could not be read in time: try again")
}

// settled makes an error that only says that time is up one that the client can act on.
func settled(err error) error {
	if _, ok := errors.AsType[*domain.Error](err); ok || err == nil {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return domain.Wrap(domain.Unavailable, err, "the request took too long: try again")
	}
	return err
}
