package main

import (
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"mpim/schema"
	"mpim/streams"
)

// Who is forgotten early and sends again is heard twice: that there is no room is to be known.
func TestDoctorTellsOfRequestsForgottenEarly(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	s := &stores{redis: client, identity: streams.Identity{Partitions: 4}}
	d := &doctor{invocation: &invocation{ctx: t.Context()}}
	d.examineRequests(s)
	for partition, n := range map[int]string{1: "20", 3: "3"} {
		if err := server.Set(schema.PartitionKey(partition, "requests-dropped"), n); err != nil {
			t.Fatal(err)
		}
	}
	d.examineRequests(s)
	if len(d.findings) != 2 || !d.findings[0].OK {
		t.Fatalf("findings are %+v", d.findings)
	}
	if found := d.findings[1]; found.OK || !strings.HasPrefix(found.Found, "23 requests were forgotten before a day had passed") || found.Do == "" {
		t.Errorf("found %+v", found)
	}
}
