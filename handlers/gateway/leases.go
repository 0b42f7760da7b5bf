package gateway

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// leases are the partitions in which the gateway was given a lease.
type leases struct {
	mu         sync.Mutex
	partitions map[int]struct{}
}

func newLeases() *leases { return &leases{partitions: make(map[int]struct{})} }

func (l *leases) note(partition int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partitions[partition] = struct{}{}
}

// without returns the partitions for which keep is false.
func (l *leases) without(keep func(partition int) bool) (partitions []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for partition := range l.partitions {
		if !keep(partition) {
			partitions = append(partitions, partition)
		}
	}
	return partitions
}

// returnTimeout bounds how long giving back the leases may take.
const returnTimeout = 2 * time.Second

// returnLeases gives back the leases of partitions where all has ended and is recorded, so that the stop does not look
// like a crash when they run out. Where something is left, running out is what ends it.
func (g *Gateway) returnLeases(ctx context.Context) {
	left := make(map[int]bool)
	for partition := range g.hub.byPartition() {
		left[partition] = true
	}
	for _, one := range append(g.departures.take(), g.departures.left...) {
		partition, _ := one.entry.User.Partition()
		left[partition] = true
	}
	partitions := g.leases.without(func(partition int) bool { return left[partition] })
	if len(partitions) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, returnTimeout)
	defer cancel()
	if err := g.config.Bus.Withdraw(ctx, g.config.ID, partitions); err != nil {
		g.logger.Warn("leases not given back; they run out", slog.Any("error", err))
	}
}
