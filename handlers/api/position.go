package api

import (
	"context"
	"strings"

	"golang.org/x/sync/errgroup"

	"mpim/domain"
)

// positionToken is the opaque form of places in the log that a read may be told to have passed.
func positionToken(positions ...domain.Position) string {
	parts := make([]string, len(positions))
	for i, p := range positions {
		parts[i] = p.String()
	}
	return strings.Join(parts, ",")
}

// parsePosition reads what positionToken writes.
func (o *Operations) parsePosition(token string) ([]domain.Position, error) {
	if token == "" {
		return nil, nil
	}
	var positions []domain.Position
	for part := range strings.SplitSeq(token, ",") {
		p, err := domain.ParsePosition(part)
		if err != nil || p.Partition >= o.Placement.Partitions || len(positions) == o.Placement.Partitions {
			return nil, domain.Errorf(domain.InvalidArgument, "after_position is no position that was answered here")
		}
		positions = append(positions, p)
	}
	return positions, nil
}

// Changed is embedded in results of operations that change something.
type Changed struct {
	Position string `json:"position" doc:"Send it as after_position to reads that must see this change."`
}

func at(p domain.Position) Changed { return Changed{Position: positionToken(p)} }

// ReadAfter is embedded in parameters of reads.
type ReadAfter struct {
	AfterPosition string `json:"after_position,omitempty" doc:"A position that was answered: the read sees at least that change, or is unavailable after 2 s."`
}

// await waits until the projections have passed the position that the caller names.
func (o *Operations) await(ctx context.Context, a ReadAfter, projections ...string) error {
	positions, err := o.parsePosition(a.AfterPosition)
	if err != nil || len(positions) == 0 {
		return err
	}
	return o.passed(ctx, positions, projections...)
}

// passed waits until each of the projections has passed all positions.
func (o *Operations) passed(ctx context.Context, positions []domain.Position, projections ...string) error {
	if len(projections) == 1 {
		return o.Waiter.Wait(ctx, projections[0], positions...)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, projection := range projections {
		group.Go(func() error { return o.Waiter.Wait(ctx, projection, positions...) })
	}
	return group.Wait()
}

// reached waits until the projections have come to where the partition of a conversation stands now.
func (o *Operations) reached(ctx context.Context, id domain.ConversationID, projections ...string) error {
	position, err := o.headOf(ctx, id.Aggregate())
	if err != nil {
		return err
	}
	return o.passed(ctx, []domain.Position{position}, projections...)
}

func (o *Operations) headOf(ctx context.Context, aggregate domain.Aggregate) (domain.Position, error) {
	partition, _ := aggregate.Partition()
	seq, err := o.Log.Head(ctx, partition)
	return domain.Position{Partition: partition, Seq: seq}, err
}
