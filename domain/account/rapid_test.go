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
			checkSuspended(t, l, events, refused)
			checkPassword(t, l, c, refused)
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
	switch rapid.IntRange(0, 16).Draw(t, "command") {
	case 5:
		truth := rapid.SampledFrom([]*bool{nil, new(true), new(false)})
		return account.ChangeSettings{
			Stamp: stamp, Conversation: domain.ConversationID("g" + number("conversation", 2)), Pinned: truth.Draw(t, "pinned"), Muted: truth.Draw(t, "muted"),
		}
	case 16:
		return account.Update{Stamp: stamp, DisplayName: optional(t, "", "Ann"), AvatarURL: optional(t, "", "https://a.example/1", "ftp://a"), Strangers: optional(t, account.Anyone, account.Contacts, "nobody")}
	case 11:
		return account.ChangePassword{
			Stamp: stamp, Keep: session, Verified: rapid.SampledFrom([]string{"hash", "other"}).Draw(t, "verified"), PasswordHash: "hash",
		}
	case 12:
		return account.ResetPassword{Stamp: stamp, PasswordHash: "hash"}
	case 13:
		return account.Suspend{Stamp: stamp}
	case 14:
		return account.Restore{Stamp: stamp}
	case 15:
		return account.Appoint{Stamp: stamp, Administrator: rapid.Bool().Draw(t, "administrator")}
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
	if l.State().Suspended {
		return // nothing works then, and nothing ends
	}
	newest := refresh.Presented == known[len(known)-1]
	if newest != alive || newest != (refused == nil) {
		t.Fatalf("newest token: %v, session alive: %v, refused: %v", newest, alive, refused)
	}
}

func optional(t *rapid.T, values ...string) *string {
	if rapid.Bool().Draw(t, "left out") {
		return nil
	}
	value := rapid.SampledFrom(values).Draw(t, "value")
	return &value
}

// checkSuspended finds that nobody gets in while the account is suspended.
func checkSuspended(t *rapid.T, l *log, events []domain.Event, refused error) {
	for _, e := range events {
		switch e.Data.(type) {
		case *domain.SessionCreated, *domain.SessionConnected, *domain.SessionRefreshed:
			if l.State().Suspended {
				t.Fatalf("%s although suspended (%v)", e.Data.EventType(), refused)
			}
		default:
		}
	}
}

// checkPassword finds that a new password leaves no session but the one that set it.
func checkPassword(t *rapid.T, l *log, c account.Command, refused error) {
	if refused != nil {
		return
	}
	switch c := c.(type) {
	case account.ChangePassword:
		if _, kept := l.State().Sessions[c.Keep]; !kept || len(l.State().Sessions) != 1 {
			t.Fatalf("kept %s of %v", c.Keep, l.State().Sessions)
		}
	case account.ResetPassword:
		if len(l.State().Sessions) != 0 {
			t.Fatalf("left %v", l.State().Sessions)
		}
	default:
	}
}
