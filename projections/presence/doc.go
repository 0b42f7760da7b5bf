// Package presence keeps in Redis who is connected, through which gateway, and what others are told about it.
package presence
