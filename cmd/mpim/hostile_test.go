package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// described is what the served document says of the operations.
type described struct {
	Paths map[string]map[string]struct {
		OperationID string `json:"operationId"`
		Parameters  []struct {
			Name string `json:"name"`
			In   string `json:"in"`
		} `json:"parameters"`
		RequestBody *struct{} `json:"requestBody"`
	} `json:"paths"`
}

// hostileParams are parameters that no operation takes.
var hostileParams = map[string]string{
	"an unknown member":  `{"no_such_member":1}`,
	"an array":           `[1]`,
	"a number":           `7`,
	"nested deeply":      `{"no_such_member":` + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + `}`,
	"a string with NUL":  `{"no_such_member":"\u0000"}`,
	"a member of others": `{"__proto__":{"user":"x"}}`,
}

// hostileText is no JSON at all, or not of the kind that is taken.
var hostileText = map[string]string{
	"cut short":        `{"a":`,
	"a name twice":     `{"a":1,"a":2}`,
	"invalid UTF-8":    "{\"a\":\"\xff\"}",
	"brackets":         strings.Repeat("[", 30_000),
	"half a character": `{"a":"\ud800"}`,
}

// TestHostileInputs sends every operation that is served what none takes, over both transports: each is refused with a
// code that blames the request, the connection stays usable, and nothing is appended.
func TestHostileInputs(t *testing.T) {
	t.Parallel()
	d := deploy(t, layout{gateways: 1, workers: 1})
	ctx, base := t.Context(), d.gateways[0].url
	ann, err := register(ctx, base, "hostile")
	if err != nil {
		t.Fatal(err)
	}
	var document described
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/v1/openapi.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&document); err != nil {
		t.Fatal(err)
	}
	before := events(t, d)
	methods := hostileRequests(t, base, ann.Token, &document)
	if got := events(t, d); got != before {
		t.Errorf("over HTTP, %d events were appended", got-before)
	}
	if len(methods) < 25 {
		t.Errorf("only %d operations are described", len(methods))
	}
	methods = append(methods, "typing.set", "presence.watch", "ping", "receipt.delivered", "receipt.read", "hello", "no.such.method")
	for _, method := range methods {
		hostileFrames(ctx, t, base, ann.Token, method)
	}
	if got := events(t, d); got != before {
		t.Errorf("over the socket, %d events were appended", got-before)
	}
	t.Logf("%d operations were tried", len(methods))
}

// events returns how many events there are of anything but sockets.
func events(t *testing.T, d *deployment) int {
	t.Helper()
	output, err := d.run(t.Context(), "replay", "--json")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(output, "\n") - strings.Count(output, `"type":"session.connected"`) - strings.Count(output, `"type":"session.disconnected"`)
}

// hostileRequests sends bad bodies and queries to every route, and returns the names of the operations.
func hostileRequests(t *testing.T, base, token string, document *described) (methods []string) {
	t.Helper()
	for _, path := range slices.Sorted(maps.Keys(document.Paths)) {
		for verb, operation := range document.Paths[path] {
			methods = append(methods, operation.OperationID)
			url := base + strings.NewReplacer("{", "", "}", "").Replace(path)
			try := func(what, url, body string) {
				t.Helper()
				request, err := http.NewRequestWithContext(t.Context(), strings.ToUpper(verb), url, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				request.Header.Set("Authorization", "Bearer "+token)
				if body != "" {
					request.Header.Set("Content-Type", "application/json")
				}
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				var problem struct{ Code string }
				err = json.NewDecoder(response.Body).Decode(&problem)
				if response.StatusCode < 400 || response.StatusCode >= 500 || err != nil || problem.Code == "" {
					t.Errorf("%s %s with %s: %d, code %q, %v", verb, path, what, response.StatusCode, problem.Code, err)
				}
			}
			try("an unknown parameter", url+"?no_such_member=1", "")
			if operation.RequestBody == nil {
				continue
			}
			for what, body := range hostileParams {
				try(what, url, body)
			}
			for what, body := range hostileText {
				try(what, url, body)
			}
		}
	}
	slices.Sort(methods)
	return slices.Compact(methods)
}

// hostileFrames sends bad frames that name a method, and finds the connection usable afterwards.
func hostileFrames(ctx context.Context, t *testing.T, base, token, method string) {
	t.Helper()
	s, err := connect(ctx, base, token, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for what, params := range hostileParams {
		err := s.call(ctx, method, json.RawMessage(params), nil)
		switch code := codeOf(err); code {
		case "invalid_argument", "not_found", "failed_precondition", "too_large", "conflict", "permission_denied", "unauthenticated":
		default:
			if method == "ping" && err == nil {
				continue // it takes nothing, whatever it is given
			}
			t.Errorf("%s with %s: %v", method, what, err)
		}
	}
	for _, text := range hostileText {
		frame := fmt.Sprintf(`{"jsonrpc":"2.0","id":"x","method":%q,"params":%s}`, method, text)
		if err := s.conn.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
			t.Errorf("%s: %v", method, err)
		}
	}
	if err := s.call(ctx, "ping", map[string]any{}, nil); err != nil {
		t.Errorf("after %s the connection is not usable: %v", method, err)
	}
}
