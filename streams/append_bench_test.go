package streams_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
	"mpim/schema/seal"
	"mpim/streams"
	"mpim/streams/streamstest"
)

// BenchmarkAppend measures appends a second with every step on, from 4,096 callers over 16 partitions, against raw
// pipelined XADD of the same bytes by the same client library. Every append is a message of 200 bytes with a client id of
// its own, whose sub-hash holds 60 others already, as in a log that has run for a day.
//
// server-us and client-us are the processor time that each append took on either side: unlike the rate they hardly
// depend on what else the machine does. Rewrites of the append-only file are off: they come at other moments each time.
func BenchmarkAppend(b *testing.B) {
	server := streamstest.StartRedis(b, streamstest.With("auto-aof-rewrite-percentage", "0"))
	b.Run("xadd", func(b *testing.B) { benchmarkXAdd(b, server.Client()) })
	for _, conversations := range []int{4096, 64} {
		b.Run(fmt.Sprintf("conversations=%d", conversations), func(b *testing.B) {
			benchmarkAppend(b, server.Client(), conversations, streams.Config{})
		})
	}
	b.Run("sealed", func(b *testing.B) { benchmarkAppend(b, server.Client(), 4096, streams.Config{Sealer: benchSealer{}}) })
	// What each append costs where none shares its call with others.
	b.Run("batch=1", func(b *testing.B) { benchmarkAppend(b, server.Client(), 4096, streams.Config{MaxBatch: 1}) })
}

// benchSealer seals as package seal does with a key that is in memory.
type benchSealer struct{}

var benchKey = sync.OnceValues(func() (*seal.Key, error) { return seal.NewKey([seal.KeyBytes]byte{1}) })

func (benchSealer) Seal(_ context.Context, c *domain.Commit) (schema.Seal, error) {
	key, err := benchKey()
	return func(text []byte, event domain.EventID, t domain.EventType, members []byte) []byte {
		return key.Seal(text, seal.Place{Event: event, Aggregate: c.Aggregate, Type: t}, members)
	}, err
}

const (
	benchPartitions = 16
	benchCallers    = 4096
	// benchSubhashes is how many idempotency sub-hashes a partition uses here, and benchFilled what each holds before.
	benchSubhashes = 1024
	benchFilled    = 60
)

// benchTexts are 200 bytes of made-up words each: Lua hashes strings by some of their bytes, so that messages which differ
// in a digit alone would cost more than any in real life.
var benchTexts = func() []string {
	random := rand.New(rand.NewPCG(1, 2))
	texts := make([]string, 4096)
	for i := range texts {
		var text []byte
		for len(text) < 200 {
			for range 2 + random.IntN(8) {
				text = append(text, byte('a'+random.IntN(26)))
			}
			text = append(text, ' ')
		}
		texts[i] = string(text[:200])
	}
	return texts
}()

func benchCommit(aggregate domain.Aggregate, n int) domain.Commit {
	clientID := strconv.Itoa(n)
	sum := sha256.Sum256([]byte(clientID))
	binary.BigEndian.PutUint32(sum[:], uint32(n%benchSubhashes))
	return domain.Commit{
		Aggregate: aggregate,
		Request:   &domain.Request{Key: [12]byte(sum[:12]), Content: [8]byte(sum[12:20])},
		Guards:    []domain.Guard{{Field: domain.VersionField}},
		At:        time.UnixMilli(1_700_000_000_000 + int64(n)).UTC(),
		Actor:     "uabcdefghijklmnopqrst00",
		Events:    []domain.Fact{&domain.MessageSent{ClientID: clientID, Body: domain.Body{Type: domain.TextBody, Text: benchTexts[n%len(benchTexts)]}}},
	}
}

func benchmarkAppend(b *testing.B, client *redis.Client, conversations int, config streams.Config) {
	b.Helper()
	if err := client.FlushAll(b.Context()).Err(); err != nil {
		b.Fatal(err)
	}
	log, identity := benchLog(b, client, config)
	fillRequests(b, client)
	aggregates := make([]domain.Aggregate, conversations)
	for i := range aggregates {
		aggregates[i] = identity.Placement().Group("u", strconv.Itoa(i)).Aggregate()
	}
	var next atomic.Int64
	var wait sync.WaitGroup
	used := startUsage(b, client)
	b.ResetTimer()
	for caller := range benchCallers {
		wait.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if _, err := log.Append(b.Context(), benchCommit(aggregates[caller%conversations], int(n))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	used.report(b)
}

// benchLog runs a new log on the server.
func benchLog(b *testing.B, client *redis.Client, config streams.Config) (*streams.Log, streams.Identity) {
	b.Helper()
	identity, err := streams.NewIdentity(benchPartitions)
	if err != nil {
		b.Fatal(err)
	}
	if err := streams.Create(b.Context(), client, identity); err != nil {
		b.Fatal(err)
	}
	config.Client, config.Identity = client, identity
	log, err := streams.New(config)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	return log, identity
}

// fillRequests puts into the sub-hashes what earlier requests left there.
func fillRequests(b *testing.B, client *redis.Client) {
	b.Helper()
	for partition := range benchPartitions {
		_, err := client.Pipelined(b.Context(), func(p redis.Pipeliner) error {
			for n := range benchSubhashes {
				values := make([]any, 0, 2*benchFilled)
				for i := range benchFilled {
					sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %d", partition, n, i))
					values = append(values, sum[:12], append(sum[12:26:26], "123456"...))
				}
				p.HSet(b.Context(), schema.PartitionKey(partition, "idem:"+strconv.Itoa(n)), values...)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkXAdd(b *testing.B, client *redis.Client) {
	b.Helper()
	if err := client.FlushAll(b.Context()).Err(); err != nil {
		b.Fatal(err)
	}
	placement := domain.Placement{Partitions: benchPartitions}
	drafts, err := schema.Drafts(benchCommit(placement.Group("u", "0").Aggregate(), 0), nil)
	if err != nil {
		b.Fatal(err)
	}
	metadata := string(drafts[0].Metadata) + "partition_seq 123456 seq 123456 ordinal 123456"
	used := startUsage(b, client)
	b.ResetTimer()
	var wait sync.WaitGroup
	var next atomic.Int64
	for partition := range benchPartitions {
		key := schema.PartitionKey(partition, "log")
		wait.Go(func() {
			for next.Add(256) <= int64(b.N)+255 {
				_, err := client.Pipelined(b.Context(), func(p redis.Pipeliner) error {
					for range 256 {
						p.XAdd(b.Context(), &redis.XAddArgs{Stream: key, Values: []any{
							schema.UUIDField, string(drafts[0].ID), schema.MetadataField, metadata, schema.PayloadField, drafts[0].Payload,
						}})
					}
					return nil
				})
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	used.report(b)
}

// usage is the processor time that server and client had used at a moment.
type usage struct {
	client         *redis.Client
	server, caller time.Duration
}

func startUsage(b *testing.B, client *redis.Client) usage {
	b.Helper()
	u := usage{client: client}
	u.server, u.caller = u.read(b)
	return u
}

func (u usage) read(b *testing.B) (server, caller time.Duration) {
	b.Helper()
	info, err := u.client.InfoMap(context.WithoutCancel(b.Context()), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"used_cpu_user", "used_cpu_sys"} {
		seconds, err := strconv.ParseFloat(info["CPU"][name], 64)
		if err != nil {
			b.Fatal(err)
		}
		server += time.Duration(seconds * float64(time.Second))
	}
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		b.Fatal(err)
	}
	return server, time.Duration(own.Utime.Nano() + own.Stime.Nano())
}

func (u usage) report(b *testing.B) {
	b.Helper()
	b.StopTimer()
	server, caller := u.read(b)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
	b.ReportMetric(float64((server-u.server).Microseconds())/float64(b.N), "server-us/op")
	b.ReportMetric(float64((caller-u.caller).Microseconds())/float64(b.N), "client-us/op")
}
