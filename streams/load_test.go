package streams_test

import (
	"testing"
	"time"

	"mpim/domain"
	"mpim/streams"
	"mpim/streams/streamstest"
)

// TestWhatWasLostIsNotAbsent empties the server under a log: what was there is not said to have never been.
func TestWhatWasLostIsNotAbsent(t *testing.T) {
	t.Parallel()
	server := streamstest.StartRedis(t)
	log := createLog(t, server.Client(), streams.Config{})
	group := log.Identity().Placement().Group("u", "1").Aggregate()
	nobody := log.Identity().Placement().Group("u", "2").Aggregate()
	mustAppend(t, log, group)
	load := func(a domain.Aggregate) error {
		_, err := log.Load(t.Context(), a, []string{domain.OrdinalField})
		return err
	}
	if err := load(nobody); err != nil {
		t.Errorf("what never was: %v", err)
	}
	if err := log.Settled(t.Context(), group); err != nil {
		t.Error(err)
	}
	if err := server.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	all := []domain.Wanted{{Aggregate: group, Fields: []string{domain.OrdinalField}}}
	lost := func(err error) bool { return domain.CodeOf(err) == domain.Unavailable }
	_, err := log.LoadAll(t.Context(), all)
	if !lost(load(group)) || !lost(err) || !lost(log.Settled(t.Context(), group)) {
		t.Errorf("at once: %v, %v, %v, want unavailable", load(group), err, log.Settled(t.Context(), group))
	}
	eventually(t, 5*time.Second, "seeing that it is gone", func() bool { return log.Forked() != nil })
	if err := load(group); !lost(err) {
		t.Errorf("later: %v, want unavailable", err)
	}
}
