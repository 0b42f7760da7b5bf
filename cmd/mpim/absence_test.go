package main_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// leaseEnds bounds how long the users of a gateway that was killed are still seen online: its lease and the grace of a lost
// connection are a minute, and the sweep comes behind.
const leaseEnds = 75 * time.Second

// TestKilledGateway kills a gateway. Its users go offline within a lease, and those of the other never do meanwhile.
func TestKilledGateway(t *testing.T) {
	t.Parallel()
	d := deploy(t, layout{gateways: 2, workers: 1})
	ann := newPerson(t, d.gateways[0].url, "killed-ann", false)
	ben := newPerson(t, d.gateways[1].url, "killed-ben", false)
	cat := newPerson(t, d.gateways[0].url, "killed-cat", false)
	ann.gather(t, params{"title": "Absence"}, ben, cat)
	ann.sees(t, ben.User.ID, "online", "")
	ann.sees(t, cat.User.ID, "online", "")
	if err := ann.socket.call(t.Context(), "presence.watch", params{"users": []string{ben.User.ID, cat.User.ID}}, nil); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := d.gateways[1].Kill(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, leaseEnds, "ben is offline", func() error {
		var all manySeen
		ann.do(t, "presence.get", params{"users": []string{ben.User.ID, cat.User.ID}}, &all)
		gone := false
		for _, one := range all.Presence {
			if one.User == cat.User.ID && one.Status != "online" {
				t.Fatalf("cat, whose gateway lives, is %s after %s", one.Status, time.Since(began))
			}
			gone = gone || one.User == ben.User.ID && one.Status == "offline"
		}
		if !gone {
			return fmt.Errorf("seen %+v", all.Presence)
		}
		return nil
	})
	t.Logf("offline %s after the gateway was killed", time.Since(began))
	ann.shown(t, ben.User.ID, "offline")
	ann.pushes.mu.Lock()
	defer ann.pushes.mu.Unlock()
	for _, one := range ann.pushes.all {
		if told := string(one.Params); one.Method == "presence" && strings.Contains(told, cat.User.ID) && strings.Contains(told, `"offline"`) {
			t.Errorf("told that cat is offline: %s", told)
		}
	}
}
