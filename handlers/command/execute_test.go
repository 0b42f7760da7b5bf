package command_test

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mpim/domain"
	"mpim/handlers/command"
	"mpim/handlers/command/commandtest"
)

var (
	placement = domain.Placement{Partitions: 4}
	alice     = placement.User("alice")
	group     = placement.Group(alice, "g1")
	now       = time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC)
)

// A toy aggregate: members by name, who may send, and a free field each. It has the shape of the real ones.
type state struct {
	members map[string]string
	cursors map[string]string
}

type toyCommand struct {
	domain.Stamp

	add, remove, send, move string
}

var rules = command.Rules[state, toyCommand]{
	Needs: func(c toyCommand) []string {
		if c.move != "" {
			return []string{"c:" + c.move}
		}
		return []string{"m:" + c.add + c.remove + c.send}
	},
	Load: func(f domain.Fields) (state, error) {
		s := state{members: map[string]string{}, cursors: map[string]string{}}
		for field, value := range f {
			if user, ok := strings.CutPrefix(field, "m:"); ok {
				s.members[user] = value
			} else if user, ok := strings.CutPrefix(field, "c:"); ok {
				s.cursors[user] = value
			}
		}
		return s, nil
	},
	Decide: func(s state, c toyCommand) ([]domain.Fact, error) {
		member := s.members[c.add+c.remove+c.send] != ""
		switch {
		case c.add != "" && member, c.remove != "" && !member:
			return nil, nil
		case c.add != "":
			return []domain.Fact{&domain.MemberAdded{User: "other"}, &domain.MemberAdded{User: domain.UserID(c.add)}}, nil
		case c.remove == "mallory":
			return []domain.Fact{&domain.MemberRemoved{User: "mallory"}}, domain.Errorf(domain.Unauthenticated, "caught")
		case c.remove != "":
			return []domain.Fact{&domain.MemberRemoved{User: domain.UserID(c.remove)}}, nil
		case c.move != "":
			n, _ := strconv.Atoi(s.cursors[c.move])
			return []domain.Fact{&domain.ReceiptMoved{ReadSeq: domain.Seq(n + 1)}}, nil
		case !member:
			return nil, domain.Errorf(domain.PermissionDenied, "not a member")
		default:
			return []domain.Fact{&domain.MessageSent{ClientID: "1", Body: domain.Body{Type: domain.TextBody, Text: c.send}}}, nil
		}
	},
	Evolve: func(s state, e domain.Event) state {
		switch fact := e.Data.(type) {
		case *domain.MemberAdded:
			s.members[string(fact.User)] = e.Seq.String()
		case *domain.MemberRemoved:
			delete(s.members, string(fact.User))
		case *domain.ReceiptMoved:
			s.cursors[string(e.Actor)] = fact.ReadSeq.String()
		default:
		}
		return s
	},
	Touched: func(e domain.Event) []string {
		switch fact := e.Data.(type) {
		case *domain.MemberAdded:
			return []string{"m:" + string(fact.User)}
		case *domain.MemberRemoved:
			return []string{"m:" + string(fact.User)}
		case *domain.ReceiptMoved:
			return []string{"c:" + string(e.Actor)}
		default:
			return nil
		}
	},
	Store: func(s state, field string) (string, bool) {
		values := s.members
		if field[:2] == "c:" {
			values = s.cursors
		}
		value, ok := values[field[2:]]
		return value, ok
	},
}

func request(c toyCommand) command.Request[toyCommand] {
	c.Stamp = domain.NewStamp(alice, now)
	return command.Request[toyCommand]{Aggregate: group.Aggregate(), Command: c, Entropy: make([]byte, domain.EventEntropy)}
}

func mustExecute(t *testing.T, log *commandtest.Log, r command.Request[toyCommand]) command.Result[state] {
	t.Helper()
	result, err := command.Execute(t.Context(), log, rules, r)
	if err != nil {
		t.Fatalf("execute %+v: %v", r.Command, err)
	}
	return result
}

func TestExecuteStoresWhatEventsTouch(t *testing.T) {
	log := commandtest.New(4)
	result := mustExecute(t, log, request(toyCommand{add: "bob"}))
	if !result.Changed || result.Seq != 1 || !result.At.Equal(now.Truncate(time.Millisecond)) {
		t.Errorf("result %+v", result)
	}
	fields, _ := log.Load(t.Context(), group.Aggregate(), nil)
	want := domain.Fields{"m:other": "1", "m:bob": "2", "v": "1", "seq": "2", "ord": "0"}
	for name, value := range want {
		if fields[name] != value {
			t.Errorf("field %s is %q, want %q", name, fields[name], value)
		}
	}
	mustExecute(t, log, request(toyCommand{remove: "bob"}))
	if fields, _ = log.Load(t.Context(), group.Aggregate(), nil); fields["m:bob"] != "" || fields["v"] != "2" {
		t.Errorf("after removal: %v", fields)
	}
}

func TestExecuteWithoutFacts(t *testing.T) {
	log := commandtest.New(4)
	first := mustExecute(t, log, request(toyCommand{add: "bob"}))
	again := mustExecute(t, log, request(toyCommand{add: "bob"}))
	if again.Changed || again.Duplicate || again.Position != first.Position {
		t.Errorf("already so: %+v, want the position %v", again, first.Position)
	}
}

func TestSendsDoNotRaiseTheVersion(t *testing.T) {
	log := commandtest.New(4)
	mustExecute(t, log, request(toyCommand{add: "bob"}))
	mustExecute(t, log, request(toyCommand{send: "bob"}))
	mustExecute(t, log, request(toyCommand{move: string(alice)}))
	if fields, _ := log.Load(t.Context(), group.Aggregate(), nil); fields["v"] != "1" {
		t.Errorf("version %q after a send and a receipt, want 1", fields["v"])
	}
}

func TestARemovalBetweenLoadAndAppendRefusesTheSend(t *testing.T) {
	log := commandtest.New(4)
	mustExecute(t, log, request(toyCommand{add: "bob"}))
	log.BeforeAppend = func(domain.Commit) error {
		log.BeforeAppend = nil
		mustExecute(t, log, request(toyCommand{remove: "bob"}))
		return nil
	}
	_, err := command.Execute(t.Context(), log, rules, request(toyCommand{send: "bob"}))
	if domain.CodeOf(err) != domain.PermissionDenied {
		t.Errorf("got %v, want permission_denied", err)
	}
}

// What the caller has read is decided on once, and is read anew where it no longer stands.
func TestLoadedFieldsAreDecidedOnFirst(t *testing.T) {
	log := commandtest.New(4)
	mustExecute(t, log, request(toyCommand{add: "bob"}))
	loaded, _ := log.Load(t.Context(), group.Aggregate(), []string{"m:bob", "v"})
	send := request(toyCommand{send: "bob"})
	send.Loaded = loaded
	mustExecute(t, log, send)
	mustExecute(t, log, request(toyCommand{remove: "bob"}))
	if _, err := command.Execute(t.Context(), log, rules, send); domain.CodeOf(err) != domain.PermissionDenied {
		t.Errorf("got %v, want permission_denied", err)
	}
	send.Loaded = domain.Fields{}
	if _, err := command.Execute(t.Context(), log, rules, send); domain.CodeOf(err) != domain.PermissionDenied {
		t.Errorf("got %v, want permission_denied", err)
	}
}

func TestFreeFieldsGuardThemselves(t *testing.T) {
	log := commandtest.New(4)
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			// A receipt may lose its turn more often than it tries; what counts is that none is lost silently.
			for {
				_, err := command.Execute(t.Context(), log, rules, request(toyCommand{move: string(alice)}))
				if domain.CodeOf(err) != domain.Unavailable {
					return
				}
			}
		})
	}
	wait.Wait()
	if fields, _ := log.Load(t.Context(), group.Aggregate(), nil); fields["c:"+string(alice)] != "20" {
		t.Errorf("cursor %q after 20 moves by one", fields["c:"+string(alice)])
	}
}

func TestExecuteGivesUpWhenAlwaysStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := commandtest.New(4)
		log.BeforeAppend = func(domain.Commit) error { return domain.ErrStale }
		_, err := command.Execute(t.Context(), log, rules, request(toyCommand{add: "bob"}))
		if domain.CodeOf(err) != domain.Unavailable {
			t.Errorf("got %v, want unavailable", err)
		}
	})
}

func TestARetryGetsTheFirstResult(t *testing.T) {
	log := commandtest.New(4)
	mustExecute(t, log, request(toyCommand{add: "bob"}))
	send := request(toyCommand{send: "bob"})
	send.ID = identify(t, "hello")
	first := mustExecute(t, log, send)

	t.Run("while it is still allowed", func(t *testing.T) {
		again := mustExecute(t, log, send)
		if !again.Duplicate || again.Changed || again.Seq != first.Seq || again.Event != first.Event {
			t.Errorf("got %+v, want the result %+v", again, first)
		}
	})
	t.Run("when it is refused by now", func(t *testing.T) {
		mustExecute(t, log, request(toyCommand{remove: "bob"}))
		again := mustExecute(t, log, send)
		if !again.Duplicate || again.Seq != first.Seq {
			t.Errorf("got %+v, want the result %+v", again, first)
		}
	})
	t.Run("not with other content", func(t *testing.T) {
		other := send
		other.ID = identify(t, "other")
		if _, err := command.Execute(t.Context(), log, rules, other); domain.CodeOf(err) != domain.Conflict {
			t.Errorf("got %v, want conflict", err)
		}
	})
	t.Run("not for another request", func(t *testing.T) {
		other := send
		other.ID, _ = command.Identify(placement, string(group), alice, "other id", "hello")
		if _, err := command.Execute(t.Context(), log, rules, other); domain.CodeOf(err) != domain.PermissionDenied {
			t.Errorf("got %v, want permission_denied", err)
		}
	})
}

func TestARefusalWithFactsAppendsThem(t *testing.T) {
	log := commandtest.New(4)
	mustExecute(t, log, request(toyCommand{add: "mallory"}))
	_, err := command.Execute(t.Context(), log, rules, request(toyCommand{remove: "mallory"}))
	if domain.CodeOf(err) != domain.Unauthenticated {
		t.Errorf("got %v, want the refusal", err)
	}
	if fields, _ := log.Load(t.Context(), group.Aggregate(), nil); fields["m:mallory"] != "" {
		t.Errorf("the facts were not appended: %v", fields)
	}
}

func TestExecutePassesErrorsOn(t *testing.T) {
	log := commandtest.New(4)
	broken := errors.New("broken")
	log.BeforeAppend = func(domain.Commit) error { return broken }
	if _, err := command.Execute(t.Context(), log, rules, request(toyCommand{add: "bob"})); !errors.Is(err, broken) {
		t.Errorf("got %v, want the store's error", err)
	}
}

func identify(t *testing.T, content string) *domain.Request {
	t.Helper()
	r, err := command.Identify(placement, string(group), alice, "id", content)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestIdentifyTellsPartsApart(t *testing.T) {
	a, _ := command.Identify(placement, "ab", "c", "d", nil)
	b, _ := command.Identify(placement, "a", "bc", "d", nil)
	c, _ := command.Identify(placement, "a", "b", "cd", nil)
	if a.Key == b.Key || b.Key == c.Key || a.Key == c.Key {
		t.Error("requests that differ share a key")
	}
	if a.Content != b.Content {
		t.Error("the same content hashes differently")
	}
}
