package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"mpim/projections/database"
)

// epochOf returns the epoch that a gateway tells its clients.
func epochOf(t *testing.T, p *person) string {
	t.Helper()
	return p.socket.hello.Epoch
}

// repairedSince waits until the gateways serve under another epoch, and returns the users anew.
func repairedSince(t *testing.T, d *deployment, epoch string, names ...string) []*person {
	t.Helper()
	waitFor(t, 90*time.Second, "the log is repaired and everybody goes on", func() error {
		for _, g := range d.gateways {
			l, err := register(t.Context(), g.url, names[0])
			if err != nil {
				return err
			}
			s, err := connect(t.Context(), g.url, l.Token, "", nil)
			if err != nil {
				return err
			}
			defer s.close()
			if s.hello.Epoch == epoch {
				return errors.New("the epoch is the same")
			}
			if _, err := rest(t.Context(), "GET", g.admin+"/readyz", "", nil, nil); err != nil {
				return err
			}
		}
		return nil
	})
	people := make([]*person, len(names))
	for n, name := range names {
		people[n] = newPerson(t, d.gateways[0].url, name, false)
	}
	return people
}

// whole wants the messages of a conversation, all of them in order, and each once.
func whole(t *testing.T, p *person, conversation string, want []string) {
	t.Helper()
	var got []string
	waitFor(t, 60*time.Second, "history is there", func() error {
		got = nil
		for after := int64(0); ; {
			var page manySpoken
			_, err := rest(t.Context(), "GET", fmt.Sprintf("%s/v1/conversations/%s/messages?limit=200&after=%d", p.base, conversation, after), p.Token, nil, &page)
			if err != nil {
				return err
			}
			for _, m := range page.Messages {
				got, after = append(got, m.ClientID), m.Seq
			}
			if len(page.Messages) == 0 {
				break
			}
		}
		if len(got) != len(want) {
			return fmt.Errorf("%d messages, want %d", len(got), len(want))
		}
		return nil
	})
	if !slices.Equal(got, want) {
		t.Errorf("messages are %v, want %v", got, want)
	}
}

func idsOf(prefix string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprint(prefix, i)
	}
	return ids
}

// partitionOf returns the partition of a conversation.
func partitionOf(t *testing.T, d *deployment, conversation string) int {
	t.Helper()
	output, err := d.run(t.Context(), "log", "tail", "--conversation", conversation, "--limit", "1", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var e struct {
		Partition int `json:"partition"`
	}
	if err := json.Unmarshal([]byte(output), &e); err != nil {
		t.Fatal(err)
	}
	return e.Partition
}

// Redis loses its tail under running gateways and workers. Whoever saw more finds out, the log is repaired by itself, and everybody
// goes on: what the archive had is there again, and exactly what log.repaired names is gone.
func TestRepairByItself(t *testing.T) {
	t.Parallel()
	for _, witness := range []string{"archive", "projection", "client"} {
		t.Run(witness, func(t *testing.T) {
			t.Parallel()
			server := startForgetful(t)
			l := layout{gateways: 1, workers: 1, server: server.RedisServer, env: []string{unsafeRedis}}
			if witness != "archive" {
				l.env = append(l.env, "MPIM_EXCEPT=archive")
			}
			d := deploy(t, l)
			ann, ben := newPerson(t, d.gateways[0].url, "ann", false), newPerson(t, d.gateways[0].url, "ben", false)
			group := ann.gather(t, params{"title": "Tea"}, ben)
			partition := partitionOf(t, d, group)
			sendAll(t, ann, group, "first", 5)
			want := idsOf("first", 5)
			for _, n := range []int{1, 10, 1000} {
				epoch := epochOf(t, ann)
				archiveNow(t, d)
				server.keep(t)
				if witness == "client" {
					for _, w := range d.workers {
						if err := w.Stop(); err != nil {
							t.Fatal(err)
						}
					}
				}
				prefix := fmt.Sprint("of", n, "-")
				lost := sendAll(t, ann, group, prefix, n)
				switch witness {
				case "archive":
					archiveNow(t, d)
				case "projection":
					caughtUp(t, d)
				}
				told := len(repairedEvents(t, d)[partition])
				server.lose(t)
				if witness == "client" {
					d.workers[0] = d.start(t, fmt.Sprint("worker-", n), "worker")
				}
				people := repairedSince(t, d, epoch, "ann")
				ann = people[0]
				events := repairedEvents(t, d)[partition][told:]
				if witness == "archive" {
					sendAgain(t, ann, group, prefix, lost)
					if len(events) != 1 || events[0].Lost != 0 || events[0].To-events[0].From+1 < int64(n) {
						t.Errorf("log.repaired says %+v of %d restored events", events, n)
					}
				} else {
					if len(events) != 1 || events[0].Lost != int64(n) || events[0].To-events[0].From+1 != int64(n) {
						t.Errorf("log.repaired says %+v of %d lost events", events, n)
					}
					for id, answer := range sendAll(t, ann, group, prefix, n) {
						if first := lost[id]; answer.Duplicate || answer.Seq != first.Seq || answer.Event == first.Event {
							t.Errorf("%s was lost, and sent again it is %+v; it was %+v", id, answer, first)
						}
					}
				}
				want = append(want, idsOf(prefix, n)...)
				whole(t, ann, group, want)
			}
			healthyWhenBuilt(t, d)
		})
	}
}

// caughtUp waits until the projections in SQL have seen everything.
func caughtUp(t *testing.T, d *deployment) {
	t.Helper()
	waitFor(t, 30*time.Second, "no projection is behind", func() error {
		output, err := d.run(t.Context(), "projection", "list", "--json")
		if err != nil {
			return err
		}
		var lines []struct {
			Name      string `json:"name"`
			LagEvents int64  `json:"lag_events"`
			State     string `json:"state"`
		}
		if err := json.Unmarshal([]byte(output), &lines); err != nil {
			return err
		}
		for _, line := range lines {
			if line.Name != "archive" && (line.LagEvents > 0 || line.State != "live") {
				return fmt.Errorf("%+v", line)
			}
		}
		return nil
	})
}

// healthyWhenBuilt is healthy, once all that is built anew is live.
func healthyWhenBuilt(t *testing.T, d *deployment) {
	t.Helper()
	caughtUp(t, d)
	healthy(t, d)
}

// Redis is emptied under running gateways and workers.
func TestRepairOfEmptiedRedis(t *testing.T) {
	t.Parallel()
	server := startForgetful(t)
	d := deploy(t, layout{gateways: 2, workers: 2, server: server.RedisServer})
	ann, ben := newPerson(t, d.gateways[0].url, "ann", false), newPerson(t, d.gateways[1].url, "ben", false)
	group := ann.gather(t, params{"title": "Tea", "client_id": "tea"}, ben)
	first := sendAll(t, ann, group, "m", 100)
	archiveNow(t, d)
	epoch := epochOf(t, ann)
	if err := d.redis.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	people := repairedSince(t, d, epoch, "ann", "ben")
	ann, ben = people[0], people[1]
	sendAgain(t, ann, group, "m", first)
	if again := ann.gather(t, params{"title": "Tea", "client_id": "tea"}, ben); again != group {
		t.Errorf("the group is made again as %s, and was %s", again, group)
	}
	whole(t, ben, group, idsOf("m", 100))
	healthyWhenBuilt(t, d)
}

// Whoever repairs is killed at many points, and the next one goes on. In the end all is as if it had been done at once.
func TestRepairGoesOn(t *testing.T) {
	t.Parallel()
	for _, emptied := range []bool{true, false} {
		t.Run(map[bool]string{true: "emptied", false: "tail"}[emptied], func(t *testing.T) {
			t.Parallel()
			server := startForgetful(t)
			d := deploy(t, layout{gateways: 1, workers: 1, server: server.RedisServer, env: []string{unsafeRedis}})
			ann, ben := newPerson(t, d.gateways[0].url, "ann", false), newPerson(t, d.gateways[0].url, "ben", false)
			group := ann.gather(t, params{"title": "Tea"}, ben)
			archiveNow(t, d)
			server.keep(t)
			first := sendAll(t, ann, group, "m", 1500)
			d.stopAll(t)
			archiveNow(t, d)
			before := dumpLog(t, d.redis.Client())
			if emptied {
				if err := d.redis.Client().FlushAll(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
			} else {
				server.lose(t)
			}
			db, err := database.Open(t.Context(), databaseOf(d))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			kills := killRepairers(t, d, db)
			t.Logf("%d repairers were killed", kills)
			sameLog(t, before, dumpLog(t, d.redis.Client()))
			for partition, events := range repairedEvents(t, d) {
				if len(events) != 1 || events[0].Lost != 0 {
					t.Errorf("partition %d: log.repaired says %+v", partition, events)
				}
			}
			d.startAgain(t)
			ann = newPerson(t, d.gateways[0].url, "ann", false)
			sendAgain(t, ann, group, "m", map[string]sent{"m0": first["m0"]})
			ann.speak(t, group, "and on", nil)
			healthyWhenBuilt(t, d)
		})
	}
}

// killRepairers starts repairers and kills each a little later than the one before, until one is done. It returns how many it killed.
func killRepairers(t *testing.T, d *deployment, db *database.DB) (kills int) {
	t.Helper()
	for after := 150 * time.Millisecond; ; after += 15 * time.Millisecond {
		command := d.command("log", "repair", "--yes")
		var output strings.Builder
		command.Stdout, command.Stderr = &output, &output
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		killed := time.AfterFunc(after, func() { _ = command.Process.Kill() })
		err := command.Wait()
		if killed.Stop() {
			if err != nil {
				t.Fatalf("repair: %v\n%s", err, output.String())
			}
			return kills
		}
		kills++
		err = db.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE log_repair_lease SET expires_at = '2001-01-01 00:00:00'")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// One gateway alone has seen what Redis loses, and is away while another goes on. When it comes back, what went on stays, and what only
// it had seen is named as lost.
func TestRepairWhereOthersWentOn(t *testing.T) {
	t.Parallel()
	server := startForgetful(t)
	d := deploy(t, layout{gateways: 2, workers: 1, server: server.RedisServer, env: []string{unsafeRedis}})
	ann, ben := newPerson(t, d.gateways[0].url, "ann", false), newPerson(t, d.gateways[1].url, "ben", false)
	group := ann.gather(t, params{"title": "Tea"}, ben)
	partition := partitionOf(t, d, group)
	sendAll(t, ann, group, "first", 5)
	archiveNow(t, d)
	epoch := epochOf(t, ann)
	stopped := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	stopped(d.workers[0].Stop())
	stopped(d.gateways[1].Pause())
	server.keep(t)
	lost := sendAll(t, ann, group, "lost", 10)
	stopped(d.gateways[0].Pause())
	server.lose(t)
	stopped(d.gateways[1].Continue())
	waitFor(t, 60*time.Second, "the other gateway goes on", func() error {
		l, err := register(t.Context(), d.gateways[1].url, "ben")
		if err == nil {
			_, err = rest(t.Context(), "POST", d.gateways[1].url+"/v1/messages", l.Token,
				params{"to": params{"conversation": group}, "client_id": "branch0", "body": say("branch")}, nil)
		}
		return err
	})
	stopped(d.gateways[0].Continue())
	d.workers[0] = d.start(t, "worker-after", "worker")
	people := repairedSince(t, d, epoch, "ann", "ben")
	events := repairedEvents(t, d)[partition]
	if len(events) != 1 || events[0].Lost != 10 || events[0].To-events[0].From+1 != 10 {
		t.Errorf("log.repaired says %+v of 10 lost events", events)
	}
	for id, answer := range sendAll(t, people[0], group, "lost", 10) {
		if answer.Duplicate || answer.Event == lost[id].Event {
			t.Errorf("%s was lost, and sent again it is %+v", id, answer)
		}
	}
	whole(t, people[1], group, slices.Concat(idsOf("first", 5), []string{"branch0"}, idsOf("lost", 10)))
	healthyWhenBuilt(t, d)
}
