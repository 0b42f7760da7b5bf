// Package webhooks keeps who is told of events over HTTP, and how far each has come: one row a webhook, and one a
// webhook and partition.
//
// # Design
//
// A webhook is no projection, for nothing is computed; but it has what one has: a checkpoint a partition, moved by comparing
// it under the token of a lease. It is moved after the receiver took the events, so each is delivered at least once. A worker
// that lost its lease, or whose webhook was set to another place meanwhile, fails to move it and begins anew.
//
// Since when a receiver fails is kept here too, so that a worker that dies in the middle neither starts the time over
// nor asks again at once.
package webhooks
