package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// chatSide is how many users send through the first gateway, and as many others receive through the second. Each of the
	// ones talks with each of the others.
	chatSide = 16
	// chatText is how long a text is, in bytes.
	chatText = 200
	// chatPause lies between two messages of an idle system.
	chatPause = 10 * time.Millisecond
	// chatDrain is how long the last message may take.
	chatDrain = 20 * time.Second
)

// BenchmarkChat measures how long it takes from sending a message until it is acknowledged, and until it is delivered on the
// other gateway: two gateways and two workers, each a process, with real servers.
//
//   - idle: one message at a time, a hundred a second. Its limit is the round trip to Redis, measured in between.
//   - rate: so many messages a second, each counted from when it should have been sent, not from when it was. The lower rate
//     shows what a machine does that is not at its end. Run it for some seconds: -benchtime 5000x.
//
// Besides percentiles it reports the processor time of each side and the commands that Redis executed, which hardly
// depend on what else the machine does.
func BenchmarkChat(b *testing.B) {
	d := deploy(b, layout{gateways: 2, workers: 2})
	c := newChat(b, d)
	b.Run("idle", func(b *testing.B) { c.benchmarkIdle(b) })
	for _, rate := range []int{250, 1000} {
		b.Run("rate="+strconv.Itoa(rate), func(b *testing.B) { c.benchmarkRate(b, rate) })
	}
}

// BenchmarkNobody measures what a deployment costs that nobody uses. An operation is a second.
func BenchmarkNobody(b *testing.B) {
	d := deploy(b, layout{gateways: 2, workers: 2})
	client := d.redis.Client()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	used := startSpent(b, d, client)
	for b.Loop() {
		<-ticker.C
	}
	used.report(b)
}

// chat is everybody who talks.
type chat struct {
	d             *deployment
	redis         *redis.Client
	senders       []*socket
	conversations [chatSide][chatSide]string

	// run tells the messages of one measurement from those of others.
	run      atomic.Int64
	mu       sync.Mutex
	intended []time.Time
	arrived  []bool
	left     int
	all      chan struct{} // closed when nothing is left
	// delivered takes what came.
	delivered *latencies
}

// newChat makes users and conversations.
func newChat(b *testing.B, d *deployment) *chat {
	b.Helper()
	c := &chat{d: d, redis: d.redis.Client()}
	people := registerAll(b, d, "chat", 2*chatSide)
	for n, l := range people {
		gateway, onPush := d.gateways[0], func(push) {}
		if n >= chatSide {
			gateway, onPush = d.gateways[1], c.take
		}
		s, err := connect(b.Context(), gateway.url, l.Token, "", onPush)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(s.close)
		if n < chatSide {
			c.senders = append(c.senders, s)
		}
	}
	for from := range chatSide {
		for to := range chatSide {
			var first sent
			params := map[string]any{"to": map[string]any{"user": people[chatSide+to].User.ID}, "client_id": "first", "body": text("first")}
			if err := c.senders[from].call(b.Context(), "message.send", params, &first); err != nil {
				b.Fatal(err)
			}
			c.conversations[from][to] = first.Conversation
		}
	}
	return c
}

// begin prepares for n messages.
func (c *chat) begin(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run.Add(1)
	c.intended, c.arrived, c.left = make([]time.Time, n), make([]bool, n), n
	c.all, c.delivered = make(chan struct{}), newLatencies()
}

// take notes a message that came.
func (c *chat) take(p push) {
	now := time.Now()
	if p.Method != "event" {
		return
	}
	var e struct {
		Data struct {
			ClientID string `json:"client_id"`
		} `json:"data"`
	}
	if json.Unmarshal(p.Params, &e) != nil {
		return
	}
	run, number, _ := strings.Cut(e.Data.ClientID, "-")
	n, err := strconv.Atoi(number)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || run != strconv.FormatInt(c.run.Load(), 10) || n >= len(c.arrived) || c.arrived[n] {
		return
	}
	c.arrived[n] = true
	c.delivered.record(now.Sub(c.intended[n]))
	if c.left--; c.left == 0 {
		close(c.all)
	}
}

// send sends the message that should be sent at a moment, and returns how long it took from then until it was acknowledged.
func (c *chat) send(ctx context.Context, n int, at time.Time) (time.Duration, error) {
	c.mu.Lock()
	c.intended[n] = at
	c.mu.Unlock()
	from := n % chatSide
	err := c.senders[from].call(ctx, "message.send", map[string]any{
		"to":        map[string]any{"conversation": c.conversations[from][n/chatSide%chatSide]},
		"client_id": fmt.Sprintf("%d-%d", c.run.Load(), n), "body": text(chatBody[:chatText]),
	}, nil)
	return time.Since(at), err
}

var chatBody = strings.Repeat("what people say to each other, ", 10)

// wait waits until everything has come.
func (c *chat) wait(b *testing.B) {
	b.Helper()
	limit := time.NewTimer(chatDrain)
	defer limit.Stop()
	select {
	case <-c.all:
	case <-limit.C:
		c.mu.Lock()
		defer c.mu.Unlock()
		b.Fatalf("%d of %d messages were not delivered", c.left, len(c.arrived))
	}
}

func (c *chat) benchmarkIdle(b *testing.B) {
	b.Helper()
	c.begin(b.N)
	acknowledged, trips := newLatencies(), newLatencies()
	ticker := time.NewTicker(chatPause)
	defer ticker.Stop()
	used := startSpent(b, c.d, c.redis)
	b.ResetTimer()
	for n := range b.N {
		<-ticker.C
		began := time.Now()
		if err := c.redis.Ping(b.Context()).Err(); err != nil {
			b.Fatal(err)
		}
		trips.record(time.Since(began))
		took, err := c.send(b.Context(), n, time.Now())
		if err != nil {
			b.Fatal(err)
		}
		acknowledged.record(took)
	}
	c.wait(b)
	used.report(b)
	c.report(b, acknowledged, trips)
}

func (c *chat) benchmarkRate(b *testing.B, rate int) {
	b.Helper()
	c.begin(b.N)
	acknowledged, trips := newLatencies(), newLatencies()
	used := startSpent(b, c.d, c.redis)
	b.ResetTimer()
	stop := c.measureTrips(b, trips)
	var sending sync.WaitGroup
	var failed atomic.Int64
	start := time.Now().Add(time.Millisecond)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := range b.N {
		at := start.Add(time.Duration(n) * time.Second / time.Duration(rate))
		if wait := time.Until(at); wait > 0 {
			timer.Reset(wait)
			<-timer.C
		}
		sending.Go(func() {
			took, err := c.send(b.Context(), n, at)
			if err != nil {
				failed.Add(1)
				b.Log(err)
				return
			}
			acknowledged.record(took)
		})
	}
	sending.Wait()
	if failed.Load() > 0 {
		b.Fatalf("%d of %d messages were not taken", failed.Load(), b.N)
	}
	c.wait(b)
	stop()
	used.report(b)
	c.report(b, acknowledged, trips)
}

// measureTrips measures the round trip to Redis every ten milliseconds, until stop is called.
func (c *chat) measureTrips(b *testing.B, trips *latencies) (stop func()) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	var measuring sync.WaitGroup
	measuring.Go(func() {
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			began := time.Now()
			if c.redis.Ping(ctx).Err() == nil {
				trips.record(time.Since(began))
			}
		}
	})
	return func() {
		cancel()
		measuring.Wait()
	}
}

func (c *chat) report(b *testing.B, acknowledged, trips *latencies) {
	b.Helper()
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(0, "ns/op") // it says nothing here
	b.ReportMetric(ms(trips.at(50)), "ping-p50-ms")
	b.ReportMetric(ms(trips.at(99)), "ping-p99-ms")
	b.ReportMetric(ms(acknowledged.at(50)), "ack-p50-ms")
	b.ReportMetric(ms(acknowledged.at(99)), "ack-p99-ms")
	b.ReportMetric(ms(c.delivered.at(50)), "delivered-p50-ms")
	b.ReportMetric(ms(c.delivered.at(99)), "delivered-p99-ms")
}

// spent is what the processes of a deployment had used at a moment.
type spent struct {
	d     *deployment
	redis *redis.Client
	// seconds of processor time.
	server, gateways, workers float64
	commands                  float64
}

func startSpent(b *testing.B, d *deployment, client *redis.Client) spent {
	b.Helper()
	s := spent{d: d, redis: client}
	s.read(b)
	return s
}

func (s *spent) read(b *testing.B) {
	b.Helper()
	// Not the test's context: it may have ended when the last figures are read.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.Context()), 10*time.Second)
	defer cancel()
	s.server, s.commands = 0, 0
	for _, section := range []string{"cpu", "stats"} {
		info, err := s.redis.InfoMap(ctx, section).Result()
		if err != nil {
			b.Fatal(err)
		}
		for _, values := range info {
			s.server += number(b, values["used_cpu_user"]) + number(b, values["used_cpu_sys"])
			s.commands += number(b, values["total_commands_processed"])
		}
	}
	s.gateways, s.workers = processorTime(ctx, b, s.d.gateways), processorTime(ctx, b, s.d.workers)
}

// number reads a number, zero where there is none.
func number(b *testing.B, text string) float64 {
	b.Helper()
	if text == "" {
		return 0
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// processorTime returns the seconds that processes have used, as their metrics say.
func processorTime(ctx context.Context, b *testing.B, parts []*part) (seconds float64) {
	b.Helper()
	for _, p := range parts {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.admin+"/metrics", nil)
		if err != nil {
			b.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			b.Fatal(err)
		}
		lines := bufio.NewScanner(response.Body)
		for lines.Scan() {
			if value, ok := strings.CutPrefix(lines.Text(), "process_cpu_seconds_total "); ok {
				seconds += number(b, value)
			}
		}
		_ = response.Body.Close()
		if err := lines.Err(); err != nil {
			b.Fatal(err)
		}
	}
	return seconds
}

// report reports what was used by an operation since the beginning.
func (s *spent) report(b *testing.B) {
	b.Helper()
	b.StopTimer()
	before := *s
	s.read(b)
	us := func(before, after float64) float64 { return (after - before) * 1e6 / float64(b.N) }
	b.ReportMetric(us(before.server, s.server), "redis-us/op")
	b.ReportMetric(us(before.gateways, s.gateways), "gateways-us/op")
	b.ReportMetric(us(before.workers, s.workers), "workers-us/op")
	b.ReportMetric((s.commands-before.commands)/float64(b.N), "commands/op")
}
