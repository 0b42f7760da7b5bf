package push

import (
	"context"
	"log/slog"
	"time"

	"mpim/schema"
)

// lastBeat bounds how long the last heartbeats and checkpoints may take when the owner stops.
const lastBeat = 2 * time.Second

// beat tells gateways how far the partitions are, once a beat and whenever one of them waits for it, and saves
// checkpoints.
func (o *Owner) beat(ctx context.Context) error {
	ticker := time.NewTicker(o.config.Beat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			o.finish(ctx)
			return nil
		case <-o.wake:
			if o.beginRound(ctx) {
				o.heartbeat(ctx, o.standings(), o.waiting())
				o.endRound()
			}
		case <-ticker.C:
			o.measure(ctx)
			o.round(ctx)
		}
	}
}

// finish does a last round, although ctx may have ended.
func (o *Owner) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastBeat)
	defer cancel()
	o.round(ctx)
}

// beatSoon has gateways get a heartbeat now; all of them for nil.
func (o *Owner) beatSoon(gateways map[string]struct{}) {
	o.mu.Lock()
	o.everyone = o.everyone || gateways == nil
	for gateway := range gateways {
		o.pending[gateway] = struct{}{}
	}
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// waiting returns the gateways that are to get a heartbeat now.
func (o *Owner) waiting() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var gateways []string
	if o.everyone {
		gateways = o.registry.gatewayIDs()
	} else {
		for gateway := range o.pending {
			gateways = append(gateways, gateway)
		}
	}
	clear(o.pending)
	o.everyone = false
	return gateways
}

// round sends heartbeats to all gateways, and then saves what they were told as checkpoints. In this order: the next
// owner begins at the checkpoint, and a gateway that had not heard of it would think that it missed something.
func (o *Owner) round(ctx context.Context) {
	if !o.beginRound(ctx) {
		return
	}
	defer o.endRound()
	standings := o.standings()
	if !o.heartbeat(ctx, standings, o.registry.gatewayIDs()) {
		return
	}
	o.save(ctx, standings)
}

// beginRound waits until no other round is under way. It is false where the context ends first.
func (o *Owner) beginRound(ctx context.Context) bool {
	select {
	case o.rounds <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (o *Owner) endRound() { <-o.rounds }

// stand is how far a partition is.
type stand struct {
	p    *partition
	told standing
}

func (o *Owner) standings() []stand {
	held := o.held()
	standings := make([]stand, len(held))
	for i, p := range held {
		standings[i] = stand{p: p, told: p.standing()}
	}
	return standings
}

// heartbeat tells gateways how far the partitions and the registry are. Nothing to tell is told to nobody.
func (o *Owner) heartbeat(ctx context.Context, standings []stand, gateways []string) bool {
	if len(standings) == 0 || len(gateways) == 0 {
		return true
	}
	h := schema.Heartbeat{
		Worker: o.config.Worker,
		Leases: make([]schema.LeaseReport, len(standings)),
		Folded: o.registry.position(),
	}
	messages := make([]schema.Outgoing, len(gateways))
	for n, gateway := range gateways {
		for i, s := range standings {
			h.Leases[i] = schema.LeaseReport{
				Partition: s.p.number, Token: s.p.token, Number: s.told.numbers[gateway], Start: s.told.start, Seq: s.told.Seq,
			}
		}
		messages[n] = schema.Outgoing{Gateway: gateway, Payload: h.Append(nil)}
	}
	return o.publish(ctx, messages)
}

// saveAll is after how many rounds also those checkpoints are saved that have not moved, to find out whose lease is gone.
const saveAll = 10

// save saves checkpoints that moved. A partition that a newer lease has taken is pushed no more.
func (o *Owner) save(ctx context.Context, standings []stand) {
	o.counted++
	var saves []schema.PushCheckpoint
	for _, s := range standings {
		if s.told.Seq != s.p.saved || o.counted%saveAll == 0 {
			saves = append(saves, schema.PushCheckpoint{Partition: s.p.number, Token: s.p.token, Checkpoint: s.told.Checkpoint})
		}
	}
	lost, err := o.config.Bus.SaveCheckpoints(ctx, saves)
	if err != nil {
		o.logger.Warn("checkpoints could not be saved", slog.Any("error", err))
		return
	}
	isLost := make(map[int]bool)
	for _, l := range lost {
		isLost[l.Partition] = true
	}
	for _, s := range standings {
		if isLost[s.p.number] {
			s.p.logger.Warn("partition was taken by another worker")
			o.drop(s.p)
			continue
		}
		s.p.saved = s.told.Seq
	}
}

// measure looks where the logs of the partitions end.
func (o *Owner) measure(ctx context.Context) {
	held := o.held()
	if len(held) == 0 {
		return
	}
	numbers := make([]int, len(held))
	for i, p := range held {
		numbers[i] = p.number
	}
	heads, err := o.config.Bus.LogHeads(ctx, numbers)
	if err != nil {
		o.logger.Warn("ends of partitions could not be read", slog.Any("error", err))
		return
	}
	for i, p := range held {
		p.knows(heads[i])
	}
}
