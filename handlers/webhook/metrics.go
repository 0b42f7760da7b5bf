package webhook

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	worker    *Worker
	delivered *prometheus.CounterVec
	attempts  *prometheus.CounterVec
	dead      *prometheus.CounterVec
	seconds   prometheus.Histogram
	behind    *prometheus.Desc
	failing   *prometheus.Desc
}

func newMetrics(w *Worker, r prometheus.Registerer) (*metrics, error) {
	byWebhook := []string{"webhook"}
	m := &metrics{
		worker:    w,
		delivered: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mpim_webhook_delivered_total", Help: "Events that receivers took."}, byWebhook),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mpim_webhook_requests_total", Help: "Requests to receivers, by result: taken, refused (an answer other than 2xx), failed (none).",
		}, []string{"webhook", "result"}),
		dead: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "mpim_webhook_dead_letters_total", Help: "Events that were given up."}, byWebhook),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "mpim_webhook_request_seconds", Help: "Time that receivers took.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}),
		behind:  prometheus.NewDesc("mpim_webhook_behind_events", "Events of this worker's partitions that a webhook has yet to see.", byWebhook, nil),
		failing: prometheus.NewDesc("mpim_webhook_failing_partitions", "Partitions of this worker whose next events a receiver does not take.", byWebhook, nil),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.delivered, m.attempts, m.dead, m.seconds, m} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) attempt(webhook string, err error, took time.Duration) {
	result := "taken"
	if _, refused := errors.AsType[*RefusedError](err); refused {
		result = "refused"
	} else if err != nil {
		result = "failed"
	}
	m.attempts.WithLabelValues(webhook, result).Inc()
	m.seconds.Observe(took.Seconds())
}

// Describe implements prometheus.Collector for what is computed when it is asked for.
func (m *metrics) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- m.behind
	descriptions <- m.failing
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(values chan<- prometheus.Metric) {
	behind, failing := make(map[string]int64), make(map[string]int64)
	m.worker.mu.Lock()
	for d := range m.worker.running {
		behind[d.webhook.ID] += 0
		if d.partition < len(m.worker.heads) {
			behind[d.webhook.ID] += max(0, m.worker.heads[d.partition]-d.passed.Load())
		}
		if d.failing.Load() {
			failing[d.webhook.ID]++
		}
	}
	m.worker.mu.Unlock()
	for id, n := range behind {
		values <- prometheus.MustNewConstMetric(m.behind, prometheus.GaugeValue, float64(n), id)
		values <- prometheus.MustNewConstMetric(m.failing, prometheus.GaugeValue, float64(failing[id]), id)
	}
}
