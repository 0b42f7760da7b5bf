package api_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"mpim/handlers/api"
	"mpim/handlers/api/apitest"
)

// What a send costs the gateway's processor beside Redis: decoding, deciding, encoding the commit and the answer.
func BenchmarkSend(b *testing.B) {
	bench := apitest.New(b, nil)
	alice, bob := bench.User(b, "alice"), bench.User(b, "bob")
	operation, _ := bench.Registry.Lookup("message.send")
	n := 0
	for b.Loop() {
		n++
		params := fmt.Sprintf(`{"to":{"user":%q},"client_id":"%d","body":{"type":"text","text":"What a send costs, in words that somebody might say."}}`, bob.User, n)
		result, err := operation.Call(b.Context(), alice, json.RawMessage(params))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := api.Encode(result); err != nil {
			b.Fatal(err)
		}
	}
}
