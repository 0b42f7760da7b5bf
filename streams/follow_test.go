package streams_test

import (
	"context"
	"testing"

	"mpim/domain"
	"mpim/schema"
	"mpim/streams"
	"mpim/streams/streamstest"
)

func TestFollow(t *testing.T) {
	t.Parallel()
	client := streamstest.StartRedis(t).Client()
	log := createLog(t, client, streams.Config{})
	aggregate := neighbours(log.Identity(), 1)[0]
	var appended []domain.Appended
	add := func() {
		a, err := log.Append(t.Context(), message(aggregate, false))
		if err != nil {
			t.Fatal(err)
		}
		appended = append(appended, a)
	}
	add()
	add()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	reader := streams.Reader{Client: client, Partitions: faultPartitions}
	for record, err := range reader.Follow(ctx, make([]schema.Checkpoint, faultPartitions)) {
		if err != nil || record.ID != appended[n].Event || record.Position != appended[n].Position {
			t.Fatalf("record %d: %+v, %v; want %+v", n, record, err, appended[n])
		}
		if n++; n == 10 {
			cancel()
		} else if n >= 2 {
			add() // while it is read
		}
	}
	if n != 10 {
		t.Errorf("%d records, want 10", n)
	}
}
