package streams

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mpim/domain"
	"mpim/schema"
)

// encoded is a commit as the append script takes it: its keys and its arguments.
type encoded struct {
	partition    int
	aggregateKey string
	requestKey   string // "" without a request
	args         []any
	event        domain.EventID // of the first event
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
	case max(len(c.Guards), len(c.Set), len(c.Delete), len(c.Timers), len(c.Cancels)) > maxCount:
		return encoded{}, domain.Errorf(domain.TooLarge, "one request may change %d fields at most", maxCount)
	}
	drafts, err := schema.Drafts(c)
	if err != nil {
		return encoded{}, err
	}
	e := encoded{partition: partition, aggregateKey: aggregateKey(partition, c.Aggregate), event: drafts[0].ID}
	if c.Request != nil {
		e.requestKey = requestKey(partitions, partition, c.Request.Key)
	}
	if isUsual(c) {
		e.args = append(make([]any, 0, 7), kindOf(&drafts[0]), c.Guards[0].Value)
		e.args = appendRequest(e.args, c)
	} else {
		e.args = encodeAny(c, drafts)
	}
	for i := range drafts {
		d := &drafts[i]
		e.args = append(e.args, string(d.ID), d.Metadata, d.Payload)
		e.bytes += len(d.Metadata) + len(d.Payload)
	}
	for _, f := range c.Set {
		e.bytes += len(f.Value)
	}
	return e, nil
}

// isUsual says whether the commit has the short form: a request, a guard on the version, one event and nothing else.
func isUsual(c domain.Commit) bool {
	return c.Request != nil && len(c.Guards) == 1 && c.Guards[0].Field == domain.VersionField && len(c.Events) == 1 &&
		len(c.Set) == 0 && len(c.Delete) == 0 && !c.RaisesVersion &&
		len(c.Timers) == 0 && len(c.Cancels) == 0 && c.Fires == ""
}

// maxCount is what a form can count to.
const maxCount = 1<<16 - 1

// encodeAny writes all but the events of a command that has the long form.
func encodeAny(c domain.Commit, drafts []schema.Draft) []any {
	args := make([]any, 1, 4+2*len(c.Guards)+2*len(c.Set)+len(c.Delete)+2*len(c.Timers)+len(c.Cancels)+3*len(drafts))
	if c.Request != nil {
		args = appendRequest(args, c)
	}
	for _, g := range c.Guards {
		args = append(args, g.Field, g.Value)
	}
	pending := false
	for _, f := range c.Set {
		args = append(args, f.Name, f.Value)
		pending = pending || strings.Contains(f.Value, pendingMark)
	}
	for _, name := range c.Delete {
		args = append(args, name)
	}
	for _, t := range c.Timers {
		args = append(args, t.Name, t.At.UnixMilli())
	}
	for _, name := range c.Cancels {
		args = append(args, name)
	}
	if c.Fires != "" {
		args = append(args, c.Fires)
	}
	args[0] = formOf(c, drafts, pending)
	return args
}

// pendingMark is in every value that holds a pending sequence; see [domain.Seq.String].
const pendingMark = "\x01"

func formOf(c domain.Commit, drafts []schema.Draft, pending bool) []byte {
	sequenced := slices.ContainsFunc(drafts, func(d schema.Draft) bool { return d.Sequenced })
	form := make([]byte, 0, 22+len(drafts))
	for _, yes := range []bool{c.Request != nil, c.RaisesVersion, sequenced, pending, c.Fires != ""} {
		form = binary.BigEndian.AppendUint16(form, flag(yes))
	}
	for _, n := range []int{len(c.Guards), len(c.Set), len(c.Delete), len(c.Timers), len(c.Cancels), len(drafts)} {
		form = binary.BigEndian.AppendUint16(form, uint16(n)) //nolint:gosec // encode has checked them
	}
	for i := range drafts {
		form = append(form, kindOf(&drafts[i])...)
	}
	return form
}

// appendRequest writes the field of a request and what is kept under it, but for the sequence that the script adds.
func appendRequest(args []any, c domain.Commit) []any {
	var value [2 + requestHead]byte
	binary.BigEndian.PutUint64(value[:], uint64(c.At.UnixMilli())) //nolint:gosec // times before 1970 are not appended
	copy(value[8:], c.Request.Content[:])
	return append(args, string(c.Request.Key[:]), string(value[2:]))
}

// requestHead is the length of what is kept of a request before its sequence: 6 bytes of time and 8 of content hash.
const requestHead = 6 + 8

func flag(b bool) uint16 {
	if b {
		return 1
	}
	return 0
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

// assemble puts commands into one call of the script. What precedes them are the script's name and the number of keys,
// the keys of the batch itself and its five arguments.
func assemble(partition int, appender string, head []any, commands []*pending) (keys, args []any) {
	size, keyed := len(head), 4
	for _, p := range commands {
		size += len(p.command.args)
		keyed += 2
	}
	keys = append(make([]any, 0, keyed),
		schema.PartitionKey(partition, logName),
		schema.PartitionKey(partition, metaName),
		schema.PartitionKey(partition, "appender:"+appender),
		schema.PartitionKey(partition, "due"),
	)
	args = append(make([]any, 0, size), head...)
	for _, p := range commands {
		keys = append(keys, p.command.aggregateKey)
		if p.command.requestKey != "" {
			keys = append(keys, p.command.requestKey)
		}
		args = append(args, p.command.args...)
	}
	return keys, args
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
