package main

import (
	"encoding/json"
	"fmt"

	"mpim/projections/userkeys"
)

type userRekeyCommand struct {
	JSON bool `help:"Print one JSON document."`
	Yes  bool `help:"Accepted for scripts; nothing is asked." hidden:""`
}

// Run wraps every user's key with the newest wrapping key.
func (c *userRekeyCommand) Run(i *invocation) error {
	s, err := openStores(i.ctx, i.settings, i.logger)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if err := s.openLog(i.ctx); err != nil {
		return err
	}
	if err := s.openSeal(i.settings, false); err != nil {
		return err
	}
	if err := s.checkKeys(i.ctx); err != nil {
		return err
	}
	store := userkeys.Store{DB: s.db}
	bar := newProgress(i, "wrapping keys")
	n, err := store.Rewrap(i.ctx, s.wrapped, func(n int) {
		for range n {
			bar.step()
		}
	})
	bar.done()
	if err != nil {
		return explain("user rekey", err)
	}
	left, destroyed, err := store.Count(i.ctx)
	if err != nil {
		return err
	}
	current := left[s.wrapped.Current()]
	delete(left, s.wrapped.Current())
	if c.JSON {
		return json.NewEncoder(i.stdout).Encode(map[string]any{
			"wrapped": n, "current": s.wrapped.Current(), "keys": current, "destroyed": destroyed, "others": left,
		})
	}
	fmt.Fprintf(i.stdout, "%d keys were wrapped anew; %d are wrapped with key %s, %d were destroyed\n", n, current, s.wrapped.Current(), destroyed)
	if len(left) == 0 {
		fmt.Fprintln(i.stdout, "older keys are needed no more, once every process has the newest: backups still need them")
		return nil
	}
	fmt.Fprintln(i.stdout, "others made keys meanwhile with an older one: give every process the newest first, and run this again")
	return errProblemsFound
}
