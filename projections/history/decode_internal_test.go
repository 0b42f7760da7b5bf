package history

import (
	"encoding/json"
	"testing"
)

// What cut takes apart is what the decoder would have made of it.
func FuzzCut(f *testing.F) {
	for _, seed := range []string{
		`{"client_id":"c-1","body":{"type":"text","text":"hi"}}`,
		`{"client_id":"c-1","body":{"type":"text","text":"\"}"},"reply_to":5}`,
		`{"client_id":"c\n","body":{}}`, `{"client_id":"é","body":{}}`, `{"client_id":"","body":null}`,
		`{"client_id":"a","body":{},"body":{}}`, `{"client_id":"a","body":{}} `, `{"client_id":"a","body":}`, `{"client_id":"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var cut, decoded sentData
		if !cut.cut(data) {
			if cut.ClientID != "" || cut.Body != nil {
				t.Error("it changed something")
			}
			return
		}
		if err := json.Unmarshal(data, &decoded); err != nil {
			t.Fatalf("the decoder refuses it: %v", err)
		}
		if cut.ClientID != decoded.ClientID || !equalJSON(cut.Body, decoded.Body) || decoded.ReplyTo != 0 || decoded.Mentions != nil {
			t.Errorf("cut made %q %s, the decoder %+v", cut.ClientID, cut.Body, decoded)
		}
	})
}

// equalJSON compares bodies; the decoder drops the space around one.
func equalJSON(a, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return len(a) == len(b)
	}
	left, _ := json.Marshal(x)
	right, _ := json.Marshal(y)
	return string(left) == string(right)
}
