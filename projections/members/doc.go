// Package members keeps in Redis who belongs to which conversation, from when to when, and with which role.
package members
