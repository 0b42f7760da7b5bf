// Package streamstest is what tests of the log need: private Redis servers that can be killed and started again.
package streamstest
