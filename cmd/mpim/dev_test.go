package main_test

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"mpim/streams/streamstest/processtest"
)

// TestDevKeepsEverything kills `mpim dev --data` in the middle, and finds what was acknowledged in its next life.
func TestDevKeepsEverything(t *testing.T) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	var url string
	var dev *processtest.Process
	directory := t.TempDir()
	err = processtest.OnFreePort(func(port int) error {
		adminPort, err := processtest.FreePort()
		if err != nil {
			return err
		}
		url = "http://" + address(port)
		dev, err = processtest.Start(processtest.Spec{
			Name: "dev", Path: path, Dir: t.TempDir(),
			Args: []string{"dev", "--data", directory, "--addr", address(port), "--admin-addr", address(adminPort)},
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ready := func() {
		t.Helper()
		limit, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		if _, err := dev.WaitLine(limit, "ready dev "); err != nil {
			t.Fatal(err)
		}
	}
	ready()
	var alice login
	if _, err := rest(ctx, "POST", url+"/v1/sessions", "", map[string]any{"username": "alice", "password": "alice-demo"}, &alice); err != nil {
		t.Fatal(err)
	}
	var bob struct {
		User struct {
			ID string `json:"id"`
		} `json:"user"`
	}
	if _, err := rest(ctx, "GET", url+"/v1/users/@bob", alice.Token, nil, &bob); err != nil {
		t.Fatal(err)
	}
	var kept sent
	message := map[string]any{"to": map[string]any{"user": bob.User.ID}, "client_id": "kept", "body": text("kept?")}
	if _, err := rest(ctx, "POST", url+"/v1/messages", alice.Token, message, &kept); err != nil {
		t.Fatal(err)
	}
	// The append-only file is synced every second.
	pause(ctx, 2*time.Second)
	for _, end := range []func() error{dev.Kill, dev.Stop} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := dev.Restart(); err != nil {
			t.Fatal(err)
		}
		ready()
		var again sent
		if _, err := rest(ctx, "POST", url+"/v1/messages", alice.Token, message, &again); err != nil {
			t.Fatal(err)
		}
		if !again.Duplicate || again.Event != kept.Event {
			t.Errorf("in the next life the message is %+v, it was %+v", again, kept)
		}
	}
	if err := dev.Stop(); err != nil {
		t.Error(err)
	}
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
