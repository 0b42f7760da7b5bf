package httpapi_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/api/apitest"
	"mpim/handlers/auth"
	"mpim/handlers/httpapi"
)

// server is an installation behind its REST interface.
type server struct {
	*apitest.Bench
	handler http.Handler
}

func newServer(t *testing.T, configure func(*httpapi.Config)) *server {
	t.Helper()
	b := apitest.New(t, nil)
	config := httpapi.Config{Registry: b.Registry, Gate: b.Gate, SocketDocument: []byte(`{"asyncapi":"3.0.0"}`), Version: "1.2.3"}
	if configure != nil {
		configure(&config)
	}
	handler, err := httpapi.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return &server{Bench: b, handler: handler}
}

// reply is the head of an answer.
type reply struct {
	status int
	header http.Header
}

// do makes a request: verb, path, token, body, and more headers in pairs.
func (s *server) do(t *testing.T, verb, path, token, body string, headers ...string) (reply, map[string]any) {
	t.Helper()
	if err := s.Fold(t.Context()); err != nil {
		t.Fatal(err)
	}
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	request := httptest.NewRequestWithContext(t.Context(), verb, path, reader)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	s.handler.ServeHTTP(recorder, request)
	response, text := reply{recorder.Code, recorder.Header()}, recorder.Body.Bytes()
	var answer map[string]any
	if err := json.Unmarshal(text, &answer); err != nil && verb != http.MethodHead {
		t.Fatalf("%s %s answers %q: %v", verb, path, text, err)
	}
	if media := response.header.Get("Content-Type"); response.status >= 400 && media != "application/problem+json" {
		t.Errorf("%s %s fails as %s", verb, path, media)
	}
	return response, answer
}

func (s *server) want(t *testing.T, status int, verb, path, token, body string) map[string]any {
	t.Helper()
	response, answer := s.do(t, verb, path, token, body)
	if response.status != status {
		t.Fatalf("%s %s: %d %v, want %d", verb, path, response.status, answer, status)
	}
	return answer
}

func (s *server) login(t *testing.T, name string) (token string) {
	t.Helper()
	credentials := `{"username":"` + name + `","password":"correct horse"}`
	s.want(t, 201, "POST", "/v1/accounts", "", credentials)
	token, _ = s.want(t, 201, "POST", "/v1/sessions", "", credentials)["token"].(string)
	return token
}

func TestAConversationOverREST(t *testing.T) {
	s := newServer(t, nil)
	alice, bob := s.login(t, "alice"), s.login(t, "bob")
	found, _ := s.want(t, 200, "GET", "/v1/users/@bob", alice, "")["user"].(map[string]any)
	id, _ := found["id"].(string)
	sent := s.want(t, 201, "POST", "/v1/messages", alice,
		`{"to":{"user":"`+id+`"},"client_id":"1","body":{"type":"text","text":"hällo"}}`)
	conversation, _ := sent["conversation"].(string)
	position, _ := sent["position"].(string)
	path := "/v1/conversations/" + conversation

	history := s.want(t, 200, "GET", path+"/messages?limit=10&after=0&after_position="+position, bob, "")
	if messages, _ := history["messages"].([]any); len(messages) != 1 {
		t.Errorf("history %v", history)
	}
	s.want(t, 200, "PATCH", path+"/messages/2", alice, `{"body":{"type":"text","text":"hello"}}`)
	s.want(t, 200, "POST", path+"/receipts", bob, `{"read_seq":2,"delivered_seq":2}`)
	s.want(t, 200, "GET", path, bob, "")
	s.want(t, 200, "GET", "/v1/conversations?limit=1", bob, "")
	s.want(t, 200, "DELETE", path+"/messages/2", alice, "")
	s.want(t, 200, "GET", "/v1/presence?users="+id+"&users=nobody", alice, "")
	s.want(t, 200, "PUT", "/v1/me/presence", alice, `{"status":"away"}`)
	s.want(t, 200, "POST", "/v1/sync", bob, "")
	s.want(t, 200, "POST", "/v1/sync", bob, `{"since":{"`+conversation+`":1}}`)
	s.want(t, 200, "GET", "/v1/me", bob, "")

	created, _ := s.want(t, 201, "POST", "/v1/groups", alice, `{"title":"Crew"}`)["conversation"].(map[string]any)
	group, _ := created["conversation"].(string)
	path = "/v1/groups/" + group
	s.want(t, 200, "POST", path+"/members", alice, `{"users":["`+id+`"]}`)
	s.want(t, 200, "GET", path+"/members?limit=1", alice, "")
	s.want(t, 200, "DELETE", path+"/members/"+id, alice, "")
	s.want(t, 200, "POST", path+"/leave", alice, "")

	s.want(t, 200, "GET", "/v1/sessions", alice, "")
	s.want(t, 200, "DELETE", "/v1/sessions/current", alice, "")
	s.want(t, 401, "GET", "/v1/me", alice, "")
}

func TestProblems(t *testing.T) {
	s := newServer(t, nil)
	alice := s.login(t, "alice")
	long := strings.Repeat("x", 1<<20)
	for name, c := range map[string]struct {
		verb, path, token, body string
		status                  int
		code                    domain.Code
	}{
		"no token":                        {"GET", "/v1/me", "", "", 401, domain.Unauthenticated},
		"a bad token":                     {"GET", "/v1/me", "x", "", 401, domain.Unauthenticated},
		"no token before anything else":   {"POST", "/v1/messages", "", "{", 401, domain.Unauthenticated},
		"no route":                        {"GET", "/v1/nothing", alice, "", 404, domain.NotFound},
		"no route that is not clean":      {"GET", "/v1//me", alice, "", 404, domain.NotFound},
		"another method":                  {"PUT", "/v1/me", alice, "", 405, domain.InvalidArgument},
		"no JSON":                         {"POST", "/v1/messages", alice, "{", 400, domain.InvalidArgument},
		"two values":                      {"POST", "/v1/messages", alice, "{} {}", 400, domain.InvalidArgument},
		"invalid UTF-8":                   {"POST", "/v1/messages", alice, "{\"client_id\":\"\xff\"}", 400, domain.InvalidArgument},
		"invalid UTF-8 in the query":      {"GET", "/v1/conversations?after=%ff", alice, "", 400, domain.InvalidArgument},
		"invalid UTF-8 in the path":       {"GET", "/v1/users/%ff", alice, "", 400, domain.InvalidArgument},
		"a query that is none":            {"GET", "/v1/conversations?limit=%zz", alice, "", 400, domain.InvalidArgument},
		"no object":                       {"POST", "/v1/messages", alice, "[]", 422, domain.InvalidArgument},
		"null":                            {"POST", "/v1/messages", alice, "null", 422, domain.InvalidArgument},
		"an unknown member":               {"POST", "/v1/sync", alice, `{"x":1}`, 422, domain.InvalidArgument},
		"an unknown member of the query":  {"GET", "/v1/me?x=1", alice, "", 422, domain.InvalidArgument},
		"a wrong type":                    {"POST", "/v1/sync", alice, `{"only":"yes"}`, 422, domain.InvalidArgument},
		"a wrong type in the query":       {"GET", "/v1/conversations?limit=many", alice, "", 422, domain.InvalidArgument},
		"a wrong type in the path":        {"DELETE", "/v1/conversations/x/messages/first", alice, "", 422, domain.InvalidArgument},
		"a member twice in the query":     {"GET", "/v1/conversations?limit=1&limit=2", alice, "", 422, domain.InvalidArgument},
		"a member in path and query":      {"GET", "/v1/users/x?user=y", alice, "", 422, domain.InvalidArgument},
		"a member in path and body":       {"POST", "/v1/groups/x/leave", alice, `{"conversation":"y"}`, 422, domain.InvalidArgument},
		"a string that breaks out of one": {"GET", "/v1/users/x%22,%22after_position%22:%22y", alice, "", 404, domain.NotFound},
		"nothing of that name":            {"GET", "/v1/users/@ghost", alice, "", 404, domain.NotFound},
		"a taken name":                    {"POST", "/v1/accounts", "", `{"username":"alice","password":"correct horse"}`, 409, domain.Conflict},
		"a long body":                     {"POST", "/v1/sync", alice, `{"epoch":"` + long + `"}`, 413, domain.TooLarge},
		"a long name":                     {"POST", "/v1/accounts", "", `{"username":"` + long[:33] + `","password":"correct horse"}`, 413, domain.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			response, answer := s.do(t, c.verb, c.path, c.token, c.body)
			if response.status != c.status || answer["code"] != string(c.code) || answer["status"] != float64(c.status) {
				t.Errorf("%d %v, want %d %s", response.status, answer, c.status, c.code)
			}
			if challenge := response.header.Get("WWW-Authenticate"); (c.status == 401) != (challenge == "Bearer") {
				t.Errorf("status %d with the challenge %q", c.status, challenge)
			}
		})
	}
	t.Run("another media type", func(t *testing.T) {
		response, answer := s.do(t, "POST", "/v1/sync", alice, "<x/>", "Content-Type", "application/xml")
		if response.status != http.StatusUnsupportedMediaType || answer["code"] != "invalid_argument" {
			t.Errorf("%d %v", response.status, answer)
		}
	})
	t.Run("JSON with parameters", func(t *testing.T) {
		response, _ := s.do(t, "POST", "/v1/sync", alice, "{}", "Content-Type", "application/json; charset=utf-8")
		if response.status != http.StatusOK {
			t.Errorf("%d", response.status)
		}
	})
	t.Run("which methods there are", func(t *testing.T) {
		response, _ := s.do(t, "PUT", "/v1/sessions", alice, "")
		if allow := response.header.Get("Allow"); allow != "GET, HEAD, POST" {
			t.Errorf("Allow: %s", allow)
		}
	})
}

func TestRateLimitsSayWhenToComeAgain(t *testing.T) {
	b := apitest.New(t, func(c *api.Config) { c.Rates = api.Rates{RegisterPerHour: 1} })
	handler, err := httpapi.New(httpapi.Config{Registry: b.Registry, Gate: b.Gate, SocketDocument: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Bench: b, handler: handler}
	s.want(t, 201, "POST", "/v1/accounts", "", `{"username":"alice","password":"correct horse"}`)
	response, answer := s.do(t, "POST", "/v1/accounts", "", `{"username":"bob","password":"correct horse"}`)
	if response.status != http.StatusTooManyRequests || answer["retry_after_ms"] != 3600000.0 || response.header.Get("Retry-After") != "3600" {
		t.Errorf("%d %v, Retry-After %q", response.status, answer, response.header.Get("Retry-After"))
	}
}

// gate fails in the way it is told.
type gate struct{ err error }

func (g gate) Admit(context.Context, string) (auth.Principal, error) {
	if g.err == nil {
		panic("the gate is broken")
	}
	return auth.Principal{}, g.err
}

func TestBugsAreHiddenAndLogged(t *testing.T) {
	for name, broken := range map[string]error{"an unknown error": io.ErrUnexpectedEOF, "a panic": nil} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			s := newServer(t, func(c *httpapi.Config) { c.Gate, c.Logger = gate{broken}, newLogger(&log) })
			response, answer := s.do(t, "GET", "/v1/me", "token", "")
			id, _ := answer["request_id"].(string)
			if response.status != http.StatusInternalServerError || answer["code"] != "internal" || id == "" {
				t.Errorf("%d %v", response.status, answer)
			}
			if !strings.Contains(log.String(), id) || strings.Contains(answer["detail"].(string), "EOF") { //nolint:forcetypeassert // a test
				t.Errorf("log %q, answer %v", log.String(), answer)
			}
		})
	}
	t.Run("unavailable is no bug", func(t *testing.T) {
		s := newServer(t, func(c *httpapi.Config) { c.Gate = gate{domain.Errorf(domain.Unavailable, "not now")} })
		s.want(t, 503, "GET", "/v1/me", "token", "")
	})
}
