package lease

import (
	"context"
	"log/slog"
	"strconv"
	"time"
)

const (
	// restAfterReturn is how long a lease is left alone whose hold returned on its own.
	restAfterReturn = time.Second
	// retryAfterFailure is how soon Redis is asked again after it could not be.
	retryAfterFailure = 100 * time.Millisecond
	// slack is added to the time at which another's lease expires before trying to take it.
	slack = 2 * time.Millisecond
)

// slot is a place for a lease.
type slot struct {
	consumer  string
	partition int
}

// keeper is one run of a manager. Its fields belong to the goroutine of Run; only returned and wake are shared.
type keeper struct {
	*Manager

	self     Worker
	held     map[slot]*holding
	resting  map[slot]time.Time
	returned chan *holding
	wake     chan struct{}
}

// run keeps the worker's share until ctx ends.
func (k *keeper) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case h := <-k.returned:
			if !k.release(ctx, k.gather(h)) {
				continue
			}
		case <-k.wake:
		case <-timer.C:
		}
		timer.Reset(k.tend(ctx))
	}
}

// leave gives everything back and waits until it is.
func (k *keeper) leave(ctx context.Context) {
	// First the list of workers, so that the others know who takes what by the time it is released.
	quick, cancel := context.WithTimeout(ctx, k.config.Renew)
	if err := k.config.Client.HDel(quick, WorkersKey, k.self.ID).Err(); err != nil {
		k.config.Logger.WarnContext(ctx, "worker could not be removed from the list", slog.Any("error", err))
	}
	k.tell(quick)
	cancel()
	for _, h := range k.held {
		h.leaving = true
		h.end(ErrHandedOver)
	}
	ticker := time.NewTicker(k.config.Renew)
	defer ticker.Stop()
	for len(k.held) > 0 {
		select {
		case h := <-k.returned:
			k.release(ctx, k.gather(h))
		case <-ticker.C:
			_, _ = k.renew(ctx, nil)
		}
	}
}

// gather returns the holdings that have returned, first and those right behind it.
func (k *keeper) gather(first *holding) []*holding {
	all := []*holding{first}
	for {
		select {
		case h := <-k.returned:
			all = append(all, h)
		default:
			return all
		}
	}
}

// tend renews what is held, takes what falls to this worker and hands over what does not. It returns when to come again.
func (k *keeper) tend(ctx context.Context) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, k.config.TTL)
	defer cancel()
	workers, standing := k.renewAndLook(ctx)
	if workers == nil {
		k.metrics.fails.Inc()
		return min(retryAfterFailure, k.config.Renew)
	}
	holder := func(consumer string, partition int) string { return standing[partition][consumer].worker }
	share := assign(k.config.Partitions, workers, holder)
	next := k.untilExpiry(standing)
	missing := make(map[int][]string) // by partition, the consumers to take
	for _, consumer := range k.self.Consumers {
		for p, worker := range share[consumer] {
			at := slot{consumer, p}
			switch h := k.held[at]; {
			case standing[p] == nil: // this partition's server did not answer
			case h != nil && worker != k.self.ID:
				k.handOver(ctx, h, worker)
			case h == nil && worker == k.self.ID:
				if wait := k.wait(at, standing[p]); wait > 0 {
					next = min(next, wait)
				} else {
					missing[p] = append(missing[p], consumer)
				}
			}
		}
	}
	if !k.take(ctx, missing) {
		next = min(next, retryAfterFailure)
	}
	return next
}

// untilExpiry returns when the next of the others' leases expires if it is not renewed, at most Renew: a healthy lease
// always has longer. Then its worker is gone from the list too, and the spread is another.
func (k *keeper) untilExpiry(leases []map[string]standing) time.Duration {
	next := k.config.Renew
	for _, partition := range leases {
		for _, s := range partition {
			if s.worker != k.self.ID {
				next = min(next, s.remaining+slack)
			}
		}
	}
	return next
}

// wait returns how long a lease that falls to this worker cannot be taken yet.
func (k *keeper) wait(at slot, leases map[string]standing) time.Duration {
	wait := time.Until(k.resting[at])
	if wait <= 0 {
		delete(k.resting, at)
	}
	if s, ok := leases[at.consumer]; ok && s.worker != k.self.ID {
		wait = max(wait, s.remaining+slack)
	}
	return wait
}

// renewAndLook says that this worker lives, renews its leases, and returns who lives and which leases stand, by partition
// and consumer. Workers are nil when that could not be learned.
func (k *keeper) renewAndLook(ctx context.Context) ([]Worker, []map[string]standing) {
	beat := heartbeat(k.config.TTL, k.self)
	command, standing := k.renew(ctx, &beat)
	came, workers, err := parseWorkers(command)
	if err != nil {
		k.config.Logger.WarnContext(ctx, "workers could not be read", slog.Any("error", err))
		return nil, nil
	}
	if came {
		k.tell(ctx)
	}
	return workers, standing
}

// tell wakes the other managers.
func (k *keeper) tell(ctx context.Context) {
	// A lost notice costs one round of renewal, so the error is nobody's business.
	_ = k.config.Client.Publish(ctx, changes, k.self.ID).Err()
}

// listen wakes the manager when another one tells of a change, until stop is called.
func (k *keeper) listen(ctx context.Context) (stop func()) {
	subscription := k.config.Client.Subscribe(ctx, changes)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for message := range subscription.Channel() {
			if message.Payload == k.self.ID {
				continue
			}
			select {
			case k.wake <- struct{}{}:
			default:
			}
		}
	}()
	return func() {
		_ = subscription.Close()
		<-done
	}
}

func tokenString(token int64) string { return strconv.FormatInt(token, 10) }
