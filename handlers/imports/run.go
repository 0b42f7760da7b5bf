package imports

import (
	"context"
	"fmt"
	"hash/maphash"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"mpim/domain"
	"mpim/domain/conversation"
	"mpim/handlers/command"
	"mpim/projections/history"
)

// History knows the messages that were sent before.
type History interface {
	// Sent returns the messages of a conversation whose client id has the prefix. It has every event that was appended
	// before Run began, or its error is of kind Unavailable.
	Sent(ctx context.Context, id domain.ConversationID, prefix string) ([]history.Sent, error)
}

// Config is what Run works with. All members without a default are required.
type Config struct {
	Log       command.Store
	Placement domain.Placement
	History   History
	Limits    conversation.Limits
	// Workers is how many conversations are imported at a time. Default: 32.
	Workers int
	// Progress is told of lines that are done; it may be called from several goroutines. Default: nobody.
	Progress func(lines int64)
}

// Counts is how many things were imported.
type Counts struct {
	Users, Groups, Members, Messages atomic.Int64
	// Skipped lines say what is so already.
	Skipped atomic.Int64
}

// item is a line on its way.
type item struct {
	number int
	step   step
}

// Run imports a file that Check found sound. Open returns it from its beginning, each time it is called. An error names the
// line that could not be imported; what was imported before stays, and Run can be called again.
func Run(ctx context.Context, config Config, open func() (io.ReadCloser, error), counts *Counts) error {
	if config.Workers <= 0 {
		config.Workers = 32
	}
	if config.Progress == nil {
		config.Progress = func(int64) {}
	}
	// Everybody is there before anybody says something.
	for _, users := range []bool{true, false} {
		if err := pass(ctx, config, open, counts, users); err != nil {
			return err
		}
	}
	return nil
}

// pass imports the users of a file, or all the rest.
func pass(ctx context.Context, config Config, open func() (io.ReadCloser, error), counts *Counts, users bool) error {
	file, err := open()
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	group, ctx := errgroup.WithContext(ctx)
	queues := make([]chan item, config.Workers)
	for n := range queues {
		queues[n] = make(chan item, 64)
		a := &applier{Config: config, counts: counts, targets: make(map[string]*target)}
		group.Go(func() error {
			for i := range queues[n] {
				if err := a.patiently(ctx, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	seed := maphash.MakeSeed()
	group.Go(func() error {
		defer func() {
			for _, queue := range queues {
				close(queue)
			}
		}()
		return lines(file, func(number int, text []byte) error {
			s, err := parse(text)
			if err != nil {
				return fmt.Errorf("line %d: %w", number, err)
			}
			about := s.about()
			if user, ok := s.(*userLine); ok != users {
				return nil
			} else if ok {
				about = user.Username
			}
			select {
			case queues[maphash.String(seed, about)%uint64(len(queues))] <- item{number, s}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	return group.Wait()
}

// How often a line is tried, and the first pause between two tries, which doubles: about ten seconds in all.
const (
	tries      = 9
	firstPause = 20 * time.Millisecond
)

// patiently applies a line, and again where that is not possible just now: as long as the context lasts, nothing was
// appended then.
func (a *applier) patiently(ctx context.Context, i item) error {
	pause := firstPause
	for try := 1; ; try++ {
		err := a.apply(ctx, i)
		if err == nil || ctx.Err() != nil || try == tries || domain.CodeOf(err) != domain.Unavailable {
			return err
		}
		select {
		case <-time.After(pause):
			pause *= 2
		case <-ctx.Done():
			return err
		}
	}
}

func (a *applier) apply(ctx context.Context, i item) error {
	var did bool
	var err error
	switch s := i.step.(type) {
	case *userLine:
		did, err = a.user(ctx, s)
		count(&a.counts.Users, did)
	case *groupLine:
		did, err = a.group(ctx, s)
		count(&a.counts.Groups, did)
	case *memberLine:
		did, err = a.member(ctx, s)
		count(&a.counts.Members, did)
	case *leftLine:
		did, err = a.left(ctx, s)
		count(&a.counts.Members, did)
	case *messageLine:
		did, err = a.message(ctx, s)
		count(&a.counts.Messages, did)
	}
	if err != nil {
		return fmt.Errorf("line %d: %w", i.number, err)
	}
	count(&a.counts.Skipped, !did)
	a.Progress(1)
	return nil
}

func count(n *atomic.Int64, did bool) {
	if did {
		n.Add(1)
	}
}
