package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"mpim/domain"
	"mpim/domain/account"
	"mpim/domain/conversation"
	"mpim/domain/pair"
	"mpim/handlers/command"
	"mpim/projections"
	"mpim/projections/presence"
	"mpim/projections/userkeys"
	"mpim/schema"
	"mpim/streams"
)

type userEraseCommand struct {
	User string        `arg:"" help:"Id or user name."`
	Wait time.Duration `help:"How long to wait until every projection has purged." default:"60s"`
	JSON bool          `help:"Print the certificate as one JSON document."`
	Yes  bool          `help:"Do not ask."`
}

// certificate says what was erased, and what cannot be reached from here.
type certificate struct {
	User        domain.UserID `json:"user"`
	Log         string        `json:"log"`
	DestroyedAt time.Time     `json:"key_destroyed_at"`
	CompletedAt time.Time     `json:"completed_at"`
	// Account is the position of account.erased in the account's own history.
	Account string `json:"account_erased"`
	// Searched is how far each partition was searched for what the user wrote.
	Searched map[string]int64 `json:"searched_to"`
	// Sealed is how many events hold texts that nothing opens any more, Plain how many were stored while sealing was off.
	Sealed int      `json:"sealed_events"`
	Plain  int      `json:"plain_events"`
	Where  []string `json:"aggregates"`
	// Purged are the projections that have taken the texts away, Behind those that have not yet.
	Purged []string `json:"purged"`
	Behind []string `json:"behind"`
	// Beyond is what no command can reach.
	Beyond []string `json:"beyond_reach"`
}

// beyond is what erasing cannot reach, whatever was done.
var beyond = []string{
	"backups of Redis and of the SQL database from before: with one of them and the key that wraps, the user's key comes back",
	"the append-only file of Redis, until its next rewrite (BGREWRITEAOF makes one now): wrapped keys and texts in projections",
	"binary logs and undo of the SQL server, until they are purged: the wrapped key and texts in projections",
	"free pages of the SQL database and its disk, until they are overwritten",
	"what left this system: pushes that devices keep, webhooks, exports, and what other services read from the log with a key",
	"what others wrote about the user, and the texts of others that quote the user",
}

// Run destroys a user's key, appends that, waits until it is purged everywhere, and prints what was done.
func (c *userEraseCommand) Run(i *invocation) error {
	if err := i.confirm(c.Yes, fmt.Sprintf("Erase user %s? All that the user wrote becomes unreadable everywhere and for ever.", c.User)); err != nil {
		return err
	}
	return i.withLog("user erase", func(g *gatewayParts) error {
		e := &eraser{i: i, stores: g.stores, log: g.log}
		done, err := e.erase(c.User, c.Wait)
		if err != nil {
			return err
		}
		if !c.JSON {
			done.print(i)
		} else if err := json.NewEncoder(i.stdout).Encode(done); err != nil {
			return err
		}
		if len(done.Behind) > 0 {
			return errProblemsFound
		}
		return nil
	})
}

// eraser erases one user. Every step may be done again, so a run that was cut off is simply started anew.
type eraser struct {
	i      *invocation
	stores *stores
	log    *streams.Log
	user   domain.UserID
}

func (e *eraser) erase(argument string, wait time.Duration) (*certificate, error) {
	ctx, s := e.i.ctx, e.stores
	e.user = domain.UserID(argument)
	if _, ok := e.user.Partition(); !ok {
		e.user = s.identity.Placement().User(strings.TrimPrefix(argument, "@"))
	}
	if err := e.exists(argument); err != nil {
		return nil, err
	}
	done := &certificate{User: e.user, Log: s.identity.ID, Beyond: beyond}
	var err error
	if done.DestroyedAt, err = (userkeys.Store{DB: s.db}).Destroy(ctx, e.user); err != nil {
		return nil, fmt.Errorf("destroy the key: %w", err)
	}
	if err := s.keys.Destroy(ctx, e.user); err != nil {
		return nil, fmt.Errorf("the key is destroyed, but other processes may hold it for ten minutes; run this again: %w", err)
	}
	s.ring.Drop(e.user)
	at, err := e.endAccount()
	if err != nil {
		return nil, err
	}
	done.Account = at.String()
	// Nothing more comes from the user: search the whole log for what came.
	found, err := e.search(done)
	if err != nil {
		return nil, err
	}
	ends := map[int]int64{at.Partition: at.Seq}
	for _, a := range slices.SortedFunc(maps.Keys(found), func(a, b domain.Aggregate) int { return strings.Compare(a.String(), b.String()) }) {
		done.Where = append(done.Where, a.String())
		done.Sealed, done.Plain = done.Sealed+found[a].sealed, done.Plain+found[a].plain
		if a.Kind == domain.Account || found[a].erased {
			continue
		}
		position, err := e.endTexts(a, found[a].peer)
		if err != nil {
			return nil, err
		}
		ends[position.Partition] = max(ends[position.Partition], position.Seq)
	}
	if err := e.forget(ctx); err != nil {
		return nil, err
	}
	err = e.await(done, ends, wait)
	done.CompletedAt = time.Now().UTC().Truncate(time.Millisecond)
	return done, err
}

// exists refuses what never was a user.
func (e *eraser) exists(argument string) error {
	fields, err := e.log.Load(e.i.ctx, e.user.Aggregate(), account.ProfileFields())
	if err != nil {
		return err
	}
	state, err := account.Load(fields)
	if err == nil && !state.Exists() && !state.Erased {
		err = domain.Errorf(domain.NotFound, "there is no user %s: `mpim user list` shows all", argument)
	}
	return err
}

// endAccount ends the account and its sessions, and returns where that stands.
func (e *eraser) endAccount() (domain.Position, error) {
	result, err := command.Execute(e.i.ctx, e.log, command.Account, command.Request[account.Command]{
		Aggregate: e.user.Aggregate(), Command: account.Erase{Stamp: domain.NewStamp("", time.Now())}, Entropy: freshEntropy(),
	})
	return result.Position, err
}

// endTexts appends to a conversation that the user's texts there are gone.
func (e *eraser) endTexts(a domain.Aggregate, peer domain.UserID) (domain.Position, error) {
	fields, err := e.log.Load(e.i.ctx, a, conversation.QueueFields(e.user))
	if err != nil {
		return domain.Position{}, err
	}
	state, err := conversation.Load(fields)
	if err != nil {
		return domain.Position{}, err
	}
	erase := conversation.Erase{Stamp: domain.NewStamp(e.user, time.Now()), Waiting: state.Queues[e.user], Peer: peer}
	if a.Kind == domain.Group {
		result, err := command.Execute(e.i.ctx, e.log, command.Group, command.Request[conversation.Command]{
			Aggregate: a, Command: erase, Entropy: freshEntropy(),
		})
		return result.Position, err
	}
	result, err := command.Execute(e.i.ctx, e.log, command.Pair, command.Request[pair.Command]{
		Aggregate: a, Command: pair.Shared{Command: erase}, Entropy: freshEntropy(),
	})
	return result.Position, err
}

func freshEntropy() []byte {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, as crypto/rand says
	return b[:]
}

// wrote is what a user left in one aggregate.
type wrote struct {
	sealed, plain int
	peer          domain.UserID
	// erased says that nothing was left there after it was erased before.
	erased bool
}

// search reads the whole log, each partition up to its end, for what the user wrote.
func (e *eraser) search(done *certificate) (map[domain.Aggregate]*wrote, error) {
	reader := e.stores.reader()
	reader.Opener = nil // nothing is to be read, only counted
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
				if record.Owner() == e.user || record.Actor == e.user && record.Type == domain.TypeAccountErased {
					note(found[partition], record)
				}
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

func note(found map[domain.Aggregate]*wrote, r *schema.Record) {
	w := found[r.Aggregate]
	if r.Type == domain.TypeAccountErased {
		if w != nil {
			w.erased = true
		}
		return
	}
	if !r.HasPersonal() {
		return
	}
	if w == nil {
		w = new(wrote)
		found[r.Aggregate] = w
	}
	w.erased = false
	if _, sealed := r.Sealed(); sealed {
		w.sealed++
	} else {
		w.plain++
	}
	var contact struct {
		User domain.UserID `json:"user"`
	}
	if r.Aggregate.Kind == domain.Pair && json.Unmarshal(r.Data, &contact) == nil && contact.User != "" {
		w.peer = contact.User
	}
}

// forget takes away what is kept of the user outside of the log and its projections' tables.
func (e *eraser) forget(ctx context.Context) error {
	if err := presence.NewChoices(e.stores.redis, e.stores.bus).Forget(ctx, e.user); err != nil {
		return fmt.Errorf("forget the user's status: %w", err)
	}
	return nil
}

// await waits until every projection has passed the given sequences.
func (e *eraser) await(done *certificate, ends map[int]int64, wait time.Duration) error {
	deadline := time.Now().Add(wait)
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := e.look(done, ends)
		if err == nil && len(done.Behind) == 0 || time.Now().After(deadline) {
			return err
		}
		select {
		case <-e.i.ctx.Done():
			return e.i.ctx.Err()
		case <-ticker.C:
		}
	}
}

// look notes which builds have passed the given sequences. One that has not begun will find nothing to read.
func (e *eraser) look(done *certificate, ends map[int]int64) error {
	all, err := e.stores.statuses(e.i.ctx, true)
	done.Purged, done.Behind = []string{}, []string{}
	for _, p := range all {
		name := fmt.Sprintf("%s build %d", p.Name, p.Build)
		switch {
		case len(p.Partitions) == 0:
		case passed(p.Partitions, ends):
			done.Purged = append(done.Purged, name)
		default:
			done.Behind = append(done.Behind, name)
		}
	}
	return err
}

func passed(all []projections.PartitionStatus, ends map[int]int64) bool {
	at := make(map[int]int64)
	for _, one := range all {
		at[one.Partition] = one.Checkpoint.Seq
	}
	for partition, seq := range ends {
		if at[partition] < seq {
			return false
		}
	}
	return true
}

func (c *certificate) print(i *invocation) {
	w := i.stdout
	fmt.Fprintf(w, "User %s of log %s is erased.\n\n", c.User, c.Log)
	fmt.Fprintf(w, "key destroyed       %s\naccount.erased      %s\ncompleted           %s\n", c.DestroyedAt.Format(time.RFC3339), c.Account, c.CompletedAt.Format(time.RFC3339))
	fmt.Fprintf(w, "events made unreadable: %d, in %d accounts and conversations; no byte of them changed, so every proof still verifies\n", c.Sealed, len(c.Where))
	if c.Plain > 0 {
		fmt.Fprintf(w, "NOT made unreadable:    %d events that were stored while sealing was off; they stay in the log and its archive\n", c.Plain)
	}
	fmt.Fprintf(w, "purged:                 %s\n", strings.Join(c.Purged, ", "))
	if len(c.Behind) > 0 {
		fmt.Fprintf(w, "NOT purged yet:         %s; they will when they get there: run this again to be sure\n", strings.Join(c.Behind, ", "))
	}
	fmt.Fprintln(w, "\nOut of reach:")
	for _, what := range c.Beyond {
		fmt.Fprintln(w, " -", what)
	}
}
