package lease

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	held  *prometheus.GaugeVec
	taken *prometheus.CounterVec
	lost  *prometheus.CounterVec
	fails prometheus.Counter
}

// The label "from" of metrics.taken.
const (
	fromFree    = "free"    // nobody held it
	fromExpired = "expired" // its holder let it expire: a take-over
)

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		held: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "mpim_lease_held", Help: "Leases that this worker holds.",
		}, []string{"consumer"}),
		taken: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mpim_lease_taken_total",
			Help: "Leases that this worker took: free ones, and take-overs of those that another worker had let expire.",
		}, []string{"consumer", "from"}),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mpim_lease_lost_total", Help: "Leases that this worker lost without handing them over.",
		}, []string{"consumer"}),
		fails: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "mpim_lease_failures_total", Help: "Rounds of renewal in which Redis could not be asked.",
		}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.held, m.taken, m.lost, m.fails} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
