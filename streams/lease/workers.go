package lease

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// WorkersKey is the hash of the workers that live: worker → JSON.
	WorkersKey = "workers"
	// changes is the Pub/Sub channel on which a worker says that it came, went or gave something back. Its messages are
	// the worker's name.
	changes = "workers:changed"
)

// Worker is a process that runs consumers.
type Worker struct {
	// ID names one life of the process.
	ID string `json:"-"`
	// Consumers are what it can run.
	Consumers []string `json:"consumers"`
	// URL is where its HTTP endpoints are; empty where it has none.
	URL string `json:"url"`
	// HeartbeatMS is when it was last heard, in milliseconds of the Redis server's clock.
	HeartbeatMS int64 `json:"heartbeat_ms"`
}

// Workers returns those that were heard within the given time, DefaultTTL if zero, in no order.
func Workers(ctx context.Context, client redis.UniversalClient, within time.Duration) ([]Worker, error) {
	if within == 0 {
		within = DefaultTTL
	}
	look := call{workersScript, WorkersKey, []any{within.Milliseconds(), "", ""}}
	commands, err := runAll(ctx, client, []call{look})
	if err != nil {
		return nil, fmt.Errorf("read the workers: %w", err)
	}
	_, workers, err := parseWorkers(commands[0])
	return workers, err
}

// heartbeat returns the call that notes the worker as living.
func heartbeat(ttl time.Duration, w Worker) call {
	// The script completes the object with the server's time.
	entry, _ := json.Marshal(struct { //nolint:errchkjson // strings only
		Consumers []string `json:"consumers"`
		URL       string   `json:"url"`
	}{w.Consumers, w.URL})
	return call{workersScript, WorkersKey, []any{ttl.Milliseconds(), w.ID, entry[:len(entry)-1]}}
}

// parseWorkers reads the answer of workers.lua.
func parseWorkers(command *redis.Cmd) (came bool, workers []Worker, err error) {
	reply, err := command.Slice()
	if err != nil {
		return false, nil, err
	}
	if len(reply)%2 != 1 {
		return false, nil, errReply
	}
	for i := 1; i < len(reply); i += 2 {
		id, _ := reply[i].(string)
		entry, _ := reply[i+1].(string)
		w := Worker{ID: id}
		if err := json.Unmarshal([]byte(entry), &w); err != nil {
			return false, nil, fmt.Errorf("entry of worker %q: %w", id, err)
		}
		workers = append(workers, w)
	}
	return reply[0] == int64(1), workers, nil
}
