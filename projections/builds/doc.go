// Package builds lets several builds of a projection stand beside each other: the state that one version of its code has
// computed from the log, and another that the same code, or changed code, computes anew while the first is read.
//
//	backfilling → catching_up → ready → live → kept → dropped
//
// and fenced from anywhere.
//
// A [Registry] keeps which builds there are, in SQL or in Redis, wherever the projection's state is. A [Family] is a projection
// with the builds of one version of its code, and what commands do with them. A [Feeder] feeds them in a worker.
//
// # Promises
//
// A build is fed exactly once with every event, however often workers are killed: its checkpoints move with its rows.
//
// Readers look the live build up together with what they read, so each answer is of one build and promoting another never
// makes a read fail. A promotion happens only at an instant at which the next build has come as far as the live one in
// every partition, so whoever waited until an event was seen still sees it.
//
// The build that was live before is fed until it is dropped, so going back is as quick.
//
// # Design
//
// There is no job that builds. The workers that hold a partition of the projection feed every build of it that they know,
// each from its own checkpoint, so a build goes on wherever partitions move, in parallel by partition, and nothing has to be
// taken up again. The lease is for a version of the code, not for a build: workers of the version before and of the next
// one share the partitions without knowing of each other, and each feeds its own builds.
//
// The live build is fed by the subscriber, which is told of new events by the server. The others read the log as an auditor
// does, archive and stream; at the head they are given the batches that the live one just got. The live build begins in
// the same way when its partition is taken, so that one that was not fed for a week goes on from the archive.
//
// The throttle goes by what it is for: the age of events when live builds have applied them. Rejected: a fixed rate, which
// is wrong on every other machine.
//
// The registry is asked once a second by every worker, so what a command changes is done a second later. Rejected: to tell
// workers by a message, which would have to be believed even when it is lost.
//
// Builds that have seen what the log has lost are fenced, and replaced ([Family.Replace]): their checkpoints take no worker any
// more. They are not read either, since what they hold beyond the log is wrong, and events to come will have the same numbers.
//
// A build's tables, or keys, are made before it is registered, by statements that can be run again, so whoever finds the
// build finds them. It is registered as dropped before they go.
package builds
