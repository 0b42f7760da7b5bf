package streams

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"mpim/domain"
	"mpim/schema"
)

// encoded is a commit as the append script takes it, but for the indexes of its keys.
type encoded struct {
	partition    int
	aggregateKey string
	requestKey   string // "" without a request
	request      []any  // field, content, time
	rest         []any
	bytes        int
}

// encode checks the commit and writes what the script needs, in the caller's goroutine.
func encode(partitions int, c domain.Commit) (encoded, error) {
	partition, ok := c.Aggregate.Partition()
	switch {
	case !ok || partition >= partitions:
		return encoded{}, domain.Errorf(domain.NotFound, "there is no %s", c.Aggregate)
	case len(c.Events) == 0:
		return encoded{}, fmt.Errorf("a commit to %s has no events", c.Aggregate)
	case len(c.Events) > domain.MaxCommitEvents:
		return encoded{}, domain.Errorf(domain.TooLarge, "one request may cause %d events, not %d", domain.MaxCommitEvents, len(c.Events))
	}
	drafts, err := schema.Drafts(c)
	if err != nil {
		return encoded{}, err
	}
	e := encoded{partition: partition, aggregateKey: aggregateKey(partition, c.Aggregate)}
	if c.Request != nil {
		var now [8]byte
		binary.BigEndian.PutUint64(now[:], uint64(c.At.UnixMilli())) //nolint:gosec // times before 1970 are not appended
		e.requestKey = requestKey(partitions, partition, c.Request.Key)
		e.request = []any{string(c.Request.Key[:]), string(c.Request.Content[:]), string(now[2:])}
	}
	e.rest = append(make([]any, 0, 12+2*len(c.Guards)+2*len(c.Set)+4*len(drafts)), len(c.Guards))
	for _, g := range c.Guards {
		e.rest = append(e.rest, g.Field, g.Value)
	}
	e.rest = append(e.rest, flag(c.RaisesVersion), len(c.Set))
	for _, f := range c.Set {
		e.rest = append(e.rest, f.Name, f.Value)
		e.bytes += len(f.Value)
	}
	e.rest = append(e.rest, len(c.Delete))
	for _, name := range c.Delete {
		e.rest = append(e.rest, name)
	}
	e.rest = appendTimers(e.rest, c)
	e.rest = append(e.rest, len(drafts))
	for i := range drafts {
		d := &drafts[i]
		e.rest = append(e.rest, string(d.ID), d.Metadata, kindOf(d), d.Payload)
		e.bytes += len(d.Metadata) + len(d.Payload)
	}
	return e, nil
}

func appendTimers(args []any, c domain.Commit) []any {
	args = append(args, len(c.Timers))
	for _, t := range c.Timers {
		args = append(args, t.Name, t.At.UnixMilli())
	}
	args = append(args, len(c.Cancels))
	for _, name := range c.Cancels {
		args = append(args, name)
	}
	return append(args, c.Fires)
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func kindOf(d *schema.Draft) string {
	switch {
	case d.Message:
		return "2"
	case d.Sequenced:
		return "1"
	default:
		return "0"
	}
}

// batchKeys are the keys of a batch, each once: a command names them by their index.
type batchKeys struct {
	keys  []string
	index map[string]int
}

func (b *batchKeys) of(key string) int {
	if key == "" {
		return 0
	}
	if i, ok := b.index[key]; ok {
		return i
	}
	b.keys = append(b.keys, key)
	b.index[key] = len(b.keys)
	return len(b.keys)
}

// assemble puts commands into one call of the script, after the five arguments of the batch itself.
func assemble(partition int, appender string, head []any, commands []*pending) (keys []string, args []any) {
	b := batchKeys{index: make(map[string]int, 2*len(commands))}
	for _, key := range []string{
		schema.PartitionKey(partition, logName),
		schema.PartitionKey(partition, metaName),
		schema.PartitionKey(partition, "appender:"+appender),
		schema.PartitionKey(partition, "due"),
	} {
		b.of(key)
	}
	n := len(head) + 1
	for _, p := range commands {
		n += 2 + len(p.command.request) + len(p.command.rest)
	}
	args = append(make([]any, 0, n), head...)
	args = append(args, len(commands))
	for _, p := range commands {
		args = append(args, b.of(p.command.aggregateKey), b.of(p.command.requestKey))
		args = append(args, p.command.request...)
		args = append(args, p.command.rest...)
	}
	return b.keys, args
}

// Names of a partition's keys.
const (
	logName  = "log"
	metaName = "meta"
)

func aggregateKey(partition int, a domain.Aggregate) string {
	return schema.PartitionKey(partition, "agg:"+a.ID)
}

// requestSubhashes is how many hashes hold the requests of all partitions together: with 102 requests in each, as many
// as fit in 1 GiB, and few enough in each for Redis to keep it compact (hash-max-listpack-entries is 128).
const requestSubhashes = 1 << 18

func requestKey(partitions, partition int, key [12]byte) string {
	n := binary.BigEndian.Uint32(key[:]) % uint32(requestSubhashes/partitions) //nolint:gosec // far below 2^32
	return schema.PartitionKey(partition, "idem:"+strconv.FormatUint(uint64(n), 10))
}
