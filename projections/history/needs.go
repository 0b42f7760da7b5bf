package history

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"mpim/domain"
)

// keys is a set of keys of rows.
type keys[K comparable] map[K]bool

func (k keys[K]) sorted(compare func(a, b K) int) []K {
	return slices.SortedFunc(maps.Keys(k), compare)
}

// needs are the stored rows that a run of events depends on. What the run makes itself is not stored yet.
type needs struct {
	conversations keys[string]
	members       keys[memberKey]
	messages      keys[numberedKey]
	reactions     keys[reactionKey]
}

func needsOf(changes []change) needs {
	n := needs{keys[string]{}, keys[memberKey]{}, keys[numberedKey]{}, keys[reactionKey]{}}
	created, sent := keys[string]{}, keys[numberedKey]{}
	for i := range changes {
		c := &changes[i]
		switch {
		case c.sent != nil:
			sent[numberedKey{c.conversation, c.seq}] = true
			continue
		case c.edited != nil:
			n.message(sent, c, c.edited.Message)
			continue
		case c.erases != "":
			continue
		}
		user := func(user domain.UserID) {
			if !created[c.conversation] {
				n.members[memberKey{c.conversation, string(user)}] = true
			}
		}
		switch fact := c.fact.(type) {
		case *domain.ConversationCreated:
			created[c.conversation] = true
		case *domain.ConversationUpdated, *domain.ConversationDissolved:
			if !created[c.conversation] {
				n.conversations[c.conversation] = true
			}
		case *domain.MemberAdded:
			user(fact.User)
		case *domain.MemberJoined:
			user(fact.User)
		case *domain.MemberLeft:
			user(fact.User)
		case *domain.MemberRemoved:
			user(fact.User)
		case *domain.MemberRoleChanged:
			user(fact.User)
		case *domain.MemberMuted:
			user(fact.User)
		case *domain.MessageRecalled:
			n.message(sent, c, int64(fact.Message))
		case *domain.MessageExpired:
			n.message(sent, c, int64(fact.Message))
		case *domain.MessageReacted:
			if n.message(sent, c, int64(fact.Message)) {
				message := numberedKey{c.conversation, int64(fact.Message)}
				n.reactions[reactionKey{message, string(c.Actor), fact.Emoji}] = true
			}
		default: // decode lets no other through
		}
	}
	return n
}

// message notes that a message is needed, and says whether it is a stored one.
func (n needs) message(sent keys[numberedKey], c *change, message int64) bool {
	key := numberedKey{c.conversation, message}
	if sent[key] {
		return false
	}
	n.messages[key] = true
	return true
}

func compareMembers(a, b memberKey) int {
	return cmp.Or(strings.Compare(a.conversation, b.conversation), strings.Compare(a.user, b.user))
}

func compareNumbered(a, b numberedKey) int {
	return cmp.Or(strings.Compare(a.conversation, b.conversation), cmp.Compare(a.seq, b.seq))
}

func compareReactions(a, b reactionKey) int {
	return cmp.Or(compareNumbered(a.numberedKey, b.numberedKey), strings.Compare(a.user, b.user), strings.Compare(a.emoji, b.emoji))
}
