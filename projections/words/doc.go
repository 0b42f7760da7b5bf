// Package words brings text to the form in which it is searched: [Fold] for names that are found by their beginning,
// [Terms] and [Query] for messages that are found by their words.
//
// # Design
//
// Folding and cutting happen here, in Go, so that the same text gives the same terms on every database: MariaDB, MySQL
// and SQLite each compare and cut text by rules of their own, and MariaDB has no parser for Chinese, Japanese and Korean.
package words
