package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"
)

// Config says whom to connect to and what to do with what comes. Members without a default are required.
type Config struct {
	// URLs are the gateways, such as "https://chat.example.org"; the next one is tried where one does not answer.
	URLs []string
	// Name is what the server is told of this program. Default: "mpim-go/1".
	Name string
	// DeviceID makes the next login from the same device replace this one. Default: none.
	DeviceID string
	// DeviceName is what the user sees in the list of sessions. Default: Name.
	DeviceName string
	Handler    Handler
	// HTTP is the client for logging in and for opening sockets. Default: one with a time-out of 30 s.
	HTTP *http.Client
	// Logger gets what the handler is not told. Default: discard.
	Logger *slog.Logger
}

func (c *Config) setDefaults() error {
	if len(c.URLs) == 0 {
		return errors.New("client: Config.URLs is empty: name a gateway")
	}
	if c.Name == "" {
		c.Name = "mpim-go/1"
	}
	if c.DeviceName == "" {
		c.DeviceName = c.Name
	}
	if c.HTTP == nil {
		c.HTTP = &http.Client{Timeout: 30 * time.Second}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Session is one login. It is safe for concurrent use.
type Session struct {
	config Config
	// gateway counts which of the URLs is tried next.
	gateway int

	mu    sync.Mutex
	saved Saved
	// socket is the present one, ready for calls; nil while there is none. changed is closed when that changes.
	socket  *socket
	changed chan struct{}
	// ended is why Run gave up.
	ended error
	// turns holds, for each destination, the channel that the last message to it closes when it is done.
	turns map[string]chan struct{}
	// handled are conversations with events to acknowledge.
	handled map[string]int64
}

// Login logs in with a password.
func Login(ctx context.Context, config Config, username, password string) (*Session, error) {
	if err := config.setDefaults(); err != nil {
		return nil, err
	}
	request := map[string]string{"username": username, "password": password, "device_name": config.DeviceName}
	if config.DeviceID != "" {
		request["device_id"] = config.DeviceID
	}
	var saved Saved
	var err error
	for _, base := range config.URLs {
		if err = config.post(ctx, base, "/v1/sessions", request, &saved); err == nil {
			return Continue(config, saved)
		}
		if _, refused := errors.AsType[*Error](err); refused {
			break
		}
	}
	return nil, fmt.Errorf("log in as %s: %w", username, err)
}

// Continue goes on with a session that was saved.
func Continue(config Config, saved Saved) (*Session, error) {
	if err := config.setDefaults(); err != nil {
		return nil, err
	}
	if saved.Token == "" {
		return nil, errors.New("client: Saved.Token is empty: log in")
	}
	if saved.Standing == nil {
		saved.Standing = make(map[string]int64)
	}
	saved.Standing = maps.Clone(saved.Standing)
	return &Session{
		config: config, saved: saved, changed: make(chan struct{}),
		turns: make(map[string]chan struct{}), handled: make(map[string]int64),
	}, nil
}

// Save returns what Continue needs. Events that were handled by now do not come again.
func (s *Session) Save() Saved {
	s.mu.Lock()
	defer s.mu.Unlock()
	saved := s.saved
	saved.Standing = maps.Clone(saved.Standing)
	return saved
}

// Self returns the user.
func (s *Session) Self() User { return s.Save().User }

// update changes what is saved.
func (s *Session) update(change func(*Saved)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.saved)
}

// use makes a socket the one for calls; nil where there is none any more.
func (s *Session) use(k *socket, ended error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.socket, s.ended = k, ended
	close(s.changed)
	s.changed = make(chan struct{})
}

// ready waits for a socket.
func (s *Session) ready(ctx context.Context) (*socket, error) {
	for {
		s.mu.Lock()
		k, ended, changed := s.socket, s.ended, s.changed
		s.mu.Unlock()
		switch {
		case k != nil:
			return k, nil
		case ended != nil:
			return nil, ended
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for a connection: %w", context.Cause(ctx))
		case <-changed:
		}
	}
}
