package checkpoint

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Direct collects writes that no event stands behind, to keys with the same tag: what users set and clients acknowledge
// without a trace in the log. They are the same as those of Writes.
type Direct struct {
	keys    []string
	indices map[string]int
	args    []any
}

// Do adds a write.
func (d *Direct) Do(command, key string, args ...string) {
	if d.indices == nil {
		d.indices = make(map[string]int)
	}
	d.args = appendWrite(d.args, command, indexOf(&d.keys, d.indices, key), args)
}

// Send does the writes, all or none.
func (d *Direct) Send(ctx context.Context, client redis.Scripter) error {
	if err := directScript.Run(ctx, client, d.keys, d.args...).Err(); err != nil {
		return fmt.Errorf("write %s: %w", d.keys[0], err)
	}
	return nil
}
