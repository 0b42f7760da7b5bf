package segment

import (
	"encoding/binary"
	"strings"
	"testing"

	"mpim/domain"
	"mpim/projections/archive/segment/segmenttest"
)

// forge returns a segment with one column changed, and all else as it was.
func forge(t *testing.T, data []byte, column int, change func(string) string) []byte {
	t.Helper()
	h, columns, err := split(data)
	if err != nil {
		t.Fatal(err)
	}
	changed := change(string(columns[column]))
	if changed == string(columns[column]) {
		t.Fatal("nothing was changed")
	}
	columns[column] = []byte(changed)
	forged := []byte(magic)
	for _, n := range []int{h.partition, int(h.from), h.count, h.templates, len(columns)} {
		forged = binary.AppendUvarint(forged, uint64(n))
	}
	for _, column := range columns {
		forged = binary.AppendUvarint(forged, uint64(len(column)))
		forged = append(binary.AppendUvarint(forged, 0), column...)
	}
	return forged
}

// A segment that gives every byte back as it was, and calls the event something else, would pass every comparison of hashes.
func TestSegmentCannotCallAnEventAnother(t *testing.T) {
	t.Parallel()
	log := segmenttest.NewLog(3, 1)
	group, user := domain.Placement{Partitions: 16}.Group("u", "7").Aggregate(), domain.Placement{Partitions: 16}.User("alice")
	log.Append(t, group, user, &domain.MessageSent{ClientID: "1", Body: domain.Body{Type: "text", Text: "one"}})
	data, err := Encode(log.Records, Fast)
	if err != nil {
		t.Fatal(err)
	}
	sequence := string([]byte{byte(packedSeq)})
	for name, c := range map[string]struct {
		column int
		change func(string) string
	}{
		"another type":    {colTemplates, func(s string) string { return strings.Replace(s, "message.sent", "message.seen", 1) }},
		"another version": {colTemplates, func(s string) string { return strings.Replace(s, "\x011", "\x012", 1) }},
		"no sequence": {colTemplates, func(s string) string {
			return strings.Replace(s, "\xa3seq"+sequence, "\xa3seq"+string(rune(packedOrdinal)), 1)
		}},
		"a name of no type":    {colTemplates, func(s string) string { return strings.Replace(s, "\xa4type", "\xa4tipe", 1) }},
		"an aggregate of none": {colNames, func(s string) string { return strings.Replace(s, "group:", "gruop:", 1) }},
		"an actor in quotes":   {colNames, func(s string) string { return strings.Replace(s, string(user), `"`+string(user)[1:], 1) }},
		"a time of no year":    {colTime, func(string) string { return string(binary.AppendVarint(nil, lastMillisecond)) }},
	} {
		if records, err := Decode(forge(t, data, c.column, c.change)); err == nil {
			t.Errorf("%s: the segment is read as %+v", name, records[0])
		}
	}
}
