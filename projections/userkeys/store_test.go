package userkeys_test

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"mpim/domain"
	"mpim/projections/database"
	"mpim/projections/projectionstest"
	"mpim/projections/userkeys"
	"mpim/schema/seal"
)

func TestMain(m *testing.M) { os.Exit(projectionstest.Main(m)) }

// each runs a test on a database of each kind.
func each(t *testing.T, test func(t *testing.T, db *database.DB, s userkeys.Store)) {
	t.Helper()
	for name, url := range map[string]string{
		"mariadb": projectionstest.Server.URL(projectionstest.Server.CreateDatabase(t)), "sqlite": "sqlite://" + t.TempDir() + "/mpim.db", "sqlite memory": "sqlite::memory:",
	} {
		t.Run(name, func(t *testing.T) {
			db := projectionstest.Open(t, url)
			test(t, db, userkeys.Store{DB: db})
		})
	}
}

func wrapping(t *testing.T, setting string) *seal.Wrapping {
	t.Helper()
	w, err := seal.NewWrapping(setting)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

const (
	older = "an older secret of 32 characters"
	newer = "a newer secret of 32 characters."
)

func TestTheFirstKeyStands(t *testing.T) {
	each(t, func(t *testing.T, _ *database.DB, s userkeys.Store) {
		t.Helper()
		w := wrapping(t, older)
		var wait sync.WaitGroup
		got := make([]seal.Wrapped, 8)
		for i := range got {
			wait.Go(func() {
				var err error
				if got[i], err = s.Create(t.Context(), w.NewKey("u-ann")); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		for _, k := range got {
			if string(k.Key) != string(got[0].Key) || k.Destroyed() {
				t.Errorf("two processes have different keys of one user: %+v, %+v", k, got[0])
			}
		}
		read, err := s.Read(t.Context(), []domain.UserID{"u-bob", "u-ann"})
		if err != nil || len(read) != 1 || string(read[0].Key) != string(got[0].Key) || read[0].Wrapping != w.Current() {
			t.Errorf("%+v, %v", read, err)
		}
	})
}

func TestDestroyedForGood(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB, s userkeys.Store) {
		t.Helper()
		w := wrapping(t, older)
		key, err := s.Create(t.Context(), w.NewKey("u-ann"))
		if err != nil {
			t.Fatal(err)
		}
		first, err := s.Destroy(t.Context(), "u-ann")
		if err != nil || first.IsZero() {
			t.Fatalf("%s, %v", first, err)
		}
		again, err := s.Destroy(t.Context(), "u-ann")
		if err != nil || !again.Equal(first) {
			t.Errorf("destroyed at %s and then at %s, %v", first, again, err)
		}
		if k, err := s.Create(t.Context(), w.NewKey("u-ann")); err != nil || !k.Destroyed() {
			t.Errorf("an erased user got another key: %+v, %v", k, err)
		}
		// One who never had a key gets none either.
		if _, err := s.Destroy(t.Context(), "u-bob"); err != nil {
			t.Fatal(err)
		}
		if k, err := s.Create(t.Context(), w.NewKey("u-bob")); err != nil || !k.Destroyed() {
			t.Errorf("%+v, %v", k, err)
		}
		for _, row := range projectionstest.Rows(t.Context(), t, db, "SELECT * FROM user_keys") {
			if row == "" || len(key.Key) == 0 {
				t.Error("nothing to look through")
			}
		}
		if n, destroyed, err := s.Count(t.Context()); err != nil || destroyed != 2 || len(n) != 0 {
			t.Errorf("%v, %d, %v", n, destroyed, err)
		}
	})
}

func TestRewrap(t *testing.T) {
	each(t, func(t *testing.T, _ *database.DB, s userkeys.Store) {
		t.Helper()
		old := wrapping(t, older)
		const users = 620 // more than a page
		for n := range users {
			if _, err := s.Create(t.Context(), old.NewKey(domain.UserID(fmt.Sprintf("u%04d", n)))); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Destroy(t.Context(), "u0007"); err != nil {
			t.Fatal(err)
		}
		both := wrapping(t, newer+","+older)
		seen := 0
		n, err := s.Rewrap(t.Context(), both, func(n int) { seen += n })
		if err != nil || n != users-1 || seen != n {
			t.Errorf("%d wrapped anew (%d told), %v", n, seen, err)
		}
		counts, destroyed, err := s.Count(t.Context())
		if err != nil || counts[both.Current()] != users-1 || len(counts) != 1 || destroyed != 1 {
			t.Errorf("%v, %d, %v", counts, destroyed, err)
		}
		if n, err = s.Rewrap(t.Context(), both, func(int) {}); n != 0 || err != nil {
			t.Errorf("%d more, %v", n, err)
		}
		// Without the older key nothing can be done, and nothing is changed.
		if _, err = s.Create(t.Context(), old.NewKey("u-late")); err != nil {
			t.Fatal(err)
		}
		if _, err = s.Rewrap(t.Context(), wrapping(t, newer), func(int) {}); err == nil {
			t.Error("a key was wrapped anew without the one that it was wrapped with")
		}
	})
}
