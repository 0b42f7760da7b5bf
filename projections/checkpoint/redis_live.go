package checkpoint

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
	"mpim/schema"
)

// Live is how readers find the build of a projection in Redis that is live. What it says is asked for together with what is
// read, in the same pipeline and in front of it, so a look-up costs no round trip: the reader goes by what it was told the
// last time, and where that turns out to be old it reads again.
type Live struct {
	client redis.UniversalClient
	name   string
	known  atomic.Pointer[schema.LiveBuild]
}

// NewLive returns what finds the live build of a projection.
func NewLive(client redis.UniversalClient, projection string) *Live {
	l := &Live{client: client, name: projection}
	l.known.Store(&schema.LiveBuild{Number: 1})
	return l
}

// maxSwitches is how often a read begins anew because another build went live.
const maxSwitches = 100

// errSwitched says that another build is live than the one that was read.
var errSwitched = errors.New("another build went live")

// Read calls do with the live build. All that do reads by Reading.Pipelined is of that one build, which was live when the
// server answered. Where another one was by then, do is called again, so it begins from nothing each time, and returns the
// errors of Pipelined. An error is of kind Unavailable where no build is live.
func (l *Live) Read(ctx context.Context, do func(ctx context.Context, r *Reading) error) error {
	err := errSwitched
	for range maxSwitches {
		known := *l.known.Load()
		r := &Reading{live: l, known: known, space: schema.BuildSpace(l.name, known.Number)}
		if known.Number == 0 {
			// One may be by now. If not, there is nothing to read.
			if err = r.Pipelined(ctx, func(redis.Pipeliner) error { return nil }); err == nil {
				return domain.Errorf(domain.Unavailable, "no build of %s is live: try again", l.name)
			}
		} else {
			err = do(ctx, r)
		}
		if !errors.Is(err, errSwitched) {
			return err
		}
	}
	return domain.Wrap(domain.Unavailable, err, "builds of %s change too fast: try again", l.name)
}

// Reading is one attempt to read from the build that is thought to be live.
type Reading struct {
	live  *Live
	known schema.LiveBuild
	space string
}

// Key is Redis.Key of the build.
func (r *Reading) Key(partition int, name string) string {
	return schema.PartitionKey(partition, r.space+name)
}

// OutsideKey is Redis.OutsideKey of the build.
func (r *Reading) OutsideKey(name, id string) string { return outsideKey(r.space, name, id) }

// Checkpoint returns the key of the build's checkpoint in a partition.
func (r *Reading) Checkpoint(partition int) string {
	return r.Key(partition, checkpointName(r.live.name))
}

// Pipelined sends what ask asks for, in one round trip. Its error is that of the first command that failed, or says that
// the build is not live any more.
func (r *Reading) Pipelined(ctx context.Context, ask func(p redis.Pipeliner) error) error {
	var live *redis.SliceCmd
	_, err := r.live.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		live = p.HMGet(ctx, schema.BuildsKey(r.live.name), schema.LiveField)
		return ask(p)
	})
	if values := live.Val(); len(values) == 1 {
		text, _ := values[0].(string)
		if now := schema.ParseLiveBuild(text); now != r.known {
			r.live.known.Store(&now)
			return errSwitched
		}
	}
	return err
}
