// Package recent keeps in Redis the last events of every conversation that was active in the last days, for clients that
// catch up and for the facts of messages that commands are decided on.
package recent
