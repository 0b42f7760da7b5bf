package conversation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/domain/domaintest"
)

type story = domaintest.Story[conversation.State, conversation.Command]

// The stories in testdata are read from top to bottom. The first word of a line is what is done, "by" who does it; the
// input of a send or an edit is its text; "wait" lets time pass.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		t.Helper()
		s := domaintest.NewStory(newLog().Rules, start)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			t.Helper()
			switch d.Cmd {
			case "wait":
				pause, err := time.ParseDuration(d.CmdArgs[0].Key)
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				s.Now = s.Now.Add(pause)
				return ""
			case "sees":
				return sees(s, word(d, "by"))
			default:
				return s.Tell(told(t, s, d))
			}
		})
	})
}

func sees(s *story, name string) string {
	state := s.State()
	windows, err := state.See(s.User(name))
	if err != nil {
		return fmt.Sprintf("%s: %v\n", domain.CodeOf(err), err)
	}
	return fmt.Sprintf("%v up to %d, role %q\n", windows, windows.Last(state.Head), state.Role(s.User(name)))
}

func told(t *testing.T, s *story, d *datadriven.TestData) conversation.Command {
	t.Helper()
	by := s.By(word(d, "by"))
	seq := func(key string) domain.Seq {
		var n int64
		d.MaybeScanArgs(t, key, &n)
		return domain.Seq(n)
	}
	body := domain.Body{Type: domain.TextBody, Text: strings.TrimSpace(d.Input)}
	switch d.Cmd {
	case "create":
		return conversation.CreateGroup{
			Stamp: by, Title: word(d, "title"), Members: s.Users(words(d, "members")), Join: word(d, "join"), Limits: limits,
		}
	case "add":
		return conversation.AddMembers{Stamp: by, Users: s.Users(words(d, "users")), Limits: limits}
	case "remove":
		return conversation.RemoveMember{Stamp: by, User: s.User(word(d, "user"))}
	case "leave":
		return conversation.Leave{Stamp: by}
	case "join":
		return conversation.Join{Stamp: by, Limits: limits}
	case "update":
		return updated(by, d)
	case "role":
		return conversation.SetRole{Stamp: by, User: s.User(word(d, "user")), Role: domain.Role(word(d, "role"))}
	case "mute":
		hours, err := time.ParseDuration(word(d, "for"))
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		return conversation.Mute{Stamp: by, User: s.User(word(d, "user")), Until: by.At.Add(hours)}
	case "dissolve":
		return conversation.Dissolve{Stamp: by}
	case "send":
		return conversation.SendMessage{Stamp: by, ClientID: "1", Body: body, Limits: limits}
	case "edit":
		message := seq("seq")
		return conversation.EditMessage{Stamp: by, Message: message, Facts: factsOf(s.Log, message), Body: body, Limits: limits}
	case "recall":
		message := seq("seq")
		return conversation.RecallMessage{Stamp: by, Message: message, Facts: factsOf(s.Log, message), Limits: limits}
	case "receipt":
		return conversation.MoveReceipt{
			Stamp: by, Session: domain.SessionID(word(d, "session")), Delivered: seq("delivered"), Read: seq("read"),
		}
	default:
		d.Fatalf(t, "nobody can %s", d.Cmd)
		return nil
	}
}

func updated(by domain.Stamp, d *datadriven.TestData) conversation.Update {
	given := func(key string) *string {
		if value := word(d, key); value != "" {
			return &value
		}
		return nil
	}
	c := conversation.Update{Stamp: by, Title: given("title"), Join: given("join"), History: given("history"), AvatarURL: given("avatar")}
	if muted := given("muted"); muted != nil {
		c.Muted = new(*muted == "true")
	}
	return c
}

func words(d *datadriven.TestData, key string) []string {
	for _, arg := range d.CmdArgs {
		if arg.Key == key {
			return arg.Vals
		}
	}
	return nil
}

func word(d *datadriven.TestData, key string) string { return strings.Join(words(d, key), "") }
