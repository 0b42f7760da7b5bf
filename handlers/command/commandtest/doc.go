// Package commandtest has a log in memory that behaves as the real one does towards commands: guards, idempotent
// requests, dense sequences and decision state. It is for tests of what stands on handlers/command; the conformance
// suite of the real log is in streams/streamstest.
package commandtest
