package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"mpim/domain"
)

// eventType is one stored event type.
type eventType struct {
	// version is the newest one, which new returns and encodes.
	version int
	new     func() domain.Fact
	// upcasters raise the data from version i+1 to i+2.
	upcasters []func(json.RawMessage) (json.RawMessage, error)
}

// registry holds every type ever appended.
var registry = map[domain.EventType]eventType{
	domain.TypeConversationCreated:    {version: 1, new: func() domain.Fact { return new(domain.ConversationCreated) }},
	domain.TypeConversationUpdated:    {version: 1, new: func() domain.Fact { return new(domain.ConversationUpdated) }},
	domain.TypeConversationDissolved:  {version: 1, new: func() domain.Fact { return new(domain.ConversationDissolved) }},
	domain.TypeMemberAdded:            {version: 1, new: func() domain.Fact { return new(domain.MemberAdded) }},
	domain.TypeMemberJoined:           {version: 1, new: func() domain.Fact { return new(domain.MemberJoined) }},
	domain.TypeMemberLeft:             {version: 1, new: func() domain.Fact { return new(domain.MemberLeft) }},
	domain.TypeMemberRemoved:          {version: 1, new: func() domain.Fact { return new(domain.MemberRemoved) }},
	domain.TypeMemberRoleChanged:      {version: 1, new: func() domain.Fact { return new(domain.MemberRoleChanged) }},
	domain.TypeMemberMuted:            {version: 1, new: func() domain.Fact { return new(domain.MemberMuted) }},
	domain.TypeMessageSent:            {version: 1, new: func() domain.Fact { return new(domain.MessageSent) }},
	domain.TypeMessageEdited:          {version: 1, new: func() domain.Fact { return new(domain.MessageEdited) }},
	domain.TypeMessageRecalled:        {version: 1, new: func() domain.Fact { return new(domain.MessageRecalled) }},
	domain.TypeMessageReacted:         {version: 1, new: func() domain.Fact { return new(domain.MessageReacted) }},
	domain.TypeMessageExpired:         {version: 1, new: func() domain.Fact { return new(domain.MessageExpired) }},
	domain.TypeReceiptMoved:           {version: 1, new: func() domain.Fact { return new(domain.ReceiptMoved) }},
	domain.TypeAccountRegistered:      {version: 1, new: func() domain.Fact { return new(domain.AccountRegistered) }},
	domain.TypeAccountUpdated:         {version: 1, new: func() domain.Fact { return new(domain.AccountUpdated) }},
	domain.TypeAccountPasswordChanged: {version: 1, new: func() domain.Fact { return new(domain.AccountPasswordChanged) }},
	domain.TypeAccountSuspended:       {version: 1, new: func() domain.Fact { return new(domain.AccountSuspended) }},
	domain.TypeAccountRestored:        {version: 1, new: func() domain.Fact { return new(domain.AccountRestored) }},
	domain.TypeAccountErased:          {version: 1, new: func() domain.Fact { return new(domain.AccountErased) }},
	domain.TypeSessionCreated:         {version: 1, new: func() domain.Fact { return new(domain.SessionCreated) }},
	domain.TypeSessionRefreshed:       {version: 1, new: func() domain.Fact { return new(domain.SessionRefreshed) }},
	domain.TypeSessionRevoked:         {version: 1, new: func() domain.Fact { return new(domain.SessionRevoked) }},
	domain.TypeSessionConnected:       {version: 1, new: func() domain.Fact { return new(domain.SessionConnected) }},
	domain.TypeSessionDisconnected:    {version: 1, new: func() domain.Fact { return new(domain.SessionDisconnected) }},
	domain.TypeSettingsChanged:        {version: 1, new: func() domain.Fact { return new(domain.SettingsChanged) }},
	domain.TypeContactRequested:       {version: 1, new: func() domain.Fact { return new(domain.ContactRequested) }},
	domain.TypeContactAccepted:        {version: 1, new: func() domain.Fact { return new(domain.ContactAccepted) }},
	domain.TypeContactDeclined:        {version: 1, new: func() domain.Fact { return new(domain.ContactDeclined) }},
	domain.TypeContactRemoved:         {version: 1, new: func() domain.Fact { return new(domain.ContactRemoved) }},
	domain.TypeContactRemarked:        {version: 1, new: func() domain.Fact { return new(domain.ContactRemarked) }},
	domain.TypeUserBlocked:            {version: 1, new: func() domain.Fact { return new(domain.UserBlocked) }},
	domain.TypeUserUnblocked:          {version: 1, new: func() domain.Fact { return new(domain.UserUnblocked) }},
	domain.TypeScheduleCreated:        {version: 1, new: func() domain.Fact { return new(domain.ScheduleCreated) }},
	domain.TypeScheduleCancelled:      {version: 1, new: func() domain.Fact { return new(domain.ScheduleCancelled) }},
	domain.TypeScheduleFired:          {version: 1, new: func() domain.Fact { return new(domain.ScheduleFired) }},
	domain.TypeScheduleFailed:         {version: 1, new: func() domain.Fact { return new(domain.ScheduleFailed) }},
	domain.TypeNoticePublished:        {version: 1, new: func() domain.Fact { return new(domain.NoticePublished) }},
	domain.TypeLogRepaired:            {version: 1, new: func() domain.Fact { return new(domain.LogRepaired) }},
}

// versions and interned are what encoding and decoding would otherwise make for every event.
var (
	versions = make(map[domain.EventType]string, len(registry))
	interned = make(map[string]domain.EventType, len(registry))
)

func init() {
	for name, t := range registry {
		versions[name] = strconv.Itoa(t.version)
		interned[string(name)] = name
	}
}

func internType(b []byte) domain.EventType {
	if name, ok := interned[string(b)]; ok {
		return name
	}
	return domain.EventType(b)
}

// Lookup returns the newest version of an event type. It is false for a type that this binary does not know.
func Lookup(name domain.EventType) (version int, ok bool) {
	t, ok := registry[name]
	return t.version, ok
}

// Types returns the names of all event types, in order.
func Types() []domain.EventType { return slices.Sorted(maps.Keys(registry)) }

// decodeFact raises data to the newest version and decodes it.
func decodeFact(name domain.EventType, version int, data json.RawMessage) (domain.Fact, error) {
	data, err := raise(name, version, data)
	if err != nil {
		return nil, err
	}
	fact := registry[name].new()
	if err := json.Unmarshal(data, fact); err != nil {
		return nil, fmt.Errorf("decode %s: %w", name, err)
	}
	return fact, nil
}

// raise turns data of an older version into the newest.
func raise(name domain.EventType, version int, data json.RawMessage) (json.RawMessage, error) {
	t, ok := registry[name]
	if !ok {
		return nil, fmt.Errorf("event type %q is not known to this version of mpim", name)
	}
	if version < 1 || version > t.version {
		return nil, fmt.Errorf("version %d of event type %q is not known to this version of mpim", version, name)
	}
	for v := version; v < t.version; v++ {
		var err error
		if data, err = t.upcasters[v-1](data); err != nil {
			return nil, fmt.Errorf("raise %s from version %d: %w", name, v, err)
		}
	}
	return data, nil
}

// IsSequenced says whether events of the type take a sequence in their conversation. It is false for a type that this binary does
// not know.
func IsSequenced(name domain.EventType) bool {
	t, ok := registry[name]
	return ok && t.new().Sequenced()
}
