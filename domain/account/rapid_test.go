package account_test

import (
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mpim/domain"
	"mpim/domain/account"
)

// Whatever happens to an account, in whatever order: the log finds the rules consistent (see domaintest), and the
// invariants hold.
func TestRandomCommands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLog()
		tokens := map[domain.SessionID][]string{}
		for step := range rapid.IntRange(1, 80).Draw(t, "commands") {
			c := anyCommand(t, step, tokens)
			events, refused, err := l.Give(c)
			if err != nil {
				t.Fatal(err)
			}
			checkInvariants(t, l)
			checkRefresh(t, l, c, refused, tokens)
			for _, e := range events {
				switch fact := e.Data.(type) {
				case *domain.SessionCreated:
					tokens[fact.Session] = []string{fact.RefreshHash}
				case *domain.SessionRefreshed:
					tokens[fact.Session] = append(tokens[fact.Session], fact.RefreshHash)
				case *domain.SessionRevoked:
					delete(tokens, fact.Session)
				default:
				}
			}
		}
	})
}

func anyCommand(t *rapid.T, step int, tokens map[domain.SessionID][]string) account.Command {
	stamp := domain.NewStamp(ann, start.Add(time.Duration(step)*time.Second))
	number := func(name string, most int) string { return strconv.Itoa(rapid.IntRange(0, most).Draw(t, name)) }
	session := domain.SessionID("s" + number("session", 80))
	connection := domain.ConnectionID("c" + number("connection", 9))
	switch rapid.IntRange(0, 10).Draw(t, "command") {
	case 5:
		truth := rapid.SampledFrom([]*bool{nil, new(true), new(false)})
		return account.ChangeSettings{
			Stamp: stamp, Conversation: domain.ConversationID("g" + number("conversation", 2)), Pinned: truth.Draw(t, "pinned"), Muted: truth.Draw(t, "muted"),
		}
	case 0:
		return account.Register{Stamp: stamp, Username: "ann", PasswordHash: "hash"}
	case 1:
		presented := "stolen"
		if known := tokens[session]; len(known) > 0 {
			presented = rapid.SampledFrom(known).Draw(t, "token")
		}
		return account.RefreshSession{Stamp: stamp, Session: session, Presented: presented, Next: "r" + strconv.Itoa(step)}
	case 2:
		return account.RevokeSession{Stamp: stamp, Session: session}
	case 3:
		return account.Connect{Stamp: stamp, Session: session, Connection: connection, Gateway: "gateway"}
	case 4:
		return account.Disconnect{Stamp: stamp, Connection: connection, Reason: account.Lost}
	default:
		return account.CreateSession{
			Stamp: stamp, Session: domain.SessionID("s" + strconv.Itoa(step)), DeviceID: rapid.SampledFrom([]string{"", "d1", "d2"}).Draw(t, "device"),
			RefreshHash: "r" + strconv.Itoa(step), Verified: rapid.SampledFrom([]string{"hash", "hash", "other"}).Draw(t, "hash"),
		}
	}
}

func checkInvariants(t *rapid.T, l *log) {
	s := l.State()
	if len(s.Sessions) > account.MaxSessions {
		t.Fatalf("%d sessions", len(s.Sessions))
	}
	devices := map[string]bool{}
	for id, session := range s.Sessions {
		if session.DeviceID != "" && devices[session.DeviceID] {
			t.Fatalf("device %s has another session, %s", session.DeviceID, id)
		}
		devices[session.DeviceID] = true
	}
	open := map[domain.ConnectionID]bool{}
	for _, e := range l.Events {
		switch fact := e.Data.(type) {
		case *domain.SessionConnected:
			if open[fact.Connection] {
				t.Fatalf("%s connected twice", fact.Connection)
			}
			open[fact.Connection] = true
		case *domain.SessionDisconnected:
			if !open[fact.Connection] {
				t.Fatalf("%s disconnected twice", fact.Connection)
			}
			delete(open, fact.Connection)
		default:
		}
	}
	if len(open) != len(s.Connections) {
		t.Fatalf("%d connections are open, the state has %d", len(open), len(s.Connections))
	}
}

// checkRefresh finds that the newest token of a session works, and that any older one ends it.
func checkRefresh(t *rapid.T, l *log, c account.Command, refused error, tokens map[domain.SessionID][]string) {
	refresh, ok := c.(account.RefreshSession)
	known := tokens[refresh.Session]
	if !ok || len(known) == 0 {
		return
	}
	_, alive := l.State().Sessions[refresh.Session]
	newest := refresh.Presented == known[len(known)-1]
	if newest != alive || newest != (refused == nil) {
		t.Fatalf("newest token: %v, session alive: %v, refused: %v", newest, alive, refused)
	}
}
