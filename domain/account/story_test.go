package account_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/domain/domaintest"
)

type story = domaintest.Story[account.State, account.Command]

// The stories in testdata are read from top to bottom. The first word of a line is what is done; "wait" lets time pass.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		t.Helper()
		s := domaintest.NewStory(newLog().Rules, start)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			if d.Cmd == "wait" {
				pause, err := time.ParseDuration(d.CmdArgs[0].Key)
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				s.Now = s.Now.Add(pause)
				return ""
			}
			return s.Tell(told(t, s, d))
		})
	})
}

func told(t *testing.T, s *story, d *datadriven.TestData) account.Command {
	t.Helper()
	by := s.By("ann")
	session := domain.SessionID(word(d, "session"))
	connection := domain.ConnectionID(word(d, "connection"))
	switch d.Cmd {
	case "register":
		return account.Register{Stamp: by, Username: word(d, "name"), DisplayName: word(d, "display"), PasswordHash: word(d, "hash")}
	case "login":
		return account.CreateSession{
			Stamp: by, Session: session, DeviceID: word(d, "device"), DeviceName: word(d, "on"),
			RefreshHash: word(d, "token"), Verified: word(d, "verified"),
		}
	case "refresh":
		return account.RefreshSession{Stamp: by, Session: session, Presented: word(d, "token"), Next: word(d, "next")}
	case "revoke":
		return account.RevokeSession{Stamp: by, Session: session}
	case "update":
		return account.Update{Stamp: by, DisplayName: given(d, "display"), AvatarURL: given(d, "avatar"), Strangers: given(d, "strangers")}
	case "password":
		return account.ChangePassword{Stamp: by, Keep: session, Verified: word(d, "verified"), PasswordHash: word(d, "hash")}
	case "reset":
		return account.ResetPassword{Stamp: s.By("admin"), PasswordHash: word(d, "hash")}
	case "suspend":
		return account.Suspend{Stamp: s.By("admin"), Reason: word(d, "reason")}
	case "restore":
		return account.Restore{Stamp: s.By("admin")}
	case "appoint":
		return account.Appoint{Stamp: s.By(""), Administrator: word(d, "to") == "administrator"}
	case "connect":
		return account.Connect{
			Stamp: by, Session: session, Connection: connection, Gateway: word(d, "gateway"), Client: word(d, "client"),
		}
	case "disconnect":
		return account.Disconnect{Stamp: by, Connection: connection, Reason: word(d, "reason")}
	case "settings":
		return account.ChangeSettings{
			Stamp: by, Conversation: domain.ConversationID(word(d, "conversation")),
			Pinned: truth(word(d, "pinned")), Muted: truth(word(d, "muted")),
		}
	default:
		d.Fatalf(t, "nobody can %s", d.Cmd)
		return nil
	}
}

// truth is nil for a word that was not said.
func truth(word string) *bool {
	if word == "" {
		return nil
	}
	return new(word == "yes")
}

func word(d *datadriven.TestData, key string) string {
	for _, arg := range d.CmdArgs {
		if arg.Key == key {
			return strings.Join(arg.Vals, " ")
		}
	}
	return ""
}

// given returns an argument that may be left out, or empty.
func given(d *datadriven.TestData, key string) *string {
	if !d.HasArg(key) {
		return nil
	}
	value := word(d, key)
	return &value
}
