package projections

import (
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics collects what a runner did. The lag is computed when it is asked for, so it grows while nothing happens.
type metrics struct {
	head func(int) (int64, bool)

	events   prometheus.Counter
	batches  prometheus.Counter
	parked   prometheus.Counter
	failures *prometheus.CounterVec

	lagSeconds, lagEvents, position *prometheus.Desc

	mu         sync.Mutex
	partitions map[int]progress
}

// progress is how far one partition has come here.
type progress struct {
	seq int64
	at  time.Time
	// behind is how old the last record was when it was applied.
	behind time.Duration
}

func newMetrics(projection string, head func(int) (int64, bool)) *metrics {
	labels := prometheus.Labels{"projection": projection}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "mpim", Subsystem: "projection", Name: name, Help: help, ConstLabels: labels,
		})
	}
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("mpim_projection_"+name, help, []string{"partition"}, labels)
	}
	return &metrics{
		head:    head,
		events:  counter("events_total", "Events that the projection has passed: applied, passed over or parked."),
		batches: counter("batches_total", "Transactions that moved the checkpoint."),
		parked:  counter("parked_total", "Events that were parked."),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "mpim", Subsystem: "projection", Name: "failures_total", ConstLabels: labels,
			Help: "Batches that were given back, by cause: deposed, outside or events.",
		}, []string{"cause"}),
		lagSeconds: desc("lag_seconds", "For how long the last applied event stands behind now; 0 at the head."),
		lagEvents:  desc("lag_events", "Events that were appended and not yet applied."),
		position:   desc("position", "Partition sequence of the last applied event."),
		partitions: make(map[int]progress),
	}
}

func (m *metrics) applied(step Step) {
	m.events.Add(float64(step.To - step.From + 1))
	m.batches.Inc()
	m.parked.Add(float64(len(step.Parked)))
	p := progress{seq: step.To, at: step.At}
	if !step.At.IsZero() {
		p.behind = max(time.Since(step.At), 0)
	}
	m.mu.Lock()
	m.partitions[step.Partition] = p
	m.mu.Unlock()
}

func (m *metrics) failed(err error) {
	cause := "events"
	switch {
	case errors.Is(err, ErrDeposed):
		cause = "deposed"
	case IsOutside(err):
		cause = "outside"
	}
	m.failures.WithLabelValues(cause).Inc()
}

func (m *metrics) forget(partition int) {
	m.mu.Lock()
	delete(m.partitions, partition)
	m.mu.Unlock()
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	m.events.Describe(out)
	m.batches.Describe(out)
	m.parked.Describe(out)
	m.failures.Describe(out)
	out <- m.lagSeconds
	out <- m.lagEvents
	out <- m.position
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	m.events.Collect(out)
	m.batches.Collect(out)
	m.parked.Collect(out)
	m.failures.Collect(out)
	m.mu.Lock()
	defer m.mu.Unlock()
	for partition, p := range m.partitions {
		label := strconv.Itoa(partition)
		gauge := func(desc *prometheus.Desc, value float64) {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, label)
		}
		gauge(m.position, float64(p.seq))
		behind := p.behind
		if m.head != nil {
			if head, known := m.head(partition); known {
				missing := max(head-p.seq, 0)
				gauge(m.lagEvents, float64(missing))
				behind = 0
				if missing > 0 {
					behind = max(time.Since(p.at), 0)
				}
			}
		}
		gauge(m.lagSeconds, behind.Seconds())
	}
}
