package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Call calls any operation of the protocol by its method, such as "group.create". Params encodes as JSON to an object, and the
// result is decoded into result, which may be nil. While there is no connection it waits for one, and what was lost on
// the way or refused as unavailable is sent again: give what creates something a client_id, and it is created once. The
// error is an *Error where the server refused, or that of the context, or why [Session.Run] has ended.
func (s *Session) Call(ctx context.Context, method string, params, result any) error {
	var wait backOff
	for {
		k, err := s.ready(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		err = k.call(ctx, method, params, result)
		after, again := repeatable(err)
		if err == nil || !again {
			return err
		}
		if err := pause(ctx, wait.next(after)); err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		if errors.Is(err, errLost) {
			wait = backOff{} // the next socket is a new chance
		}
	}
}

// Send puts a message into the log. Messages to one destination are there in the order of the calls. Where the context ends
// first, the message may be there all the same: send it again with the same ClientID to know.
func (s *Session) Send(ctx context.Context, m Message) (Sent, error) {
	if m.ClientID == "" {
		m.ClientID = rand.Text()
	}
	before, done := s.turn(m.To.User + "/" + m.To.Conversation)
	defer done()
	if before != nil {
		select {
		case <-ctx.Done():
			return Sent{}, fmt.Errorf("message.send: %w", context.Cause(ctx))
		case <-before:
		}
	}
	var sent Sent
	err := s.Call(ctx, "message.send", m, &sent)
	return sent, err
}

// turn queues up for a destination. Before is closed when it is one's turn, nil where it is at once.
func (s *Session) turn(destination string) (before <-chan struct{}, done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	previous := s.turns[destination]
	mine := make(chan struct{})
	s.turns[destination] = mine
	return previous, func() {
		s.mu.Lock()
		if s.turns[destination] == mine {
			delete(s.turns, destination)
		}
		s.mu.Unlock()
		if previous == nil {
			close(mine)
			return
		}
		go func() { // who gave up waiting lets nobody past who came before
			<-previous
			close(mine)
		}()
	}
}

// User looks a user up by id, or by name as "@name".
func (s *Session) User(ctx context.Context, id string) (User, error) {
	var result struct {
		User User `json:"user"`
	}
	err := s.Call(ctx, "user.get", map[string]string{"user": id}, &result)
	return result.User, err
}

// Read moves the user's read cursor in a conversation.
func (s *Session) Read(ctx context.Context, conversation string, seq int64) error {
	return s.Call(ctx, "receipt.read", map[string]any{"conversation": conversation, "read_seq": seq}, nil)
}

// receiptsASecond is what the server takes from one session.
const receiptsASecond = 20

// acknowledge tells the server what was handled since the last time.
func (s *Session) acknowledge(ctx context.Context, k *socket) {
	due := make(map[string]int64)
	s.mu.Lock()
	for conversation, seq := range s.handled {
		if len(due) == receiptsASecond {
			break
		}
		due[conversation] = seq
		delete(s.handled, conversation)
	}
	s.mu.Unlock()
	asking, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for conversation, seq := range due {
		err := k.call(asking, "receipt.delivered", map[string]any{"conversation": conversation, "delivered_seq": seq}, nil)
		if err == nil {
			continue
		}
		s.config.Logger.Info("not acknowledged", slog.String("conversation", conversation), slog.Any("error", err))
		if _, again := repeatable(err); again || ctx.Err() != nil || asking.Err() != nil {
			s.mu.Lock()
			s.handled[conversation] = max(seq, s.handled[conversation])
			s.mu.Unlock()
		}
	}
}
