package audit

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what one process signs.
type metrics struct {
	heads, failures prometheus.Counter
	signedAt        prometheus.Gauge
	position        *prometheus.GaugeVec
}

func newMetrics() *metrics {
	return &metrics{
		heads:    prometheus.NewCounter(prometheus.CounterOpts{Name: "mpim_audit_heads_total", Help: "Heads that were signed."}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "mpim_audit_failures_total", Help: "Times that archived events could not be signed."}),
		signedAt: prometheus.NewGauge(prometheus.GaugeOpts{Name: "mpim_audit_signed_timestamp_seconds", Help: "When the newest head was signed by this process."}),
		position: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mpim_audit_position", Help: "Partition sequence of the last event that a signed head covers.",
		}, []string{"partition"}),
	}
}

func (m *metrics) register(r prometheus.Registerer) error {
	var errs []error
	for _, c := range []prometheus.Collector{m.heads, m.failures, m.signedAt, m.position} {
		errs = append(errs, r.Register(c))
	}
	return errors.Join(errs...)
}

func (m *metrics) signed(partition int, size int64) {
	m.position.WithLabelValues(strconv.Itoa(partition)).Set(float64(size))
}
