package lease

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// holding is a lease that this worker took and whose hold has not returned.
type holding struct {
	Lease

	end    context.CancelCauseFunc
	expiry *time.Timer
	// leaving says that it is being handed over, lost that it must not be believed in any more.
	leaving, lost bool
}

// lose ends the lease because it is not this worker's any more.
func (k *keeper) lose(ctx context.Context, h *holding) {
	if h.lost {
		return
	}
	h.lost = true
	h.expiry.Stop()
	h.end(ErrLost)
	k.metrics.lost.WithLabelValues(h.Consumer).Inc()
	k.config.Logger.WarnContext(ctx, "lease lost", h.attrs()...)
}

func (k *keeper) handOver(ctx context.Context, h *holding, to string) {
	if h.leaving || h.lost {
		return
	}
	h.leaving = true
	h.end(ErrHandedOver)
	k.config.Logger.InfoContext(ctx, "lease handed over", append(h.attrs(), slog.String("to", to))...)
}

func (l Lease) attrs() []any {
	return []any{slog.String("consumer", l.Consumer), slog.Int("partition", l.Partition), slog.Int64("token", l.Token)}
}

// renew renews what is held and returns which leases stand, by partition and consumer; nil for a partition whose server
// did not answer. First is a call to make before, or nil; its command is returned.
func (k *keeper) renew(ctx context.Context, first *call) (*redis.Cmd, []map[string]standing) {
	calls := make([]call, 0, k.config.Partitions+1)
	for p := range k.config.Partitions {
		calls = append(calls, call{renewScript, leasesKey(p), []any{k.config.TTL.Milliseconds(), k.self.ID}})
	}
	for at, h := range k.held {
		if !h.lost {
			c := &calls[at.partition]
			c.args = append(c.args, at.consumer, tokenString(h.Token))
		}
	}
	if first != nil {
		calls = append(calls, *first)
	}
	sent := time.Now()
	commands, err := runAll(ctx, k.config.Client, calls)
	if err != nil {
		k.config.Logger.WarnContext(ctx, "leases could not be renewed", slog.Any("error", err))
	}
	leases := make([]map[string]standing, k.config.Partitions)
	for p := range leases {
		if leases[p], err = parseStanding(commands[p]); err != nil {
			leases[p] = nil
		}
	}
	for at, h := range k.held {
		switch s, ok := leases[at.partition][at.consumer]; {
		case leases[at.partition] == nil || h.lost:
		case !ok || s.worker != k.self.ID || s.token != h.Token:
			k.lose(ctx, h)
		case !h.expiry.Stop():
			// The answer came too late: the lease's context has ended already, or that of a hand-over was used up.
			k.lose(ctx, h)
		default:
			h.expiry.Reset(time.Until(sent.Add(k.config.TTL - k.config.Margin)))
		}
	}
	return commands[len(commands)-1], leases
}

// take takes leases and starts their holds. It reports whether Redis could be asked.
func (k *keeper) take(ctx context.Context, missing map[int][]string) bool {
	if len(missing) == 0 {
		return true
	}
	partitions := slices.Sorted(maps.Keys(missing))
	calls := make([]call, len(partitions))
	for i, p := range partitions {
		args := []any{k.config.TTL.Milliseconds(), k.self.ID}
		for _, consumer := range missing[p] {
			args = append(args, consumer)
		}
		calls[i] = call{takeScript, leasesKey(p), args}
	}
	sent := time.Now()
	commands, err := runAll(ctx, k.config.Client, calls)
	if err != nil {
		k.config.Logger.WarnContext(ctx, "leases could not be taken", slog.Any("error", err))
	}
	for i, p := range partitions {
		reply, failed := commands[i].StringSlice()
		if failed != nil || len(reply) != 2*len(missing[p]) {
			continue
		}
		for j, consumer := range missing[p] {
			token, _ := strconv.ParseInt(reply[2*j], 10, 64)
			if token > 0 {
				k.begin(ctx, Lease{consumer, p, token}, sent, reply[2*j+1])
			}
		}
	}
	return err == nil
}

// begin starts the hold of a lease that was taken by a request sent then, from a worker that let it expire, or "".
func (k *keeper) begin(ctx context.Context, l Lease, sent time.Time, from string) {
	// It does not end with Run's context: a lease ends by being handed over, which lets its hold finish what it began.
	ctx, end := context.WithCancelCause(context.WithoutCancel(ctx))
	h := &holding{Lease: l, end: end}
	h.expiry = time.AfterFunc(time.Until(sent.Add(k.config.TTL-k.config.Margin)), func() { end(ErrLost) })
	k.held[slot{l.Consumer, l.Partition}] = h
	how := fromFree
	if from != "" {
		how = fromExpired
	}
	k.metrics.held.WithLabelValues(l.Consumer).Inc()
	k.metrics.taken.WithLabelValues(l.Consumer, how).Inc()
	k.config.Logger.InfoContext(ctx, "lease taken", append(l.attrs(), slog.String("from", from))...)
	hold := k.holds[l.Consumer]
	go func() {
		hold(ctx, l)
		k.returned <- h
	}()
}

// release gives back leases whose holds have returned. It reports whether one was lost, and so may be taken again.
func (k *keeper) release(ctx context.Context, returned []*holding) (lost bool) {
	byPartition := make(map[int]*call)
	for _, h := range returned {
		at := slot{h.Consumer, h.Partition}
		delete(k.held, at)
		k.metrics.held.WithLabelValues(h.Consumer).Dec()
		switch running := h.expiry.Stop(); {
		case h.lost || !running:
			lost = true
		case !h.leaving:
			k.resting[at] = time.Now().Add(restAfterReturn)
			k.config.Logger.WarnContext(ctx, "consumer stopped on its own", h.attrs()...)
		}
		h.end(nil)
		if byPartition[h.Partition] == nil {
			byPartition[h.Partition] = &call{releaseScript, leasesKey(h.Partition), []any{k.self.ID}}
		}
		c := byPartition[h.Partition]
		c.args = append(c.args, h.Consumer, tokenString(h.Token))
	}
	calls := make([]call, 0, len(byPartition))
	for _, c := range byPartition {
		calls = append(calls, *c)
	}
	ctx, cancel := context.WithTimeout(ctx, k.config.Renew)
	defer cancel()
	if _, err := runAll(ctx, k.config.Client, calls); err != nil {
		// They expire by themselves.
		k.config.Logger.WarnContext(ctx, "leases could not be given back", slog.Any("error", err))
		return lost
	}
	k.tell(ctx)
	return lost
}
