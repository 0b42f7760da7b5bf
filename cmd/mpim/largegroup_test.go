package main

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/handlers/api"
	"mpim/handlers/command"
	"mpim/handlers/push"
	"mpim/schema"
)

// largeGroup is how many members the largest group has.
const largeGroup = 100_000

// countingStore counts what a command reads and writes of an aggregate.
type countingStore struct {
	command.Store

	loaded, written int
}

func (s *countingStore) Load(ctx context.Context, a domain.Aggregate, fields []string) (domain.Fields, error) {
	found, err := s.Store.Load(ctx, a, fields)
	s.loaded += len(found)
	return found, err
}

func (s *countingStore) Append(ctx context.Context, c domain.Commit) (domain.Appended, error) {
	s.written += len(c.Set) + len(c.Delete) + len(c.Events)
	return s.Store.Append(ctx, c)
}

// grow makes a group of the owner with so many members, the last of them the one that is named.
func (c *crowd) grow(t *testing.T, name string, size int, last domain.UserID) (domain.ConversationID, []domain.UserID) {
	t.Helper()
	ctx := t.Context()
	var made struct {
		Conversation struct{ Conversation domain.ConversationID }
	}
	if err := c.call(ctx, c.members[0], "group.create", map[string]any{"title": name}, &made); err != nil {
		t.Fatal(err)
	}
	id, placement := made.Conversation.Conversation, c.stores.identity.Placement()
	users := make([]domain.UserID, size-1)
	for n := range users {
		users[n] = placement.User(name + strconv.Itoa(n))
	}
	users[len(users)-1] = last
	limits := conversation.DefaultLimits()
	limits.GroupMembers = largeGroup
	for first := 0; first < len(users); first += domain.MaxCommitEvents {
		_, err := command.Execute(ctx, c.log, command.Group, command.Request[conversation.Command]{
			Aggregate: id.Aggregate(), Entropy: entropy(),
			Command: conversation.AddMembers{
				Stamp: domain.NewStamp(c.members[0].User, time.Now()), Limits: limits,
				Users: users[first:min(first+domain.MaxCommitEvents, len(users))],
			},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return id, append(users, c.members[0].User)
}

// cost returns how many fields and events a message of the owner reads and writes.
func (c *crowd) cost(t *testing.T, id domain.ConversationID) (loaded, written int) {
	t.Helper()
	store := &countingStore{Store: c.log}
	_, err := command.Execute(t.Context(), store, command.Group, command.Request[conversation.Command]{
		Aggregate: id.Aggregate(), Entropy: entropy(), Command: conversation.SendMessage{
			Stamp: domain.NewStamp(c.members[0].User, time.Now()), ClientID: "counted",
			Body: domain.Body{Type: domain.TextBody, Text: "hello"}, Limits: conversation.DefaultLimits(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return store.loaded, store.written
}

// listed pages through the members of a group.
func (c *crowd) listed(t *testing.T, id domain.ConversationID) map[domain.UserID]int {
	t.Helper()
	found, after := make(map[domain.UserID]int), ""
	for {
		var page struct {
			Members []struct{ User domain.UserID }
			Next    string
		}
		params := map[string]any{"conversation": id, "limit": 200, "after": after}
		if err := c.call(t.Context(), c.members[0], "group.members", params, &page); err != nil {
			t.Fatal(err)
		}
		for _, m := range page.Members {
			found[m.User]++
		}
		if after = page.Next; after == "" {
			return found
		}
	}
}

// TestLargeGroup has a group as large as groups get: its members are listed, a message costs what it costs in a small one
// and reaches who is online, and who is far down the list can be removed and leave.
func TestLargeGroup(t *testing.T) {
	t.Parallel()
	const size = largeGroup
	c := &crowd{inProcess: startInProcess(t, "members", "inbox", "recent", push.Consumer), members: make([]api.Caller, 2)}
	c.heard.reset()
	c.listen(t)
	ctx := t.Context()
	c.everybody(t, func(n int) (err error) {
		c.members[n], err = c.user(ctx, "large"+strconv.Itoa(n))
		return err
	})
	last := c.members[1]
	small, _ := c.grow(t, "small", 10, last.User)
	began := time.Now()
	large, users := c.grow(t, "crowded", size, last.User)
	t.Logf("%d members come in %s", size, time.Since(began))
	began = time.Now()
	c.passed(t, "members")
	t.Logf("members are folded %s later", time.Since(began))

	began = time.Now()
	found := c.listed(t, large)
	for _, user := range users {
		if found[user] != 1 {
			t.Fatalf("%s is listed %d times", user, found[user])
		}
	}
	if len(found) != size {
		t.Errorf("%d members are listed of %d", len(found), size)
	}
	t.Logf("they are listed in %s", time.Since(began))

	loaded, written := c.cost(t, large)
	if l, w := c.cost(t, small); loaded != l || written != w {
		t.Errorf("a message reads %d and writes %d, in a group of ten it reads %d and writes %d", loaded, written, l, w)
	}
	t.Logf("a message reads %d fields and writes %d fields and events", loaded, written)
	c.reachesTheLast(t, large)

	for method, by := range map[string]api.Caller{"group.remove": c.members[0], "group.leave": last} {
		params := map[string]any{"conversation": large}
		if method == "group.remove" {
			params["user"] = users[size/2]
		}
		if err := c.call(ctx, by, method, params, nil); err != nil {
			t.Error(err)
		}
	}
	c.passed(t, "members")
	if found := c.listed(t, large); len(found) != size-2 || found[last.User]+found[users[size/2]] != 0 {
		t.Errorf("%d members are left", len(found))
	}
	if err := c.call(ctx, last, "group.members", map[string]any{"conversation": large}, nil); domain.CodeOf(err) != domain.PermissionDenied {
		t.Errorf("who left: %v", err)
	}
}

// reachesTheLast connects owner and last member, and sends until both are reached: push has loaded all members then.
func (c *crowd) reachesTheLast(t *testing.T, id domain.ConversationID) {
	t.Helper()
	c.everybody(t, func(n int) error {
		_, err := c.connect(t.Context(), c.members[n], "crowd-"+strconv.Itoa(n), uint32(n))
		return err
	})
	began, tries := time.Now(), 0
	eventually(t, "a message reaches the last member", func() error {
		c.heard.reset()
		tries++
		err := c.call(t.Context(), c.members[0], "message.send", map[string]any{
			"to": map[string]any{"conversation": id}, "client_id": strconv.Itoa(tries), "body": map[string]any{"type": "text", "text": "hello"},
		}, nil)
		if err != nil {
			return err
		}
		c.settle(t)
		if _, _, deliveries := c.heard.of(schema.ClassEvent); deliveries < len(c.members) {
			return fmt.Errorf("it reaches %d", deliveries)
		}
		return nil
	})
	t.Logf("a message reaches both who are online after %s, %d tries", time.Since(began), tries)
}
