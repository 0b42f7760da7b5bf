package main_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// TestParkedInRedis has a projection in Redis park a conversation because its key is damaged, and retries and discards what is
// parked once it is mended, while other conversations go on.
func TestParkedInRedis(t *testing.T) {
	d := deploy(t, layout{gateways: 1, workers: 1, databaseURL: "sqlite://" + filepath.Join(t.TempDir(), "mpim.db")})
	k := &killer{t: t, d: d}
	groups := k.settle()
	send := func(group, id string) {
		t.Helper()
		_, err := rest(t.Context(), "POST", d.gateways[0].url+"/v1/messages", k.people[0].Token, map[string]any{
			"to": map[string]any{"conversation": group}, "client_id": id, "body": text(id),
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	verified := func() error {
		output, err := d.run(t.Context(), "projection", "verify", "inbox")
		if err != nil {
			return fmt.Errorf("%w\n%s", err, output)
		}
		return nil
	}
	send(groups[0], "before")
	waitFor(t, 20*time.Second, "it is folded", verified)
	client := d.redis.Client()
	partition, _ := domain.ConversationID(groups[0]).Partition()
	key, aside := schema.PartitionKey(partition, "inbox:"+groups[0]), schema.PartitionKey(partition, "aside")
	if err := client.Rename(t.Context(), key, aside).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Set(t.Context(), key, "damaged", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"one", "two", "three"} {
		send(groups[0], id)
		send(groups[1], id)
	}
	parked := func() (lines []struct{ Projection, Position, Conversation, Error string }) {
		t.Helper()
		output, err := d.run(t.Context(), "parked", "list", "--json", "--projection", "inbox")
		if err == nil {
			err = json.Unmarshal([]byte(output), &lines)
		}
		if err != nil {
			t.Fatal(err)
		}
		return lines
	}
	waitFor(t, 20*time.Second, "three are parked", func() error {
		if n := len(parked()); n != 3 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	lines := parked()
	if !strings.Contains(lines[0].Error, "WRONGTYPE") || lines[2].Error != "" || lines[1].Conversation != "group:"+groups[0] {
		t.Errorf("parked are %+v", lines)
	}
	if output, err := d.run(t.Context(), "parked", "show", lines[0].Position); err != nil || !strings.Contains(output, `"text": "one"`) {
		t.Errorf("shown is %s, %v", output, err)
	}
	if output, err := d.run(t.Context(), "parked", "retry", "--projection", "inbox"); err == nil || !strings.Contains(output, "stays parked") {
		t.Errorf("a retry before it is mended: %s, %v", output, err)
	}
	if err := client.Rename(t.Context(), aside, key).Err(); err != nil {
		t.Fatal(err)
	}
	if output, err := d.run(t.Context(), "parked", "retry", "--projection", "inbox"); err != nil || !strings.Contains(output, "3 events applied") {
		t.Errorf("a retry: %s, %v", output, err)
	}
	send(groups[0], "after")
	waitFor(t, 20*time.Second, "nothing is missing", verified)
	if lines := parked(); len(lines) != 0 {
		t.Errorf("parked are %+v", lines)
	}
	if output, err := d.run(t.Context(), "parked", "discard", "--projection", "inbox", "--reason", "x", "--yes"); err == nil {
		t.Errorf("nothing was discarded: %s", output)
	}
}
