package seal_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"mpim/domain"
	"mpim/schema"
)

// What an erased user wrote while nothing was sealed reads as what was sealed does, in every process, and what others wrote stays.
func TestErasedReadsNullWhereItWasStoredOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		open := func(c domain.Commit) *schema.Record { return appended(t, nil, c)[0] }
		reads := func(c domain.Commit) (data string, erased bool) {
			record := open(c)
			payload := bytes.Clone(record.Payload)
			if err := w.Open(t.Context(), []*schema.Record{record}); err != nil || record.Broken != nil || !bytes.Equal(record.Payload, payload) {
				t.Fatalf("%v, %v", err, record.Broken)
			}
			return string(record.Data), record.Erased
		}
		bobs := sent("mine")
		bobs.Actor = bob
		w.store.destroy(ann)
		if data, erased := reads(sent("gone")); data != `{"client_id":"c1","body":null}` || !erased {
			t.Errorf("reads %s, erased: %v", data, erased)
		}
		renamed := domain.Commit{Aggregate: ann.Aggregate(), Actor: ann, Events: []domain.Fact{&domain.AccountUpdated{DisplayName: new("Ann")}}}
		if data, erased := reads(renamed); data != `{"display_name":null,"avatar_url":null}` || !erased {
			t.Errorf("reads %s, erased: %v", data, erased)
		}
		if data, erased := reads(bobs); data == `{"client_id":"c1","body":null}` || erased {
			t.Errorf("bob reads %s, erased: %v", data, erased)
		}
		// It is heard at once, and where it is not, in some minutes.
		w.Drop(bob)
		if _, erased := reads(bobs); !erased {
			t.Error("what was heard is not known")
		}
		eves := sent("mine too")
		eves.Actor = placement.User("eve")
		w.store.destroy(eves.Actor)
		time.Sleep(10 * time.Minute)
		if _, erased := reads(eves); !erased {
			t.Error("nobody asked again who is erased")
		}
		// Without SQL nothing new is known, and nothing is asked for a while.
		dans := sent("and mine")
		dans.Actor = placement.User("dan")
		w.store.destroy(dans.Actor)
		w.Clear()
		w.store.set(true)
		before := w.store.reads
		for range 3 {
			if _, erased := reads(dans); erased {
				t.Error("erased without having been told")
			}
		}
		if w.store.reads != before+1 {
			t.Errorf("asked %d times", w.store.reads-before)
		}
		w.store.set(false)
		time.Sleep(time.Minute)
		if _, erased := reads(dans); !erased {
			t.Error("nobody asked again after SQL came back")
		}
	})
}

func TestOpenPayloadOfErasedStoredOpen(t *testing.T) {
	w := newWorld(t)
	record := appended(t, nil, sent("gone"))[0]
	metadata := map[string]string{schema.TypeKey: string(record.Type), schema.AggregateKey: record.Aggregate.String()}
	if opened, erased, err := w.OpenPayload(t.Context(), string(record.ID), metadata, record.Payload); err != nil || erased || !bytes.Equal(opened, record.Payload) {
		t.Errorf("opened to %s, erased: %v, %v", opened, erased, err)
	}
	w.Drop(ann)
	if opened, erased, err := w.OpenPayload(t.Context(), string(record.ID), metadata, record.Payload); err != nil || !erased || bytes.Contains(opened, []byte("gone")) {
		t.Errorf("opened to %s, erased: %v, %v", opened, erased, err)
	}
}
