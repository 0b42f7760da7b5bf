// Package inbox keeps in Redis what a list of conversations shows: how far each has come, its last message, and how far
// each member has received and read it.
package inbox
