package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"mpim/streams/streamstest"
)

// Contacts and users come from the cache, which follows every change; a cache that is lost is filled again, and one that is
// gone is passed by.
func TestCacheFollowsChanges(t *testing.T) {
	t.Parallel()
	own := streamstest.StartRedis(t, streamstest.With("appendonly", "no"), streamstest.With("maxmemory", "20mb"), streamstest.With("maxmemory-policy", "allkeys-lru"))
	d := deploy(t, layout{gateways: 2, workers: 1, env: []string{"MPIM_REDIS_CACHE_URL=" + own.URL()}})
	base, other := d.gateways[0].url, d.gateways[1].url
	alice, err := register(t.Context(), base, "alice")
	if err != nil {
		t.Fatal(err)
	}
	bob, err := register(t.Context(), base, "bob")
	if err != nil {
		t.Fatal(err)
	}
	book := func(base string, of login) (contacts, incoming []string, err error) {
		var answer struct{ Contacts, Incoming []struct{ User string } }
		_, err = rest(t.Context(), "GET", base+"/v1/contacts", of.Token, nil, &answer)
		for _, c := range answer.Contacts {
			contacts = append(contacts, c.User)
		}
		for _, c := range answer.Incoming {
			incoming = append(incoming, c.User)
		}
		return contacts, incoming, err
	}
	wantBook := func(what string, of login, contacts, incoming string) {
		t.Helper()
		for _, gateway := range []string{base, other} {
			waitFor(t, 20*time.Second, what, func() error {
				gotContacts, gotIncoming, err := book(gateway, of)
				if err == nil && (strings.Join(gotContacts, " ") != contacts || strings.Join(gotIncoming, " ") != incoming) {
					err = fmt.Errorf("contacts %v, incoming %v", gotContacts, gotIncoming)
				}
				return err
			})
		}
	}
	wantBook("nobody yet", bob, "", "") // from here on it is in the cache
	call := func(method, path string, of login, body any) {
		t.Helper()
		if _, err := rest(t.Context(), method, base+path, of.Token, body, nil); err != nil {
			t.Fatal(err)
		}
	}
	call("POST", "/v1/contacts/requests", alice, map[string]any{"user": bob.User.ID})
	wantBook("the request", bob, "", alice.User.ID)
	call("POST", "/v1/contacts/requests/"+alice.User.ID+"/accept", bob, nil)
	wantBook("the contact", bob, alice.User.ID, "")

	named := func(gateway string) string {
		var answer struct {
			Users []struct {
				DisplayName string `json:"display_name"`
			}
		}
		if _, err := rest(t.Context(), "GET", gateway+"/v1/users?id="+alice.User.ID+"&id=u00000000000000000000"+alice.User.ID[len(alice.User.ID)-2:], bob.Token, nil, &answer); err != nil {
			t.Fatal(err)
		}
		if len(answer.Users) != 1 {
			t.Fatalf("users %+v", answer)
		}
		return answer.Users[0].DisplayName
	}
	if got := named(base); got != "alice" {
		t.Errorf("alice is called %q", got)
	}
	call("PATCH", "/v1/me", alice, map[string]any{"display_name": "Alice of the Cache"})
	for _, gateway := range []string{base, other} {
		waitFor(t, 20*time.Second, "the new name", func() error {
			if got := named(gateway); got != "Alice of the Cache" {
				return fmt.Errorf("alice is called %q", got)
			}
			return nil
		})
	}
	client := own.Client()
	if n := client.Exists(t.Context(), "user:info:{"+alice.User.ID+"}", "user:friends:{"+bob.User.ID+"}").Val(); n != 2 {
		t.Errorf("%d of 2 entries are in the cache", n)
	}
	d.verifyCache(t, func() error {
		return client.Set(t.Context(), "user:info:{"+alice.User.ID+"}", `v{"ID":"u1"}`, 0).Err()
	})
	if err := own.Kill(); err != nil {
		t.Fatal(err)
	}
	wantBook("the contact without a cache", bob, alice.User.ID, "")
	if err := own.Restart(); err != nil {
		t.Fatal(err)
	}
	wantBook("the contact with an empty cache", bob, alice.User.ID, "")
}

// verifyCache has `mpim cache` find and repair what is wrong after spoil.
func (d *deployment) verifyCache(t *testing.T, spoil func() error) {
	t.Helper()
	verify := func(args ...string) (ok bool, err error) {
		t.Helper()
		output, err := d.run(t.Context(), append([]string{"cache", "verify", "--json"}, args...)...)
		var answer struct{ OK bool }
		if wrong := json.Unmarshal([]byte(output), &answer); wrong != nil {
			t.Fatalf("%s: %v", output, wrong)
		}
		if !answer.OK {
			t.Logf("verify %v: %s", args, output)
		}
		return answer.OK, err
	}
	if ok, err := verify(); err != nil || !ok {
		t.Errorf("verify: %t, %v", ok, err)
	}
	if err := spoil(); err != nil {
		t.Fatal(err)
	}
	if ok, err := verify("--repair"); err == nil || ok {
		t.Errorf("verify of what is wrong: %t, %v", ok, err)
	}
	if ok, err := verify(); err != nil || !ok {
		t.Errorf("verify after the repair: %t, %v", ok, err)
	}
	if output, err := d.run(context.WithoutCancel(t.Context()), "cache", "stat", "--json"); err != nil || !strings.Contains(output, `"kind":"user:friends"`) || !strings.Contains(output, `"server":"own"`) {
		t.Errorf("stat: %s, %v", output, err)
	}
	if output, err := d.run(t.Context(), "cache", "warm", "--json"); err != nil || !strings.Contains(output, `"stored"`) {
		t.Errorf("warm: %s, %v", output, err)
	}
}
