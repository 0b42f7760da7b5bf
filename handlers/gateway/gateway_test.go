package gateway_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"

	"mpim/handlers/api"
	"mpim/handlers/gateway"
)

func TestAMessageGoesFromSocketToSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		alice, bob := s.hello(t, "alice"), s.hello(t, "bob")
		w.on("message.send", gateway.Operation{Changes: true}, func(_ context.Context, caller api.Caller, params json.RawMessage) (string, error) {
			w.push("g1", 2, false, event(`{"jsonrpc":"2.0","method":"event","params":`+string(params)+`}`, bob.id))
			return `{"from":"` + string(caller.User) + `"}`, nil
		})
		got := alice.ask(`{"jsonrpc":"2.0","id":1,"method":"message.send","params":{"text":"hi"}}`)
		if want := `{"jsonrpc":"2.0","id":1,"result":{"from":"` + string(placement.User("alice")) + `"}}`; got != want {
			t.Errorf("answer %s, want %s", got, want)
		}
		bob.want(`{"jsonrpc":"2.0","method":"event","params":{"text":"hi"}}`)
		alice.silent()
	})
}

func TestHelloSaysWhatTheClientNeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newWorld(), "g1")
		c := s.dial(t)
		answer := c.ask(`{"jsonrpc":"2.0","id":1,"method":"hello","params":{"token":"alice","client":"test/1"}}`)
		for _, part := range []string{
			`"connection":"c`, `"session":"s`, `"user":"` + string(placement.User("alice")) + `"`, `"gateway":"g1"`,
			`"server_time":"2000-01-01T00:00:0`, `"heartbeat_s":25`, `"limits":{`, `"user_seq":7`, `"epoch":"e1"`,
		} {
			if !strings.Contains(answer, part) {
				t.Errorf("hello lacks %s: %s", part, answer)
			}
		}
	})
}
