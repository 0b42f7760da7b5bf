package api_test

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"mpim/domain"
	"mpim/handlers/api"
	"mpim/handlers/api/apitest"
)

// people are the columns of the table, and those to whom something is done.
type people map[string]api.Caller

func (p people) id(name string) domain.UserID { return p[name].User }

// meeting is a group with everybody in it, and the seq of a message of each.
type meeting struct {
	b      *apitest.Bench
	people people
	id     string
	seq    map[string]int
}

func meet(t *testing.T, b *apitest.Bench, p people) meeting {
	t.Helper()
	id := newGroup(t, b, p["owner"], p["admin"], p["member"], p["muted"], p["former"], p["other"], p["other admin"])
	m := meeting{b: b, people: p, id: id, seq: make(map[string]int)}
	for i, name := range []string{"owner", "admin", "member", "muted", "former", "other"} {
		send(t, b, p[name], P{"conversation": id}, name)
		m.seq[name] = i + 2
	}
	m.owner(t, "group.role", P{"user": p.id("admin"), "role": "admin"})
	m.owner(t, "group.role", P{"user": p.id("other admin"), "role": "admin"})
	m.owner(t, "group.mute", P{"user": p.id("muted"), "until": "2999-01-01T00:00:00Z"})
	m.owner(t, "group.remove", P{"user": p.id("former")})
	return m
}

// owner has the owner do something.
func (m meeting) owner(t *testing.T, method string, params P) {
	t.Helper()
	params["conversation"] = m.id
	m.b.Must(t, m.people["owner"], method, params)
}

// asked is what somebody asks for, and what happens before.
type asked struct {
	method string
	params func(m meeting, name string) P
	before P
}

func plain(method string, params P) asked {
	return asked{method: method, params: func(meeting, string) P { return params }}
}

func sending(more P) asked {
	return asked{method: "message.send", params: func(m meeting, name string) P {
		params := P{"to": P{"conversation": m.id}, "client_id": "x", "body": text("x")}
		maps.Copy(params, more)
		return params
	}}
}

// about is a change to a message: the caller's own, or that of another.
func about(method string, own bool, more P) asked {
	return asked{method: method, params: func(m meeting, name string) P {
		params := P{"seq": m.seq["other"]}
		if own {
			params["seq"] = m.seq[name]
		}
		if own && m.seq[name] == 0 {
			params["seq"] = 1
		}
		maps.Copy(params, more)
		return params
	}}
}

func toward(method, target string, more P) asked {
	return asked{method: method, params: func(m meeting, _ string) P {
		params := P{"user": m.people.id(target)}
		maps.Copy(params, more)
		return params
	}}
}

func adding(before P) asked {
	return asked{method: "group.add", before: before, params: func(m meeting, _ string) P {
		return P{"users": []domain.UserID{m.people.id("guest")}}
	}}
}

func after(before P, a asked) asked {
	a.before = before
	return a
}

var operations = map[string]asked{
	"send":             sending(nil),
	"send-muted-group": after(P{"muted": true}, sending(nil)),
	"reply":            sending(P{"reply_to": 7}),
	"mention-one": {method: "message.send", params: func(m meeting, name string) P {
		return sending(P{"mentions": []domain.UserID{m.people.id("other")}}).params(m, name)
	}},
	"mention-all":   sending(P{"mentions": "all"}),
	"edit-own":      about("message.edit", true, P{"body": text("y")}),
	"edit-other":    about("message.edit", false, P{"body": text("y")}),
	"recall-own":    about("message.recall", true, nil),
	"recall-other":  about("message.recall", false, nil),
	"react":         about("message.react", false, P{"emoji": "👍"}),
	"unreact":       about("message.unreact", false, P{"emoji": "👍"}),
	"read":          plain("receipt.read", P{"read_seq": 3}),
	"delivered":     plain("receipt.delivered", P{"delivered_seq": 3}),
	"update":        plain("group.update", P{"title": "Coffee"}),
	"add":           adding(nil),
	"add-open":      adding(P{"join": "open"}),
	"join":          plain("group.join", P{}),
	"join-open":     after(P{"join": "open"}, plain("group.join", P{})),
	"leave":         plain("group.leave", P{}),
	"remove-member": toward("group.remove", "other", nil),
	"remove-admin":  toward("group.remove", "other admin", nil),
	"remove-owner":  toward("group.remove", "owner", nil),
	"role-admin":    toward("group.role", "other", P{"role": "admin"}),
	"role-member":   toward("group.role", "other admin", P{"role": "member"}),
	"hand-over":     toward("group.role", "other", P{"role": "owner"}),
	"step-down":     toward("group.role", "owner", P{"role": "member"}),
	"mute-member":   toward("group.mute", "other", P{"until": "2999-01-01T00:00:00Z"}),
	"mute-admin":    toward("group.mute", "other admin", P{"until": "2999-01-01T00:00:00Z"}),
	"mute-owner":    toward("group.mute", "owner", P{"until": "2999-01-01T00:00:00Z"}),
	"unmute":        toward("group.mute", "muted", P{"until": nil}),
	"dissolve":      plain("group.dissolve", P{}),
}

var verdicts = map[string]domain.Code{
	"ok": "", "denied": domain.PermissionDenied, "unknown": domain.NotFound, "refused": domain.FailedPrecondition,
	"invalid": domain.InvalidArgument,
}

// Each role against each operation, by the table that the rules themselves are tested against.
func TestPermissions(t *testing.T) {
	file, err := os.Open("../../domain/conversation/testdata/permissions")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	b, everybody := apitest.New(t, nil), make(people)
	for _, name := range []string{"owner", "admin", "member", "muted", "former", "stranger", "other", "other admin", "guest"} {
		everybody[name] = b.User(t, strings.ReplaceAll(name, " ", "."))
	}
	var columns []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) == 0 || words[0] == "#":
		case columns == nil:
			columns = words[1:]
		default:
			checkRow(t, b, everybody, words[0], columns, words[1:])
		}
	}
}

// checkRow asks everybody who is refused first: that changes nothing for those who come after.
func checkRow(t *testing.T, b *apitest.Bench, p people, name string, columns, row []string) {
	t.Helper()
	a, ok := operations[name]
	if !ok {
		t.Errorf("nobody asks for %s here", name)
		return
	}
	m, used := meet(t, b, p), false
	if a.before != nil {
		m.owner(t, "group.update", a.before)
	}
	for _, pass := range []bool{false, true} {
		for i, column := range columns {
			if (row[i] == "ok") != pass {
				continue
			}
			if used {
				m = meet(t, b, p)
				if a.before != nil {
					m.owner(t, "group.update", a.before)
				}
			}
			used = pass
			params := a.params(m, column)
			if a.method != "message.send" {
				params["conversation"] = m.id
			}
			_, err := b.Call(t, p[column], a.method, params)
			if got, want := apitest.Code(err), verdicts[row[i]]; got != want {
				t.Errorf("%s by %s: got %q (%s), want %q", name, column, got, fmt.Sprint(err), want)
			}
		}
	}
}
