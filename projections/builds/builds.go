package builds

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"mpim/projections"
)

// Build is one build of a projection.
type Build struct {
	bun.BaseModel `bun:"table:projection_builds"`

	Name string `bun:"name,pk" json:"-"`
	// Number counts the builds of the projection from 1.
	Number int `bun:"build,pk" json:"-"`
	// Version is that of the code that fills it.
	Version int               `bun:"version" json:"version"`
	State   projections.State `bun:"state" json:"state"`
	// CreatedAt is when it began, UpdatedAt when its state changed last.
	CreatedAt time.Time `bun:"created_at" json:"created_at"`
	UpdatedAt time.Time `bun:"updated_at" json:"updated_at"`
	// Goals are the heads of the log's partitions when it began: its past reaches to there.
	Goals []int64 `bun:"-" json:"goals,omitempty"`
}

// String names the build for people.
func (b Build) String() string { return fmt.Sprintf("build %d of %s", b.Number, b.Name) }

// Table returns the name of a table of the build, such as history_1_messages.
func (b Build) Table(name string) string { return Table(b.Name, b.Number, name) }

// Table returns the name of a table of a build.
func Table(projection string, build int, name string) string {
	return projection + "_" + strconv.Itoa(build) + "_" + name
}

// Standing is what the registry says of a projection.
type Standing struct {
	// Builds are all of them, by number.
	Builds []Build
	// Paused says that none is fed.
	Paused bool
}

// Live returns the live build.
func (s Standing) Live() (Build, bool) {
	return s.last(func(b Build) bool { return b.State == projections.Live })
}

// Any says whether there is a build that is neither dropped nor fenced.
func (s Standing) Any() bool {
	_, found := s.last(func(b Build) bool { return b.State != projections.Dropped && b.State != projections.Fenced })
	return found
}

// Shown returns the build that stands for the projection: the live one, else the newest; none where there is none.
func (s Standing) Shown() []Build {
	b, ok := s.Live()
	if !ok {
		b, ok = s.last(func(b Build) bool { return b.State != projections.Dropped })
	}
	if !ok {
		return nil
	}
	return []Build{b}
}

// Find returns a build by its number.
func (s Standing) Find(number int) (Build, bool) {
	return s.last(func(b Build) bool { return b.Number == number })
}

// last returns the newest build that is one of those.
func (s Standing) last(is func(Build) bool) (Build, bool) {
	for _, b := range slices.Backward(s.Builds) {
		if is(b) {
			return b, true
		}
	}
	return Build{}, false
}

// ErrTaken says that another process has registered a build of this number, or changed this one, at the same moment.
var ErrTaken = errors.New("another process did the same at this moment: try again")

// Registry keeps which builds there are, in the store of the projection. SQL is the one in SQL, checkpoint.RedisBuilds the
// one in Redis.
type Registry interface {
	// Standing returns what is known of a projection; no builds where it is not known.
	Standing(ctx context.Context, name string) (Standing, error)
	// Add registers a build. It fails with ErrTaken where the number is taken.
	Add(ctx context.Context, b Build) error
	// Change puts a build from the state that it is known to have into another. It fails with ErrTaken where it has
	// another by now.
	Change(ctx context.Context, b Build, to projections.State) error
	// Switch makes a build live and the live one kept, at one instant and only when it has come as far as the live one in
	// every partition: so nobody who waited for an event misses it afterwards. It fails with ErrBehind where that does
	// not happen soon.
	Switch(ctx context.Context, live, next Build) error
	// Pause says whether the projection is fed.
	Pause(ctx context.Context, name string, paused bool) error
}

// ErrBehind says that a build has not come as far as the live one.
var ErrBehind = errors.New("it has not come as far as the live build")

// now is the time as the registries keep it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
