package main_test

import "testing"

// Everything is stopped, and Redis comes back as it was before the last repair: the worker that starts repairs it and goes on.
func TestRepairAtStart(t *testing.T) {
	t.Parallel()
	server := startForgetful(t)
	d := deploy(t, layout{gateways: 1, workers: 1, server: server.RedisServer, env: []string{unsafeRedis}})
	ann, ben := newPerson(t, d.gateways[0].url, "ann", false), newPerson(t, d.gateways[0].url, "ben", false)
	group := ann.gather(t, params{"title": "Tea"}, ben)
	archiveNow(t, d)
	server.keep(t)
	first := sendAll(t, ann, group, "m", 30)
	archiveNow(t, d)
	epoch := epochOf(t, ann)
	if err := d.redis.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	people := repairedSince(t, d, epoch, "ann", "ben")
	whole(t, people[1], group, idsOf("m", 30))
	archiveNow(t, d)
	d.stopAll(t)
	server.lose(t)
	d.startAgain(t)
	people = repairedSince(t, d, epochOf(t, people[0]), "ann", "ben")
	sendAgain(t, people[0], group, "m", first)
	whole(t, people[1], group, idsOf("m", 30))
	healthyWhenBuilt(t, d)
}
