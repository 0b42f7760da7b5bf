// Package projectionstest is what tests of SQL projections need: private MariaDB servers that can be killed and started
// again.
package projectionstest
