package builds

import (
	"context"
	"errors"

	"mpim/projections"
)

// Tend moves the builds of this version on: from backfilling to ready as they come along, live where nothing else is, and
// the views of analysts to what is live. One worker does it every second or so.
func (f *Family) Tend(ctx context.Context) error {
	standing, err := f.Standing(ctx)
	if err != nil {
		return err
	}
	var failed error
	live, isLive := standing.Live()
	for _, b := range standing.Builds {
		if b.Version != f.Version() {
			continue
		}
		switch b.State {
		case projections.Backfilling, projections.CatchingUp:
			failed = errors.Join(failed, f.advance(ctx, b))
		case projections.Ready:
			if !isLive {
				failed = errors.Join(failed, f.Promote(ctx, b))
			}
		default:
		}
	}
	if isLive && live.Version == f.Version() {
		failed = errors.Join(failed, f.Show(ctx, live))
	}
	return failed
}

// advance puts a build into its next state where it has come so far.
func (f *Family) advance(ctx context.Context, b Build) error {
	status, err := f.Open(b).Status(ctx)
	if err != nil {
		return err
	}
	if b.State == projections.Backfilling {
		if status.Remaining(b.Goals) > 0 {
			return nil
		}
		return ignoreTaken(f.Registry.Change(ctx, b, projections.CatchingUp))
	}
	heads, err := f.Heads(ctx)
	if err != nil {
		return err
	}
	if status.Remaining(heads) > readyLag {
		return nil
	}
	return ignoreTaken(f.Registry.Change(ctx, b, projections.Ready))
}

// ignoreTaken passes over that another worker was faster.
func ignoreTaken(err error) error {
	if isTaken(err) {
		return nil
	}
	return err
}
