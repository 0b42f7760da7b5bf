package api

import (
	"net/http"
	"slices"
)

// Registry returns all operations, ready to be called.
func (o *Operations) Registry() *Registry {
	return NewRegistry(slices.Concat(o.aboutUsers(), o.aboutContacts(), o.aboutAdministration(), o.aboutConversations(), o.aboutMessages())...)
}

// aboutUsers returns the operations on accounts, sessions and presence.
func (o *Operations) aboutUsers() []*Operation {
	return []*Operation{
		define(o, Operation{
			Method: "account.register", Verb: http.MethodPost, Path: "/v1/accounts", Status: http.StatusCreated,
			Summary: "Register an account.", Public: true, Changes: true, Limit: RegisterLimit,
		}, o.register),
		define(o, Operation{
			Method: "session.create", Verb: http.MethodPost, Path: "/v1/sessions", Status: http.StatusCreated,
			Summary: "Log in.", Public: true, Changes: true, Limit: LoginLimit,
		}, o.login),
		define(o, Operation{
			Method: "session.refresh", Verb: http.MethodPost, Path: "/v1/sessions/refresh",
			Summary: "Trade a refresh token for new tokens.", Public: true, Changes: true,
		}, o.refresh),
		define(o, Operation{
			Method: "session.list", Verb: http.MethodGet, Path: "/v1/sessions", Summary: "List the caller's sessions.",
		}, o.sessions),
		define(o, Operation{
			Method: "session.revoke", Verb: http.MethodDelete, Path: "/v1/sessions/{session}",
			Summary: "End a session; its sockets close.", Changes: true,
		}, o.revoke),
		define(o, Operation{
			Method: "account.get", Verb: http.MethodGet, Path: "/v1/me", Summary: "Get the caller's account.",
		}, o.accountGet),
		define(o, Operation{
			Method: "account.update", Verb: http.MethodPatch, Path: "/v1/me", Summary: "Change the caller's profile and settings.", Changes: true,
		}, o.accountUpdate),
		define(o, Operation{
			Method: "account.password", Verb: http.MethodPost, Path: "/v1/me/password",
			Summary: "Change the caller's password; every other session ends.", Changes: true,
		}, o.accountPassword),
		define(o, Operation{
			Method: "user.get", Verb: http.MethodGet, Path: "/v1/users/{user}", Summary: "Get a user, by id or by @name.",
		}, o.userGet),
		define(o, Operation{
			Method: "user.list", Verb: http.MethodGet, Path: "/v1/users", Summary: "Get users by their ids.",
		}, o.userList),
		define(o, Operation{
			Method: "user.search", Verb: http.MethodGet, Path: "/v1/users/search",
			Summary: "Find users by the beginning of their user name or display name.",
		}, o.userSearch),
		define(o, Operation{
			Method: "gateway.list", Verb: http.MethodGet, Path: "/v1/gateways", Summary: "List where to connect, the least loaded first.",
		}, o.gatewayList),
		define(o, Operation{
			Method: "presence.get", Verb: http.MethodGet, Path: "/v1/presence", Summary: "Ask who is online.",
		}, o.presenceGet),
		define(o, Operation{
			Method: "presence.set", Verb: http.MethodPut, Path: "/v1/me/presence", Summary: "Choose what others see.", Changes: true,
		}, o.presenceSet),
	}
}

// aboutContacts returns the operations on what users are to each other.
func (o *Operations) aboutContacts() []*Operation {
	const oneRequest, oneContact, oneBlock = "/v1/contacts/requests/{user}", "/v1/contacts/{user}", "/v1/blocks/{user}"
	return []*Operation{
		define(o, Operation{
			Method: "contact.request", Verb: http.MethodPost, Path: "/v1/contacts/requests", Status: http.StatusCreated,
			Summary: "Ask a user to be a contact.", Changes: true,
		}, o.contactRequest),
		define(o, Operation{
			Method: "contact.accept", Verb: http.MethodPost, Path: oneRequest + "/accept", Summary: "Accept what a user asked.", Changes: true,
		}, o.contactAccept),
		define(o, Operation{
			Method: "contact.decline", Verb: http.MethodPost, Path: oneRequest + "/decline", Summary: "Decline what a user asked.", Changes: true,
		}, o.contactDecline),
		define(o, Operation{
			Method: "contact.list", Verb: http.MethodGet, Path: "/v1/contacts", Summary: "List the caller's contacts and requests.",
		}, o.contactList),
		define(o, Operation{
			Method: "contact.remove", Verb: http.MethodDelete, Path: oneContact,
			Summary: "End a contact on both sides, or take a request back.", Changes: true,
		}, o.contactRemove),
		define(o, Operation{
			Method: "contact.remark", Verb: http.MethodPatch, Path: oneContact,
			Summary: "Note something about a contact for oneself alone.", Changes: true,
		}, o.contactRemark),
		define(o, Operation{
			Method: "user.block", Verb: http.MethodPut, Path: oneBlock, Summary: "Keep a user from writing to the caller.", Changes: true,
		}, o.userBlock),
		define(o, Operation{
			Method: "user.unblock", Verb: http.MethodDelete, Path: oneBlock, Summary: "Let a user write again.", Changes: true,
		}, o.userUnblock),
		define(o, Operation{
			Method: "block.list", Verb: http.MethodGet, Path: "/v1/blocks", Summary: "List whom the caller blocks.",
		}, o.blockList),
	}
}

const (
	oneConversation = "/v1/conversations/{conversation}"
	oneGroup        = "/v1/groups/{conversation}"
)

// aboutConversations returns the operations on conversations and who is in them.
func (o *Operations) aboutConversations() []*Operation {
	return []*Operation{
		define(o, Operation{
			Method: "group.create", Verb: http.MethodPost, Path: "/v1/groups", Status: http.StatusCreated,
			Summary: "Create a group.", Changes: true,
		}, o.groupCreate),
		define(o, Operation{
			Method: "group.add", Verb: http.MethodPost, Path: oneGroup + "/members", Summary: "Add members to a group.", Changes: true,
		}, o.groupAdd),
		define(o, Operation{
			Method: "group.remove", Verb: http.MethodDelete, Path: oneGroup + "/members/{user}",
			Summary: "Remove a member from a group.", Changes: true,
		}, o.groupRemove),
		define(o, Operation{
			Method: "group.leave", Verb: http.MethodPost, Path: oneGroup + "/leave", Summary: "Leave a group.", Changes: true,
		}, o.groupLeave),
		define(o, Operation{
			Method: "group.join", Verb: http.MethodPost, Path: oneGroup + "/join", Summary: "Join an open group.", Changes: true,
		}, o.groupJoin),
		define(o, Operation{
			Method: "group.update", Verb: http.MethodPatch, Path: oneGroup, Summary: "Change a group.", Changes: true,
		}, o.groupUpdate),
		define(o, Operation{
			Method: "group.role", Verb: http.MethodPut, Path: oneGroup + "/members/{user}/role",
			Summary: "Give a member another role, or hand the group over.", Changes: true,
		}, o.groupRole),
		define(o, Operation{
			Method: "group.mute", Verb: http.MethodPut, Path: oneGroup + "/members/{user}/mute",
			Summary: "Keep a member from sending for a while.", Changes: true,
		}, o.groupMute),
		define(o, Operation{
			Method: "group.dissolve", Verb: http.MethodDelete, Path: oneGroup, Summary: "End a group for all its members.", Changes: true,
		}, o.groupDissolve),
		define(o, Operation{
			Method: "group.members", Verb: http.MethodGet, Path: oneGroup + "/members", Summary: "List the members of a group.",
		}, o.groupMembers),
		define(o, Operation{
			Method: "conversation.list", Verb: http.MethodGet, Path: "/v1/conversations", Summary: "List the caller's conversations: the inbox.",
		}, o.conversationList),
		define(o, Operation{
			Method: "conversation.get", Verb: http.MethodGet, Path: oneConversation, Summary: "Get one conversation.",
		}, o.conversationGet),
		define(o, Operation{
			Method: "conversation.settings", Verb: http.MethodPatch, Path: oneConversation + "/settings",
			Summary: "Pin or mute a conversation, for the caller alone.", Changes: true,
		}, o.conversationSettings),
		define(o, Operation{
			Method: "sync", Verb: http.MethodPost, Path: "/v1/sync", Summary: "Catch up with what was missed.", Large: true,
		}, o.sync),
	}
}

// aboutMessages returns the operations on messages and what is said of them.
func (o *Operations) aboutMessages() []*Operation {
	return []*Operation{
		define(o, Operation{
			Method: "message.send", Verb: http.MethodPost, Path: "/v1/messages", Status: http.StatusCreated,
			Summary: "Send a message.", Changes: true, Limit: SendLimit,
		}, o.send),
		define(o, Operation{
			Method: "message.edit", Verb: http.MethodPatch, Path: oneConversation + "/messages/{seq}", Summary: "Edit a message.", Changes: true,
		}, o.edit),
		define(o, Operation{
			Method: "message.recall", Verb: http.MethodDelete, Path: oneConversation + "/messages/{seq}", Summary: "Take a message back.", Changes: true,
		}, o.recall),
		define(o, Operation{
			Method: "message.react", Verb: http.MethodPut, Path: oneConversation + "/messages/{seq}/reactions/{emoji}",
			Summary: "Put an emoji on a message, or take it off.", Changes: true,
		}, o.react),
		define(o, Operation{
			Method: "message.unreact", Verb: http.MethodDelete, Path: oneConversation + "/messages/{seq}/reactions/{emoji}",
			Summary: "Take an emoji off a message.", Changes: true,
		}, o.unreact),
		define(o, Operation{
			Method: "message.get", Verb: http.MethodGet, Path: oneConversation + "/messages/{seq}",
			Summary: "Get a message as it stands, and how it was edited.",
		}, o.messageGet),
		define(o, Operation{
			Method: "message.history", Verb: http.MethodGet, Path: oneConversation + "/messages",
			Summary: "Page through messages as they stand, in ascending order.", Large: true,
		}, o.history),
		define(o, Operation{
			Method: "message.receipts", Verb: http.MethodGet, Path: oneConversation + "/messages/{seq}/receipts",
			Summary: "Say who got and who read a message, and when.",
		}, o.messageReceipts),
		define(o, Operation{
			Method: "message.search", Verb: http.MethodGet, Path: "/v1/messages/search",
			Summary: "Find messages by their words, the newest first.", Large: true,
		}, o.search),
		define(o, Operation{
			Method: "message.schedule", Verb: http.MethodPost, Path: "/v1/scheduled", Status: http.StatusCreated,
			Summary: "Have a message sent later.", Changes: true, Limit: SendLimit,
		}, o.schedule),
		define(o, Operation{
			Method: "message.unschedule", Verb: http.MethodDelete, Path: "/v1/scheduled/{scheduled}",
			Summary: "Take a message back that waits to be sent.", Changes: true,
		}, o.unschedule),
		define(o, Operation{
			Method: "message.scheduled", Verb: http.MethodGet, Path: "/v1/scheduled",
			Summary: "List the caller's messages that wait to be sent, in the order of their times.", Large: true,
		}, o.scheduled),
		define(o, Operation{
			Method: "receipt.move", Verb: http.MethodPost, Path: oneConversation + "/receipts", Limit: ReceiptLimit,
			Summary: "Say how far messages were delivered and read.", Changes: true, Cumulative: true,
		}, o.receipt),
		define(o, Operation{
			Method: "receipt.delivered", Summary: "Say how far messages were delivered.", Changes: true, Cumulative: true, Limit: ReceiptLimit,
		}, o.delivered),
		define(o, Operation{
			Method: "receipt.read", Summary: "Say how far messages were read.", Changes: true, Cumulative: true, Limit: ReceiptLimit,
		}, o.read),
		define(o, Operation{
			Method: "typing.set", Summary: "Tell the other members that one types.", SocketOnly: true,
		}, o.typing),
	}
}
