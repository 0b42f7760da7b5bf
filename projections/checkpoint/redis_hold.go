package checkpoint

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"mpim/projections"
)

// errHeld says that somebody else holds the build still at the moment.
var errHeld = projections.Outside(errors.New("somebody holds the projection still: try again in a few seconds"))

// hold keeps everybody else from moving the build in all partitions for a time, or until release is called. Who applies a
// step meanwhile waits.
func (c *Redis) hold(ctx context.Context, limit time.Duration) (release func(), err error) {
	who := newHolder()
	release = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		for p := range c.config.Partitions {
			_ = c.holdOne(ctx, p, who, 0) // it ends by itself
		}
	}
	for p := range c.config.Partitions {
		if err := c.holdOne(ctx, p, who, limit); err != nil {
			release()
			return nil, err
		}
	}
	return release, nil
}

// stillWait is for how long one partition is held at most.
const stillWait = 3 * time.Second

func newHolder() string { return rand.Text() }

// holdOne holds one partition still; it lets go where limit is 0.
func (c *Redis) holdOne(ctx context.Context, partition int, who string, limit time.Duration) error {
	held, err := holdScript.Run(ctx, c.config.Client, []string{c.checkpointKey(partition)}, who, limit.Milliseconds()).Int()
	switch {
	case err != nil:
		return Outside(fmt.Errorf("hold partition %d still: %w", partition, err))
	case held == 0:
		return errHeld
	}
	return nil
}

// fenceToken is higher than that of any lease, and still exact in Lua.
const fenceToken = 1<<53 - 1

// Fence keeps everybody from feeding the build from now on. What is kept stays as it is; of a build that is fenced already it
// forgets how far it had come.
func (c *Redis) Fence(ctx context.Context) error { return c.fence(ctx, 0) }

// fence does so, and where keep is not 0 it takes away all of the checkpoints but the fence, and that after a while.
func (c *Redis) fence(ctx context.Context, keep time.Duration) error {
	alone := 0
	if c.config.Build.State == projections.Fenced {
		alone = 1
	}
	for p := range c.config.Partitions {
		err := fenceScript.Run(ctx, c.config.Client, []string{c.checkpointKey(p)},
			strconv.FormatInt(fenceToken, 10), keep.Milliseconds(), alone).Err()
		if err != nil {
			return Outside(fmt.Errorf("fence partition %d: %w", p, err))
		}
	}
	return nil
}

// rest waits, or returns why the context ended.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
