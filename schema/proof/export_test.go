package proof_test

import (
	"encoding/json"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"mpim/projections/archive/segment/segmenttest"
	"mpim/schema/proof"
)

// exported returns a head over a log of some events, and the lines of an export of all.
func exported(t *testing.T) (proof.Head, [][]byte) {
	t.Helper()
	log := segmenttest.NewLog(1, 7)
	log.Messages(t, 20, []string{"one <text> & more", "another"})
	log.Add(t, "5-0", "broken", []byte("no metadata"), []byte("no payload"))
	f := &forest{}
	for _, r := range log.Records {
		hashes, err := tlog.StoredHashesForRecordHash(f.size, new(proof.Hasher).Hash(proof.EventOf(r)), f)
		if err != nil {
			t.Fatal(err)
		}
		f.hashes, f.size = append(f.hashes, hashes...), f.size+1
	}
	h, err := testKey(t).Open([]byte(f.head(t, testKey(t))))
	if err != nil {
		t.Fatal(err)
	}
	var lines [][]byte
	for _, r := range log.Records {
		path, err := tlog.ProveRecord(f.size, r.Seq-1, f)
		if err != nil {
			t.Fatal(err)
		}
		line, err := proof.NewExportLine(r, proof.NewEntry(proof.EventOf(r), path))
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, text)
	}
	return h, lines
}

func TestExportLinesCheck(t *testing.T) {
	t.Parallel()
	h, lines := exported(t)
	for n, text := range lines {
		line, err := proof.ParseExportLine(text)
		if err != nil {
			t.Fatal(err)
		}
		r, err := line.Check(h)
		if err != nil || r.Seq != int64(n+1) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// What a line says to people is checked as well as what it proves.
func TestChangedExportLinesFail(t *testing.T) {
	t.Parallel()
	h, lines := exported(t)
	good := string(lines[2])
	for _, change := range [][2]string{
		{`"type":"message.sent"`, `"type":"message.edited"`},
		{`"actor":"u`, `"actor":"v`},
		{`"seq":`, `"seq":1`},
		{`"at":"2026`, `"at":"2025`},
		{`"partition":1`, `"partition":2`},
		{`"partition_seq":3`, `"partition_seq":4`},
		{`"position":"1:3"`, `"position":"1:4"`},
		{`"text":"one`, `"text":"two`},
		{`"data":{`, `"data":{"edited":true,`},
		{`"hashes":["`, `"hashes":["x`},
		{`"metadata":"`, `"metadata":"AAAA`},
		{`"type"`, `"seen":true,"type"`},
		{`"type"`, `"broken":"yes","type"`},
		{`"aggregate":"group:`, `"aggregate":"pair:`},
		{`"version":1`, `"version":2`},
	} {
		changed := strings.Replace(good, change[0], change[1], 1)
		if changed == good {
			t.Errorf("%s has no %s", good, change[0])
			continue
		}
		line, err := proof.ParseExportLine([]byte(changed))
		if err == nil {
			_, err = line.Check(h)
		}
		if err == nil {
			t.Errorf("with %s the line checks", change[1])
		}
	}
	broken, err := proof.ParseExportLine(lines[len(lines)-1])
	if err != nil {
		t.Fatal(err)
	}
	broken.Type = "message.sent"
	if _, err := broken.Check(h); err == nil {
		t.Error("a line may say what an event is that cannot be decoded")
	}
	without := strings.Replace(good, `"client_id":`, `"x":`, 1)
	if line, err := proof.ParseExportLine([]byte(without)); err == nil {
		if _, err := line.Check(h); err == nil {
			t.Error("a member that is not in the payload is taken")
		}
	}
}
