package schema

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"

	"mpim/domain"
)

// eventSchemas are generated from the facts and their comments; see the test that compares them.
//
//go:generate go test -run TestEventDocuments -update .
//go:embed events.json
var eventSchemas []byte

var parsedSchemas = sync.OnceValues(func() (map[domain.EventType]json.RawMessage, error) {
	var all map[domain.EventType]json.RawMessage
	if err := json.Unmarshal(eventSchemas, &all); err != nil {
		return nil, fmt.Errorf("read the schemas of events: %w", err)
	}
	return all, nil
})

// JSONSchemas returns, for each event type, the JSON Schema (draft 2020-12) of its data in the newest version, as anybody outside
// sees it. Later versions of mpim may add members.
func JSONSchemas() (map[domain.EventType]json.RawMessage, error) { return parsedSchemas() }
