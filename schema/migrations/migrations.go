// Package migrations holds the SQL schema as numbered files: what is there before any projection runs. The tables of
// projections are made by their builds.
//
// # Design
//
// A file is called NNNN_name.up.sql, with NNNN_name.down.sql beside it; package database runs them in order of number, and one
// that comes late with a lower number after those that are applied. Statements end with a
// semicolon at the end of a line, and name column types by the words that database.DB.DDL knows, so that one file
// serves every dialect. Each statement can be run again without harm (IF NOT EXISTS), because MySQL commits
// each by itself and a migration may be cut off between two. Files only expand the schema and never change once
// released: their checksums are kept in the database.
//
// A file whose first line is "-- requires: N" says that from then on a binary has to know migration N at least.
package migrations

import "embed"

// Files are the migrations.
//
//go:embed *.sql
var Files embed.FS
