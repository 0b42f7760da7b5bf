package streams_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/streamstest"
)

// BenchmarkAppend measures appends a second with every step on, from 512 callers over 16 partitions, against raw
// pipelined XADD of the same bytes by the same client library.
func BenchmarkAppend(b *testing.B) {
	server := streamstest.StartRedis(b)
	b.Run("xadd", func(b *testing.B) { benchmarkXAdd(b, server.Client()) })
	b.Run("append", func(b *testing.B) { benchmarkAppend(b, server.Client()) })
}

const benchCallers = 512

var benchText = strings.Repeat("a chat message of ordinary length ", 6)[:200]

func benchCommit(placement domain.Placement, caller, n int) domain.Commit {
	clientID := fmt.Sprintf("%d-%d", caller, n)
	sum := sha256.Sum256([]byte(clientID))
	return domain.Commit{
		Aggregate: placement.Group("u", fmt.Sprint(caller)).Aggregate(),
		Request:   &domain.Request{Key: [12]byte(sum[:12]), Content: [8]byte(sum[12:20])},
		Guards:    []domain.Guard{{Field: domain.VersionField}},
		At:        time.UnixMilli(1_700_000_000_000 + int64(n)).UTC(),
		Actor:     "uabcdefghijklmnopqrst00",
		Events:    []domain.Fact{&domain.MessageSent{ClientID: clientID, Body: domain.Body{Type: domain.TextBody, Text: benchText}}},
	}
}

func benchmarkAppend(b *testing.B, client *redis.Client) {
	b.Helper()
	client.FlushAll(b.Context())
	identity, err := streams.NewIdentity(16)
	if err != nil {
		b.Fatal(err)
	}
	if err := streams.Create(b.Context(), client, identity); err != nil {
		b.Fatal(err)
	}
	log, err := streams.New(streams.Config{Client: client, Identity: identity})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	defer func() { stop(); <-done }()

	var next atomic.Int64
	var wait sync.WaitGroup
	b.ResetTimer()
	for caller := range benchCallers {
		wait.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if _, err := log.Append(ctx, benchCommit(identity.Placement(), caller, int(n))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
}

func benchmarkXAdd(b *testing.B, client *redis.Client) {
	b.Helper()
	client.FlushAll(b.Context())
	placement := domain.Placement{Partitions: 16}
	drafts, err := schema.Drafts(benchCommit(placement, 0, 0))
	if err != nil {
		b.Fatal(err)
	}
	metadata := append(drafts[0].Metadata, "partition_seq 123456 seq 123456 ordinal 123456"...)
	b.ResetTimer()
	var wait sync.WaitGroup
	var next atomic.Int64
	for partition := range 16 {
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
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
}
