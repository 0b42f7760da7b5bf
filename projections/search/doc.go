// Package search finds messages by their words, in SQL.
//
// The tables of a build, whose names begin with search_<build>_:
//
//	terms     (conversation, term, at_ms, seq): one row for each different term of each message, see package words
//	messages  (conversation, seq): one row for each message that is not gone: its folded text, from which its terms follow
//
// What is searched is the text of text messages and the names of files. [Queries] reads the live build for users;
// [Definition] makes one.
//
// # Promises
//
// The rows of a build follow from the events alone: however they are cut into batches, delivered again, or taken over, the
// same events give the same rows, in every dialect.
//
// A message is found by its words as it stands: an edit replaces its terms, and a recall, an expiry or an erasure takes them
// away, with the text.
//
// Whoever may not see a message, or only as it stood before an edit, does not learn from a search what it says.
//
// # Design
//
// The key of terms begins with the conversation, because a search is in conversations that the caller is a member of, and
// because what is said in one conversation lies together in the index then. Within, rows are in the order of
// time, so that the newest matches of each conversation are the end of a range, and a page is merged from these ends. The
// time is that of the event, whole milliseconds, and the sequence where times are the same; the order of a conversation's
// sequences would not do, because clocks step back and sequences of two conversations cannot be compared.
//
// A query looks its longest term up and asks for the others message by message. What has all terms is compared with
// the text: the terms say that "你好" and "好吗" are there, not that "你好吗" is.
//
// Rejected: the servers' own full-text indexes, which cut and fold text differently on every server, or not at all
// (MariaDB has no parser for scripts without spaces), and which are filled outside of the transaction.
package search
