package schema

import (
	"encoding/json"
	"slices"
	"strconv"
	"testing"

	"mpim/domain"
)

// Release makes a next version of an event type, as if it had been released, until the test ends. The upcaster raises to it. Tests
// that do this cannot be parallel.
func Release(tb testing.TB, name domain.EventType, upcaster func(json.RawMessage) (json.RawMessage, error)) {
	tb.Helper()
	old := registry[name]
	tb.Cleanup(func() { registry[name], versions[name] = old, strconv.Itoa(old.version) })
	next := old
	next.version++
	next.upcasters = append(slices.Clip(old.upcasters), upcaster)
	registry[name], versions[name] = next, strconv.Itoa(next.version)
}
