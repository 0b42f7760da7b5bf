package main_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// What stands beside the log is damaged in every way while people talk. It is named, put right, and nobody notices.
func TestSnapshotsRebuild(t *testing.T) {
	d := deploy(t, layout{gateways: 1, workers: 1})
	ann := newPerson(t, d.gateways[0].url, "ann", false)
	ben := newPerson(t, d.gateways[0].url, "ben", false)
	group := ann.gather(t, params{"title": "Tea"}, ben)
	other := ann.gather(t, params{"title": "Cake"}, ben)
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for n := range 20 {
		ann.speak(t, group, "m"+strconv.Itoa(n), params{"expires_in_s": 3600})
		ben.do(t, "message.schedule", params{"to": params{"conversation": other}, "client_id": "later" + strconv.Itoa(n), "body": say("x"), "deliver_at": later}, nil)
	}
	if output, err := d.run(t.Context(), "log", "snapshots", "verify"); err != nil {
		t.Fatalf("before: %v\n%s", err, output)
	}

	stop := make(chan struct{})
	var talking sync.WaitGroup
	talking.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			in := params{"to": params{"conversation": group}, "client_id": "busy" + strconv.Itoa(n), "body": say("busy"), "expires_in_s": 3600}
			if err := ann.socket.call(t.Context(), "message.send", in, nil); err != nil {
				// The field that says who is a member may be the one that is damaged just now.
				if code := codeOf(err); code != "permission_denied" && code != "not_found" && code != "internal" {
					t.Errorf("send: %v", err)
					return
				}
			}
		}
	})
	damageSnapshots(t, d.redis.Client(), group, other, ben.User.ID)
	output, err := d.run(t.Context(), "log", "snapshots", "verify")
	if err == nil || !strings.Contains(output, "the due list has") || !strings.Contains(output, "the due list lacks") || !strings.Contains(output, "lacks the field") {
		t.Errorf("the damage is not named: %v\n%s", err, output)
	}
	if output, err := d.run(t.Context(), "log", "snapshots", "rebuild"); err == nil {
		t.Errorf("rebuilt without being told to:\n%s", output)
	}
	output, err = d.run(t.Context(), "log", "snapshots", "rebuild", "--yes")
	if err != nil || !strings.Contains(output, "put right: the due list lacks") {
		t.Errorf("rebuild: %v\n%s", err, output)
	}
	if output, err := d.run(t.Context(), "log", "snapshots", "verify"); err != nil {
		t.Errorf("after, while messages are sent: %v\n%s", err, output)
	}
	close(stop)
	talking.Wait()
	if output, err := d.run(t.Context(), "log", "snapshots", "rebuild", "--yes", "--json"); err != nil || !strings.HasSuffix(output, `"rebuilt":[]}`+"\n") {
		t.Errorf("once more: %v\n%s", err, output)
	}
	ben.speak(t, other, "all is well", nil)
}

// damageSnapshots changes, adds and removes fields and timers, and deletes a whole aggregate.
func damageSnapshots(t *testing.T, client *redis.Client, group, other, user string) {
	t.Helper()
	ctx := t.Context()
	one := func(pattern string) string {
		keys, err := client.Keys(ctx, pattern).Result()
		if err != nil || len(keys) != 1 {
			t.Fatalf("%s is %v, %v", pattern, keys, err)
		}
		return keys[0]
	}
	state, whole := one("*:agg:"+group), one("*:agg:"+other)
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(client.HDel(ctx, state, "m:"+user).Err())
	must(client.HSet(ctx, state, "m:nobody", "owner;;1-").Err())
	must(client.Del(ctx, whole).Err())
	dueOf := func(key string) string { return strings.SplitAfter(key, "}:")[0] + "due" }
	names, err := client.ZRange(ctx, dueOf(whole), 0, -1).Result()
	must(err)
	for n, name := range names {
		if n%2 == 0 && strings.HasPrefix(name, other) {
			must(client.ZRem(ctx, dueOf(whole), name).Err())
		}
	}
	must(client.ZAdd(ctx, dueOf(state), redis.Z{Score: 4e12, Member: group + " expire 999999"}, redis.Z{Score: 4e12, Member: "what is this"}).Err())
	must(client.ZAddXX(ctx, dueOf(state), redis.Z{Score: 3e12, Member: group + " expire 2"}).Err())
}
