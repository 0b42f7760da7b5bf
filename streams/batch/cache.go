package batch

import (
	"sync"

	"mpim/schema"
)

// cache keeps the newest records of each partition, so that of several consumers only the first decodes them.
type cache struct{ partitions []partitionCache }

// partitionCache holds a run of records in the order of the stream.
type partitionCache struct {
	mu      sync.Mutex
	records map[streamID]*schema.Record
	order   []streamID // the oldest first, from head on
	head    int
	bytes   int
	limit   int
}

func newCache(partitions, limit int) *cache {
	c := &cache{partitions: make([]partitionCache, partitions)}
	for i := range c.partitions {
		c.partitions[i].records = make(map[streamID]*schema.Record)
		c.partitions[i].limit = limit / partitions
	}
	return c
}

// get returns the record that was made of exactly this entry.
func (c *cache) get(partition int, id streamID, metadata, payload string) *schema.Record {
	p := &c.partitions[partition]
	p.mu.Lock()
	record := p.records[id]
	p.mu.Unlock()
	// A server that lost its last writes can give an id twice.
	if record == nil || string(record.Metadata) != metadata || string(record.Payload) != payload {
		return nil
	}
	return record
}

// put keeps a record. One that is older than what is kept already is not: it is that of a consumer far behind, and would
// put out what those at the head share.
func (c *cache) put(partition int, id streamID, record *schema.Record) {
	p := &c.partitions[partition]
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.order); n > 0 && !p.order[n-1].less(id) {
		return
	}
	p.records[id] = record
	p.order = append(p.order, id)
	p.bytes += size(record)
	for p.bytes > p.limit && p.head < len(p.order) {
		oldest := p.order[p.head]
		p.bytes -= size(p.records[oldest])
		delete(p.records, oldest)
		p.head++
	}
	if p.head > len(p.order)/2 {
		p.order = append(p.order[:0], p.order[p.head:]...)
		p.head = 0
	}
}

// size is about what a record takes.
func size(r *schema.Record) int { return 512 + len(r.Metadata) + len(r.Payload) }
