package streamstest

import (
	"errors"
	"testing"
	"time"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams"
)

func testReader(t *testing.T, f *fixture) {
	for i := range 60 {
		f.mustAppend(t, f.send(f.group(i%2), "", "x"))
	}
	reader := f.reader()
	for from := range int64(31) {
		next := from + 1
		for record, err := range reader.Partition(t.Context(), 1, schema.Checkpoint{Seq: from}) {
			if err != nil || record.Seq != next {
				t.Fatalf("from %d: %v, %v, want %d", from, record, err, next)
			}
			next++
		}
		if next != 31 {
			t.Errorf("from %d the reader ends before %d", from, next)
		}
	}
	at, err := reader.At(t.Context(), domain.Position{Partition: 1, Seq: 17})
	if err != nil || at.Seq != 17 {
		t.Errorf("at 1:17: %v, %v", at, err)
	}
	_, err = reader.At(t.Context(), domain.Position{Partition: 1, Seq: 31})
	wantCode(t, err, domain.NotFound)
	merged := 0
	for _, err := range reader.Merged(t.Context(), []int64{0, 20}) {
		if err != nil {
			t.Fatal(err)
		}
		merged++
	}
	if merged != 40 {
		t.Errorf("merged reading gives %d records, want 40", merged)
	}

	latest, err := reader.Latest(t.Context(), 1, 3)
	if err != nil || len(latest) != 3 || latest[2].Seq != 30 {
		t.Fatalf("latest: %v, %v", latest, err)
	}
	f.Client.XDel(t.Context(), schema.PartitionKey(1, "log"), latest[1].StreamID)
	var gap *streams.GapError
	for _, err := range reader.Partition(t.Context(), 1, schema.Checkpoint{}) {
		if errors.As(err, &gap) {
			break
		}
	}
	if gap == nil || gap.After != 28 || gap.Got != 30 {
		t.Errorf("a missing event gives %v", gap)
	}
}

func testIdentity(t *testing.T, f *fixture) {
	got, err := streams.ReadIdentity(t.Context(), f.Client)
	if err != nil || got != f.identity {
		t.Fatalf("identity is %+v, %v", got, err)
	}
	if err := streams.Create(t.Context(), f.Client, f.identity); err != nil {
		t.Errorf("create again: %v", err)
	}
	other, _ := streams.NewIdentity(partitions)
	if err := streams.Create(t.Context(), f.Client, other); err == nil {
		t.Error("another log was created over this one")
	}
	f.Client.Del(t.Context(), schema.PartitionKey(2, "meta"))
	if _, err := streams.ReadIdentity(t.Context(), f.Client); err == nil {
		t.Error("a missing partition is not noticed")
	}
}

func testSweep(t *testing.T, f *fixture) {
	group := f.group(1)
	old := f.send(group, "old", "x")
	old.At = f.now.Add(-25 * time.Hour)
	f.mustAppend(t, old)
	f.mustAppend(t, f.send(group, "new", "x"))
	sweeper := streams.NewSweeper(streams.SweeperConfig{Client: f.Client, Partitions: partitions})
	swept, err := sweeper.Sweep(t.Context(), 1, 0, streams.Subhashes(partitions))
	if err != nil || swept != (streams.Swept{Age: 1}) {
		t.Errorf("dropped %+v, %v; want one of age", swept, err)
	}
	if _, ok, err := f.log.Lookup(t.Context(), group, *old.Request); ok || err != nil {
		t.Errorf("the old request: %v, %v", ok, err)
	}
	if _, ok, err := f.log.Lookup(t.Context(), group, *f.send(group, "new", "x").Request); !ok || err != nil {
		t.Errorf("the new request: %v, %v", ok, err)
	}
}
