package fold

import (
	"iter"

	"mpim/domain"
)

// note keeps that fields changed.
func (p *Partition) note(of domain.Aggregate, fields ...string) {
	if p.load == nil {
		return
	}
	if p.fields[of] == nil {
		p.fields[of] = make(map[string]bool)
	}
	for _, field := range fields {
		p.fields[of][field] = true
	}
}

// noteTimer keeps that an entry of the due list changed.
func (p *Partition) noteTimer(name string) {
	if p.load != nil {
		p.timers[name] = true
	}
}

// Changes returns what is to be written of what changed since the last call, of a fold that was resumed.
func (p *Partition) Changes() []Change {
	var all []Change
	for of, fields := range p.fields {
		c := Change{Aggregate: of, Head: p.Seq}
		for name := range fields {
			if value := p.Aggregates[of].Fields[name]; value != "" {
				c.Set = append(c.Set, domain.Field{Name: name, Value: value})
			} else {
				c.Delete = append(c.Delete, name)
			}
		}
		all = append(all, c)
	}
	if len(p.timers) > 0 {
		c := Change{Head: p.Seq}
		for name := range p.timers {
			if at, ok := p.Due[name]; ok {
				c.Timers = append(c.Timers, domain.Timer{Name: name, At: at})
			} else {
				c.Cancels = append(c.Cancels, name)
			}
		}
		all = append(all, c)
	}
	clear(p.fields)
	clear(p.timers)
	return all
}

// maxChange bounds the fields and timers of one change that All yields.
const maxChange = 1000

// All yields everything that the fold came to, in changes of bounded size.
func (p *Partition) All() iter.Seq[Change] {
	return func(yield func(Change) bool) {
		for of, a := range p.Aggregates {
			if !p.allOf(of, a, yield) {
				return
			}
		}
		c := Change{Head: p.Seq}
		for name, at := range p.Due {
			if c.Timers = append(c.Timers, domain.Timer{Name: name, At: at}); len(c.Timers) == maxChange {
				if !yield(c) {
					return
				}
				c.Timers = nil
			}
		}
		if len(c.Timers) > 0 {
			yield(c)
		}
	}
}

// allOf yields the fields of one aggregate. It is false where no more is to be yielded.
func (p *Partition) allOf(of domain.Aggregate, a *Aggregate, yield func(Change) bool) bool {
	c := Change{Aggregate: of, Head: p.Seq}
	for name, value := range a.Fields {
		if c.Set = append(c.Set, domain.Field{Name: name, Value: value}); len(c.Set) == maxChange {
			if !yield(c) {
				return false
			}
			c.Set = nil
		}
	}
	return len(c.Set) == 0 || yield(c)
}
