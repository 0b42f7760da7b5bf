package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// TestSlowConsumer has a client stop reading while more comes than is kept for it: it is closed with 4001, resumes, and
// misses nothing.
func TestSlowConsumer(t *testing.T) {
	d := deploy(t, layout{gateways: 1, workers: 1})
	ctx := t.Context()
	ann := newPerson(t, d.gateways[0].url, "slow-ann", false)
	ben, err := register(ctx, ann.base, "slow-ben")
	if err != nil {
		t.Fatal(err)
	}
	first := ann.speak(t, ann.gather(t, params{"title": "Slow"}, &person{login: ben}), "first", nil)
	conn, _, err := websocket.Dial(ctx, strings.Replace(ann.base, "http", "ws", 1)+"/v1/ws", &websocket.DialOptions{ //nolint:bodyclose // the library closes it
		Subprotocols: []string{"mpim.v1.json"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(2 << 20)
	hello := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"hello","params":{"token":%q}}`, ben.Token)
	if err := conn.Write(ctx, websocket.MessageText, []byte(hello)); err != nil {
		t.Fatal(err)
	}
	_, frame, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	connection := decoded[struct {
		Result struct {
			Connection string `json:"connection"`
		} `json:"result"`
	}](t, frame).Result.Connection
	// Buffers of both systems take some megabytes before anything waits in the server: send far more, reading nothing.
	const messages = 1000
	long := strings.Repeat("x", 15_000)
	var last sent
	for n := range messages {
		last = ann.speak(t, first.Conversation, strconv.Itoa(n), params{"body": say(long)})
	}
	reading, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for err == nil {
		_, _, err = conn.Read(reading)
	}
	if code := websocket.CloseStatus(err); code != 4001 {
		t.Errorf("a client that does not read is closed with %d: %v", code, err)
	}
	again, err := connect(ctx, ann.base, ben.Token, connection, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	since := first.Seq
	for since < last.Seq {
		var answer syncAnswer
		if err := again.call(ctx, "sync", params{"since": params{first.Conversation: since}, "only": true}, &answer); err != nil {
			t.Fatal(err)
		}
		if len(answer.Conversations) != 1 || answer.Conversations[0].Reset || len(answer.Conversations[0].Events) == 0 {
			raw, _ := json.Marshal(answer) //nolint:errchkjson // it was read from JSON
			t.Fatalf("behind %d sync says %.300s", since, raw)
		}
		for _, e := range answer.Conversations[0].Events {
			if e.Seq != since+1 {
				t.Fatalf("%d comes behind %d", e.Seq, since)
			}
			since = e.Seq
		}
	}
}
