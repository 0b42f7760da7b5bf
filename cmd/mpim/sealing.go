package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"mpim/projections/database"
	"mpim/projections/userkeys"
	"mpim/schema/seal"
	"mpim/streams/keys"
)

// sealingOn is the value of Settings.Seal that seals.
const sealingOn = "on"

// fromAuth and fromLog stand before what a wrapping key is made of where none is set.
const (
	fromAuth = "wraps keys from the key that signs tokens: "
	fromLog  = "wraps keys from the log's own key: "
)

// wrapping returns the keys that wrap those of users: what is set, else one made of the key that signs tokens, and in `mpim dev`
// one made of the log's own key. Whichever of them was current before still opens what it wrapped.
func (s *stores) wrapping(settings *Settings, dev bool) (*seal.Wrapping, error) {
	var secrets []string
	if settings.SealKey != "" {
		secrets = append(secrets, settings.SealKey)
	}
	if settings.AuthKey != "" && !settings.ownAuthKey {
		// Commas part one key from the next.
		secrets = append(secrets, fromAuth+hex.EncodeToString([]byte(settings.AuthKey)))
	}
	if settings.Seal == sealingOn && len(secrets) == 0 && !dev {
		return nil, usagef("no key is set that protects the keys of users: set MPIM_SEAL_KEY to at least 32 random characters, the same for every gateway and worker, such as `openssl rand -hex 32` prints; or MPIM_SEAL=off to store what people write as it is")
	}
	secrets = append(secrets, fromLog+hex.EncodeToString(s.identity.Key[:]))
	w, err := seal.NewWrapping(strings.Join(secrets, ","))
	if err != nil {
		return nil, usagef("MPIM_SEAL_KEY: %w", err)
	}
	return w, nil
}

// openSeal makes the ring of keys that this process seals and opens with.
func (s *stores) openSeal(settings *Settings, dev bool) error {
	wrapping, err := s.wrapping(settings, dev)
	if err != nil {
		return err
	}
	s.wrapped = wrapping
	s.keys = keys.Cache{Client: s.redis, Listener: s.bus, Logger: s.logger}
	s.sealing = settings.Seal == sealingOn
	s.ring, err = seal.NewRing(seal.Config{
		Store: userkeys.Store{DB: s.db}, Cache: s.keys, Wrapping: wrapping, Logger: s.logger,
	})
	return err
}

// openSealLikeOthers is openSeal for a command that appends by itself: without a key it works on what `mpim dev` has made alone.
func (s *stores) openSealLikeOthers(i *invocation) error {
	if err := s.openSeal(i.settings, true); err != nil {
		return err
	}
	byWrapping, _, err := userkeys.Store{DB: s.db}.Count(i.ctx)
	if err != nil {
		return err
	}
	if len(byWrapping) == 0 || len(byWrapping) == 1 && byWrapping[s.wrapped.Current()] > 0 {
		return nil
	}
	if err := s.openSeal(i.settings, false); err != nil {
		return err
	}
	return s.checkKeys(i.ctx)
}

// keysTime bounds how long a start waits for SQL to say which keys there are.
const keysTime = 5 * time.Second

// checkKeys refuses to run without a wrapping key that some users' keys need: nobody of them could write, and nothing of theirs
// be read. SQL may be down.
func (s *stores) checkKeys(ctx context.Context) error {
	limit, cancel := context.WithTimeout(ctx, keysTime)
	defer cancel()
	byWrapping, _, err := userkeys.Store{DB: s.db}.Count(limit)
	if err != nil {
		s.logger.Warn("not known whether the keys of users can be opened", slog.Any("error", err))
		return nil
	}
	for id, n := range byWrapping {
		if !s.wrapped.Has(id) {
			return fmt.Errorf("the keys of %d users are wrapped with key %s, which is not set: put it behind the others in MPIM_SEAL_KEY, or set MPIM_AUTH_KEY to what it was before", n, id)
		}
	}
	return nil
}

// openKeys lets a command that reads the log open what is sealed, where it can reach the keys. Where it cannot, events are
// shown as the log has them.
func (s *stores) openKeys(i *invocation) {
	why := "MPIM_DATABASE_URL is not set"
	if i.settings.DatabaseURL != "" {
		err := s.reachKeys(i.ctx, i.settings)
		if err == nil {
			return
		}
		why = err.Error()
	}
	s.ring = nil
	i.logger.Warn("texts are shown sealed: the keys of users are out of reach", slog.String("why", why))
}

func (s *stores) reachKeys(ctx context.Context, settings *Settings) (err error) {
	if s.db == nil {
		if s.db, err = database.Open(ctx, settings.DatabaseURL); err != nil {
			return err
		}
	}
	if err := s.adopt(s.identity); err != nil {
		return err
	}
	if err := s.openSeal(settings, true); err != nil {
		return err
	}
	if err := s.db.Ping(ctx); err != nil {
		return err
	}
	return s.checkKeys(ctx)
}
