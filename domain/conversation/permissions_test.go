package conversation_test

import (
	"bufio"
	"os"
	"strings"
	"testing"
	"time"

	"mpim/domain"
	"mpim/domain/conversation"
)

var (
	admin  = placement.User("admin")
	member = placement.User("member")
	muted  = placement.User("muted")
	former = placement.User("former")
	// The targets of what is done to others.
	other      = placement.User("other")
	otherAdmin = placement.User("other admin")

	roles = map[string]domain.UserID{
		"owner": ann, "admin": admin, "member": member, "muted": muted, "former": former, "stranger": eve,
	}
	codes = map[string]domain.Code{
		"ok": "", "denied": domain.PermissionDenied, "unknown": domain.NotFound, "refused": domain.FailedPrecondition,
		"invalid": domain.InvalidArgument,
	}
)

// world is a group with everybody in it, and a message of each but the stranger.
func world(t *testing.T) (l *log, messages map[domain.UserID]domain.Seq) {
	t.Helper()
	l = group(t, admin, member, muted, former, other, otherAdmin)
	messages = make(map[domain.UserID]domain.Seq)
	for _, user := range []domain.UserID{ann, admin, member, muted, former, other} {
		messages[user] = give(t, l, send(user))[0].Seq
	}
	give(t, l, conversation.SetRole{Stamp: by(ann), User: admin, Role: domain.Admin})
	give(t, l, conversation.SetRole{Stamp: by(ann), User: otherAdmin, Role: domain.Admin})
	give(t, l, conversation.Mute{Stamp: by(ann), User: muted, Until: start.Add(time.Hour)})
	give(t, l, conversation.RemoveMember{Stamp: by(ann), User: former})
	return l, messages
}

// operations are what is given by a user, whose own message has the sequence own, 0 for none.
var operations = map[string]func(t *testing.T, l *log, user domain.UserID, own, others domain.Seq) conversation.Command{
	"send": func(_ *testing.T, _ *log, user domain.UserID, _, _ domain.Seq) conversation.Command {
		return send(user)
	},
	"send-muted-group": func(t *testing.T, l *log, user domain.UserID, _, _ domain.Seq) conversation.Command {
		t.Helper()
		give(t, l, conversation.Update{Stamp: by(ann), Muted: new(true)})
		return send(user)
	},
	"reply": func(_ *testing.T, l *log, user domain.UserID, _, others domain.Seq) conversation.Command {
		c := send(user)
		c.ReplyTo, c.Answered = others, factsOf(l, others)
		return c
	},
	"mention-one": func(_ *testing.T, _ *log, user domain.UserID, _, _ domain.Seq) conversation.Command {
		c := send(user)
		c.Mentions = []string{string(other)}
		return c
	},
	"mention-all": func(_ *testing.T, _ *log, user domain.UserID, _, _ domain.Seq) conversation.Command {
		c := send(user)
		c.Mentions = []string{domain.MentionAll}
		return c
	},
	"edit-own": func(_ *testing.T, l *log, user domain.UserID, own, _ domain.Seq) conversation.Command {
		return conversation.EditMessage{Stamp: by(user), Message: own, Facts: factsOf(l, own), Body: text("x"), Limits: limits}
	},
	"edit-other": func(_ *testing.T, l *log, user domain.UserID, _, others domain.Seq) conversation.Command {
		return conversation.EditMessage{Stamp: by(user), Message: others, Facts: factsOf(l, others), Body: text("x"), Limits: limits}
	},
	"recall-own": func(_ *testing.T, l *log, user domain.UserID, own, _ domain.Seq) conversation.Command {
		return conversation.RecallMessage{Stamp: by(user), Message: own, Facts: factsOf(l, own), Limits: limits}
	},
	"recall-other": func(_ *testing.T, l *log, user domain.UserID, _, others domain.Seq) conversation.Command {
		return conversation.RecallMessage{Stamp: by(user), Message: others, Facts: factsOf(l, others), Limits: limits}
	},
	"react": func(_ *testing.T, l *log, user domain.UserID, _, others domain.Seq) conversation.Command {
		return conversation.React{Stamp: by(user), Message: others, Facts: factsOf(l, others), Emoji: "👍"}
	},
	"unreact": func(_ *testing.T, l *log, user domain.UserID, _, others domain.Seq) conversation.Command {
		return conversation.React{Stamp: by(user), Message: others, Facts: factsOf(l, others), Emoji: "👍", Removed: true}
	},
	"read": func(_ *testing.T, _ *log, user domain.UserID, _, others domain.Seq) conversation.Command {
		return conversation.MoveReceipt{Stamp: by(user), Read: others}
	},
	"delivered": func(_ *testing.T, _ *log, user domain.UserID, _, others domain.Seq) conversation.Command {
		return conversation.MoveReceipt{Stamp: by(user), Delivered: others}
	},
	"update": func(_ *testing.T, _ *log, user domain.UserID, _, _ domain.Seq) conversation.Command {
		return conversation.Update{Stamp: by(user), Title: new("Coffee"), History: new(conversation.All)}
	},
	"add": func(_ *testing.T, _ *log, user domain.UserID, _, _ domain.Seq) conversation.Command {
		return conversation.AddMembers{Stamp: by(user), Users: []domain.UserID{bob}, Limits: limits}
	},
	"add-open": func(t *testing.T, l *log, user domain.UserID, _, _ domain.Seq) conversation.Command {
		t.Helper()
		give(t, l, conversation.Update{Stamp: by(ann), Join: new(conversation.Open)})
		return conversation.AddMembers{Stamp: by(user), Users: []domain.UserID{bob}, Limits: limits}
	},
	"join": func(_ *testing.T, _ *log, user domain.UserID, _, _ domain.Seq) conversation.Command {
		return conversation.Join{Stamp: by(user), Limits: limits}
	},
	"join-open": func(t *testing.T, l *log, user domain.UserID, _, _ domain.Seq) conversation.Command {
		t.Helper()
		give(t, l, conversation.Update{Stamp: by(ann), Join: new(conversation.Open)})
		return conversation.Join{Stamp: by(user), Limits: limits}
	},
	"leave": func(_ *testing.T, _ *log, user domain.UserID, _, _ domain.Seq) conversation.Command {
		return conversation.Leave{Stamp: by(user)}
	},
	"remove-member": removal(other),
	"remove-admin":  removal(otherAdmin),
	"remove-owner":  removal(ann),
	"role-admin":    role(other, domain.Admin),
	"role-member":   role(otherAdmin, domain.Member),
	"hand-over":     role(other, domain.Owner),
	"step-down":     role(ann, domain.Member),
	"mute-member":   mute(other, start.Add(time.Hour)),
	"mute-admin":    mute(otherAdmin, start.Add(time.Hour)),
	"mute-owner":    mute(ann, start.Add(time.Hour)),
	"unmute":        mute(muted, time.Time{}),
	"dissolve": func(_ *testing.T, _ *log, user domain.UserID, _, _ domain.Seq) conversation.Command {
		return conversation.Dissolve{Stamp: by(user)}
	},
}

type operation = func(*testing.T, *log, domain.UserID, domain.Seq, domain.Seq) conversation.Command

func removal(target domain.UserID) operation {
	return func(_ *testing.T, _ *log, user domain.UserID, _, _ domain.Seq) conversation.Command {
		return conversation.RemoveMember{Stamp: by(user), User: target}
	}
}

func role(target domain.UserID, role domain.Role) operation {
	return func(_ *testing.T, _ *log, user domain.UserID, _, _ domain.Seq) conversation.Command {
		return conversation.SetRole{Stamp: by(user), User: target, Role: role}
	}
}

func mute(target domain.UserID, until time.Time) operation {
	return func(_ *testing.T, _ *log, user domain.UserID, _, _ domain.Seq) conversation.Command {
		return conversation.Mute{Stamp: by(user), User: target, Until: until}
	}
}

func TestPermissions(t *testing.T) {
	file, err := os.Open("testdata/permissions")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var columns []string
	seen := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) == 0 || words[0] == "#":
			continue
		case columns == nil:
			columns = words[1:]
			continue
		}
		seen++
		for i, column := range columns {
			t.Run(words[0]+"/"+column, func(t *testing.T) {
				l, messages := world(t)
				user := roles[column]
				c := operations[words[0]](t, l, user, messages[user], messages[other])
				if want := codes[words[i+1]]; want != "" {
					refuse(t, l, c, want)
					return
				}
				give(t, l, c)
			})
		}
	}
	if seen != len(operations) {
		t.Errorf("%d operations in the table, and %d here", seen, len(operations))
	}
}
