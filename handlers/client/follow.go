package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// follower keeps the session up to date over one socket. It is used by one goroutine.
type follower struct {
	session *Session
	socket  *socket
}

type hello struct {
	Connection string `json:"connection"`
	Epoch      string `json:"epoch"`
}

// begin introduces the session and catches up.
func (f *follower) begin(ctx context.Context) error {
	saved := f.session.Save()
	params := map[string]any{"client": f.session.config.Name}
	if saved.Connection != "" {
		params["resume"] = map[string]string{"connection": saved.Connection}
	}
	var h hello
	if err := f.socket.call(ctx, "hello", params, &h); err != nil {
		return err
	}
	f.session.update(func(s *Saved) { s.Connection = h.Connection })
	return f.catchUp(ctx, nil)
}

// follow handles pushes until the socket is gone, and returns why it is.
func (f *follower) follow(ctx context.Context) error {
	for {
		pushes, ok := f.socket.next()
		if !ok {
			return f.socket.err
		}
		for _, p := range pushes {
			if err := f.handle(ctx, p); err != nil {
				return err
			}
		}
	}
}

func (f *follower) handle(ctx context.Context, p push) error {
	handler := &f.session.config.Handler
	switch p.method {
	case "event":
		var e Event
		if err := json.Unmarshal(p.params, &e); err != nil {
			return fmt.Errorf("read a pushed event: %w", err)
		}
		return f.take(ctx, e)
	case "resync":
		return f.catchUp(ctx, nil)
	case "receipt":
		var r Receipt
		if err := json.Unmarshal(p.params, &r); err != nil {
			return fmt.Errorf("read a pushed receipt: %w", err)
		}
		if handler.Receipt != nil {
			handler.Receipt(r)
		}
	default:
		if handler.Push != nil {
			handler.Push(p.method, p.params)
		}
	}
	return nil
}

// take handles a pushed event: the next one is for the handler, one that is known is dropped, and before a later one comes
// what is missing.
func (f *follower) take(ctx context.Context, e Event) error {
	standing := f.standing(e.Conversation)
	switch {
	case e.Seq <= standing:
		return nil
	case e.Seq == standing+1:
		f.session.deliver(e)
		return nil
	default:
		return f.catchUp(ctx, []string{e.Conversation})
	}
}

func (f *follower) standing(conversation string) int64 {
	f.session.mu.Lock()
	defer f.session.mu.Unlock()
	return f.session.saved.Standing[conversation]
}

// deliver hands an event to the handler, and notes that it stands there.
func (s *Session) deliver(e Event) {
	if s.config.Handler.Event != nil {
		s.config.Handler.Event(e)
	}
	s.stand(e.Conversation, e.Seq)
}

// stand notes that everything up to seq was handled.
func (s *Session) stand(conversation string, seq int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq > s.saved.Standing[conversation] {
		s.saved.Standing[conversation] = seq
		s.handled[conversation] = seq
	}
}

type synced struct {
	Conversations []struct {
		Conversation string  `json:"conversation"`
		HeadSeq      int64   `json:"head_seq"`
		Events       []Event `json:"events"`
		Complete     bool    `json:"complete"`
		Reset        bool    `json:"reset"`
		Left         bool    `json:"left"`
	} `json:"conversations"`
	UserSeq  int64  `json:"user_seq"`
	Epoch    string `json:"epoch"`
	Position string `json:"position"`
	Next     string `json:"next"`
}

// catchUp calls sync until nothing is missing, in the conversations that are named, or in all.
func (f *follower) catchUp(ctx context.Context, only []string) error {
	for {
		unfinished, err := f.pages(ctx, only)
		if err != nil || len(unfinished) == 0 {
			return err
		}
		only = unfinished
	}
}

// pages reads all pages of one sync, and returns the conversations of which there is more.
func (f *follower) pages(ctx context.Context, only []string) (unfinished []string, err error) {
	saved := f.session.Save()
	since := saved.Standing
	if only != nil {
		since = make(map[string]int64, len(only))
		for _, conversation := range only {
			since[conversation] = saved.Standing[conversation]
		}
	}
	params := map[string]any{"since": since, "user_seq": saved.UserSeq}
	if only != nil {
		params["only"] = true
	}
	if saved.Epoch != "" {
		params["epoch"] = saved.Epoch
	}
	for {
		var page synced
		if err := f.insist(ctx, "sync", params, &page); err != nil {
			return nil, err
		}
		f.forgetOlderEpoch(saved.Epoch, page.Epoch)
		unfinished = append(unfinished, f.apply(page)...)
		if page.Next == "" {
			return unfinished, nil
		}
		params["after"] = page.Next
	}
}

// forgetOlderEpoch drops what was acknowledged before the server lost data: those sequences mean other events now.
func (f *follower) forgetOlderEpoch(kept, epoch string) {
	f.session.update(func(s *Saved) {
		if kept != "" && kept != epoch && s.Epoch != epoch {
			clear(s.Standing)
			clear(f.session.handled)
		}
		s.Epoch = epoch
	})
}

func (f *follower) apply(page synced) (unfinished []string) {
	s := f.session
	for _, c := range page.Conversations {
		if c.Reset {
			if s.config.Handler.Reset != nil {
				s.config.Handler.Reset(Reset{Conversation: c.Conversation, HeadSeq: c.HeadSeq, Position: page.Position})
			}
			s.update(func(saved *Saved) { saved.Standing[c.Conversation] = c.HeadSeq })
		}
		for _, e := range c.Events {
			if e.Seq > f.standing(c.Conversation) {
				s.deliver(e)
			}
		}
		switch {
		case c.Complete:
			s.stand(c.Conversation, c.HeadSeq)
		default:
			unfinished = append(unfinished, c.Conversation)
		}
		if c.Left && c.Complete && s.config.Handler.Left != nil {
			s.config.Handler.Left(c.Conversation)
		}
	}
	s.update(func(saved *Saved) { saved.UserSeq = page.UserSeq })
	return unfinished
}

// insist repeats a call over this socket while the server says that it may be repeated.
func (f *follower) insist(ctx context.Context, method string, params, result any) error {
	var wait backOff
	for {
		err := f.socket.call(ctx, method, params, result)
		after, again := repeatable(err)
		if err == nil || !again || errors.Is(err, errLost) {
			return err
		}
		waiting, cancel := context.WithTimeout(ctx, after+time.Minute)
		err = f.waitOrGone(waiting, wait.next(after))
		cancel()
		if err != nil {
			return err
		}
	}
}

// waitOrGone waits, but not for longer than the socket lasts.
func (f *follower) waitOrGone(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-f.socket.gone:
		return errLost
	case <-timer.C:
		return nil
	}
}
