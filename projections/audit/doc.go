// Package audit
package audit
