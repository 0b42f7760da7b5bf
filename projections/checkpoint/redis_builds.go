package checkpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/projections"
	"mpim/projections/builds"
	"mpim/schema"
)

// RedisBuilds is the registry of the projections whose state is in Redis:
//
//	builds:{<projection>}  hash: number → builds.Build, JSON; live → "<generation> <number>"; paused → since when
//
// Where there is none, but a checkpoint, the projection was begun before there were registries: it has one build, live and of
// the first version. It comes to be written down with the first change.
type RedisBuilds struct {
	Client redis.UniversalClient
	// Partitions is how many the log has.
	Partitions int
}

var _ builds.Registry = RedisBuilds{}

const pausedField = "paused"

// Standing implements builds.Registry.
func (s RedisBuilds) Standing(ctx context.Context, name string) (builds.Standing, error) {
	standing, _, err := s.load(ctx, name)
	return standing, err
}

// load returns what is known, and the fields of the registry as they are.
func (s RedisBuilds) load(ctx context.Context, name string) (standing builds.Standing, fields map[string]string, err error) {
	fields, err = s.Client.HGetAll(ctx, schema.BuildsKey(name)).Result()
	if err != nil {
		return standing, nil, Outside(fmt.Errorf("look up the builds of %s: %w", name, err))
	}
	for field, text := range fields {
		number, err := strconv.Atoi(field)
		if err != nil {
			continue
		}
		b := builds.Build{Name: name, Number: number}
		if err := json.Unmarshal([]byte(text), &b); err != nil {
			return standing, nil, fmt.Errorf("the registry of %s is damaged: %w", b, err)
		}
		standing.Builds = append(standing.Builds, b)
	}
	slices.SortFunc(standing.Builds, func(a, b builds.Build) int { return a.Number - b.Number })
	_, standing.Paused = fields[pausedField]
	if len(standing.Builds) > 0 {
		return standing, fields, nil
	}
	begun, err := NewRedis(RedisConfig{Client: s.Client, Name: name, Version: 1, Partitions: s.Partitions}).Status(ctx)
	if err != nil {
		return standing, nil, err
	}
	if len(begun.Partitions) > 0 {
		standing.Builds = []builds.Build{{Name: name, Number: 1, Version: 1, State: projections.Live}}
	}
	return standing, fields, nil
}

// Add implements builds.Registry.
func (s RedisBuilds) Add(ctx context.Context, b builds.Build) error {
	err := s.change(ctx, b.Name, func(standing builds.Standing, to map[string]string) error {
		if _, taken := standing.Find(b.Number); taken {
			return builds.ErrTaken
		}
		return put(to, b)
	})
	if err != nil {
		return fmt.Errorf("register %s: %w", b, err)
	}
	return nil
}

// Change implements builds.Registry.
func (s RedisBuilds) Change(ctx context.Context, b builds.Build, to projections.State) error {
	err := s.change(ctx, b.Name, func(standing builds.Standing, fields map[string]string) error {
		return transit(standing, fields, b, to)
	})
	if err != nil {
		return fmt.Errorf("make %s %s: %w", b, to, err)
	}
	return nil
}

// Pause implements builds.Registry.
func (s RedisBuilds) Pause(ctx context.Context, name string, paused bool) error {
	err := s.change(ctx, name, func(standing builds.Standing, to map[string]string) error {
		switch {
		case standing.Paused == paused:
		case paused:
			to[pausedField] = time.Now().UTC().Format(time.RFC3339)
		default:
			to[pausedField] = ""
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("pause or resume %s: %w", name, err)
	}
	return nil
}

// transit puts a build into another state, unless it has another by now than it is known to have.
func transit(standing builds.Standing, fields map[string]string, b builds.Build, to projections.State) error {
	now, known := standing.Find(b.Number)
	if !known || now.State != b.State {
		return builds.ErrTaken
	}
	now.State, now.UpdatedAt = to, time.Now().UTC().Truncate(time.Microsecond)
	return put(fields, now)
}

func put(fields map[string]string, b builds.Build) error {
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	fields[strconv.Itoa(b.Number)] = string(text)
	return nil
}

// change writes the fields that do puts into its map, "" for those that go. It fails with builds.ErrTaken where somebody else
// changed one of them meanwhile.
func (s RedisBuilds) change(ctx context.Context, name string, do func(standing builds.Standing, to map[string]string) error) error {
	change, err := s.plan(ctx, name, do)
	if err != nil {
		return err
	}
	return change.commit(ctx, s.Client, nil)
}

// registryChange is a change of a registry that is ready to be made.
type registryChange struct {
	name string
	args []any
}

// plan reads the registry and says what is to be changed.
func (s RedisBuilds) plan(
	ctx context.Context, name string, do func(standing builds.Standing, to map[string]string) error,
) (registryChange, error) {
	standing, is, err := s.load(ctx, name)
	if err != nil {
		return registryChange{}, err
	}
	to := make(map[string]string)
	for _, b := range standing.Builds { // what is known and not written down yet
		if _, written := is[strconv.Itoa(b.Number)]; !written {
			if err := put(to, b); err != nil {
				return registryChange{}, err
			}
		}
	}
	if err := do(standing, to); err != nil {
		return registryChange{}, err
	}
	number := 0
	for _, b := range standing.Builds {
		if _, changed := to[strconv.Itoa(b.Number)]; !changed && b.State == projections.Live {
			number = b.Number
		}
	}
	for field, text := range to {
		if n, err := strconv.Atoi(field); err == nil && stateOf(text) == projections.Live {
			number = n
		}
	}
	if was := schema.ParseLiveBuild(is[schema.LiveField]); was.Number != number || is[schema.LiveField] == "" {
		to[schema.LiveField] = schema.LiveBuild{Generation: was.Generation + 1, Number: number}.String()
	}
	change := registryChange{name: name, args: []any{len(to)}}
	for _, field := range slices.Sorted(maps.Keys(to)) {
		change.args = append(change.args, field, is[field], to[field])
	}
	return change, nil
}

// stateOf returns the state in a build as it is written; "" for none.
func stateOf(text string) projections.State {
	var b builds.Build
	if text == "" || json.Unmarshal([]byte(text), &b) != nil {
		return ""
	}
	return b.State
}

// commit makes the change if nothing was changed meanwhile, and only when of the keys, which are checkpoints, each second one
// has come as far as the one in front of it.
func (c registryChange) commit(ctx context.Context, client redis.UniversalClient, checkpoints []string) error {
	keys := append([]string{schema.BuildsKey(c.name)}, checkpoints...)
	reply, err := registryScript.Run(ctx, client, keys, c.args...).Text()
	switch {
	case err != nil:
		return Outside(err)
	case reply == "behind":
		return builds.ErrBehind
	case reply != "":
		return builds.ErrTaken
	}
	return nil
}

// Times of a switch.
const (
	// switchTries is for how long a moment is waited for at which the next build has come as far by chance.
	switchTries = 100 * time.Millisecond
	// switchWait is for how long the live build is held still at most, for the next one to come as far.
	switchWait = 2 * time.Second
)

// Switch implements builds.Registry. One script compares the checkpoints and changes the registry. Where the live build is
// always a little ahead it is held still for a moment.
func (s RedisBuilds) Switch(ctx context.Context, live, next builds.Build) error {
	still, there := s.open(live), s.open(next)
	checkpoints := make([]string, 0, 2*s.Partitions)
	for p := range s.Partitions {
		checkpoints = append(checkpoints, still.checkpointKey(p), there.checkpointKey(p))
	}
	change, err := s.plan(ctx, live.Name, func(standing builds.Standing, to map[string]string) error {
		return errors.Join(transit(standing, to, live, projections.Kept), transit(standing, to, next, projections.Live))
	})
	if err == nil {
		err = s.try(ctx, change, checkpoints, switchTries)
	}
	if errors.Is(err, builds.ErrBehind) {
		var release func()
		if release, err = still.hold(ctx, switchWait+time.Second); err == nil {
			err = s.try(ctx, change, checkpoints, switchWait)
			release()
		}
	}
	if err != nil {
		return fmt.Errorf("make %s live: %w", next, err)
	}
	return nil
}

func (s RedisBuilds) open(b builds.Build) *Redis {
	return NewRedis(RedisConfig{Client: s.Client, Name: b.Name, Version: b.Version, Partitions: s.Partitions, Build: b})
}

// try commits a change again and again while the next build is behind.
func (s RedisBuilds) try(ctx context.Context, change registryChange, checkpoints []string, limit time.Duration) error {
	for deadline := time.Now().Add(limit); ; {
		err := change.commit(ctx, s.Client, checkpoints)
		if !errors.Is(err, builds.ErrBehind) || time.Now().After(deadline) {
			return err
		}
		if err := rest(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
}
