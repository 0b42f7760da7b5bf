package streams

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	commands prometheus.Counter
	seconds  prometheus.Histogram
	sizes    prometheus.Histogram
	retries  prometheus.Counter
	refused  prometheus.Counter
	forks    prometheus.Counter
	closed   prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		commands: prometheus.NewCounter(prometheus.CounterOpts{Name: "mpim_log_commands_total", Help: "Commands that the append script answered."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "mpim_log_append_seconds", Help: "Time from sending a batch to its answer, retries included.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
		}),
		sizes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "mpim_log_batch_commands", Help: "Commands in one batch.", Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{Name: "mpim_log_append_retries_total", Help: "Batches sent again because no answer came."}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "mpim_log_append_refused_total", Help: "Commands refused because a partition's queue was full."}),
		forks:   prometheus.NewCounter(prometheus.CounterOpts{Name: "mpim_log_forks_total", Help: "Partitions closed because Redis had less than was seen."}),
		closed:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "mpim_log_closed_partitions", Help: "Partitions that take no appends just now."}),
	}
	if r != nil {
		r.MustRegister(m.commands, m.seconds, m.sizes, m.retries, m.refused, m.forks, m.closed)
	}
	return m
}

func (m *metrics) batch(commands int, took time.Duration) {
	m.commands.Add(float64(commands))
	m.sizes.Observe(float64(commands))
	m.seconds.Observe(took.Seconds())
}
