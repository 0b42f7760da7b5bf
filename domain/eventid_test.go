package domain_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mpim/domain"
)

// The example of the ULID specification (https://github.com/ulid/spec).
func TestEventIDIsAULID(t *testing.T) {
	const want = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
	entropy := []byte{0xd6, 0x76, 0x4c, 0x61, 0xef, 0xb9, 0x93, 0x02, 0xbd, 0x5b}
	if got := domain.NewEventID(time.UnixMilli(1469922850259), entropy); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if at, ok := domain.EventID(want).Time(); !ok || at.UnixMilli() != 1469922850259 {
		t.Errorf("got %v, %v", at, ok)
	}
}

func anyEntropy(t *rapid.T) []byte {
	return rapid.SliceOfN(rapid.Byte(), domain.EventEntropy, domain.EventEntropy).Draw(t, "entropy")
}

func anyTime(t *rapid.T) time.Time {
	return time.UnixMilli(rapid.Int64Range(0, 1<<48-1).Draw(t, "milliseconds")).UTC()
}

// Ids are in the order of their times, and of their bytes within a millisecond.
func TestEventIDsAreInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at, later := anyTime(t), anyTime(t)
		entropy, other := anyEntropy(t), anyEntropy(t)
		id, next := domain.NewEventID(at, entropy), domain.NewEventID(later, other)
		want := at.Compare(later)
		if want == 0 {
			want = strings.Compare(string(entropy), string(other))
		}
		if got := strings.Compare(string(id), string(next)); got != want {
			t.Fatalf("%s and %s compare as %d, want %d", id, next, got, want)
		}
		if got, ok := id.Time(); !ok || !got.Equal(at) {
			t.Fatalf("%s has time %v, %v, want %v", id, got, ok, at)
		}
	})
}

func TestEventIDBehind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := domain.NewEventID(anyTime(t), anyEntropy(t))
		if first.Behind(0) != first {
			t.Fatalf("%s is behind itself as %s", first, first.Behind(0))
		}
		i := rapid.IntRange(0, domain.MaxCommitEvents-1).Draw(t, "i")
		j := rapid.IntRange(0, domain.MaxCommitEvents-1).Draw(t, "j")
		if (first.Behind(i) == first.Behind(j)) != (i == j) {
			t.Fatalf("%s and %s, %d and %d behind", first.Behind(i), first.Behind(j), i, j)
		}
	})
}

func TestWhatIsNoEventID(t *testing.T) {
	good := string(domain.NewEventID(time.UnixMilli(1), make([]byte, domain.EventEntropy)))
	for _, id := range []string{"", good[1:], good + "0", "8" + good[1:], strings.ToLower("A" + good[1:]), "U" + good[1:], rand.Text()} {
		if at, ok := domain.EventID(id).Time(); ok {
			t.Errorf("%q has time %v", id, at)
		}
		if behind := domain.EventID(id).Behind(1); behind != "" {
			t.Errorf("%q is followed by %q", id, behind)
		}
	}
}
