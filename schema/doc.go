// Package schema is how facts look outside the process: as log entries, as the client protocol's objects, and as
// SQL tables.
//
// A log entry has the layout of the stock Watermill Redis Streams marshaller, so any service can read the log with
// that package alone: the field "metadata" is a MessagePack map of strings with the keys below, "payload" is JSON
//
//	{"at":"2026-01-02T03:04:05.678Z","actor":"u…","data":{…}}
//
// and "_watermill_message_uuid" is the event's id. Data is always the last member of the payload, so that it can be cut
// out without being parsed.
//
// # Design
//
// Every stored event has an explicit name and version ([Lookup]); a version once released decodes for ever, as the golden
// files in testdata/events show. A type's older versions are raised to the newest by upcasters, JSON to JSON, before
// they are decoded, so nothing but this package knows that there were others.
//
// The sequences are in the metadata because only the append script knows them: the caller writes the map up to there
// ([Draft]), the script completes it. Everything else of an event is in the payload or the id.
package schema
