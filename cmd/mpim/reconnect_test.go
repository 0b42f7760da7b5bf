package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/handlers/api"
	"mpim/projections/presence"
	"mpim/schema"
)

// statuses counts what is published of users' presence.
type statuses struct {
	mu       sync.Mutex
	messages int
	users    map[domain.UserID]int
	all      int
}

func (s *statuses) take(_ string, payload []byte) {
	list, err := schema.DecodeStatuses(payload)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages++
	for _, one := range list {
		s.users[one.User]++
		s.all++
	}
}

func (s *statuses) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages, s.all, s.users = 0, 0, make(map[domain.UserID]int)
}

func (s *statuses) count() (messages, users, all int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.messages, len(s.users), s.all
}

// listenStatuses hears the channels of all partitions.
func (p *inProcess) listenStatuses(t *testing.T) *statuses {
	t.Helper()
	s := &statuses{users: make(map[domain.UserID]int)}
	channels := make([]string, p.stores.identity.Partitions)
	for partition := range channels {
		channels[partition] = schema.StatusChannel(partition)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- p.stores.bus.Listen(ctx, channels, func() { close(ready) }, s.take) }()
	<-ready
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// passed waits until a projection has folded the whole log.
func (p *inProcess) passed(t *testing.T, projection string) {
	t.Helper()
	eventually(t, projection+" has passed the log", func() error {
		heads, err := p.log.Heads(t.Context())
		if err != nil {
			return err
		}
		for partition, head := range heads {
			folded, err := p.stores.redis.HGet(t.Context(), schema.PartitionKey(partition, "checkpoint:"+projection), "seq").Int64()
			if head > 0 && (err != nil || folded < head) {
				return fmt.Errorf("partition %d is folded to %d of %d: %w", partition, folded, head, err)
			}
		}
		return nil
	})
}

// TestReconnects counts what is told when 1,000 users connect at once, and when all of them lose their connection and come
// back.
func TestReconnects(t *testing.T) {
	t.Parallel()
	const users = 1000
	p := startInProcess(t, presence.Name)
	ctx := t.Context()
	told := p.listenStatuses(t)
	callers, connections := make([]api.Caller, users), make([]domain.ConnectionID, users)
	everybody := func(do func(n int) error) {
		t.Helper()
		var group errgroup.Group
		group.SetLimit(128)
		for n := range users {
			group.Go(func() error { return do(n) })
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		p.passed(t, presence.Name)
	}
	everybody(func(n int) (err error) {
		callers[n], err = p.user(ctx, "user"+strconv.Itoa(n))
		return err
	})
	told.reset()
	connect := func(n int) (err error) {
		connections[n], err = p.connect(ctx, callers[n], "reconnects", uint32(n))
		return err
	}
	everybody(connect)
	// Pub/Sub is behind the checkpoint by a moment.
	eventually(t, "all are told to be online", func() error {
		if _, known, _ := told.count(); known < users {
			return fmt.Errorf("%d are", known)
		}
		return nil
	})
	messages, known, all := told.count()
	t.Logf("1,000 connect: %d statuses of %d users in %d messages", all, known, messages)
	if all != users || messages > users/2 {
		t.Errorf("1,000 users who connect are %d statuses in %d messages", all, messages)
	}
	told.reset()
	everybody(func(n int) error {
		return p.give(ctx, callers[n].User, account.Disconnect{
			Stamp: domain.NewStamp(callers[n].User, time.Now()), Connection: connections[n], Reason: account.Lost,
		})
	})
	everybody(connect)
	// What is told of a partition comes in order: what was to be told of the others is there when the last of each is.
	if err := p.connectOneEach(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the last are told", func() error {
		if _, known, _ := told.count(); known < p.stores.identity.Partitions {
			return fmt.Errorf("%d are", known)
		}
		return nil
	})
	if messages, _, all := told.count(); all > p.stores.identity.Partitions {
		t.Errorf("1,000 users who lost their connection and came back are %d statuses, those of %d others among them, in %d messages",
			all, p.stores.identity.Partitions, messages)
	}
}

// connectOneEach connects one new user in each partition.
func (p *inProcess) connectOneEach(ctx context.Context) error {
	met := make(map[int]bool)
	for n := 0; len(met) < p.stores.identity.Partitions; n++ {
		name := "last" + strconv.Itoa(n)
		partition, _ := p.stores.identity.Placement().User(name).Partition()
		if met[partition] {
			continue
		}
		met[partition] = true
		caller, err := p.user(ctx, name)
		if err != nil {
			return err
		}
		if _, err := p.connect(ctx, caller, "reconnects", uint32(n)); err != nil {
			return err
		}
	}
	return nil
}
