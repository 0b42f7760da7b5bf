package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/gateway"
)

func TestRefusedUpgradesAreProblemDocuments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		full := serve(t, newWorld(), "g2", func(c *gateway.Config) { c.Connections = -1 })
		handshake := map[string]string{
			"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
		}
		for name, c := range map[string]struct {
			server *server
			method string
			header map[string]string
			status int
			code   domain.Code
		}{
			"a foreign origin": {s, "GET", map[string]string{"Origin": "https://evil.test"}, 403, domain.PermissionDenied},
			"a bad origin":     {s, "GET", map[string]string{"Origin": "http://%zz"}, 403, domain.PermissionDenied},
			"no upgrade":       {s, "GET", map[string]string{"Upgrade": ""}, 426, domain.InvalidArgument},
			"no connection":    {s, "GET", map[string]string{"Connection": "keep-alive"}, 426, domain.InvalidArgument},
			"POST":             {s, "POST", nil, 405, domain.InvalidArgument},
			"a plain DELETE":   {s, "DELETE", map[string]string{"Upgrade": ""}, 405, domain.InvalidArgument},
			"an old version":   {s, "GET", map[string]string{"Sec-WebSocket-Version": "8"}, 400, domain.InvalidArgument},
			"no key":           {s, "GET", map[string]string{"Sec-WebSocket-Key": ""}, 400, domain.InvalidArgument},
			"a full gateway":   {full, "GET", nil, 503, domain.Unavailable},
		} {
			request, _ := http.NewRequestWithContext(t.Context(), c.method, "http://gateway/v1/ws", nil)
			for _, headers := range []map[string]string{handshake, c.header} {
				for name, value := range headers {
					request.Header.Del(name)
					if value != "" {
						request.Header.Set(name, value)
					}
				}
			}
			client := &http.Client{Transport: &http.Transport{DialContext: c.server.listener.dial, DisableKeepAlives: true}}
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			_ = response.Body.Close()
			var p struct {
				Title        string      `json:"title"`
				Status       int         `json:"status"`
				Code         domain.Code `json:"code"`
				RetryAfterMS int64       `json:"retry_after_ms"`
			}
			if err := json.Unmarshal(body, &p); err != nil || response.StatusCode != c.status || p.Status != c.status || p.Code != c.code || p.Title == "" {
				t.Errorf("%s: %s: %s", name, response.Status, body)
			}
			if kind := response.Header.Get("Content-Type"); kind != "application/problem+json" {
				t.Errorf("%s: content type %s", name, kind)
			}
			if (c.status == 405) != (response.Header.Get("Allow") == "GET") {
				t.Errorf("%s: Allow is %q", name, response.Header.Get("Allow"))
			}
			if (c.status == 503) != (p.RetryAfterMS == 1000 && response.Header.Get("Retry-After") == "1") {
				t.Errorf("%s: retry after %d ms, %q s", name, p.RetryAfterMS, response.Header.Get("Retry-After"))
			}
		}
	})
}

func TestParamsOfHelloAndPingAreChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newWorld(), "g1")
		c := s.dial(t)
		for _, request := range []string{
			`"hello","params":{"token":"alice","x":1}`, `"hello","params":{"token":"alice","resume":{"connection":"c","x":1}}`,
			`"hello","params":{"Token":"alice"}`, `"hello","params":{"token":1}`, `"hello","params":["alice"]`, `"hello","params":null`,
			`"ping","params":{"x":1}`, `"ping","params":[]`, `"ping","params":1`,
		} {
			answer := c.ask(`{"jsonrpc":"2.0","id":1,"method":` + request + `}`)
			if !strings.Contains(answer, `"code":-32602`) || !strings.Contains(answer, `"code":"invalid_argument"`) {
				t.Errorf("%s: answer %s", request, answer)
			}
		}
		// None of them counts as the hello.
		for _, request := range []string{`"hello","params":{"token":"alice","client":"a/1"}`, `"ping","params":{}`, `"ping"`} {
			if answer := c.ask(`{"jsonrpc":"2.0","id":1,"method":` + request + `}`); !strings.Contains(answer, `"server_time"`) {
				t.Errorf("%s: answer %s", request, answer)
			}
		}
	})
}

func TestRetryAfterIsRoundedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		var after time.Duration
		w.on("wait", gateway.Operation{}, func(context.Context, api.Caller, json.RawMessage) (string, error) {
			e := domain.Errorf(domain.RateLimited, "wait")
			e.RetryAfter = after
			return "", e
		})
		c := s.hello(t, "alice")
		for d, want := range map[time.Duration]string{
			time.Nanosecond: `,"retry_after_ms":1}`, 1500 * time.Microsecond: `,"retry_after_ms":2}`, time.Second: `,"retry_after_ms":1000}`,
			0: `"code":"rate_limited"}`,
		} {
			after = d
			if answer := c.ask(`{"jsonrpc":"2.0","id":1,"method":"wait"}`); !strings.Contains(answer, want) {
				t.Errorf("%v: answer %s", d, answer)
			}
		}
	})
}
