package builds

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mpim/projections"
)

// Code is one version of a projection's code. Package tables makes it of a definition; the projections in Redis have one
// each.
type Code interface {
	// Name and Version are those of the projection.
	Name() string
	Version() int
	// Store is projections.SQLStore or projections.RedisStore.
	Store() string
	// Define makes what a build consists of where it is not there.
	Define(ctx context.Context, build int) error
	// Open returns the projection that feeds a build.
	Open(b Build) projections.Projection
	// Fence keeps everybody from feeding a build from now on. What it holds stays. Of one whose state is projections.Fenced
	// it forgets how far it had come as well: that is no measure of the log any more.
	Fence(ctx context.Context, b Build) error
	// Drop removes a build and everything that belongs to it. What is gone already is no error. It fails where somebody
	// still reads the build.
	Drop(ctx context.Context, b Build) error
	// Show makes the views of analysts show a build; nil where they do already, or where there are none. An error marked
	// by projections.Outside says that it is still to be done.
	Show(ctx context.Context, b Build) error
}

// Family is a projection with all builds of one version of its code.
type Family struct {
	Code

	Registry Registry
	// AtOnce says that the first build is live from its beginning however long the log is: readers wait for it, and none of
	// them fails because there is none.
	AtOnce bool
	// Heads returns the sequence counter of every partition of the log.
	Heads func(ctx context.Context) ([]int64, error)
	// Keep is how long a build that was live is kept at least, so that no reader still looks for it. Default: DefaultKeep.
	Keep time.Duration
}

// Bounds of lag in events, over all partitions.
const (
	// smallLog is how long a log is read at once, so that the first build of a projection can be live from its beginning.
	smallLog = 10_000
	// readyLag is what a build may lack to be ready.
	readyLag = 1_000
	// MaxPromoteLag is what a build may lack to be promoted.
	MaxPromoteLag = 5_000
)

// underWay are the states of builds that nobody has promoted yet.
var underWay = []projections.State{projections.Backfilling, projections.CatchingUp, projections.Ready}

// DefaultKeep is the default of Family.Keep: longer than a reader may take between looking up the live build and reading it.
const DefaultKeep = 5 * time.Second

// Standing returns what the registry says.
func (f *Family) Standing(ctx context.Context) (Standing, error) {
	return f.Registry.Standing(ctx, f.Name())
}

// Consumer is the name under which leases of this version are held and the log is read. Versions have their own, since a
// worker leases only builds whose version it knows.
func (f *Family) Consumer() string { return Consumer(f.Name(), f.Version()) }

// Consumer returns the name under which a version of a projection is fed: the projection's, and from version 2 on the
// version behind it.
func Consumer(name string, version int) string {
	if version <= 1 {
		return name
	}
	return fmt.Sprintf("%s.%d", name, version)
}

// Feeds returns the builds that this version feeds, the live one first. Where the projection has none at all the first is
// made: live at once if the log is short, else like any other, and live when it is ready.
func (f *Family) Feeds(ctx context.Context) ([]Build, error) {
	standing, err := f.Standing(ctx)
	if err != nil {
		return nil, err
	}
	if len(standing.Builds) == 0 {
		if _, _, err := f.Start(ctx); err != nil {
			return nil, err
		}
		if standing, err = f.Standing(ctx); err != nil {
			return nil, err
		}
	}
	if standing.Paused {
		return nil, nil
	}
	fed := slices.DeleteFunc(standing.Builds, func(b Build) bool {
		return b.Version != f.Version() || b.State == projections.Dropped || b.State == projections.Fenced
	})
	slices.SortStableFunc(fed, func(a, b Build) int { return rank(a) - rank(b) })
	return fed, nil
}

func rank(b Build) int {
	if b.State == projections.Live {
		return 0
	}
	return 1
}

// Start registers a new build of this version, or returns the one that is under way already, or ready and not promoted yet.
func (f *Family) Start(ctx context.Context) (b Build, fresh bool, err error) {
	standing, err := f.Standing(ctx)
	if err != nil {
		return Build{}, false, err
	}
	for _, b := range standing.Builds {
		if b.Version == f.Version() && slices.Contains(underWay, b.State) {
			return b, false, nil
		}
	}
	heads, err := f.Heads(ctx)
	if err != nil {
		return Build{}, false, err
	}
	b = first(f.Name(), f.Version(), projections.Backfilling)
	b.Goals = heads
	if n := len(standing.Builds); n > 0 {
		b.Number = standing.Builds[n-1].Number + 1
	} else if f.AtOnce || sum(heads) <= smallLog {
		b.State = projections.Live
	}
	// What it consists of is there before anybody can find it.
	if err := f.Define(ctx, b.Number); err != nil {
		return Build{}, false, err
	}
	if err := f.Registry.Add(ctx, b); err != nil {
		if !isTaken(err) {
			return Build{}, false, err
		}
		if standing, err = f.Standing(ctx); err != nil {
			return Build{}, false, err
		}
		taken, ok := standing.Find(b.Number)
		if !ok || taken.Version != f.Version() {
			return Build{}, false, ErrTaken
		}
		return taken, false, nil
	}
	return b, true, nil
}

// Promote makes a build live. An error says why that cannot be.
func (f *Family) Promote(ctx context.Context, b Build) error {
	standing, err := f.Standing(ctx)
	if err != nil {
		return err
	}
	live, ok := standing.Live()
	switch {
	case ok && live.Number == b.Number:
		return nil
	case b.State != projections.Ready && b.State != projections.Kept:
		return fmt.Errorf("%s is %s: only one that is ready or kept can go live", b, b.State)
	}
	if lag, err := f.lag(ctx, b); err != nil {
		return err
	} else if lag > MaxPromoteLag {
		return fmt.Errorf("%s is %d events behind, and may be %d at most: is a worker running that knows version %d?",
			b, lag, MaxPromoteLag, b.Version)
	}
	if !ok {
		return f.Registry.Change(ctx, b, projections.Live)
	}
	err = f.Registry.Switch(ctx, live, b)
	if errors.Is(err, ErrBehind) {
		return fmt.Errorf("%w: is a worker running that knows version %d? Try again when the load is lower", err, b.Version)
	}
	return err
}

// Next returns the build that is to be promoted: the newest that is ready, or that was live and rolled back from.
func (f *Family) Next(ctx context.Context) (Build, error) {
	standing, err := f.Standing(ctx)
	if err != nil {
		return Build{}, err
	}
	live, _ := standing.Live()
	next, ok := standing.last(func(b Build) bool {
		return b.State == projections.Ready || b.State == projections.Kept && b.Number > live.Number
	})
	if ok {
		return next, nil
	}
	under, ok := standing.last(func(b Build) bool {
		return b.State == projections.Backfilling || b.State == projections.CatchingUp
	})
	switch {
	case ok:
		return Build{}, fmt.Errorf("%s is %s: wait until it is ready", under, under.State)
	case live.Number > 0:
		return live, nil
	default:
		return Build{}, fmt.Errorf("%s has no build: run `mpim projection build %s`", f.Name(), f.Name())
	}
}

// Previous returns the build that was live before.
func (f *Family) Previous(ctx context.Context) (Build, error) {
	standing, err := f.Standing(ctx)
	if err != nil {
		return Build{}, err
	}
	var previous Build
	for _, b := range standing.Builds {
		if b.State == projections.Kept && !b.UpdatedAt.Before(previous.UpdatedAt) {
			previous = b
		}
	}
	if previous.Number == 0 {
		return Build{}, fmt.Errorf("%s has no build that was live before", f.Name())
	}
	return previous, nil
}

// Remove drops a build. It may be run again after it was cut off.
func (f *Family) Remove(ctx context.Context, number int) error {
	standing, err := f.Standing(ctx)
	if err != nil {
		return err
	}
	b, ok := standing.Find(number)
	switch {
	case !ok:
		return fmt.Errorf("%s has no build %d", f.Name(), number)
	case b.State == projections.Live:
		return fmt.Errorf("%s is live: promote another one first", b)
	case b.State == projections.Kept:
		keep := f.Keep
		if keep == 0 {
			keep = DefaultKeep
		}
		// Somebody may have looked up a moment ago that it is live.
		if err := pause(ctx, max(0, time.Until(b.UpdatedAt.Add(keep)))); err != nil {
			return err
		}
	}
	if b.State != projections.Dropped {
		if err := f.Registry.Change(ctx, b, projections.Dropped); err != nil {
			return err
		}
	}
	return f.Drop(ctx, b)
}

// lag returns how many events a build has yet to see.
func (f *Family) lag(ctx context.Context, b Build) (int64, error) {
	status, err := f.Open(b).Status(ctx)
	if err != nil {
		return 0, err
	}
	heads, err := f.Heads(ctx)
	if err != nil {
		return 0, err
	}
	lag, _ := status.Lag(heads)
	return lag, nil
}

func sum(all []int64) (n int64) {
	for _, one := range all {
		n += one
	}
	return n
}
