package builds

import (
	"context"
	"fmt"

	"mpim/projections"
)

// Replace fences every build of which lost says that it has seen what the log has lost: nobody feeds it any more, and nobody
// reads it. Where the live one is among them, another that is ready goes live by itself, or else a new one that is begun here,
// once it is ready. Until then reads are refused as unavailable: of a live build that is half full they would be wrong.
//
// It returns the builds that were fenced. It may be called while workers run, and again after it was cut off: what is fenced
// stays so, and no second build is begun.
func (f *Family) Replace(ctx context.Context, lost func(projections.Status) bool) (fenced []Build, err error) {
	standing, err := f.Standing(ctx)
	if err != nil {
		return nil, err
	}
	for _, b := range standing.Builds {
		switch b.State {
		case projections.Dropped:
			continue
		case projections.Fenced: // by one that was cut off, maybe
			if err := f.Fence(ctx, b); err != nil {
				return fenced, fmt.Errorf("fence %s: %w", b, err)
			}
			continue
		default:
		}
		status, err := f.Open(b).Status(ctx)
		if err != nil {
			return fenced, err
		}
		if !lost(status) {
			continue
		}
		// Fenced first: whoever feeds it shall not go on when it is looked up as something else.
		if err := f.Fence(ctx, b); err != nil {
			return fenced, fmt.Errorf("fence %s: %w", b, err)
		}
		if err := f.Registry.Change(ctx, b, projections.Fenced); err != nil {
			return fenced, err
		}
		b.State = projections.Fenced
		if err := f.Fence(ctx, b); err != nil {
			return fenced, fmt.Errorf("fence %s: %w", b, err)
		}
		fenced = append(fenced, b)
	}
	if standing, err = f.Standing(ctx); err != nil {
		return fenced, err
	}
	_, live := standing.Live()
	ready, isReady := standing.last(func(b Build) bool { return b.State == projections.Ready && b.Version == f.Version() })
	switch {
	case live || len(standing.Builds) == 0:
		return fenced, nil
	case isReady:
		return fenced, ignoreTaken(f.Registry.Change(ctx, ready, projections.Live))
	}
	_, _, err = f.Start(ctx)
	return fenced, ignoreTaken(err)
}
