package main_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"mpim/streams/streamstest"
)

// TestRestartOfRedis restarts Redis under running processes. When all of them live the log is open again at once; when one died
// with it, everybody is told for whom the log waits, and not for longer than a dead process may take.
func TestRestartOfRedis(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t, streamstest.With("appendfsync", "always"))
	d := deploy(t, layout{gateways: 2, workers: 2, server: server, fsynced: true})
	ctx := t.Context()
	ann, err := register(ctx, d.gateways[0].url, "ann")
	if err != nil {
		t.Fatal(err)
	}
	ben, err := register(ctx, d.gateways[0].url, "ben")
	if err != nil {
		t.Fatal(err)
	}
	var last sent
	next := 0
	send := func() error {
		message := map[string]any{"to": map[string]any{"user": ben.User.ID}, "client_id": strconv.Itoa(next), "body": text(strconv.Itoa(next))}
		_, err := rest(ctx, "POST", d.gateways[next%2].url+"/v1/messages", ann.Token, message, &last)
		if err == nil {
			next++
		}
		return err
	}
	restart := func() {
		t.Helper()
		if err := errors.Join(server.Kill(), server.Restart()); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		waitFor(t, 10*time.Second, "a message", send)
		restart()
		start := time.Now()
		waitFor(t, 10*time.Second, "a message after a clean restart", send)
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("the log was open again after %s", took)
		}
	}

	// A command that only reads is nobody to wait for; one that appends is gone at its end.
	for _, command := range [][]string{{"user", "list"}, {"user", "admin", "ann", "--yes"}} {
		if _, err := d.run(ctx, command...); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.workers[1].Kill(); err != nil {
		t.Fatal(err)
	}
	restart()
	start := time.Now()
	waitFor(t, 8*time.Second, "what the log waits for", func() error {
		output, err := d.run(ctx, "log", "stat")
		// Those that live have said it within a second or so.
		if err == nil && (!strings.Contains(output, "partitions 0–15 closed") || !strings.Contains(output, "what worker worker1-") ||
			strings.Contains(output, "gateway gateway") || strings.Contains(output, "worker worker0") || strings.Contains(output, "command")) {
			err = errors.New(output)
		}
		return err
	})
	var checks map[string]string
	if status, err := rest(ctx, "GET", d.gateways[0].admin+"/readyz", "", nil, &checks); status != 503 || err == nil {
		t.Errorf("while it is closed the gateway is ready: %d, %v", status, checks)
	}
	if output, err := d.run(ctx, "doctor", "--json"); err == nil || !strings.Contains(output, "worker worker1-") {
		t.Errorf("doctor says %v: %s", err, output)
	}
	waitFor(t, 20*time.Second, "a message after a worker died with Redis", send)
	if took := time.Since(start); took < 5*time.Second || took > 15*time.Second {
		t.Errorf("the log was open again after %s", took)
	}
	d.wantEachOnce(t, ann, last.Conversation, next)
	output, err := d.run(ctx, "log", "stat", "--json")
	var stat struct {
		Partitions []struct {
			State    string   `json:"state"`
			WaitsFor []string `json:"waits_for"`
		} `json:"partitions"`
	}
	if err == nil {
		err = json.Unmarshal([]byte(output), &stat)
	}
	for _, p := range stat.Partitions {
		if p.State != "open" || len(p.WaitsFor) > 0 {
			t.Errorf("a partition is %+v", p)
		}
	}
	if err != nil || len(stat.Partitions) != 16 {
		t.Errorf("log stat: %v, %s", err, output)
	}
}
