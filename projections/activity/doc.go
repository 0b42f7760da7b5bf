// Package activity counts who does how much, when, and how fast others answer, in SQL.
//
// The tables of a build, whose names begin with activity_<build>_:
//
//	users          (day, hour, user_id): what a user did in an hour of a day in UTC, one row for each hour in which there
//	               was anything
//	conversations  (conversation): how large each is now
//	responses      (day, kind, within_s): a histogram of the times between a message and the next one of somebody else in its
//	               conversation
//
// [Definition] makes them; analysts read them through its views.
//
// # Promises
//
// The rows of a build follow from the events alone: however they are cut into batches, delivered again, or taken over, the
// same events give the same rows, in every dialect.
//
// # Design
//
// A user writes in conversations of many partitions, so their workers count in the same rows: by additions, which can cross each
// other, as tables.Add makes them. What is counted is what was done; a message that is recalled later was sent.
//
// Active users of a day are those who have a row in one of its hours: exact, at the cost of a row for each user and hour.
// Sketches of sets would be smaller, and could not be asked who. Response times go into buckets whose bounds are fixed, so
// that medians of any span of days can be read from sums; what takes longer than a day is no answer and not counted.
package activity
