package push

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mpim/schema"
)

// metrics are kept whether somebody takes them or not.
type metrics struct {
	records, deliveries, frames, messages, bytes prometheus.Counter
	lost, skipped, unreadable, dropped, shed     prometheus.Counter
	loads                                        prometheus.Counter
	loadSeconds                                  prometheus.Histogram
}

func newMetrics(registerer prometheus.Registerer, r *registry) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "mpim", Subsystem: "push", Name: name, Help: help})
	}
	m := &metrics{
		records:    counter("events_total", "Events read for pushing."),
		deliveries: counter("deliveries_total", "Frames pushed, counted for each connection they go to."),
		frames:     counter("frames_total", "Frames encoded; one frame goes to any number of connections."),
		messages:   counter("messages_total", "Envelopes and heartbeats sent to gateways."),
		bytes:      counter("message_bytes_total", "Bytes of envelopes and heartbeats sent to gateways."),
		lost:       counter("messages_lost_total", "Messages that could not be published; their gateways resynchronise."),
		skipped:    counter("events_skipped_total", "Events passed over because pushing was too far behind."),
		shed:       counter("shed_total", "Typing and receipts left out because pushing was behind."),
		unreadable: counter("events_unreadable_total", "Events that could not be pushed because this version cannot read them."),
		dropped:    counter("asides_dropped_total", "Typing that was dropped because too much of it waited."),
		loads:      counter("rosters_loaded_total", "Conversations whose members were read."),
		loadSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "mpim", Subsystem: "push", Name: "roster_load_seconds", Help: "Time to read members of conversations.",
			Buckets: prometheus.ExponentialBuckets(0.0002, 4, 8),
		}),
	}
	if registerer == nil {
		return m, nil
	}
	gauge := func(name, help string, value func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "mpim", Subsystem: "push", Name: name, Help: help},
			func() float64 { return float64(value()) })
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.records, m.deliveries, m.frames, m.messages, m.bytes, m.lost, m.skipped, m.unreadable, m.dropped, m.shed, m.loads, m.loadSeconds,
		gauge("gateways", "Gateways with connections.", func() int { n, _ := r.count(); return n }),
		gauge("connections", "Connections known.", func() int { _, n := r.count(); return n }),
	} {
		errs = append(errs, registerer.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) pushed(records int, out *outbox) {
	m.records.Add(float64(records))
	m.deliveries.Add(float64(out.deliveries))
	m.frames.Add(float64(out.frames))
}

func (m *metrics) sent(messages []schema.Outgoing) {
	n := 0
	for i := range messages {
		n += len(messages[i].Payload)
	}
	m.messages.Add(float64(len(messages)))
	m.bytes.Add(float64(n))
}

func (m *metrics) loaded(conversations int, took time.Duration) {
	m.loads.Add(float64(conversations))
	m.loadSeconds.Observe(took.Seconds())
}
