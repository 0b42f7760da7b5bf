// Package pair holds the rules between two users: their direct conversation, whose message rules are those of
// mpim/domain/conversation, and what they allow each other.
//
// The fields of its decision state are those of a conversation, and
//
//	sides  what each of the two has decided about the other: contact, request, block, remark (JSON)
//
// # Design
//
// Both users' contact state and blocks belong to the same aggregate as their messages, so a block takes effect with the
// very next append: it raises the version on which a send is guarded. They stand beside the conversation in [State], in
// one field that is loaded with every command: a command that names the conversation alone cannot name its users' fields.
// A conversation that was created never ends, and nobody leaves it; so its users are in the header, and neither has
// windows of its own.
//
// The first message creates the conversation in the same commit. The conversation's first sequence is therefore that of
// conversation.created, and no message ever has it. Contacts and blocks need no conversation, and create none.
//
// Whoever is blocked writes nothing more: no message, no edit, no reaction, no request. It may still take back what it
// wrote. The other way, who blocks somebody may write, as the protocol forbids only the one direction. A block ends what
// either had asked the other, with events of its own, so that whoever folds them need not know this rule; it leaves a
// contact as it is.
//
// Whether somebody takes messages from strangers is a setting of its account, so of another aggregate. It is read before
// the send and comes in with it ([Send.ContactsOnly]); who is a contact is decided here. So a message that was on its way
// while the setting changed may still arrive, and none that is sent after the change was answered. Rejected: a copy of
// the setting in each pair, which would make one change of a user with many conversations as many appends, and would be
// wrong until the last of them; and an append to two partitions at once, which the log does not have.
//
// Texts of requests and remarks are in their events and nowhere in the state: erasing somebody's words must not need a
// search through the state of all pairs. Of a remark the state has a digest, which tells whether it is already so.
package pair
