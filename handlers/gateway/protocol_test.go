package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/gateway"
	"mpim/schema"
)

func hello(token string) string {
	return `{"jsonrpc":"2.0","id":"hello","method":"hello","params":{"token":"` + token + `"}}`
}

// until waits until something holds. In a bubble that takes no real time.
func until(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for range 60_000 {
		if holds() {
			return
		}
		<-ticker.C
	}
	tb.Fatalf("never: %s", what)
}

func (w *world) endings() []ending {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.ended)
}

func TestWhoDoesNotSayHelloIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		serve(t, newWorld(), "g1").dial(t).wantClose(gateway.CloseNoHello)
		if waited := time.Since(began); waited != 10*time.Second {
			t.Errorf("closed after %v, want 10s", waited)
		}
	})
}

func TestHelloIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		token   string
		refusal error
		want    gateway.CloseCode
	}{
		"no token":  {token: "", want: gateway.CloseNoHello},
		"bad token": {token: "bad", want: gateway.CloseNoHello},
		"suspended": {token: "alice", refusal: domain.Errorf(domain.PermissionDenied, "suspended"), want: gateway.CloseSuspended},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.refusal = c.refusal
				client := serve(t, w, "g1").dial(t)
				client.send(hello(c.token))
				if frames := client.wantClose(c.want); len(frames) != 1 || !strings.Contains(frames[0], `"id":"hello","error":`) {
					t.Errorf("frames before the close: %v", frames)
				}
			})
		})
	}
}

func TestHelloThatFailedForNowMayBeTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		c := s.dial(t)
		w.mu.Lock()
		w.busErr = domain.Errorf(domain.Unavailable, "down")
		w.mu.Unlock()
		if answer := c.ask(hello("alice")); !strings.Contains(answer, `"code":"unavailable"`) {
			t.Fatalf("answer %s", answer)
		}
		w.mu.Lock()
		w.busErr = nil
		w.mu.Unlock()
		if answer := c.ask(hello("alice")); !strings.Contains(answer, `"result"`) {
			t.Fatalf("answer %s", answer)
		}
		// The connection that did not come about is recorded as ended.
		until(t, "the failed attempt is recorded as ended", func() bool { return len(w.endings()) == 1 })
		if first := w.connected[0].Connection; w.endings()[0].connection != first {
			t.Errorf("ended %v, want %s", w.endings(), first)
		}
	})
}

func TestTheTokenMayStandInTheHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newWorld(), "g1")
		c := s.dialWith(t, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer alice"}}})
		if answer := c.ask(`{"jsonrpc":"2.0","id":1,"method":"hello"}`); !strings.Contains(answer, string(placement.User("alice"))) {
			t.Errorf("answer %s", answer)
		}
	})
}

func TestOriginsAreChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newWorld(), "g1", func(c *gateway.Config) { c.AllowedOrigins = []string{"https://*.example.com"} })
		for origin, allowed := range map[string]bool{
			"https://chat.example.com": true, "http://chat.example.com": false, "https://evil.test": false, "http://gateway": true,
		} {
			transport := &http.Transport{DialContext: s.listener.dial, DisableKeepAlives: true}
			socket, response, err := websocket.Dial(t.Context(), "ws://gateway/v1/ws", &websocket.DialOptions{
				HTTPClient: &http.Client{Transport: transport}, HTTPHeader: http.Header{"Origin": {origin}},
			})
			if (err == nil) != allowed {
				t.Errorf("origin %s: %v", origin, err)
			}
			if err == nil {
				_ = socket.CloseNow()
			} else if response.StatusCode != http.StatusForbidden {
				t.Errorf("origin %s: status %d", origin, response.StatusCode)
			}
			if response != nil && response.Body != nil {
				_ = response.Body.Close()
			}
		}
	})
}

func TestPlainRequestsAreToldToUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newWorld(), "g1")
		client := &http.Client{Transport: &http.Transport{DialContext: s.listener.dial, DisableKeepAlives: true}}
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gateway/v1/ws", nil)
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusUpgradeRequired || !json.Valid(body) || !strings.Contains(string(body), `"code"`) {
			t.Errorf("%s: %s", response.Status, body)
		}
	})
}

func TestFramesOverTheLimitCloseWith1009(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newWorld(), "g1")
		c := s.hello(t, "alice")
		c.send(`{"jsonrpc":"2.0","id":1,"method":"ping","params":"` + strings.Repeat("x", 64<<10) + `"}`)
		c.wantClose(gateway.CloseTooBig)
	})
}

func TestTheConnectionSurvivesBadFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newWorld(), "g1")
		c := s.hello(t, "alice")
		for i := range 19 {
			if answer := c.ask(strings.Repeat("[", i)); !strings.Contains(answer, "-32700") {
				t.Fatalf("answer %s", answer)
			}
		}
		if answer := c.ask(`{"jsonrpc":"2.0","id":1,"method":"ping"}`); !strings.Contains(answer, "server_time") {
			t.Fatalf("answer %s", answer)
		}
		c.send("{")
		c.wantClose(gateway.CloseViolation)
	})
}

func TestAnOperationThatPanicsIsAnInternalError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		w.on("boom", gateway.Operation{}, func(context.Context, api.Caller, json.RawMessage) (string, error) { panic("secret") })
		w.on("fail", gateway.Operation{}, func(context.Context, api.Caller, json.RawMessage) (string, error) {
			return "", errors.New("secret")
		})
		c := s.hello(t, "alice")
		for _, method := range []string{"boom", "fail", "boom"} {
			answer := c.ask(`{"jsonrpc":"2.0","id":1,"method":"` + method + `"}`)
			if !strings.Contains(answer, `"code":-32603`) || !strings.Contains(answer, `"request_id":"`) || strings.Contains(answer, "secret") {
				t.Errorf("answer %s", answer)
			}
		}
	})
}

// TestRequestsOfOneConversationKeepTheirOrder sends to one pair, by either of its names, while earlier requests take
// longer than later ones.
func TestRequestsOfOneConversationKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		bob := placement.User("bob")
		pair := placement.Pair(placement.User("alice"), bob)
		var mu sync.Mutex
		var order []int
		w.on("message.send", gateway.Operation{Changes: true}, func(_ context.Context, _ api.Caller, params json.RawMessage) (string, error) {
			var p struct{ N int }
			_ = json.Unmarshal(params, &p)
			<-time.After(time.Duration(10-p.N) * time.Second)
			mu.Lock()
			defer mu.Unlock()
			order = append(order, p.N)
			return "{}", nil
		})
		c := s.hello(t, "alice")
		for n, to := range []string{`"to":{"user":"` + string(bob) + `"}`, `"conversation":"` + string(pair) + `"`, `"to":{"conversation":"` + string(pair) + `"}`} {
			c.send(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"message.send","params":{"N":%d,%s}}`, n, n, to))
		}
		c.send(`{"jsonrpc":"2.0","id":9,"method":"message.send","params":{"N":9,"to":{"conversation":"other"}}}`)
		for range 4 {
			c.next()
		}
		if want := []int{9, 0, 1, 2}; !slices.Equal(order, want) {
			t.Errorf("order %v, want %v", order, want)
		}
	})
}

func TestPendingRequestsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1", func(c *gateway.Config) { c.Limits.Pending, c.Limits.Running = 5, 2 })
		release := make(chan struct{})
		running := make(chan struct{}, 10)
		w.on("wait", gateway.Operation{}, func(context.Context, api.Caller, json.RawMessage) (string, error) {
			running <- struct{}{}
			<-release
			return "{}", nil
		})
		c := s.hello(t, "alice")
		for range 5 {
			c.send(`{"jsonrpc":"2.0","id":1,"method":"wait"}`)
		}
		if answer := c.ask(`{"jsonrpc":"2.0","id":2,"method":"wait"}`); !strings.Contains(answer, "rate_limited") {
			t.Errorf("answer %s", answer)
		}
		synctest.Wait()
		if len(running) != 2 {
			t.Errorf("%d run at a time, want 2", len(running))
		}
		close(release)
		for range 5 {
			c.want(`{"jsonrpc":"2.0","id":1,"result":{}}`)
		}
	})
}

// rawClient speaks by hand, so that it can be silent.
func (s *server) rawClient(t *testing.T, user string) net.Conn {
	t.Helper()
	conn, err := openByHand(must(s.listener.dial(t.Context(), "", "")), user)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestAClientThatIsSilentIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		conn := s.rawClient(t, "alice")
		began := time.Now()
		got, _ := io.ReadAll(conn)
		// Two bytes of ping, then the close frame with its code.
		if len(got) < 6 || got[0] != 0x89 || got[2] != 0x88 || int(got[4])<<8|int(got[5]) != int(gateway.CloseLost) {
			t.Errorf("got %x", got)
		}
		if waited := time.Since(began); waited < 50*time.Second || waited > 56*time.Second {
			t.Errorf("closed after %v", waited)
		}
		until(t, "the end is recorded", func() bool { return len(w.endings()) == 1 })
		if reason := w.endings()[0].reason; reason != "lost" {
			t.Errorf("recorded as %s", reason)
		}
	})
}

func TestAClientThatAnswersPingsStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, newWorld(), "g1")
		c := s.hello(t, "alice")
		<-time.After(time.Hour)
		c.ask(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	})
}

func TestATokenThatExpiresCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.expires = time.Now().Add(90 * time.Second)
		s := serve(t, w, "g1")
		began := time.Now()
		s.hello(t, "alice").wantClose(gateway.CloseRevoked)
		if waited := time.Since(began); waited != 90*time.Second {
			t.Errorf("closed after %v", waited)
		}
	})
}

func TestHowAConnectionEndedIsRecorded(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(s *server, c *client)
		want string
	}{
		"the client says goodbye": {func(_ *server, c *client) { _ = c.socket.Close(websocket.StatusNormalClosure, "") }, "closed"},
		"the connection is lost":  {func(_ *server, c *client) { _ = c.socket.CloseNow() }, "lost"},
		"the session is revoked": {func(s *server, c *client) {
			item := schema.Item{Class: schema.ClassClose, Close: uint16(gateway.CloseRevoked), Connections: numbers([]domain.ConnectionID{c.id})}
			s.push("g1", 0, false, item)
			c.wantClose(gateway.CloseRevoked)
		}, "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				s := serve(t, w, "g1")
				client := s.hello(t, "alice")
				c.end(s, client)
				until(t, "the end is recorded", func() bool { return len(w.endings()) == 1 })
				if got := w.endings()[0]; got.reason != c.want || got.connection != client.id {
					t.Errorf("recorded %v, want %s", got, c.want)
				}
			})
		})
	}
}

func TestASlowClientIsClosedAndOthersAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1", func(c *gateway.Config) { c.Limits.QueueFrames = 100 })
		slow := s.rawClient(t, "slow")
		slowID := w.connected[0].Connection
		fast := s.hello(t, "fast")
		for i := range 300 {
			w.push("g1", 1, false, event(fmt.Sprintf(`{"n":%d}`, i), slowID, fast.id))
			fast.want(fmt.Sprintf(`{"n":%d}`, i))
		}
		// The reader comes back before patience ends: what was on its way arrives, then the reason.
		got, _ := io.ReadAll(slow)
		if n := len(got); n < 6 || !strings.Contains(string(got), "slow consumer") {
			t.Errorf("got …%q", got[max(0, n-60):])
		}
		fast.ask(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	})
}

func TestResumeClosesTheOlderSocket(t *testing.T) {
	for _, second := range []string{"g1", "g2"} {
		t.Run("at "+second, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				servers := map[string]*server{"g1": serve(t, w, "g1")}
				if second == "g2" {
					servers["g2"] = serve(t, w, "g2")
				}
				old := servers["g1"].hello(t, "alice")
				bystander := servers["g1"].hello(t, "bob")
				resumed := servers[second].dial(t)
				resumed.ask(`{"jsonrpc":"2.0","id":1,"method":"hello","params":{"token":"alice","resume":{"connection":"` + string(old.id) + `"}}}`)
				old.wantClose(gateway.CloseNormal)
				// Only one's own.
				thief := servers[second].dial(t)
				thief.ask(`{"jsonrpc":"2.0","id":1,"method":"hello","params":{"token":"alice","resume":{"connection":"` + string(bystander.id) + `"}}}`)
				synctest.Wait()
				bystander.ask(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
				resumed.ask(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
			})
		})
	}
}

func TestLongFramesAreCompressedForWhoOffersIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := serve(t, w, "g1")
		long := `{"text":"` + strings.Repeat("long ", 10_000) + `"}`
		w.on("long", gateway.Operation{}, func(context.Context, api.Caller, json.RawMessage) (string, error) { return long, nil })
		c := s.dialWith(t, &websocket.DialOptions{
			Subprotocols: []string{gateway.Subprotocol}, CompressionMode: websocket.CompressionNoContextTakeover, CompressionThreshold: 1,
		})
		c.ask(hello("alice"))
		for range 3 {
			c.send(`{"jsonrpc":"2.0","id":1,"method":"long"}`)
			c.want(`{"jsonrpc":"2.0","id":1,"result":` + long + `}`)
		}
	})
}
