package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/streams/streamstest"
)

// forgetful is a Redis whose append-only file was copied, so that it can lose what came after.
type forgetful struct {
	*streamstest.RedisServer

	copied string
}

func startForgetful(t *testing.T) *forgetful {
	t.Helper()
	return &forgetful{RedisServer: streamstest.StartRedis(t)}
}

// unsafeRedis lets processes work with a server that syncs nothing.
const unsafeRedis = "MPIM_ALLOW_UNSAFE_REDIS=true"

func (f *forgetful) file() string { return filepath.Join(f.Dir(), "appendonlydir") }

// keep copies the file. From now on each change is written to it before it is answered, and none is synced: syncing every second
// would hold up writing now and then.
func (f *forgetful) keep(t *testing.T) {
	t.Helper()
	client := f.Client()
	if err := errors.Join(client.ConfigSet(t.Context(), "appendfsync", "no").Err(), client.Ping(t.Context()).Err()); err != nil {
		t.Fatal(err)
	}
	f.copied = t.TempDir()
	if err := os.CopyFS(f.copied, os.DirFS(f.file())); err != nil {
		t.Fatal(err)
	}
}

// lose kills the server and starts it again with what was kept.
func (f *forgetful) lose(t *testing.T) {
	t.Helper()
	if err := f.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(f.file()); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(f.file(), os.DirFS(f.copied)); err != nil {
		t.Fatal(err)
	}
	if err := f.Restart(); err != nil {
		t.Fatal(err)
	}
}

// keptBeside are the keys of a partition that the log is made of.
var keptBeside = []string{"log", "due", "agg:", "idem:"}

// dumpLog returns everything that the log is in Redis, to the byte, but its counters, which an epoch changes.
func dumpLog(t *testing.T, client *redis.Client) map[string]string {
	t.Helper()
	ctx := t.Context()
	all := make(map[string]string)
	keys := client.Scan(ctx, 0, "{p*", 1000).Iterator()
	for keys.Next(ctx) {
		key := keys.Val()
		_, name, _ := strings.Cut(key, "}:")
		if !slices.ContainsFunc(keptBeside, func(kept string) bool {
			return name == kept || strings.HasSuffix(kept, ":") && strings.HasPrefix(name, kept)
		}) {
			continue
		}
		switch kind, err := client.Type(ctx, key).Result(); {
		case err != nil:
			t.Fatal(err)
		case kind == "stream":
			for _, entry := range client.XRange(ctx, key, "-", "+").Val() {
				text, _ := json.Marshal(entry.Values)
				all[key+" "+entry.ID] = string(text)
			}
		case kind == "zset":
			for _, one := range client.ZRangeWithScores(ctx, key, 0, -1).Val() {
				all[fmt.Sprint(key, " ", one.Member)] = strconv.FormatFloat(one.Score, 'f', 0, 64)
			}
		default:
			for field, value := range client.HGetAll(ctx, key).Val() {
				all[key+" "+field] = value
			}
		}
	}
	if err := keys.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// sameLog wants everything that was before, and nothing else but events that say what was repaired.
func sameLog(t *testing.T, before, after map[string]string) {
	t.Helper()
	wrong := 0
	for _, key := range slices.Sorted(maps.Keys(before)) {
		if after[key] != before[key] && !strings.Contains(key, "k:") {
			if wrong++; wrong < 10 {
				t.Errorf("%s is %q, want %q", key, after[key], before[key])
			}
		}
	}
	for key, value := range after {
		if _, ok := before[key]; !ok && !strings.Contains(value, "log.repaired") {
			if wrong++; wrong < 10 {
				t.Errorf("%s is new: %q", key, value)
			}
		}
	}
}

// repairedEvents returns the log.repaired of each partition.
func repairedEvents(t *testing.T, d *deployment) map[int][]repairedData {
	t.Helper()
	output, err := d.run(t.Context(), "replay", "--json", "--type", "log.repaired")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[int][]repairedData)
	for line := range strings.Lines(output) {
		var e struct {
			Partition int          `json:"partition"`
			Data      repairedData `json:"data"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		all[e.Partition] = append(all[e.Partition], e.Data)
	}
	return all
}

type repairedData struct{ From, To, Lost int64 }

// healthy wants what stands beside the log and all projections to be what the events come to.
func healthy(t *testing.T, d *deployment) {
	t.Helper()
	if output, err := d.run(t.Context(), "log", "snapshots", "verify"); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	for _, name := range []string{"members", "inbox", "recent", "presence", "history", "contacts", "search", "receipts", "notices", "activity"} {
		if output, err := d.run(t.Context(), "projection", "verify", name); err != nil {
			t.Errorf("%v\n%s", err, output)
		}
	}
	if output, err := d.run(t.Context(), "log", "repair", "--dry-run"); err != nil || !strings.HasPrefix(output, "nothing to repair") {
		t.Errorf("%v\n%s", err, output)
	}
}

// sendAll sends n messages and returns what was answered, by client id.
func sendAll(t *testing.T, p *person, conversation, prefix string, n int) map[string]sent {
	t.Helper()
	answers := make(map[string]sent, n)
	for i := range n {
		id := prefix + strconv.Itoa(i)
		more := params{"client_id": id}
		switch i % 5 {
		case 1:
			more["expires_in_s"] = 3600
		case 2:
			more["mentions"] = []string{p.User.ID, p.User.ID}
		case 3:
			if i < 20 { // while no worker runs an answer takes its time
				more["reply_to"] = 2
			}
		case 4:
			more["body"] = params{"type": "custom", "data": params{"n": i, "html": "<b>&\u2028", "é": nil}}
		}
		answers[id] = p.speak(t, conversation, "text "+id, more)
	}
	return answers
}

// sendAgain sends the same messages once more and wants the same answers.
func sendAgain(t *testing.T, p *person, conversation, prefix string, first map[string]sent) {
	t.Helper()
	for id, answer := range sendAll(t, p, conversation, prefix, len(first)) {
		want := first[id]
		if !answer.Duplicate || answer.Seq != want.Seq || answer.Event != want.Event || answer.At != want.At {
			t.Errorf("%s sent again is %+v, and was %+v", id, answer, want)
		}
	}
}

// Redis comes back without its last events, which the archive has, or without anything at all. Everything is written back to the byte.
func TestRepairRestores(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]int{"tail": 300, "everything": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startForgetful(t)
			d := deploy(t, layout{gateways: 1, workers: 1, server: server.RedisServer, env: []string{unsafeRedis}})
			ann := newPerson(t, d.gateways[0].url, "ann", false)
			ben := newPerson(t, d.gateways[0].url, "ben", false)
			group := ann.gather(t, params{"title": "Tea", "client_id": "tea"}, ben)
			first := sendAll(t, ann, group, "before", 20)
			ben.do(t, "message.schedule", params{
				"to": params{"user": ann.User.ID}, "client_id": "later", "body": say("later"), "deliver_at": time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339),
			}, nil)
			archiveNow(t, d)
			server.keep(t)
			then := sendAll(t, ann, group, "after", max(lost, 30))
			var direct sent
			ben.do(t, "message.send", params{"to": params{"user": ann.User.ID}, "client_id": "hello", "body": say("hello")}, &direct)
			d.stopAll(t)
			archiveNow(t, d)
			before := dumpLog(t, d.redis.Client())
			if lost < 0 {
				if err := d.redis.Client().FlushAll(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
			} else {
				server.lose(t)
			}

			output, err := d.run(t.Context(), "log", "repair", "--dry-run", "--json")
			if err != nil || !strings.Contains(output, `"ok":false`) {
				t.Fatalf("%v\n%s", err, output)
			}
			if output, err = d.run(t.Context(), "log", "repair", "--yes"); err != nil {
				t.Fatalf("%v\n%s", err, output)
			}
			t.Log(output)
			sameLog(t, before, dumpLog(t, d.redis.Client()))
			for partition, events := range repairedEvents(t, d) {
				for _, e := range events {
					if e.Lost != 0 {
						t.Errorf("partition %d lost %+v, and the archive has it", partition, e)
					}
				}
			}
			d.startAgain(t)
			ann, ben = newPerson(t, d.gateways[0].url, "ann", false), newPerson(t, d.gateways[0].url, "ben", false)
			sendAgain(t, ann, group, "before", first)
			sendAgain(t, ann, group, "after", then)
			if again := ann.gather(t, params{"title": "Tea", "client_id": "tea"}, ben); again != group {
				t.Errorf("the group is made again as %s, and was %s", again, group)
			}
			var once sent
			ben.do(t, "message.send", params{"to": params{"user": ann.User.ID}, "client_id": "hello", "body": say("hello")}, &once)
			if !once.Duplicate || once.Event != direct.Event {
				t.Errorf("sent again: %+v, was %+v", once, direct)
			}
			ann.speak(t, group, "and on", nil)
			healthy(t, d)
		})
	}
}

func archiveNow(t *testing.T, d *deployment) {
	t.Helper()
	if output, err := d.run(t.Context(), "log", "archive", "--now"); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
}

// stopAll stops all gateways and workers.
func (d *deployment) stopAll(t *testing.T) {
	t.Helper()
	for _, p := range slices.Concat(d.gateways, d.workers) {
		if err := p.Stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// startAgain starts as many as there were.
func (d *deployment) startAgain(t *testing.T) {
	t.Helper()
	for n := range d.workers {
		d.workers[n] = d.start(t, "worker"+strconv.Itoa(n)+"again", "worker")
	}
	for n := range d.gateways {
		d.gateways[n] = d.start(t, "gateway"+strconv.Itoa(n)+"again", "gateway")
	}
	d.waitReady(t)
}

// command is a command of the binary that the test runs by itself.
func (d *deployment) command(args ...string) *exec.Cmd {
	command := exec.Command(d.path, args...)
	command.Env = d.env
	return command
}
