package archive

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what one process archives.
type metrics struct {
	events, bytes, trimmed, failures, merges prometheus.Counter
	position                                 *prometheus.GaugeVec
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "mpim_archive_" + name, Help: help})
	}
	return &metrics{
		events:   counter("events_total", "Events that were archived and read back."),
		bytes:    counter("bytes_total", "Bytes of the segments that were written, before neighbours were merged."),
		trimmed:  counter("trimmed_total", "Entries that were trimmed from the streams."),
		failures: counter("failures_total", "Rounds in which a partition could not be archived or trimmed."),
		merges:   counter("merges_total", "Merges of neighbouring segments."),
		position: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mpim_archive_position", Help: "Partition sequence of the last event that is archived and was read back.",
		}, []string{"partition"}),
	}
}

func (m *metrics) register(r prometheus.Registerer) error {
	var errs []error
	for _, c := range []prometheus.Collector{m.events, m.bytes, m.trimmed, m.failures, m.merges, m.position} {
		errs = append(errs, r.Register(c))
	}
	return errors.Join(errs...)
}

func (m *metrics) written(partition int, r *row) {
	m.events.Add(float64(r.Count))
	m.bytes.Add(float64(len(r.Data)))
	m.position.WithLabelValues(strconv.Itoa(partition)).Set(float64(r.To))
}
