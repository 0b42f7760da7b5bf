package segment_test

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"mpim/domain"
	"mpim/projections/archive/segment"
	"mpim/projections/archive/segment/segmenttest"
	"mpim/schema"
)

// mostBytes is what an event of a natural text of 200 bytes may take.
const mostBytes = 130

var (
	group = domain.Placement{Partitions: 16}.Group("u", "7").Aggregate()
	user  = domain.Placement{Partitions: 16}.User("alice")
)

// entries are entries of every kind: usual ones, unusual ones that can be read, and such that cannot.
func entries(tb testing.TB) *segmenttest.Log {
	tb.Helper()
	log := segmenttest.NewLog(3, 1)
	for _, fact := range []domain.Fact{
		&domain.ConversationCreated{Kind: domain.GroupConversation, Title: "Tëa \"ti\u0001me\" \\ \U0001F375", Members: []domain.MemberRole{{User: user, Role: domain.Owner}}},
		&domain.MessageSent{ClientID: "1", Body: domain.Body{Type: "text", Text: "line\nline\x00\x7f\u2028</script>"}, Mentions: []string{"all", string(user)}},
		&domain.MessageSent{ClientID: "2", Body: domain.Body{Type: "custom", Data: []byte(`{"a":[1,-2.5e+7,{"b":null}],"":true,"a":"twice"}`)}, ReplyTo: 2},
		&domain.MessageEdited{Message: 2, Body: domain.Body{Type: "text", Text: strings.Repeat("long ", 4000)}},
		&domain.MessageReacted{Message: 2, Emoji: "\U0001F44D", Removed: true},
		&domain.ReceiptMoved{ReadSeq: 3, DeliveredSeq: 4},
		&domain.MemberLeft{User: user},
		&domain.LogRepaired{From: 1, To: 2, Lost: 3},
	} {
		log.Append(tb, group, user, fact)
		log.Append(tb, group, "", fact)
	}
	crowd := &domain.ConversationCreated{Kind: domain.GroupConversation}
	for i := range 1000 {
		crowd.Members = append(crowd.Members, domain.MemberRole{User: domain.UserID(fmt.Sprint("u", i)), Role: domain.Member})
	}
	usual := log.Append(tb, group, user, crowd)
	id, stream := string(usual.ID), usual.StreamID
	at := string(usual.Payload[:len(`{"at":"2026-01-02T03:04:05.678Z"`)])
	for _, payload := range []string{
		"", "{", `{}`, `null`, at + `}`, at + `,"actor":"x"}`, at + `,"actor":"x","data":}`, at + `,"actor":"x","data":{}}`, at + `,"actor":"x","data":{"a":"}`,
		at + `,"actor":"x","data":{"a":"\"}}`, at + `,"actor":"x","data":[[[1,"a"],{"b":[]}],"c"]}`, at + `,"actor":"x","data":{"a":"` + "\n" + `"}}`,
		at + `,"actor":"x","data":]}`, at + `,"actor":"\u0041","data":{}}`, at + `,"actor":"x","data": {"a" : 1 } }`, at + ` ,"actor":"x","data":{}}`,
		`{"at":"2026-01-02T03:04:05Z","actor":"x","data":{}}`, at + `,"actor":"x","data":{"a":"` + "\xff\xfe" + `"}}`, at + `,"actor":"x","data":1e5}`, at + `,"actor":"x","data":{"k` + "\x01" + `":1}}`,
	} {
		log.Add(tb, stream, id, usual.Metadata, []byte(payload))
	}
	for _, metadata := range []string{
		"", "\x80", "\x81\xa1a", "\x81\xa1a\xa1b", "\xde\x00\x01\xa1a\xa1b", "\xff\xff", "\x82\xa1a\xa1b\xa1a\xa1b",
		string(usual.Metadata) + "x", strings.Replace(string(usual.Metadata), "group:", "other:", 1), strings.Replace(string(usual.Metadata), "version\xa11", "version\xa1x", 1),
		strings.Replace(string(usual.Metadata), "version\xa11", "version\xa29", 1), "\x87" + string(usual.Metadata[1:]) + "\xa1a\xa2\n\n", "\x87" + string(usual.Metadata[1:]) + "\xa1a\xd9\x02bb",
		"\x87" + string(usual.Metadata[1:]) + "\xabtraceparent\xa31-2",
	} {
		log.Add(tb, stream, id, []byte(metadata), usual.Payload)
	}
	for _, odd := range []string{"", "x", strings.ToLower(id), "ZZZZZZZZZZZZZZZZZZZZZZZZZZ", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", id[:25] + "\n"} {
		log.Add(tb, stream, odd, usual.Metadata, usual.Payload)
	}
	for _, odd := range []string{"", "x", "5", "05-1", "1-2-3", "18446744073709551615-18446744073709551615", "0-0"} {
		log.Add(tb, odd, id, usual.Metadata, usual.Payload)
	}
	log.Append(tb, group, user, &domain.MessageSent{ClientID: "last", Body: domain.Body{Type: "text", Text: "end"}})
	return log
}

func TestSegmentKeepsEveryByte(t *testing.T) {
	t.Parallel()
	records := entries(t).Records
	for name, level := range map[string]segment.Level{"fast": segment.Fast, "best": segment.Best} {
		for from := range records {
			for _, to := range []int{from + 1, len(records)} {
				if level == segment.Best && from > 0 {
					continue
				}
				data, err := segment.Encode(records[from:to], level)
				if err != nil {
					t.Fatalf("%s, %d to %d: %v", name, from, to, err)
				}
				decoded, err := segment.Decode(data)
				if err != nil {
					t.Fatalf("%s, %d to %d: %v", name, from, to, err)
				}
				wantSame(t, decoded, records[from:to])
			}
		}
	}
}

// wantSame wants the same records, in all that a reader of the stream sees. A record whose metadata say another place than
// it has is only compared in what it is made of.
func wantSame(t *testing.T, got, want []*schema.Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range want {
		g, w := *got[i], *want[i]
		if (g.Broken == nil) != (w.Broken == nil) {
			t.Errorf("record %s is broken: %v, want %v", w.Position, g.Broken, w.Broken)
		}
		g.Broken, w.Broken = nil, nil
		if !bytes.Equal(g.Metadata, w.Metadata) || !bytes.Equal(g.Payload, w.Payload) || !bytes.Equal(g.Data, w.Data) {
			t.Errorf("record %s is\n%q %q, want\n%q %q", w.Position, g.Metadata, g.Payload, w.Metadata, w.Payload)
		}
		g.Metadata, w.Metadata, g.Payload, w.Payload, g.Data, w.Data = nil, nil, nil, nil, nil, nil
		if !reflect.DeepEqual(g, w) {
			t.Errorf("record %s is\n%+v, want\n%+v", w.Position, g, w)
		}
	}
}

// What stands in testdata was written once and is read for ever.
func TestSegmentOfOldIsRead(t *testing.T) {
	t.Parallel()
	const file = "testdata/mpimseg1.bin"
	records := entries(t).Records
	if os.Getenv("WRITE_SEGMENT") != "" {
		data, err := segment.Encode(records, segment.Best)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := segment.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, decoded, records)
}

func TestSegmentSize(t *testing.T) {
	t.Parallel()
	const n = 8192
	log := segmenttest.NewLog(3, 2)
	log.Messages(t, n, segmenttest.NaturalTexts(t, n))
	data, err := segment.Encode(log.Records, segment.Best)
	if err != nil {
		t.Fatal(err)
	}
	each := float64(len(data)) / n
	t.Logf("%.1f bytes an event, limit %d", each, mostBytes)
	if each > mostBytes {
		t.Errorf("an event takes %.1f bytes, more than %d", each, mostBytes)
	}
}

func TestSegmentRefusesWhatDoesNotFollow(t *testing.T) {
	t.Parallel()
	records := entries(t).Records
	for name, wrong := range map[string][]*schema.Record{
		"none": nil, "a gap": {records[0], records[2]}, "out of order": {records[1], records[0]},
	} {
		if _, err := segment.Encode(wrong, segment.Fast); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	records := entries(f).Records
	for _, run := range [][]*schema.Record{records[:1], records[:9], records[len(records)-3:]} {
		data, err := segment.Encode(run, segment.Fast)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		records, err := segment.Decode(data)
		if err == nil && len(records) == 0 {
			t.Error("nothing came of it, and no error")
		}
	})
}

// FuzzEncode gives one event any bytes between two usual ones.
func FuzzEncode(f *testing.F) {
	for _, r := range entries(f).Records {
		if len(r.Payload) < 2000 {
			f.Add(r.StreamID, string(r.ID), r.Metadata, r.Payload)
		}
	}
	f.Fuzz(func(t *testing.T, stream, id string, metadata, payload []byte) {
		log := segmenttest.NewLog(3, 1)
		log.Append(t, group, user, &domain.MemberLeft{User: user})
		log.Add(t, stream, id, metadata, payload)
		log.Append(t, group, user, &domain.MemberLeft{User: user})
		data, err := segment.Encode(log.Records, segment.Fast)
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := segment.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, decoded, log.Records)
	})
}
