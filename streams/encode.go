package streams

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"mpim/domain"
	"mpim/schema"
)

// encoded is a commit as the append script takes it: its keys and its arguments. Strings are passed by pointer, for which
// nothing is allocated.
type encoded struct {
	partition    int
	aggregateKey string
	requestKey   string // "" without a request
	args         []any
	events       int
	event        domain.EventID // of the first event
	bytes        int

	// What the usual command needs.
	version, field, value, id string
	usual                     [7]any
}

// encode checks the commit and writes what the script needs, in the caller's goroutine.
func (e *encoded) encode(partitions int, c *domain.Commit, seal schema.Seal) error {
	partition, ok := c.Aggregate.Partition()
	switch {
	case !ok || partition >= partitions:
		return domain.Errorf(domain.NotFound, "there is no %s", c.Aggregate)
	case len(c.Events) == 0:
		return fmt.Errorf("a commit to %s has no events", c.Aggregate)
	case len(c.Events) > domain.MaxCommitEvents:
		return domain.Errorf(domain.TooLarge, "one request may cause %d events, not %d", domain.MaxCommitEvents, len(c.Events))
	case max(len(c.Guards), len(c.Set), len(c.Delete), len(c.Timers), len(c.Cancels)) > maxCount:
		return domain.Errorf(domain.TooLarge, "one request may change %d fields at most", maxCount)
	}
	drafts, err := schema.Drafts(*c, seal)
	if err != nil {
		return err
	}
	e.partition, e.aggregateKey = partition, aggregateKey(partition, c.Aggregate)
	e.events, e.event = len(drafts), drafts[0].ID
	if c.Request != nil {
		e.requestKey = requestKey(partitions, partition, c.Request.Key)
		e.field, e.value = encodeRequest(c)
	}
	if isUsual(c) {
		e.version, e.id = c.Guards[0].Value, string(e.event)
		e.args = append(e.usual[:0], kindOf(&drafts[0]), &e.version, &e.field, &e.value, &e.id, drafts[0].Metadata, drafts[0].Payload)
	} else {
		e.encodeAny(c, drafts)
	}
	for i := range drafts {
		e.bytes += len(drafts[i].Metadata) + len(drafts[i].Payload)
	}
	for i := range c.Set {
		e.bytes += len(c.Set[i].Value)
	}
	return nil
}

// isUsual says whether the commit has the short form: a request, a guard on the version, one event and nothing else.
func isUsual(c *domain.Commit) bool {
	return c.Request != nil && len(c.Guards) == 1 && c.Guards[0].Field == domain.VersionField && len(c.Events) == 1 &&
		len(c.Set) == 0 && len(c.Delete) == 0 && !c.RaisesVersion &&
		len(c.Timers) == 0 && len(c.Cancels) == 0 && c.Fires == ""
}

// maxCount is what a form can count to.
const maxCount = 1<<16 - 1

// encodeAny writes a command that has the long form.
func (e *encoded) encodeAny(c *domain.Commit, drafts []schema.Draft) {
	args := make([]any, 1, 4+2*len(c.Guards)+2*len(c.Set)+len(c.Delete)+2*len(c.Timers)+len(c.Cancels)+3*len(drafts))
	if c.Request != nil {
		args = append(args, &e.field, &e.value)
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
		pending = pending || strings.Contains(t.Name, pendingMark)
	}
	for _, name := range c.Cancels {
		args = append(args, name)
	}
	if c.Fires != "" {
		args = append(args, c.Fires)
	}
	for i := range drafts {
		args = append(args, string(drafts[i].ID), drafts[i].Metadata, drafts[i].Payload)
		pending = pending || drafts[i].Pending
	}
	args[0] = formOf(c, drafts, pending)
	e.args = args
}

// pendingMark is in every value that holds a pending sequence; see [domain.Seq.String].
const pendingMark = "\x01"

func formOf(c *domain.Commit, drafts []schema.Draft, pending bool) []byte {
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

// encodeRequest returns the field of a request and what is kept there, but for the sequence that the script adds.
func encodeRequest(c *domain.Commit) (field, value string) {
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(c.At.UnixMilli()))
	b := make([]byte, 0, len(c.Request.Key)+requestHead)
	b = append(append(append(b, c.Request.Key[:]...), ms[2:]...), c.Request.Content[:]...)
	both := string(b)
	return both[:len(c.Request.Key)], both[len(c.Request.Key):]
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
	case d.Pending:
		return "3"
	default:
		return "0"
	}
}

// assemble puts commands into one call of the script: its name, the number of keys, the keys of the batch itself and of its
// commands, the arguments of the batch (head) and of its commands.
func assemble(partition int, appender string, head []any, commands []*pending) []any {
	keys, args := 4, len(head)
	for _, p := range commands {
		args += len(p.command.args)
		keys++
		if p.command.requestKey != "" {
			keys++
		}
	}
	all := append(make([]any, 0, 3+keys+args),
		"evalsha", "", keys,
		schema.PartitionKey(partition, logName),
		schema.PartitionKey(partition, metaName),
		schema.PartitionKey(partition, "appender:"+appender),
		schema.PartitionKey(partition, dueName),
	)
	for _, p := range commands {
		all = append(all, &p.command.aggregateKey)
		if p.command.requestKey != "" {
			all = append(all, &p.command.requestKey)
		}
	}
	all = append(all, head...)
	for _, p := range commands {
		all = append(all, p.command.args...)
	}
	return all
}

// Names of a partition's keys.
const (
	logName  = "log"
	metaName = "meta"
	dueName  = "due"
)

// keyPrefixes are what the keys of a partition begin with that every command names.
type keyPrefixes struct{ aggregate, request string }

var prefixes = sync.OnceValue(func() []keyPrefixes {
	all := make([]keyPrefixes, domain.MaxPartitions)
	for partition := range all {
		all[partition] = keyPrefixes{schema.PartitionKey(partition, "agg:"), schema.PartitionKey(partition, "idem:")}
	}
	return all
})

func aggregateKey(partition int, a domain.Aggregate) string {
	return prefixes()[partition].aggregate + a.ID
}

// requestSubhashes is how many hashes hold the requests of all partitions together: with 102 requests in each, as many
// as fit in 1 GiB, and few enough in each for Redis to keep it compact (hash-max-listpack-entries is 128).
const requestSubhashes = 1 << 18

func requestKey(partitions, partition int, key [12]byte) string {
	n := binary.BigEndian.Uint32(key[:]) % uint32(requestSubhashes/partitions) //nolint:gosec // far below 2^32
	var b [32]byte
	return string(strconv.AppendUint(append(b[:0], prefixes()[partition].request...), uint64(n), 10))
}
