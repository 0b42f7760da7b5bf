// Package history keeps what was said and who was there, in SQL: conversations, members over time, messages as they
// stand, every revision, and reactions.
package history
