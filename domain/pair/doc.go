// Package pair holds the rules between two users: their direct conversation, whose message rules are those of
// mpim/domain/conversation, and what they allow each other.
//
// # Design
//
// Both users' contact state and blocks belong to the same aggregate as their messages, so a block takes effect with the
// very next append: it raises the version on which a send is guarded. They stand beside the conversation in [State], one
// field for each side, and are loaded with every command. A conversation that was created never ends, and nobody leaves
// it; so its users are in the header, and neither has windows of its own.
//
// The first message creates the conversation in the same commit. The conversation's first sequence is therefore that of
// conversation.created, and no message ever has it.
package pair
