// Package analysts says what analysts can read: the views over the projections in SQL and the one over their progress.
//
// # Promises
//
// Names and meanings of views and their columns do not change; more may be added. docs/analysts.md lists them all, and its
// questions are run by the tests of this package, on every kind of database.
//
// # Design
//
// A view stands between analysts and tables because tables belong to builds: a projection that was built anew shows
// through the same view. What a column means is written once, in the query behind the view, and comes from there
// into the dictionary and into the database's own comments.
package analysts

//go:generate go test -run TestDictionary -update .
