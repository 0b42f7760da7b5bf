package timers

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mpim/domain/conversation"
)

type metrics struct {
	fired  *prometheus.CounterVec
	late   prometheus.Histogram
	failed prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer) (metrics, error) {
	m := metrics{
		fired: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mpim_timers_fired_total", Help: "Timers that fired, by what they did.",
		}, []string{"what"}),
		late: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "mpim_timer_late_seconds", Help: "How long after their time timers fired.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 600},
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mpim_timers_failed_total", Help: "Timers that came to nothing, each time they were tried.",
		}),
	}
	if registerer == nil {
		return m, nil
	}
	for _, collector := range []prometheus.Collector{m.fired, m.late, m.failed} {
		if err := registerer.Register(collector); err != nil {
			return m, fmt.Errorf("timers: register metrics: %w", err)
		}
	}
	return m, nil
}

func (m metrics) fire(due conversation.Due, late time.Duration) {
	what := "expire"
	if due.Sends != "" {
		what = "send"
	}
	m.fired.WithLabelValues(what).Inc()
	m.late.Observe(late.Seconds())
}
