// Package apitest has the operations of handlers/api on a log in memory and the real projections, on an embedded Redis and
// SQLite. It is for tests.
package apitest
