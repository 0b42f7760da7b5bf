package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"

	"mpim/domain"
	"mpim/schema"
)

// wrote is what a user left in one aggregate.
type wrote struct {
	sealed, plain int
	peer          domain.UserID
	// at are the positions of all that is personal, plainAt those of what was stored open.
	at, plainAt []domain.Position
	// erased says that nothing was left there after it was erased before.
	erased bool
}

// search reads the whole log, each partition up to its end, for what the user wrote.
func (e *eraser) search(done *certificate) (map[domain.Aggregate]*wrote, error) {
	reader := e.stores.stored() // nothing is to be read, only counted
	found := make([]map[domain.Aggregate]*wrote, reader.Partitions)
	ends := make([]int64, reader.Partitions)
	group, ctx := errgroup.WithContext(e.i.ctx)
	group.SetLimit(4)
	for partition := range found {
		found[partition] = make(map[domain.Aggregate]*wrote)
		group.Go(func() error {
			for record, err := range reader.Partition(ctx, partition, schema.Checkpoint{}) {
				if err != nil {
					return err
				}
				ends[partition] = record.Seq
				e.note(found[partition], record)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("search the log for what the user wrote: %w", err)
	}
	all := make(map[domain.Aggregate]*wrote)
	done.Searched = make(map[string]int64)
	for partition, some := range found {
		maps.Copy(all, some)
		done.Searched[strconv.Itoa(partition)] = ends[partition]
	}
	return all, nil
}

// note notes what a record says of the user: something of its own, that it was let into a group, or that it was erased there.
func (e *eraser) note(found map[domain.Aggregate]*wrote, r *schema.Record) {
	let := r.Aggregate.Kind == domain.Group && lets(r.Type) && r.Names(e.user)
	switch {
	case r.Type == domain.TypeAccountErased && r.Actor == e.user:
		if w := found[r.Aggregate]; w != nil {
			w.erased = true
		}
		return
	case !let && (r.Owner() != e.user || !r.HasPersonal()):
		return
	}
	w := found[r.Aggregate]
	if w == nil {
		w = new(wrote)
		found[r.Aggregate] = w
	}
	w.erased = false
	if !let {
		w.note(r)
	}
}

func (w *wrote) note(r *schema.Record) {
	w.at = append(w.at, r.Position)
	if _, sealed := r.Sealed(); sealed {
		w.sealed++
	} else {
		w.plain++
		w.plainAt = append(w.plainAt, r.Position)
	}
	var contact struct {
		User domain.UserID `json:"user"`
	}
	if r.Aggregate.Kind == domain.Pair && json.Unmarshal(r.Data, &contact) == nil && contact.User != "" {
		w.peer = contact.User
	}
}

// add notes what the user wrote in one aggregate.
func (c *certificate) add(a domain.Aggregate, w *wrote) {
	if w.sealed+w.plain == 0 {
		return
	}
	c.Where = append(c.Where, a.String())
	c.Sealed, c.Plain = c.Sealed+w.sealed, c.Plain+w.plain
}

// addPlain names the events that were stored open.
func (c *certificate) addPlain(found map[domain.Aggregate]*wrote) {
	byPartition := make(map[int][]int64)
	for _, w := range found {
		for _, at := range w.plainAt {
			byPartition[at.Partition] = append(byPartition[at.Partition], at.Seq)
		}
	}
	for partition, seqs := range byPartition {
		slices.Sort(seqs)
		if c.PlainAt == nil {
			c.PlainAt = make(map[string][]string)
		}
		c.PlainAt[strconv.Itoa(partition)] = ranges(seqs)
	}
}

// ranges writes ascending numbers, those that follow each other as in 20-23.
func ranges(numbers []int64) (list []string) {
	for from := 0; from < len(numbers); {
		to := from
		for to+1 < len(numbers) && numbers[to+1] == numbers[to]+1 {
			to++
		}
		text := strconv.FormatInt(numbers[from], 10)
		if to > from {
			text += "-" + strconv.FormatInt(numbers[to], 10)
		}
		list, from = append(list, text), to+1
	}
	return list
}
