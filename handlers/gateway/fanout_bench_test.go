package gateway_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// fanOut is the kind of server that pushes what it is told to every connection.
const fanOut = "fan-out"

// fanConnections is how many members of the group are connected, and fanFrameBytes what one event takes.
const (
	fanConnections = 1000
	fanFrameBytes  = 350
)

// BenchmarkFanOut pushes events to 1,000 connections of one gateway and waits until each has read all of them: one event at
// a time, and the way they form with eight senders flat out. It reports deliveries a second by the clock, with the clients
// on the same machine, and the gateway's processor time a delivery.
//
//	go test -run - -bench FanOut ./handlers/gateway
func BenchmarkFanOut(b *testing.B) {
	for _, c := range []struct{ envelopes, events int }{{1, 1}, {8, 8}} {
		b.Run(fmt.Sprintf("envelopes=%d/events=%d", c.envelopes, c.events), func(b *testing.B) {
			benchmarkFanOut(b, c.envelopes, c.events)
		})
	}
}

func benchmarkFanOut(b *testing.B, envelopes, events int) {
	b.Helper()
	server := startServer(b, fanOut)
	defer server.stop()
	conns := make([]net.Conn, fanConnections)
	for i := range conns {
		conn, err := rawHello(server.address, fmt.Sprintf("user%d", i))
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		conns[i] = conn
	}
	const header = 4 // of a frame of more than 125 bytes
	round := envelopes * events * (fanFrameBytes + header)
	before, began := server.measure(), time.Now()
	rounds := 0
	for b.Loop() {
		_, _ = fmt.Fprintf(server.in, "%d %d\n", envelopes, events)
		readAll(b, conns, round)
		rounds++
	}
	elapsed, after := time.Since(began), server.measure()
	deliveries := float64(rounds * fanConnections * envelopes * events)
	b.ReportMetric(deliveries/elapsed.Seconds(), "deliveries/s")
	b.ReportMetric(float64(after.processor-before.processor)/deliveries, "processor-ns/delivery")
}

// readAll reads that many bytes of every connection. A few readers instead of one a connection: the clients should not
// take the processors from the gateway.
func readAll(b *testing.B, conns []net.Conn, bytes int) {
	b.Helper()
	const readers = 4
	var reading sync.WaitGroup
	for r := range readers {
		reading.Go(func() {
			buffer := make([]byte, 64<<10)
			for i := r; i < len(conns); i += readers {
				for left := bytes; left > 0; {
					n, err := conns[i].Read(buffer[:min(left, len(buffer))])
					if err != nil {
						b.Error(err)
						return
					}
					left -= n
				}
			}
		})
	}
	reading.Wait()
}

// pushAll pushes one round to every connection that said hello.
func pushAll(w *world, line string) {
	var envelopes, events int
	if _, err := fmt.Sscan(line, &envelopes, &events); err != nil {
		panic(err)
	}
	w.mu.Lock()
	ids := make([]domain.ConnectionID, 0, len(w.connected))
	for _, c := range w.connected {
		ids = append(ids, c.Connection)
	}
	w.mu.Unlock()
	frame := `{"jsonrpc":"2.0","method":"event","params":{"text":"` + strings.Repeat("x", fanFrameBytes)
	frame = frame[:fanFrameBytes-3] + `"}}`
	item := event(frame, ids...)
	items := make([]schema.Item, events)
	for i := range items {
		items[i] = item
	}
	for range envelopes {
		w.push("g", 0, false, items...)
	}
}
