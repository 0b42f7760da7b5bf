package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// routes are the REST forms of operations, as the protocol lists them.
var routes = map[string]string{
	"account.get":           "GET /v1/me",
	"account.password":      "POST /v1/me/password",
	"account.update":        "PATCH /v1/me",
	"admin.session.list":    "GET /v1/admin/users/{user}/sessions",
	"admin.session.revoke":  "DELETE /v1/admin/users/{user}/sessions/{session}",
	"admin.user.get":        "GET /v1/admin/users/{user}",
	"admin.user.list":       "GET /v1/admin/users",
	"admin.user.password":   "PUT /v1/admin/users/{user}/password",
	"admin.user.restore":    "POST /v1/admin/users/{user}/restore",
	"admin.user.suspend":    "POST /v1/admin/users/{user}/suspend",
	"block.list":            "GET /v1/blocks",
	"contact.accept":        "POST /v1/contacts/requests/{user}/accept",
	"contact.decline":       "POST /v1/contacts/requests/{user}/decline",
	"contact.list":          "GET /v1/contacts",
	"contact.remark":        "PATCH /v1/contacts/{user}",
	"contact.remove":        "DELETE /v1/contacts/{user}",
	"contact.request":       "POST /v1/contacts/requests",
	"conversation.get":      "GET /v1/conversations/{conversation}",
	"conversation.list":     "GET /v1/conversations",
	"conversation.settings": "PATCH /v1/conversations/{conversation}/settings",
	"gateway.list":          "GET /v1/gateways",
	"group.add":             "POST /v1/groups/{conversation}/members",
	"group.create":          "POST /v1/groups",
	"group.dissolve":        "DELETE /v1/groups/{conversation}",
	"group.join":            "POST /v1/groups/{conversation}/join",
	"group.leave":           "POST /v1/groups/{conversation}/leave",
	"group.members":         "GET /v1/groups/{conversation}/members",
	"group.mute":            "PUT /v1/groups/{conversation}/members/{user}/mute",
	"group.remove":          "DELETE /v1/groups/{conversation}/members/{user}",
	"group.role":            "PUT /v1/groups/{conversation}/members/{user}/role",
	"group.update":          "PATCH /v1/groups/{conversation}",
	"message.edit":          "PATCH /v1/conversations/{conversation}/messages/{seq}",
	"message.get":           "GET /v1/conversations/{conversation}/messages/{seq}",
	"message.history":       "GET /v1/conversations/{conversation}/messages",
	"message.react":         "PUT /v1/conversations/{conversation}/messages/{seq}/reactions/{emoji}",
	"message.recall":        "DELETE /v1/conversations/{conversation}/messages/{seq}",
	"message.receipts":      "GET /v1/conversations/{conversation}/messages/{seq}/receipts",
	"message.schedule":      "POST /v1/scheduled",
	"message.scheduled":     "GET /v1/scheduled",
	"message.search":        "GET /v1/messages/search",
	"message.send":          "POST /v1/messages",
	"message.unreact":       "DELETE /v1/conversations/{conversation}/messages/{seq}/reactions/{emoji}",
	"message.unschedule":    "DELETE /v1/scheduled/{scheduled}",
	"notice.list":           "GET /v1/notices",
	"notice.publish":        "POST /v1/admin/notices",
	"presence.get":          "GET /v1/presence",
	"presence.set":          "PUT /v1/me/presence",
	"receipt.delivered":     "POST /v1/conversations/{conversation}/receipts",
	"receipt.read":          "POST /v1/conversations/{conversation}/receipts",
	"session.create":        "POST /v1/sessions",
	"session.list":          "GET /v1/sessions",
	"session.refresh":       "POST /v1/sessions/refresh",
	"session.revoke":        "DELETE /v1/sessions/{session}",
	"sync":                  "POST /v1/sync",
	"user.block":            "PUT /v1/blocks/{user}",
	"user.get":              "GET /v1/users/{user}",
	"user.list":             "GET /v1/users",
	"user.search":           "GET /v1/users/search",
	"user.unblock":          "DELETE /v1/blocks/{user}",
}

// created are the operations whose answer over REST has the status 201.
var created = map[string]bool{
	"contact.request": true, "group.create": true, "message.schedule": true, "message.send": true, "session.create": true, "notice.publish": true,
}

// person is a user with a socket, who asks over one of the transports.
type person struct {
	login
	base   string
	socket *socket
	pushes *pushes
	// overREST says which.
	overREST bool
}

// params are those of an operation.
type params = map[string]any

// overBoth runs a scenario once over each transport, with users of its own.
func overBoth(t *testing.T, d *deployment, scenario func(t *testing.T, meet func(name string) *person)) {
	t.Helper()
	for transport, overREST := range map[string]bool{"rest": true, "socket": false} {
		t.Run(transport, func(t *testing.T) {
			n := 0
			scenario(t, func(name string) *person {
				t.Helper()
				n++
				return newPerson(t, d.gateways[n%len(d.gateways)].url, name+"-"+transport, overREST)
			})
		})
	}
}

func newPerson(t *testing.T, base, name string, overREST bool) *person {
	t.Helper()
	l, err := register(t.Context(), base, name)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{login: l, base: base, overREST: overREST, pushes: new(pushes)}
	p.connect(t)
	return p
}

func (p *person) connect(t *testing.T) {
	t.Helper()
	var err error
	if p.socket, err = connect(t.Context(), p.base, p.Token, "", p.pushes.add); err != nil {
		t.Fatal(err)
	}
}

// try asks for an operation.
func (p *person) try(ctx context.Context, method string, in params, out any) error {
	if in == nil {
		in = params{}
	}
	if !p.overREST {
		return p.socket.call(ctx, method, in, out)
	}
	verb, path, ok := strings.Cut(routes[method], " ")
	if !ok {
		return fmt.Errorf("the test knows no route of %s", method)
	}
	query, body := url.Values{}, params{}
	for name, value := range in {
		switch place := "{" + name + "}"; {
		case strings.Contains(path, place):
			path = strings.ReplaceAll(path, place, url.PathEscape(fmt.Sprint(value)))
		case verb == "GET":
			addQuery(query, name, value)
		default:
			body[name] = value
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	var content any
	if len(body) > 0 {
		content = body
	}
	status, err := rest(ctx, verb, p.base+path, p.Token, content, out)
	if want := map[bool]int{true: 201, false: 200}[created[method]]; err == nil && status != want {
		return fmt.Errorf("%s answers with status %d, want %d", method, status, want)
	}
	return err
}

func addQuery(query url.Values, name string, value any) {
	if list, ok := value.([]string); ok {
		query[name] = list
		return
	}
	query.Set(name, fmt.Sprint(value))
}

// do asks for an operation that must succeed, and returns its position.
func (p *person) do(t *testing.T, method string, in params, out any) (position string) {
	t.Helper()
	var raw json.RawMessage
	if err := p.try(t.Context(), method, in, &raw); err != nil {
		t.Fatalf("%s %v: %v", method, in, err)
	}
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			t.Fatalf("%s answers %s: %v", method, raw, err)
		}
	}
	return decoded[struct {
		Position string `json:"position"`
	}](t, raw).Position
}

// refused asks for an operation that must be refused.
func (p *person) refused(t *testing.T, code, method string, in params) {
	t.Helper()
	if err := p.try(t.Context(), method, in, nil); codeOf(err) != code {
		t.Fatalf("%s %v: got %v, want a refusal with %s", method, in, err, code)
	}
}

// told waits for a push about the person's account.
func (p *person) told(t *testing.T, kind, actor string) json.RawMessage {
	t.Helper()
	var data json.RawMessage
	p.pushes.find(t, "account", func(raw json.RawMessage) bool {
		told := decoded[struct {
			Type, Actor string
			Data        json.RawMessage
		}](t, raw)
		data = told.Data
		return told.Type == kind && told.Actor == actor
	})
	return data
}

// heard says whether a push of the kind about the person's account came.
func (p *person) heard(kind string) bool {
	p.pushes.mu.Lock()
	defer p.pushes.mu.Unlock()
	for _, one := range p.pushes.all {
		var told struct{ Type string }
		if one.Method == "account" && json.Unmarshal(one.Params, &told) == nil && told.Type == kind {
			return true
		}
	}
	return false
}
