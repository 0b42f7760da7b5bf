package cache

import (
	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests  *prometheus.CounterVec
	fills     *prometheus.CounterVec
	refreshed *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	bytes     prometheus.Gauge
	evicted   prometheus.Counter
	byKind    map[Kind]prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	byKind := []string{"kind"}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mpim_cache_requests_total", Help: "Entries asked for, by result: hit, miss, error (the cache could not be asked).",
		}, []string{"kind", "result"}),
		fills: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mpim_cache_fills_total", Help: "Entries that were loaded, by result: stored, refused (something newer stood there), failed.",
		}, []string{"kind", "result"}),
		refreshed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mpim_cache_refreshed_total", Help: "Entries loaded anew because of an event."}, byKind),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mpim_cache_read_seconds", Help: "Time that reading the cache took, without what was missing.",
			Buckets: prometheus.ExponentialBuckets(0.00005, 2, 14),
		}, byKind),
		bytes:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "mpim_cache_bytes", Help: "Bytes that entries take on a server shared with the log."}),
		evicted: prometheus.NewCounter(prometheus.CounterOpts{Name: "mpim_cache_evicted_total", Help: "Entries removed because the bound was reached."}),
		byKind:  make(map[Kind]prometheus.Counter),
	}
	for _, kind := range Kinds {
		m.byKind[kind] = m.requests.WithLabelValues(string(kind), "hit")
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.fills, m.refreshed, m.seconds, m.bytes, m.evicted} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// hits is asked for with every read.
func (m *metrics) hits(kind Kind) prometheus.Counter {
	if counter := m.byKind[kind]; counter != nil {
		return counter
	}
	return m.requests.WithLabelValues(string(kind), "hit")
}
