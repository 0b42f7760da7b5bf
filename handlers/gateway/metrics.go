package gateway

import (
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what a gateway counts.
type metrics struct {
	open atomic.Int64

	framesIn, framesOut prometheus.Counter
	deliveries          prometheus.Counter
	shed, resyncs       prometheus.Counter
	subscribed          prometheus.Counter
	closes              *prometheus.CounterVec
	hello               prometheus.Histogram
	calls               *prometheus.HistogramVec
	opened, queued      prometheus.GaugeFunc
}

func newMetrics(r prometheus.Registerer, queued func() int) *metrics {
	m := new(metrics)
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "mpim", Subsystem: "gateway", Name: name, Help: help})
	}
	m.framesIn = counter("frames_in_total", "Frames received from clients.")
	m.framesOut = counter("frames_out_total", "Frames written to clients.")
	m.deliveries = counter("deliveries_total", "Pushes handed to connections.")
	m.shed = counter("shed_total", "Typing, presence and receipts left out because a client was slow.")
	m.resyncs = counter("resyncs_total", "Connections told to resync.")
	m.subscribed = counter("subscriptions_total", "Times the subscription to pushes was made; all but the first after a break.")
	m.closes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "mpim", Subsystem: "gateway", Name: "closes_total", Help: "Sockets that ended, by close code.",
	}, []string{"code"})
	m.hello = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: "mpim", Subsystem: "gateway", Name: "hello_seconds", Help: "Time from hello to its answer.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
	})
	m.calls = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "mpim", Subsystem: "gateway", Name: "call_seconds", Help: "Time that calls over sockets took, by method.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
	}, []string{"method"})
	m.opened = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "mpim", Subsystem: "gateway", Name: "connections", Help: "Open sockets.",
	}, func() float64 { return float64(m.open.Load()) })
	m.queued = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "mpim", Subsystem: "gateway", Name: "queue_bytes", Help: "Bytes that wait to be written to clients.",
	}, func() float64 { return float64(queued()) })
	if r != nil {
		r.MustRegister(m.framesIn, m.framesOut, m.deliveries, m.shed, m.resyncs, m.subscribed, m.closes, m.hello, m.calls, m.opened, m.queued)
	}
	return m
}

func (m *metrics) closed(code CloseCode) { m.closes.WithLabelValues(strconv.Itoa(int(code))).Inc() }
