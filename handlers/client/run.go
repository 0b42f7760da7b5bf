package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/coder/websocket"
)

// Close codes of the protocol. From firstFinal to lastFinal, connecting again as before is no use.
const (
	closeDraining  = 4000
	firstFinal     = 4100
	closeRevoked   = 4101
	closeSuspended = 4102
	lastFinal      = 4199
)

// Run connects, and connects again, until the context ends; then it returns nil. It returns ErrLoggedOut, ErrSuspended or
// ErrRefused where connecting again is no use. It must run once.
func (s *Session) Run(ctx context.Context) error {
	var wait backOff
	for ctx.Err() == nil {
		worked, err := s.once(ctx)
		if ctx.Err() != nil {
			break
		}
		if final(err) {
			s.use(nil, err)
			s.connected(false, err)
			return err
		}
		s.use(nil, nil)
		s.connected(false, err)
		s.config.Logger.Info("not connected", slog.Any("reason", err))
		if worked {
			wait = backOff{}
		}
		s.gateway++
		if closeCode(err) == closeDraining && worked {
			continue // at once, elsewhere
		}
		_ = pause(ctx, wait.next(0)) // an end of the context is found above
	}
	s.use(nil, context.Cause(ctx))
	return nil //nolint:nilerr // the socket ended because the context did
}

func (s *Session) connected(up bool, reason error) {
	if s.config.Handler.Connected != nil {
		s.config.Handler.Connected(up, reason)
	}
}

func closeCode(err error) int { return int(websocket.CloseStatus(err)) }

func final(err error) bool {
	return errors.Is(err, ErrLoggedOut) || errors.Is(err, ErrSuspended) || errors.Is(err, ErrRefused)
}

// verdict turns what went wrong over a socket into what it means for the next one.
func (k *socket) verdict(err error) error {
	if errors.Is(err, errLost) {
		<-k.gone
		err = k.err
	}
	if refusal, ok := errors.AsType[*Error](err); ok && refusal.Code == "unauthenticated" {
		return fmt.Errorf("%w: %w", ErrLoggedOut, err)
	}
	switch code := closeCode(err); {
	case code == closeSuspended:
		return ErrSuspended
	case code == closeRevoked, code == firstFinal:
		return ErrLoggedOut
	case code > firstFinal && code <= lastFinal:
		return fmt.Errorf("%w: %w", ErrRefused, err)
	default:
		return err
	}
}

// once holds one socket. It says whether the socket got as far as being up to date, and why it ended.
func (s *Session) once(ctx context.Context) (worked bool, err error) {
	url := s.config.URLs[s.gateway%len(s.config.URLs)]
	if err := s.renewOver(ctx, url); err != nil {
		return false, err
	}
	k, err := open(ctx, &s.config, url, s.Save().Token)
	if err != nil {
		return false, err
	}
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() { defer close(done); k.read(reading) }()
	unhook := context.AfterFunc(ctx, func() { k.close(websocket.StatusNormalClosure, "") })
	defer func() {
		unhook()
		k.close(websocket.StatusGoingAway, "")
		stop()
		<-done
	}()
	f := follower{session: s, socket: k}
	if err := f.begin(ctx); err != nil {
		return false, k.verdict(err)
	}
	s.use(k, nil)
	s.connected(true, nil)
	tending := make(chan struct{})
	tend, rest := context.WithCancel(ctx)
	go func() { defer close(tending); s.tend(tend, k) }()
	err = f.follow(ctx)
	rest()
	<-tending
	return true, k.verdict(err)
}

// tend sends what is due by the clock: acknowledgements, signs of life, new tokens.
func (s *Session) tend(ctx context.Context, k *socket) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-k.gone:
			return
		case <-second.C:
		}
		s.acknowledge(ctx, k)
		if n%aliveSeconds == 0 {
			s.alive(ctx, k)
		}
		if time.Until(s.Save().ExpiresAt) < renewBefore {
			s.renew(ctx, k)
		}
	}
}

const (
	aliveSeconds = 25
	// renewBefore is how long before its end a token is renewed.
	renewBefore = 5 * time.Minute
	// aliveTime is how long the server may take to answer before it counts as gone.
	aliveTime = 20 * time.Second
)

// alive gives up a socket whose server does not answer: nothing else would tell, on a line that lost everything.
func (s *Session) alive(ctx context.Context, k *socket) {
	asking, cancel := context.WithTimeout(ctx, aliveTime)
	defer cancel()
	if err := k.call(asking, "ping", nil, nil); err != nil && ctx.Err() == nil && asking.Err() != nil {
		k.close(websocket.StatusGoingAway, "no answer")
	}
}

// renew trades the tokens over the socket, which extends it.
func (s *Session) renew(ctx context.Context, k *socket) {
	var fresh Saved
	err := k.call(ctx, "session.refresh", map[string]string{"refresh_token": s.Save().RefreshToken}, &fresh)
	if err != nil {
		s.config.Logger.Warn("tokens not renewed", slog.Any("error", err))
		return
	}
	s.adopt(fresh)
}

// renewOver trades the tokens over REST where they have ended, or nearly so.
func (s *Session) renewOver(ctx context.Context, url string) error {
	saved := s.Save()
	if time.Until(saved.ExpiresAt) > time.Minute {
		return nil
	}
	var fresh Saved
	err := s.config.post(ctx, url, "/v1/sessions/refresh", map[string]string{"refresh_token": saved.RefreshToken}, &fresh)
	if refusal, ok := errors.AsType[*Error](err); ok && refusal.Code == "unauthenticated" {
		return fmt.Errorf("%w: %w", ErrLoggedOut, err)
	}
	if err != nil {
		return err
	}
	s.adopt(fresh)
	return nil
}

func (s *Session) adopt(fresh Saved) {
	s.update(func(saved *Saved) {
		saved.Token, saved.RefreshToken, saved.ExpiresAt = fresh.Token, fresh.RefreshToken, fresh.ExpiresAt
	})
}
