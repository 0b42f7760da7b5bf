package builds_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"mpim/projections"
	"mpim/projections/builds"
	"mpim/projections/database"
	"mpim/projections/projectionstest"
)

// start begins build 2, of version 2.
func (w *world) start() {
	w.t.Helper()
	b, fresh, err := w.family(2).Start(w.t.Context())
	if err != nil || !fresh || b.Number != 2 {
		w.t.Fatalf("start: %+v, %t, %v", b, fresh, err)
	}
}

// promote makes the next build live.
func (w *world) promote() {
	w.t.Helper()
	f := w.family(2)
	next, err := f.Next(w.t.Context())
	if err == nil {
		err = f.Promote(w.t.Context(), next)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// rollback makes the one before live.
func (w *world) rollback(version int) {
	w.t.Helper()
	f := w.family(version)
	previous, err := f.Previous(w.t.Context())
	if err == nil {
		err = f.Promote(w.t.Context(), previous)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// A version of the code is built beside the one before, promoted, rolled back from, promoted again, and the old one dropped,
// while messages come and readers read: no read fails, mixes versions or goes back.
func TestPromotionsUnderReaders(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *world) {
		t.Helper()
		w.append(300)
		w.work(1)
		w.await("the first build is live and full", func() bool {
			n, _, _, err := w.rows(t.Context())
			return err == nil && n == w.total()
		})
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		defer group.Wait()
		defer cancel()
		for range 3 {
			group.Go(func() { w.hammer(ctx) })
		}
		group.Go(func() { w.trickle(ctx) })

		w.work(2)
		w.start()
		if b, fresh, err := w.family(2).Start(t.Context()); err != nil || (fresh && b.Number == 2) {
			t.Errorf("a second start: %+v, %t, %v", b, fresh, err)
		}
		w.await("the second build is ready", func() bool { return w.state(2) == projections.Ready })
		for range 3 {
			w.promote()
			if w.state(1) != projections.Kept || w.state(2) != projections.Live {
				t.Errorf("after a promotion: %s, %s", w.state(1), w.state(2))
			}
			w.rollback(2)
			if w.state(1) != projections.Live || w.state(2) != projections.Kept {
				t.Errorf("after a rollback: %s, %s", w.state(1), w.state(2))
			}
		}
		w.promote()
		if w.db != nil {
			w.await("the views follow", func() bool {
				rows := projectionstest.Rows(t.Context(), t, w.db, "SELECT DISTINCT version FROM sent_messages")
				return len(rows) == 1 && rows[0] == "version=2"
			})
		}
		if err := w.family(2).Remove(t.Context(), 2); err == nil || !strings.Contains(err.Error(), "is live") {
			t.Errorf("dropping the live build: %v", err)
		}
		if err := w.family(2).Remove(t.Context(), 1); err != nil {
			t.Error(err)
		}
		if left, err := w.left(t.Context(), 1); err != nil || len(left) != 0 || w.state(1) != projections.Dropped {
			t.Errorf("left are %v, %v; the build is %s", left, err, w.state(1))
		}
		total := w.total()
		w.await("the second build has all that has come so far", func() bool {
			n, least, most, err := w.rows(t.Context())
			return err == nil && n >= total && least == 2 && most == 2
		})
	})
}

// hammer reads until ctx ends. A read sees all that was seen by a read before it.
func (w *world) hammer(ctx context.Context) {
	last := 0
	for ctx.Err() == nil {
		n, least, most, err := w.rows(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			w.t.Errorf("a read failed: %v", err)
			return
		case least != most:
			w.t.Errorf("a read saw versions %d and %d", least, most)
		case n < last:
			w.t.Errorf("a read saw %d rows, and one before it %d", n, last)
		}
		last = n
	}
}

// trickle appends until ctx ends.
func (w *world) trickle(ctx context.Context) {
	ticker := time.NewTicker(3 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.append(1)
		}
	}
}

// Workers that know another version pass over a build, and one that comes back goes on where the build stands.
func TestWorkersFeedWhatTheyKnow(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *world) {
		t.Helper()
		w.append(10)
		stop := w.work(1)
		w.await("the first build is full", func() bool { n, _, _, _ := w.rows(t.Context()); return n == 30 })
		w.start()
		second := w.work(2)
		w.await("the second build is ready", func() bool { return w.state(2) == projections.Ready })
		w.promote()
		second()
		w.append(10) // which the old version's workers write into the kept build only
		f := w.family(2)
		kept, err := f.Previous(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.await("the kept build is fed", func() bool {
			status, err := f.Open(kept).Status(t.Context())
			return err == nil && status.Applied() == 60
		})
		if n, least, _, err := w.rows(t.Context()); err != nil || n != 30 || least != 2 {
			t.Errorf("the live build has %d rows of version %d, %v", n, least, err)
		}
		w.rollback(1)
		if n, least, _, err := w.rows(t.Context()); err != nil || n != 60 || least != 1 {
			t.Errorf("after the rollback there are %d rows of version %d, %v", n, least, err)
		}
		stop()
		// The next version's workers are all that is left; what they do not know is not fed, and cannot be gone back to.
		w.append(builds.MaxPromoteLag)
		w.work(2)
		w.await("the second build is fed again", func() bool {
			b, _ := f.Next(t.Context())
			status, err := f.Open(b).Status(t.Context())
			return err == nil && int(status.Applied()) == w.total()
		})
		w.promote()
		if err := f.Promote(t.Context(), kept); err == nil || !strings.Contains(err.Error(), "events behind") {
			t.Errorf("a build that is not fed was promoted: %v", err)
		}
	})
}

// A long log is not read into a live build: the first one goes live when it is ready, by itself.
func TestTheFirstBuildOfALongLog(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		w := newWorld(t, db)
		w.append(4000)
		if fed, err := w.family(1).Feeds(t.Context()); err != nil || len(fed) != 1 || fed[0].State != projections.Backfilling {
			t.Fatalf("the first build: %+v, %v", fed, err)
		}
		if _, _, _, err := w.rows(t.Context()); !projections.IsOutside(err) {
			t.Errorf("before it is live: %v", err)
		}
		for range 3 { // workers come and go
			stop := w.work(1)
			w.await("something is written", func() bool {
				b, _ := w.family(1).Standing(t.Context())
				status, err := w.family(1).Open(b.Builds[0]).Status(t.Context())
				return err == nil && status.Applied() > 100
			})
			stop()
		}
		w.work(1)
		w.await("it is live", func() bool { n, _, _, err := w.rows(t.Context()); return err == nil && n == 12_000 })
	})
}

func TestAPausedProjectionStandsStill(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *world) {
		t.Helper()
		w.append(10)
		w.work(1)
		w.await("it is fed", func() bool { n, _, _, _ := w.rows(t.Context()); return n == 30 })
		f := w.family(1)
		if err := f.Registry.Pause(t.Context(), "sent", true); err != nil {
			t.Fatal(err)
		}
		if fed, err := f.Feeds(t.Context()); err != nil || len(fed) != 0 {
			t.Errorf("fed are %+v, %v", fed, err)
		}
		var still int
		w.await("it stands still", func() bool {
			w.append(1)
			n, _, _, _ := w.rows(t.Context())
			<-time.After(100 * time.Millisecond)
			still, _, _, _ = w.rows(t.Context())
			return n == still && n < w.total()
		})
		if err := f.Registry.Pause(t.Context(), "sent", false); err != nil {
			t.Fatal(err)
		}
		w.await("it goes on", func() bool { n, _, _, _ := w.rows(t.Context()); return n == w.total() && n > still })
	})
}

// A verification finds nothing while messages come, and each row that was changed, added or taken away by hand.
func TestVerifyFindsWhatWasTamperedWith(t *testing.T) {
	t.Parallel()
	projectionstest.Each(t, func(t *testing.T, db *database.DB) {
		t.Helper()
		w := newWorld(t, db)
		w.append(700)
		w.work(1)
		w.await("it is fed", func() bool { n, _, _, _ := w.rows(t.Context()); return n == w.total() })
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { w.trickle(ctx) })
		verify := func() (found []string) {
			err := w.family(1).Verify(t.Context(), w, func(int64) {}, func(d builds.Difference) error {
				found = append(found, d.Where+" | "+d.Live+" | "+d.Fresh)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		if found := verify(); len(found) != 0 {
			t.Errorf("found %q", found)
		}
		cancel()
		group.Wait()
		err := db.Write(t.Context(), func(ctx context.Context, tx bun.Tx) error {
			for _, statement := range []string{
				"UPDATE sent_1_messages SET version = 7 WHERE place = '0:10'",
				"DELETE FROM sent_1_messages WHERE place = '1:9'",
				"INSERT INTO sent_1_messages (place, version) VALUES ('zz', 1)",
			} {
				if _, err := tx.ExecContext(ctx, statement); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			`messages place="0:10" | version=7 | version=1`,
			`messages place="1:9" |  | place="1:9" version=1`,
			`messages place="zz" | place="zz" version=1 | `,
		}
		if found := verify(); !slices.Equal(found, want) {
			t.Errorf("found %q", found)
		}
		if left, err := db.Tables(t.Context(), "sent_999999_"); err != nil || len(left) != 0 {
			t.Errorf("left are %v, %v", left, err)
		}
	})
}

var errRollback = errors.New("roll back")

// An analyst's query that runs on a view holds nobody up for longer than a moment: the promotion is done, the views follow
// when the query ends, and the old build stays until then.
func TestASlowQueryOnAView(t *testing.T) {
	t.Parallel()
	db := projectionstest.Databases["mariadb"](t)
	w := newWorld(t, db)
	w.append(10)
	w.work(1)
	w.await("the view is there", func() bool {
		pending, err := w.pending(1)
		return err == nil && len(pending) == 0
	})
	begun, end, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- db.Read(t.Context(), func(ctx context.Context, tx bun.Tx) error {
			var n int
			err := tx.NewRaw("SELECT COUNT(*) FROM sent_messages").Scan(ctx, &n)
			close(begun)
			<-end
			return errors.Join(err, errRollback)
		})
	}()
	<-begun
	w.work(2)
	w.start()
	w.await("the second build is ready", func() bool { return w.state(2) == projections.Ready })
	w.promote()
	if _, least, _, err := w.rows(t.Context()); err != nil || least != 2 {
		t.Errorf("readers see version %d, %v", least, err)
	}
	if pending, err := w.pending(2); err != nil || len(pending) != 1 {
		t.Errorf("pending are %v, %v", pending, err)
	}
	if err := w.family(2).Remove(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "still shows") {
		t.Errorf("dropping what a view shows: %v", err)
	}
	began := time.Now()
	if rows := projectionstest.Rows(t.Context(), t, db, "SELECT DISTINCT version FROM sent_messages"); len(rows) != 1 || time.Since(began) > 5*time.Second {
		t.Errorf("another query on the view sees %v after %s", rows, time.Since(began))
	}
	close(end)
	if err := <-ended; !errors.Is(err, errRollback) {
		t.Error(err)
	}
	w.await("the view follows", func() bool { pending, err := w.pending(2); return err == nil && len(pending) == 0 })
	if err := w.family(2).Remove(t.Context(), 1); err != nil { // which goes on from being half done
		t.Error(err)
	}
}
