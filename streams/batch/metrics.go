package batch

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	batches, records   *prometheus.CounterVec
	nacks, failures    *prometheus.CounterVec
	doubles, moved     *prometheus.CounterVec
	unreadable, broken *prometheus.CounterVec
	archived           *prometheus.CounterVec
	stopped            *prometheus.GaugeVec
	decoded, shared    prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	var all []prometheus.Collector
	counters := func(name, help string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"consumer"})
		all = append(all, c)
		return c
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		all = append(all, c)
		return c
	}
	m := &metrics{
		batches:    counters("mpim_batch_acknowledged_total", "Batches that were acknowledged."),
		records:    counters("mpim_batch_acknowledged_events_total", "Events in batches that were acknowledged."),
		nacks:      counters("mpim_batch_nacks_total", "Batches that were given back."),
		failures:   counters("mpim_batch_failures_total", "Reads and takings of a partition that failed."),
		doubles:    counters("mpim_batch_doubles_total", "Events that were read again and dropped."),
		moved:      counters("mpim_batch_cursor_moved_total", "Times that somebody else had moved the cursor of a group."),
		unreadable: counters("mpim_batch_unreadable_total", "Entries of the log without a readable sequence, which were passed over."),
		broken:     counters("mpim_batch_broken_total", "Events that could not be decoded and were delivered as broken."),
		archived:   counters("mpim_batch_archived_total", "Events that were read from the archive, because the stream no longer had them."),
		decoded:    counter("mpim_batch_decoded_total", "Entries that were decoded."),
		shared:     counter("mpim_batch_shared_total", "Entries that another consumer of this process had decoded."),
		stopped: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mpim_batch_stopped",
			Help: "1 for a partition that a consumer stopped reading because events are missing from the log, or it was forked.",
		}, []string{"consumer", "partition"}),
	}
	all = append(all, m.stopped)
	if r == nil {
		return m, nil
	}
	for _, c := range all {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
