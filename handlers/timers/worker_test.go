package timers_test

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/domain/conversation"
	"mpim/domain/pair"
	"mpim/handlers/command"
	"mpim/handlers/command/commandtest"
	"mpim/handlers/timers"
)

// world is a log of one partition with a group of ann's, to which bob belongs.
type world struct {
	t     testing.TB
	log   *commandtest.Log
	place domain.Placement
	group domain.ConversationID
	users map[string]domain.UserID
	n     int
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{t: tb, log: commandtest.New(1), place: domain.Placement{Partitions: 1}, users: make(map[string]domain.UserID)}
	for _, name := range []string{"ann", "bob", "eve"} {
		w.users[name] = w.place.User(name)
		w.account(name, account.Register{Stamp: w.by(name), Username: name, DisplayName: name, PasswordHash: "x"})
	}
	w.group = w.place.Group(w.users["ann"], "g")
	w.give(conversation.CreateGroup{
		Stamp: w.by("ann"), Title: "Tea", Members: []domain.UserID{w.users["bob"]}, Limits: conversation.DefaultLimits(),
	})
	return w
}

func (w *world) by(name string) domain.Stamp { return domain.NewStamp(w.users[name], time.Now()) }

func (w *world) entropy() []byte {
	w.n++
	return fmt.Appendf(nil, "%016d", w.n)
}

func (w *world) account(name string, c account.Command) {
	w.t.Helper()
	if _, err := command.Execute(w.t.Context(), w.log, command.Account, command.Request[account.Command]{
		Aggregate: w.users[name].Aggregate(), Command: c, Entropy: w.entropy(),
	}); err != nil {
		w.t.Fatal(err)
	}
}

// try gives the group a command.
func (w *world) try(c conversation.Command) error {
	_, err := command.Execute(w.t.Context(), w.log, command.Group, command.Request[conversation.Command]{
		Aggregate: w.group.Aggregate(), Command: c, Entropy: w.entropy(),
	})
	return err
}

func (w *world) give(c conversation.Command) {
	w.t.Helper()
	if err := w.try(c); err != nil {
		w.t.Fatalf("%T: %v", c, err)
	}
}

// direct gives the pair of two users a command.
func (w *world) direct(a, b string, c pair.Command) {
	w.t.Helper()
	if _, err := command.Execute(w.t.Context(), w.log, command.Pair, command.Request[pair.Command]{
		Aggregate: w.place.Pair(w.users[a], w.users[b]).Aggregate(), Command: c, Entropy: w.entropy(),
	}); err != nil {
		w.t.Fatalf("%T: %v", c, err)
	}
}

func (w *world) message(from, text string, expires time.Duration) conversation.SendMessage {
	return conversation.SendMessage{
		Stamp: w.by(from), ClientID: text, Body: domain.Body{Type: domain.TextBody, Text: text},
		ExpiresIn: expires, Limits: conversation.DefaultLimits(),
	}
}

func (w *world) later(from, text string, in time.Duration) conversation.ScheduleMessage {
	m := w.message(from, text, 0)
	return conversation.ScheduleMessage{
		Scheduled: w.place.Scheduled(w.group, m.Actor, text), Message: m, DeliverAt: time.Now().Add(in),
	}
}

// happened are the events since the group was made, in short.
func (w *world) happened() string {
	w.t.Helper()
	var all []string
	for _, r := range w.log.Records(0, 4) {
		fact, err := r.Fact()
		if err != nil {
			w.t.Fatal(err)
		}
		text := string(r.Type)
		switch fact := fact.(type) {
		case *domain.MessageSent:
			text += " " + fact.Body.Text
		case *domain.MessageExpired:
			text += " " + fact.Message.String()
		case *domain.ScheduleFired:
			text += " " + fact.Message.String()
		case *domain.ScheduleFailed:
			text += " " + string(fact.Code)
		default:
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func (w *world) want(happened ...string) {
	w.t.Helper()
	if got, want := w.happened(), strings.Join(happened, ", "); got != want {
		w.t.Errorf("got  %s\nwant %s", got, want)
	}
}

// due is the due list.
func (w *world) due() map[string]time.Time {
	w.t.Helper()
	entries, err := w.log.Due(w.t.Context(), 0, time.Now().AddDate(100, 0, 0), 1<<20)
	if err != nil {
		w.t.Fatal(err)
	}
	due := make(map[string]time.Time)
	for _, entry := range entries {
		due[entry.Name] = entry.At
	}
	return due
}

// work runs some workers at the same time for a while.
func (w *world) work(workers int, d time.Duration) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), d)
	defer cancel()
	var all sync.WaitGroup
	for range workers {
		worker, err := timers.New(timers.Config{Log: w.log})
		if err != nil {
			w.t.Fatal(err)
		}
		all.Go(func() { _ = worker.Run(ctx, 0) })
	}
	all.Wait()
}

func TestMessagesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.give(w.message("ann", "short", 10*time.Second))
		w.give(w.message("ann", "long", time.Hour))
		w.give(w.message("ann", "recalled", time.Minute))
		w.give(conversation.RecallMessage{
			Stamp: w.by("ann"), Message: 4, Facts: conversation.Facts{Sender: w.users["ann"], At: time.Now()},
		})
		before := []string{"message.sent short", "message.sent long", "message.sent recalled", "message.recalled"}
		w.work(2, 9*time.Second)
		w.want(before...)
		w.work(2, 2*time.Second)
		w.want(append(before, "message.expired 2")...)
		// A group that has ended does not keep what was to go.
		w.give(conversation.Dissolve{Stamp: w.by("ann")})
		w.work(2, 2*time.Hour)
		w.want(append(before, "message.expired 2", "conversation.dissolved", "message.expired 3")...)
		if due := w.due(); len(due) != 0 {
			t.Errorf("left: %v", due)
		}
	})
}

func TestScheduledMessagesAreSentOnTimeAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.give(w.later("ann", "third", 3*time.Second))
		w.give(w.later("bob", "first", time.Second))
		w.give(w.later("ann", "second", 2*time.Second))
		w.give(w.later("ann", "never", time.Second))
		w.give(conversation.Unschedule{Stamp: w.by("ann"), Scheduled: w.place.Scheduled(w.group, w.users["ann"], "never")})
		before := []string{"schedule.created", "schedule.created", "schedule.created", "schedule.created", "schedule.cancelled"}
		began := time.Now()
		w.work(3, 1500*time.Millisecond)
		w.want(append(before, "message.sent first", "schedule.fired 2")...)
		sent := w.log.Records(0, 9)[0]
		if late := sent.At.Sub(began.Add(time.Second)); sent.Actor != w.users["bob"] || late < 0 || late > 10*time.Millisecond {
			t.Errorf("sent by %s, %v late", sent.Actor, late)
		}
		// Nobody works while the others become due: then they come in their order all the same.
		time.Sleep(10 * time.Second)
		w.work(3, time.Second)
		w.want(append(before, "message.sent first", "schedule.fired 2", "message.sent second", "schedule.fired 3",
			"message.sent third", "schedule.fired 4")...)
		if due := w.due(); len(due) != 0 {
			t.Errorf("left: %v", due)
		}
	})
}

// What may not be sent any more is not, and why is said once.
func TestPermissionIsDecidedAgain(t *testing.T) {
	for _, test := range []struct {
		name   string
		happen func(w *world)
		want   string
	}{
		{"nothing", func(*world) {}, "message.sent x, schedule.fired 2"},
		{"removed", func(w *world) {
			w.give(conversation.RemoveMember{Stamp: w.by("ann"), User: w.users["bob"]})
		}, "member.removed, schedule.failed permission_denied"},
		{"muted", func(w *world) {
			w.give(conversation.Mute{Stamp: w.by("ann"), User: w.users["bob"], Until: time.Now().Add(time.Hour)})
		}, "member.muted, schedule.failed permission_denied"},
		{"muted until before", func(w *world) {
			w.give(conversation.Mute{Stamp: w.by("ann"), User: w.users["bob"], Until: time.Now().Add(time.Second)})
		}, "member.muted, message.sent x, schedule.fired 3"},
		{"dissolved", func(w *world) {
			w.give(conversation.Dissolve{Stamp: w.by("ann")})
		}, "conversation.dissolved, schedule.failed permission_denied"},
		{"suspended", func(w *world) {
			w.account("bob", account.Suspend{Stamp: w.by("ann"), Reason: "test"})
		}, "account.suspended, schedule.failed permission_denied"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.give(w.later("bob", "x", time.Minute))
				test.happen(w)
				w.work(2, 2*time.Minute)
				w.want("schedule.created, " + test.want)
				if due := w.due(); len(due) != 0 {
					t.Errorf("left: %v", due)
				}
			})
		})
	}
}

// The first word to somebody may be a scheduled one: the conversation is created when it is said, unless that may not be.
func TestScheduledFirstWord(t *testing.T) {
	for name, want := range map[string]string{
		"":        "schedule.created, conversation.created, message.sent hello, schedule.fired 2",
		"blocked": "schedule.created, user.blocked, schedule.failed permission_denied",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				c := w.later("ann", "hello", time.Second)
				c.To, c.Scheduled = w.users["eve"], w.place.Scheduled(w.place.Pair(w.users["ann"], w.users["eve"]), w.users["ann"], "hello")
				w.direct("ann", "eve", pair.Shared{Command: c})
				if name == "blocked" {
					w.direct("ann", "eve", pair.Block{Stamp: w.by("eve"), Other: pair.Other{User: w.users["ann"]}})
				}
				w.work(2, 2*time.Second)
				w.want(want)
			})
		})
	}
}

// An entry that is for nothing holds up nobody.
func TestAnEntryForNothingRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		commit := domain.Commit{
			Aggregate: w.group.Aggregate(), At: time.Now(), Entropy: w.entropy(), Events: []domain.Fact{&domain.ReceiptMoved{ReadSeq: 1}},
		}
		for i := range 300 {
			commit.Timers = append(commit.Timers, domain.Timer{Name: "what? " + strconv.Itoa(i), At: time.Now()})
		}
		commit.Timers = append(commit.Timers, domain.Timer{Name: string(w.group) + " expire 99", At: time.Now()})
		if _, err := w.log.Append(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
		w.give(w.message("ann", "x", time.Second))
		w.work(1, 3*time.Second)
		w.want("receipt.moved", "message.sent x", "message.expired 2")
	})
}

// Whatever happens, the due list is the fold of the events' timers.
func TestTheDueListFollowsFromTheEvents(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(1, 30).Draw(r, "steps") {
			name := rapid.SampledFrom([]string{"ann", "bob", "eve"}).Draw(r, "who")
			text := strconv.Itoa(rapid.IntRange(0, 3).Draw(r, "text"))
			head := int(w.log.Records(0, 0)[3].ConversationSeq) + len(w.log.Records(0, 4))
			about := domain.Seq(rapid.IntRange(1, head).Draw(r, "message"))
			// What is refused is part of the game.
			switch rapid.IntRange(0, 6).Draw(r, "what") {
			case 0, 1:
				_ = w.try(w.message(name, text, time.Duration(rapid.IntRange(0, 2).Draw(r, "hours"))*time.Hour))
			case 2:
				_ = w.try(conversation.RecallMessage{Stamp: w.by(name), Message: about, Facts: conversation.Facts{Sender: w.users[name], At: time.Now()}})
			case 3:
				_ = w.try(w.later(name, text, time.Duration(rapid.IntRange(1, 2).Draw(r, "hours"))*time.Hour))
			case 4:
				_ = w.try(conversation.Unschedule{Stamp: w.by(name), Scheduled: w.place.Scheduled(w.group, w.users[name], text)})
			case 5:
				_ = w.try(conversation.FireScheduled{Stamp: w.by(name), Scheduled: w.place.Scheduled(w.group, w.users[name], text)})
			default:
				_ = w.try(conversation.ExpireMessage{Stamp: w.by(""), Message: about})
			}
		}
		folded := make(map[string]time.Time)
		for _, record := range w.log.Records(0, 0) {
			event, err := record.Event()
			if err != nil {
				r.Fatal(err)
			}
			set, cancel := conversation.Timers(record.Aggregate, event)
			for _, timer := range set {
				folded[timer.Name] = timer.At
			}
			for _, name := range cancel {
				delete(folded, name)
			}
		}
		if due := w.due(); !maps.EqualFunc(folded, due, time.Time.Equal) {
			r.Fatalf("due %v, folded %v", due, folded)
		}
	})
}
