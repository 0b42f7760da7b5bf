// Package rows keeps the rows of a projection's table in memory while a run of events is folded over them.
//
// A fold loads the rows that its events name ([Rows.Load]), gets, puts and deletes them as if there were no database, and
// writes each row that changed once, however many events changed it ([Rows.Flush]).
//
// # Design
//
// Reading before writing is safe because the checkpoint's row, locked first, admits one writer of a partition, and a row
// belongs to one partition. What a row is after a run of events follows from what it was before and the events alone, so
// any batching gives the same rows. Statements are the same on MySQL and SQLite, and rows are written in the order of their
// keys, so that two writers of different partitions do not lock each other out.
package rows
