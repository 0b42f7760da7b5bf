package streams

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"mpim/domain"
)

// Load returns the named fields of an aggregate's decision state, all of them for nil. That there is nothing at all is only said of a
// log that is known to have lost nothing: else the error is Unavailable.
func (l *Log) Load(ctx context.Context, a domain.Aggregate, fields []string) (domain.Fields, error) {
	partition, ok := a.Partition()
	if !ok || partition >= l.config.Identity.Partitions {
		return domain.Fields{}, nil
	}
	key := aggregateKey(partition, a)
	if fields == nil {
		all, err := l.config.Client.HGetAll(ctx, key).Result()
		if err != nil {
			return nil, unreachable(err)
		}
		return all, l.believe(ctx, partition, all)
	}
	values, err := l.config.Client.HMGet(ctx, key, fields...).Result()
	if err != nil {
		return nil, unreachable(err)
	}
	loaded := present(fields, values)
	return loaded, l.believe(ctx, partition, loaded)
}

// LoadAll is Load of named fields of several aggregates, in their order and in one round trip. They are read one after the
// other: what is appended meanwhile may be in the later ones and not in the earlier.
func (l *Log) LoadAll(ctx context.Context, wanted []domain.Wanted) ([]domain.Fields, error) {
	loaded := make([]domain.Fields, len(wanted))
	replies := make([]*redis.SliceCmd, len(wanted))
	_, err := l.config.Client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, w := range wanted {
			partition, ok := w.Aggregate.Partition()
			if ok && partition < l.config.Identity.Partitions && len(w.Fields) > 0 {
				replies[i] = p.HMGet(ctx, aggregateKey(partition, w.Aggregate), w.Fields...)
			}
		}
		return nil
	})
	if err != nil {
		return nil, unreachable(err)
	}
	var doubtful []int
	for i, reply := range replies {
		loaded[i] = domain.Fields{}
		if reply == nil {
			continue
		}
		if loaded[i] = present(wanted[i].Fields, reply.Val()); len(loaded[i]) == 0 {
			partition, _ := wanted[i].Aggregate.Partition()
			doubtful = append(doubtful, partition)
		}
	}
	return loaded, l.settled(ctx, doubtful)
}

// believe returns an error where nothing was found because the log may have lost it.
func (l *Log) believe(ctx context.Context, partition int, loaded domain.Fields) error {
	if len(loaded) > 0 {
		return nil
	}
	return l.settled(ctx, []int{partition})
}

// Settled returns nil where the partition of an aggregate is open in the present run of the server, so that what is not there never
// was. It is for who is about to act on an absence for good. It costs a round trip or two.
func (l *Log) Settled(ctx context.Context, a domain.Aggregate) error {
	partition, ok := a.Partition()
	if !ok || partition >= l.config.Identity.Partitions {
		return nil
	}
	return l.settled(ctx, []int{partition})
}

// settled is Settled of partitions. One that is being opened is waited for, as appends wait.
func (l *Log) settled(ctx context.Context, partitions []int) error {
	if len(partitions) == 0 {
		return nil
	}
	limit, cancel := context.WithTimeout(ctx, closedHold)
	defer cancel()
	for {
		opening, err := l.unsettled(ctx, partitions)
		if err == nil || !opening {
			return err
		}
		l.kick()
		select {
		case <-limit.Done():
			return err
		case <-time.After(closedLook / 2):
		}
	}
}

// unsettled returns why what is not there may have been lost, and whether that is only because a partition is being opened.
func (l *Log) unsettled(ctx context.Context, partitions []int) (opening bool, err error) {
	for _, partition := range partitions {
		// Before the first look only Redis can tell.
		if c := l.appenders[partition].gate.closed.Load(); c != nil && (c.lost || !c.since.IsZero()) {
			return !c.refuses(), l.appenders[partition].closedErr(c)
		}
	}
	metas, err := readMetas(ctx, l.config.Client, l.config.Identity.Partitions)
	if err != nil {
		return false, err
	}
	run, looked := "", l.script.current().run
	if looked != "" {
		if run, err = l.config.Server.RunID(ctx, l.config.Client); err != nil {
			return false, unreachable(err)
		}
	}
	for _, partition := range partitions {
		m := metas[partition]
		same := m.belongs(l.config.Identity) && m.epoch == l.config.Identity.Epoch
		if !same || !m.complete || run != looked {
			opening := same && m.forked < 0 && !m.repairing
			return opening, l.appenders[partition].closedErr(&closure{err: asking(nil)})
		}
	}
	return false, nil
}

// present returns the fields that have a value.
func present(fields []string, values []any) domain.Fields {
	loaded := make(domain.Fields, len(fields))
	for i, value := range values {
		if text, ok := value.(string); ok {
			loaded[fields[i]] = text
		}
	}
	return loaded
}
